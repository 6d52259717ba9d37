"""Ring 4. Which values of a result differ between two machines, by the digests of its parts."""

from __future__ import annotations

from collections.abc import Sequence

from stack.verdict import Number


def region(a: Number, b: Number) -> str:
    """Which values differ, by the digests of their parts; empty where the cards do not tell."""
    n = len(a.parts)
    if n != len(b.parts) or not 0 < n <= a.count:
        return ""
    edges = [i * a.count // n for i in range(n + 1)]
    found: list[list[int]] = []
    for i in (i for i in range(n) if a.parts[i] != b.parts[i]):
        if found and found[-1][1] == edges[i]:
            found[-1][1] = edges[i + 1]
        else:
            found.append([edges[i], edges[i + 1]])
    if found == [[0, a.count]]:
        return f"in each of {n} parts of the {a.count} values" if n > 1 else ""
    told = [f"{i}" if j == i + 1 else f"{i} to {j - 1}" for i, j in found]
    return f"among the values {_listed(told)} of {a.count}" if told else ""


def unseen(both: int) -> str:
    """Where bits differ and no entry shows it. `both`: how many were compared."""
    return f"in none of the {both} entries that both record" if both else "no entry is recorded on both"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))

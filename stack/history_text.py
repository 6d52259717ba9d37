"""Ring 4. Earlier runs, and a comparison with one of them, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stack import quantity
from stack.history import Session
from stack.regression import Comparison, Outcome, Sample
from stack.visible import one_line

_SIGNS = {"slower": "✗", "faster": "✓", "same": "=", "cannot tell": "?", "not judged": "-", "not comparable": "-"}
_ORDER = ("slower", "faster", "cannot tell", "same", "not judged", "not comparable")


def listed(cell: str, sessions: Sequence[Session]) -> str:
    """One line for each session, the newest last."""
    if not sessions:
        return f"{cell}: nothing was measured here yet; `sovstack verify` keeps what it measures\n"
    rows = [("session", "began", "subject", "image", "checks", "repeats", "")]
    for s in sessions:
        notes = [f"{s.failed} failed"] if s.failed else []
        notes += [f"under {s.emulator}"] if s.emulator else []
        checks = len({x.check for x in s.series})
        rows.append((s.short, s.date, s.subject, s.image[:12], str(checks), str(s.repeats), ", ".join(notes)))
    return "\n".join([cell, *_table(rows)]) + "\n"


def compared(made: Comparison) -> str:
    """Every number with what became of it; what is slower comes first."""
    lines = [f"before: {_sides(made.before)}", f"now:    {_sides([made.now])}", ""]
    if made.unlike:
        lines += ["These sessions cannot be compared:", *(f"  {one_line(w)}" for w in made.unlike), ""]
    found = sorted(made.outcomes, key=lambda o: _ORDER.index(o.said))
    lines += _table([_row(o) for o in found])
    return "\n".join([*lines, "", conclusion(made)]) + "\n"


def conclusion(made: Comparison) -> str:
    """The comparison in one sentence."""
    if not made.outcomes:
        return "No performance was measured on either side, so nothing can be said of it."
    if not made.before:
        return "There is no earlier session to compare with: the next run has this one."
    if made.unlike:
        return "Nothing is judged: the sessions are of different things."
    if not made.judged:
        return "Nothing is judged: speed under an emulator says nothing of the software."
    slower, total = len(made.regressions), len(made.outcomes)
    how = f"exact Mann-Whitney test, level {made.rule.alpha:g} for all numbers together"
    least = f"a change of at least {made.rule.least_change:.0%}"
    if slower:
        return f"{slower} of {_count(total)} became slower, beyond noise ({how}; {least})."
    untold = sum(o.said == "cannot tell" for o in made.outcomes)
    few = any(o.said == "cannot tell" and o.before.n and o.now.n for o in made.outcomes)
    tail = f" Of {untold} nothing can be told{': --repeat measures more' if few else ''}." if untold else ""
    return f"None of {_count(total)} was proven to be slower ({how}; {least}).{tail}"


def _count(n: int) -> str:
    return f"{n} number" if n == 1 else f"{n} numbers"


def _sides(sessions: Sequence[Session]) -> str:
    if not sessions:
        return "nothing was measured"
    images = ", ".join(dict.fromkeys(s.image[:12] for s in sessions))
    if len(sessions) == 1:
        return f"session {sessions[0].short} of {sessions[0].date}, {sessions[0].subject} {images}"
    return f"{len(sessions)} sessions from {sessions[0].date} to {sessions[-1].date}, of {images}"


def _row(outcome: Outcome) -> tuple[str, ...]:
    change = "" if outcome.change is None else f"{outcome.change:+.1%}"
    p = "" if outcome.p is None else f"p {quantity.number(outcome.p, 2)}"
    values = f"{_value(outcome.before)} -> {_value(outcome.now)} {outcome.unit}"
    said = f"{_SIGNS[outcome.said]} {outcome.said}"
    runs = f"{outcome.before.n} and {outcome.now.n} runs"
    return said, f"{outcome.check}.{outcome.metric}", values, change, p, runs, outcome.why


def _value(sample: Sample) -> str:
    return "-" if sample.median is None else quantity.number(sample.median)


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be; nothing behind the last."""
    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in shown]

"""Ring 3. How many independent archives hold each source: what was seen of them, as a table with findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stack.artifact import public
from stack.origins import Candidate
from stack.sources import Archives, Source, Wanted, is_forge, needed, unhashed

# `held`: its bytes were seen; `listed`: an index gives its SHA-256, and it was not asked; `named`: not asked at all.
State = Literal["held", "other", "listed", "named", "unreachable", "lacks"]
STATES: tuple[State, ...] = ("held", "other", "listed", "named", "unreachable", "lacks")
HERE = "here"  # in `Row.had`: it lay in the mirror already


@dataclass(frozen=True)
class Seen:
    """What one candidate turned out to be; `said` is the archive's own word where it is not simply `held`."""

    candidate: Candidate
    state: State
    said: str = ""


@dataclass(frozen=True)
class Row:
    """One source with what was seen of it. `had`: the archive it was taken from, `here`, or nothing."""

    source: Source
    seen: tuple[Seen, ...]
    had: str = ""

    @property
    def proven(self) -> tuple[str, ...]:
        """Operators that have it: the bytes came, or an index says this SHA-256."""
        return tuple(dict.fromkeys(s.candidate.operator for s in self.seen if s.state in ("held", "listed")))

    @property
    def holders(self) -> tuple[str, ...]:
        """Independent operators: the proven ones, and those that the package names and nobody refuted.

        One that cannot be reached from here may well have it; one that was asked and gave other bytes has it not.
        """
        trusted = [s for s in self.seen if s.candidate.kind == "upstream" and s.state in ("named", "unreachable")]
        return tuple(dict.fromkeys((*self.proven, *(s.candidate.operator for s in trusted))))


@dataclass(frozen=True)
class Finding:
    """Something that an audit should look at."""

    what: Literal["one-forge", "one-archive", "no-archive", "no-hash", "not-had", "wrong-hash"]
    source: str
    text: str


def rows(wanted: Wanted, seen: Mapping[str, Iterable[Seen]], had: Mapping[str, str]) -> tuple[Row, ...]:
    """The table. `seen` and `had` by the file's place in the mirror."""
    return tuple(Row(s, _best(seen.get(s.path, ())), had.get(s.path, "")) for s in needed(wanted))


def _best(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    """One word for each candidate, the most telling."""
    found: dict[Candidate, Seen] = {}
    for item in seen:
        before = found.get(item.candidate)
        if before is None or STATES.index(item.state) < STATES.index(before.state):
            found[item.candidate] = item
    return tuple(sorted(found.values(), key=lambda s: STATES.index(s.state)))


def findings(table: Sequence[Row], wanted: Wanted, archives: Archives, *, fetched: bool = True) -> tuple[Finding, ...]:
    """What an audit should look at, files in order, then what has no SHA-256. `fetched`: whether files were asked."""
    found = [f for row in table for f in _of(row, archives) if fetched or f.what != "not-had"]
    found += [
        Finding("no-hash", package, f"is named by {how}: nothing can be checked, so no archive can stand in")
        for package, how in unhashed(wanted)
    ]
    return tuple(found)


def _of(row: Row, archives: Archives) -> Iterable[Finding]:
    label, holders = row.source.label, row.holders
    if not holders:
        yield Finding("no-archive", label, "no archive that is known has it")
    elif len(holders) == 1:
        alone = holders[0]
        forge = is_forge(alone, archives)
        yield Finding("one-forge" if forge else "one-archive", label, f"{alone} alone has it")
    for seen in row.seen:
        if seen.state == "other":
            yield Finding("wrong-hash", label, f"{seen.candidate.archive} gave another file: {seen.said}")
    if not row.had:
        said = "; ".join(f"{s.candidate.archive}: {s.said or s.state}" for s in row.seen) or "no archive may have it"
        yield Finding("not-had", label, said)


def text(table: Sequence[Row], found: Sequence[Finding]) -> str:
    """The table and the findings for a person."""
    head = ("source", "sha256", "archives", "which", "taken from")
    lines = [
        head,
        *((r.source.label, r.source.sha256[:12], str(len(r.holders)), _which(r), r.had or "-") for r in table),
    ]
    wide = [max(len(line[i]) for line in lines) for i in range(len(head))]
    shown = ["  ".join(cell.ljust(w) for cell, w in zip(line, wide, strict=True)).rstrip() for line in lines]
    shown += ["", *(f"{f.what}: {f.source}: {f.text}" for f in found)] if found else []
    return "\n".join(shown) + "\n"


def _which(row: Row) -> str:
    """Operators; one that was not seen to have it has a question mark."""
    return ", ".join(h if h in row.proven else f"{h}?" for h in row.holders) or "-"


def as_data(table: Sequence[Row], found: Sequence[Finding]) -> dict[str, Any]:
    """The same for `--json` and for an audit."""
    return {
        "schema": 1,
        "sources": [
            {
                "packages": list(row.source.packages),
                "kind": row.source.kind,
                "sha256": row.source.sha256,
                "path": row.source.path,
                "holders": list(row.holders),
                "proven": list(row.proven),
                "had": row.had,
                "asked": [_told(s) for s in row.seen],
            }
            for row in table
        ],
        "findings": [{"what": f.what, "source": f.source, "text": f.text} for f in found],
    }


def _told(seen: Seen) -> dict[str, str]:
    candidate = seen.candidate
    where = {"archive": candidate.archive, "operator": candidate.operator, "where": public(candidate.where)}
    return {**where, "state": seen.state, "said": seen.said}

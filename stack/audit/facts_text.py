"""Ring 4. What is known of one package, as text, as data, and as an entry of a file of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack.facts import Evidence, Kind, PackageFacts, Steward
from stack.visible import visible

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Known:
    """A package with what is known of it, and the versions that each lock has of it. `files`: its binary packages."""

    kind: Kind
    name: str
    facts: PackageFacts | None
    steward: Steward | None
    locks: Mapping[str, Sequence[str]]
    files: tuple[str, ...] = ()


def as_data(known: Known) -> dict[str, Any]:
    """For `--json`."""
    facts = known.facts and known.facts.model_dump(mode="json", by_alias=True, exclude_none=True)
    steward = known.steward and known.steward.model_dump(mode="json", by_alias=True, exclude_none=True)
    locks = {cell: list(versions) for cell, versions in known.locks.items()}
    return {"kind": known.kind, "name": known.name, "facts": facts, "steward": steward, "locks": locks}


def text(known: Known) -> str:
    """For people; nothing in a document can move their cursor."""
    lines = [f"{known.name} ({known.kind})"]
    rows = _rows(known) if known.facts else [("facts", "none; `sovstack facts --missing` writes an entry to fill in")]
    if known.files:
        rows.append(("packages", ", ".join(known.files)))
    rows.append(("locks", str(len(known.locks)) if known.locks else "in none that is released"))
    rows += [("", f"{cell}: {', '.join(versions)}") for cell, versions in sorted(known.locks.items())]
    lines += [f"  {label:<16}{visible(said)}" for label, said in rows]
    return "\n".join(lines)


def _rows(known: Known) -> list[tuple[str, str]]:
    facts, steward = known.facts, known.steward
    if facts is None:
        return []
    may = facts.redistribution
    rows = [
        ("licence", f"{facts.licence} ({facts.licence_class})"),
        ("redistribution", f"source {may.source}, binary {may.binary}"),
        ("reach", f"CPU {_list(facts.reach.cpu)}; accelerator {_list(facts.reach.accelerator)}"),
    ]
    if steward:
        whose = f"; belongs to the vendor {steward.vendor}" if steward.vendor else ""
        rows.append(("steward", f"{steward.title} ({steward.jurisdiction}, {steward.governance}{whose})"))
    rows += [(label, said) for label, said in (("homepage", facts.homepage), ("note", facts.note)) if said]
    said = [_evidence(item) for item in (*facts.evidence, *(steward.evidence if steward else ()))]
    return [*rows, *(("" if number else "evidence", line) for number, line in enumerate(said or ["none"]))]


def _list(found: str | tuple[str, ...]) -> str:
    return found if isinstance(found, str) else ", ".join(found)


def _evidence(item: Evidence) -> str:
    where = item.url or f"{item.path} in {item.archive} (sha256 {item.sha256})"
    return f"{', '.join(item.of)}: {where}, read {item.date}"


def entry(licence: str = UNKNOWN, evidence: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """An entry of a file of facts in which nothing is known, or the licence alone."""
    nothing: dict[str, Any] = {
        "licence": licence,
        "class": UNKNOWN,
        "redistribution": {"source": UNKNOWN, "binary": UNKNOWN},
        "reach": {"cpu": UNKNOWN, "accelerator": UNKNOWN},
    }
    return nothing | ({"evidence": [dict(said) for said in evidence]} if evidence else {})

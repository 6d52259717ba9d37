"""Ring 2. What a schema cannot see in files of facts: licences, days, the names of projects, and what stands twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from stack import expressions
from stack.document import Document, Path, did_you_mean
from stack.errors import Faults


def check_facts(document: Document, faults: Faults) -> None:
    """Licences are SPDX's and agree with the class; days are days; Python projects have their normal names."""
    note = _Notes(document, faults)
    for name, facts in _entries(document, "packages"):
        path: Path = ("packages", name)
        normal = re.sub(r"[-_.]+", "-", name).lower()
        if document.data.get("kind") == "wheel" and name != normal:
            note.add(f"{name!r} is not found under this name", path, f"write {normal}", key=True)
        licence = facts.get("licence")
        if isinstance(licence, str):
            note.expression((*path, "licence"), licence)
            problem = expressions.contradiction(licence, str(facts.get("class")))
            if problem:
                note.add(problem.what, (*path, "class"), problem.remedy)
        _days(note, path, facts)


class _Notes:
    """Faults of a document; none where there is one already."""

    def __init__(self, document: Document, faults: Faults) -> None:
        self.document, self.faults = document, faults
        self._wrong = {fault.where for fault in faults.found}

    def add(self, what: str, path: Path, remedy: str = "", *, key: bool = False) -> None:
        where = self.document.at(path, key=key)
        if where not in self._wrong:
            self.faults.add(what, where, remedy)

    def expression(self, path: Path, text: str) -> None:
        for problem in expressions.problems(text):
            self.add(problem.what, path, problem.remedy)


def _days(note: _Notes, path: Path, entry: dict[str, Any]) -> None:
    evidence = entry.get("evidence")
    for number, said in enumerate(evidence if isinstance(evidence, tuple) else ()):
        day = said.get("date") if isinstance(said, dict) else None
        if isinstance(day, str) and not _is_day(day):
            note.add(f"there is no day {day!r}", (*path, "evidence", number, "date"))


def _is_day(text: str) -> bool:
    with suppress(ValueError):
        return bool(date.fromisoformat(text))
    return False


def check_stewards(document: Document, faults: Faults) -> None:
    """Days are days."""
    note = _Notes(document, faults)
    for name, steward in _entries(document, "stewards"):
        _days(note, ("stewards", name), steward)


def check_licences(document: Document, faults: Faults) -> None:
    """Every expression is SPDX's, and says something."""
    note = _Notes(document, faults)
    names = document.data.get("debian") if isinstance(document.data, dict) else None
    for name, expression in names.items() if isinstance(names, dict) else ():
        if expression == expressions.UNKNOWN:
            note.add("a name that says nothing", ("debian", name), "remove it")
        elif isinstance(expression, str):
            note.expression(("debian", name), expression)


ALONE: Mapping[str, Callable[[Document, Faults], None]] = {
    "facts": check_facts,
    "stewards": check_stewards,
    "licences": check_licences,
}
"""Kinds of documents whose check needs no other document."""


def together(folders: Iterable[Sequence[Document]], faults: Faults) -> None:
    """What one document does not show: a package that two files of one folder have, a steward that no folder knows."""
    listed = tuple(folders)
    stewards = {name for folder in listed for document in folder for name, _ in _entries(document, "stewards")}
    for folder in listed:
        homes: dict[tuple[str, str], Document] = {}
        for document in folder:
            for name, facts in _entries(document, "packages"):
                here: Path = ("packages", name)
                home = homes.setdefault((str(document.data.get("kind")), name), document)
                if home is not document:
                    faults.add(
                        f"{name!r} has facts in {home.at(here, key=True)} too",
                        document.at(here, key=True),
                        "keep one of them",
                    )
                steward = facts.get("steward")
                if isinstance(steward, str) and steward not in stewards:
                    remedy = did_you_mean(steward, stewards) or "add it to stewards.yaml"
                    faults.add(f"unknown steward {steward!r}", document.at((*here, "steward")), remedy)


def _entries(document: Document, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Named entries of a mapping; those of another shape are the schema's to refuse."""
    found = document.data.get(key) if isinstance(document.data, dict) else None
    if isinstance(found, dict):
        yield from ((k, v) for k, v in found.items() if isinstance(k, str) and isinstance(v, dict))

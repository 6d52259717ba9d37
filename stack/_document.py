"""Ring 0. What a document is once it is read, kept apart so that `document` and `_explain` can both use it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from stack.artifact import digest
from stack.errors import Position

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data of one YAML file and where each part of it stands.

    `written`: a number, boolean or null as its author spelled it; `refused`: paths whose fault is already reported.
    """

    name: str
    data: Any
    keys: Mapping[Path, Position]
    values: Mapping[Path, Position]
    written: Mapping[Path, str] = field(default_factory=dict)
    refused: Set[Path] = frozenset()

    def at(self, path: Path, *, key: bool = False) -> Position:
        """Position of the value (or of the key) at a path, or of the nearest ancestor that is in the text."""
        table = self.keys if key else self.values
        while path and path not in table:
            path, table = path[:-1], self.values
        return table.get(path, Position(self.name, 1, 1))

    @property
    def digest(self) -> str:
        """SHA-256 of the content; comments and layout do not count."""
        return digest(self.data)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy naming the nearest known word, or all of them when they are few."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word[:100], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 12 else ""

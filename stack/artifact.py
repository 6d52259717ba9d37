"""Ring 0. Effects as data: what to write (`Tree`) and what to run (`Command`). Nothing here touches the machine."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from stack.errors import bad_input


@dataclass(frozen=True)
class File:
    """Text of one file of a tree."""

    text: str
    executable: bool = False


@dataclass(frozen=True)
class Tree:
    """Relative path -> file, sorted by path. A renderer returns one and somebody else writes it."""

    files: Mapping[str, File]

    @classmethod
    def of(cls, files: Mapping[str, File | str]) -> Tree:
        """Make a tree; raises `StackError` for a path that is absolute or climbs out."""
        for path in files:
            pure = PurePosixPath(path)
            if pure.is_absolute() or ".." in pure.parts or str(pure) != path:
                raise bad_input(f"{path!r} is not a plain relative path")
        return cls({p: f if isinstance(f, File) else File(f) for p, f in sorted(files.items())})

    def __or__(self, other: Tree) -> Tree:
        return Tree.of({**self.files, **other.files})

    def under(self, folder: str) -> Tree:
        """The same tree inside a folder."""
        return Tree.of({f"{folder}/{p}": f for p, f in self.files.items()})

    def __iter__(self) -> Iterator[tuple[str, File]]:
        return iter(self.files.items())

    @property
    def digest(self) -> str:
        """SHA-256 over paths, modes and texts."""
        return digest({p: [f.text, f.executable] for p, f in self})


@dataclass(frozen=True)
class Command:
    """One process to run: argv (never a shell line), folder, and what the environment adds."""

    argv: tuple[str, ...]
    purpose: str
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: str | None = None  # path of a file

    def __str__(self) -> str:
        words = [f"{k}={shlex.quote(v)}" for k, v in sorted(self.env.items())]
        line = " ".join([*words, shlex.join(map(public, self.argv))])
        if self.stdin:
            line += f" < {shlex.quote(self.stdin)}"
        return f"(cd {shlex.quote(self.cwd)} && {line})" if self.cwd else line


def public(text: str) -> str:
    """A text without the passwords of the URLs in it."""
    return re.sub(r"\b([A-Za-z][\w+.-]*://)[^/\s]*@", r"\1", text)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, two-space indent and a final newline: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON-able value in its canonical form, or of a string's UTF-8 bytes."""
    text = value if isinstance(value, str) else canonical_json(value)
    return hashlib.sha256(text.encode()).hexdigest()

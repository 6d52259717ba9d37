"""Documents that were read before: the plain data of each text without a fault, kept in the user's cache.

Reading YAML with the position of every value takes most of a short command's time. The data is found again by the text
itself; positions are needed for faults alone, and are read again then.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from stack.artifact import digest
from stack.document import Document, parse
from stack.document import Path as Where
from stack.errors import Faults, StackError
from stack.host import files

MAX_BYTES = 1 << 20
V = TypeVar("V")


class _Later(Mapping[Where, V]):
    """One of a document's tables, made when somebody looks into it."""

    def __init__(self, make: Callable[[], Mapping[Where, V]]) -> None:
        self._make = make

    @cached_property
    def _table(self) -> Mapping[Where, V]:
        return self._make()

    def __getitem__(self, path: Where) -> V:
        return self._table[path]

    def __iter__(self) -> Iterator[Where]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def read(text: str, name: str, faults: Faults) -> Document | None:
    """What `document.parse` gives, without reading a text again that had no fault."""
    place = _place(text)
    found = _kept(place) if place else None
    if found is not None:
        again = cache(lambda: parse(text, name, Faults()) or Document(name, None, {}, {}))
        tables = (lambda: again().keys, lambda: again().values, lambda: again().written)
        return Document(name, _plain(found["data"]), _Later(tables[0]), _Later(tables[1]), _Later(tables[2]))
    before = len(faults.found)
    made = parse(text, name, faults)
    if place and made and len(faults.found) == before:
        _keep(place, made.data)
    return made


def _place(text: str) -> Path | None:
    """Where the data of a text is kept; None where nothing can be."""
    try:
        folder = files.user_folder("XDG_CACHE_HOME", ".cache") / "documents"
        return folder / f"{digest([_reader(), text])}.json"
    except (StackError, ValueError):  # no home; a text that is no UTF-8
        return None


@cache
def _reader() -> str:
    """Digest of the program that reads: another one may read something else."""
    package = Path(__file__).parent.parent
    return digest([files.sha256(package / f"{name}.py") for name in ("_yaml", "document")])


def _kept(place: Path) -> Mapping[str, Any] | None:
    found = files.read_record(place, MAX_BYTES) if _ours(place.parent) else None
    return found if isinstance(found, dict) and "data" in found else None


def _ours(folder: Path) -> bool:
    """Whether nobody else can have written there: what is taken from it decides what is built."""
    try:
        info = folder.stat()
    except OSError:
        return False
    return info.st_uid == os.geteuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keep(place: Path, data: Any) -> None:
    """Without waiting for the disk: a file that a crash cut short is no JSON, and is read anew."""
    partial = place.with_name(f".{place.name}.partial-{os.getpid()}")
    with contextlib.suppress(OSError, ValueError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.write_text(json.dumps({"data": data}), encoding="utf-8")
        partial.replace(place)


def _plain(value: Any) -> Any:
    """JSON's lists as the tuples that documents have."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, list) else value

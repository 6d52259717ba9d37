"""Documents that were read before: the plain data of each text without a fault, kept in the user's cache.

Reading YAML with the position of every value takes most of a short command's time. The data is found again by the text
itself; positions are needed for faults alone, and are read again then. That of the documents which ship stands beside
the program since it was installed: `python -m stack.host.parsed FILE...` puts it there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from stack.artifact import digest
from stack.document import Document, parse
from stack.document import Path as Where
from stack.errors import Faults, StackError
from stack.host import files

MAX_BYTES = 1 << 20
INSTALLED = Path(sys.prefix) / "share/sovstack/documents"
"""As trusted as the Python beside it, and its owner's alone to write."""
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
    key = _key(text)
    found = _kept(INSTALLED / key) or _own(key) if key else None
    if found is not None:
        again = cache(lambda: parse(text, name, Faults()) or Document(name, None, {}, {}))
        tables = (lambda: again().keys, lambda: again().values, lambda: again().written)
        return Document(name, _plain(found["data"]), _Later(tables[0]), _Later(tables[1]), _Later(tables[2]))
    before = len(faults.found)
    made = parse(text, name, faults)
    folder = _folder()
    if key and folder and made and len(faults.found) == before:
        _keep(folder / key, made.data)
    return made


def install(paths: Iterable[Path]) -> None:
    """Put the data of documents beside the program, in place of what stood there."""
    shutil.rmtree(INSTALLED, ignore_errors=True)
    for path in paths:
        text = path.read_text(encoding="utf-8")
        faults = Faults()
        made, key = parse(text, path.name, faults), _key(text)
        if made and key and not faults.found:
            _keep(INSTALLED / key, made.data)


def _key(text: str) -> str | None:
    """What the data of a text is kept as; None where it cannot be."""
    try:
        return f"{digest([_reader(), text])}.json"
    except ValueError:  # no UTF-8
        return None


def _folder() -> Path | None:
    """The user's; None for somebody without a home."""
    try:
        return files.user_folder("XDG_CACHE_HOME", ".cache") / "documents"
    except StackError:
        return None


def _own(key: str) -> Mapping[str, Any] | None:
    folder = _folder()
    return _kept(folder / key) if folder and _ours(folder) else None


@cache
def _reader() -> str:
    """Digest of the program that reads: another one may read something else."""
    package = Path(__file__).parent.parent
    return digest([files.sha256(package / f"{name}.py") for name in ("_yaml", "document")])


def _kept(place: Path) -> Mapping[str, Any] | None:
    found = files.read_record(place, MAX_BYTES)
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


if __name__ == "__main__":
    install(map(Path, sys.argv[1:]))

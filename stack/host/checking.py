"""`sovstack check`: every document that is named, or all that are found, with every fault of each."""

from __future__ import annotations

import os
from pathlib import Path

from stack.catalogue import Catalogue
from stack.check import KINDS
from stack.document import validate
from stack.errors import Fault, Faults, Position, StackError
from stack.host.library import Library, absolute

FOLDERS = {"profiles": "profile", "environments": "environment", "recipes": "recipe", "containers": "container"}


def check(library: Library, named: tuple[str, ...]) -> tuple[tuple[Fault, ...], int]:
    """(faults, number of documents). The kind of a named document is its folder's, or told by its keys."""
    faults = Faults()
    todo = [_named(Path(n), faults) for n in named] if named else _all(library)
    catalogue = _catalogue(library, faults)
    found = [item for item in todo if item]
    for folder, path in found:
        _one(library, folder, path, catalogue, faults)
    unique = dict.fromkeys(faults.found)
    return tuple(sorted(unique, key=lambda f: (f.where or Position(""), f.what))), len(found)


def _all(library: Library) -> list[tuple[str, Path] | None]:
    return [(folder, path) for folder in FOLDERS for path in library.files(folder).values()]


def _catalogue(library: Library, faults: Faults) -> Catalogue | None:
    try:
        return library.catalogue
    except StackError as error:
        faults.found.extend(error.faults)
        return None


def _named(path: Path, faults: Faults) -> tuple[str, Path] | None:
    where = Position(str(path))
    if not os.path.isfile(path):  # noqa: PTH113 - `Path.is_file` raises for a name that is too long
        faults.add("no such file", where)
        return None
    folder = absolute(path).parent.name
    kind = folder if folder in FOLDERS else _kind(path)
    if kind is None:
        faults.add("not a profile, an environment, a recipe or a container", where, "put it in a folder of that name")
        return None
    return kind, path


def _kind(path: Path) -> str | None:
    """Told by a key that only one kind has."""
    with path.open(errors="replace") as handle:
        text = handle.read(1 << 16)
    signs = {
        "partitions:": "profiles",
        "purpose:": "environments",
        "providers:": "recipes",
        "selections:": "containers",
    }
    return next((kind for sign, kind in signs.items() if text.startswith(sign) or f"\n{sign}" in text), None)


def _one(library: Library, folder: str, path: Path, catalogue: Catalogue | None, faults: Faults) -> None:
    model, examine = KINDS[FOLDERS[folder]]
    document = library.document(path, faults)
    if document is None:
        return
    validate(document, model, faults)
    if catalogue is not None:
        examine(document, catalogue, faults)

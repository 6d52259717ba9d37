"""`sovstack check`: every document that is named, or all that are found, with every fault of each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from stack.catalogue import Catalogue
from stack.check import KINDS, Look
from stack.check_policy import check_policy
from stack.document import Document, validate
from stack.errors import Fault, Faults, Position, StackError
from stack.facts_check import ALONE, together
from stack.host.library import PACKAGE, STEWARDS, Library, absolute, shipped, shown

FOLDERS = {
    "profiles": "profile",
    "environments": "environment",
    "recipes": "recipe",
    "containers": "container",
    "facts": "facts",
}
# Keys that only one kind of document has.
SIGNS = {
    "partitions:": "profile",
    "purpose:": "environment",
    "providers:": "recipe",
    "selections:": "container",
    "stewards:": "stewards",
    "kind:": "facts",
    "debian:": "licences",
    "rules:": "policy",
}


def check(library: Library, named: tuple[str, ...]) -> tuple[tuple[Fault, ...], int]:
    """(faults, number of documents). The kind of a named document is its folder's, or told by its keys."""
    faults = Faults()
    todo = [_named(Path(n), faults) for n in named] if named else _all(library)
    catalogue = _catalogue(library, faults)
    found = [item for item in todo if item]
    documents = {path: _one(library, kind, path, catalogue, faults) for kind, path in found}
    known = {path: documents[path] for kind, path in found if kind in ("facts", "stewards")}
    if known:
        _together(library, known, faults)
    unique = dict.fromkeys(faults.found)
    return tuple(sorted(unique, key=lambda f: (f.where or Position(""), f.what))), len(found)


def check_knowledge(library: Library) -> Faults:
    """Every fault of the documents that say what is known of packages."""
    faults = Faults()
    _together(library, {path: _one(library, kind, path, None, faults) for kind, path in _knowledge(library)}, faults)
    return faults


def facts_folders(library: Library) -> tuple[Path, ...]:
    """Where facts are: ours, then the sites' own, which hide ours."""
    own = (root / "facts" for root in reversed(library.roots) if root != shipped())
    return (PACKAGE / "data/facts", *own)


def _knowledge(library: Library) -> list[tuple[str, Path]]:
    paths = [path for folder in facts_folders(library) for path in sorted(folder.glob("*.yaml"))]
    kinds = [("stewards" if path.stem == STEWARDS else "facts", path) for path in paths]
    return [*kinds, ("licences", PACKAGE / "data/licences.yaml")]


def _together(library: Library, named: Mapping[Path, Document | None], faults: Faults) -> None:
    """What one of them does not show; a named document that is in no folder of facts is a folder of its own."""
    listed = [sorted(folder.glob("*.yaml")) for folder in facts_folders(library)]
    inside = {absolute(path) for paths in listed for path in paths}
    folders = [*listed, *([path] for path in named if absolute(path) not in inside)]
    read = {path: named[path] if path in named else library.document(path, Faults()) for p in folders for path in p}
    found = Faults()
    together([[document for path in paths if (document := read[path])] for paths in folders], found)
    files = {shown(path) for path in named}
    faults.found.extend(fault for fault in found.found if fault.where and fault.where.file in files)


def _all(library: Library) -> list[tuple[str, Path] | None]:
    folders = ((kind, folder) for folder, kind in FOLDERS.items() if kind != "facts")
    listed = [(kind, path) for kind, folder in folders for path in library.files(folder).values()]
    return [*listed, *_knowledge(library)]


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
    told = _kind(path) if folder not in FOLDERS or folder == "facts" else None
    kind = "stewards" if told == "stewards" and folder in FOLDERS else FOLDERS.get(folder, told)
    if kind is None:
        what = "not a profile, an environment, a recipe, a container, or facts"
        faults.add(what, where, "put it in a folder of that name")
        return None
    return kind, path


def _kind(path: Path) -> str | None:
    """Told by a key that only one kind has."""
    with path.open(errors="replace") as handle:
        text = handle.read(1 << 16)
    return next((kind for sign, kind in SIGNS.items() if text.startswith(sign) or f"\n{sign}" in text), None)


def _one(library: Library, kind: str, path: Path, catalogue: Catalogue | None, faults: Faults) -> Document | None:
    model, examine = KINDS[kind]
    document = library.document(path, faults)
    if document is None:
        return None
    validate(document, model, faults)
    if kind in ALONE:
        ALONE[kind](document, faults)
    elif catalogue is not None:
        examine(document, catalogue, faults)
    if kind == "profile":
        policy(library, document, faults)
    return document


def policy(library: Library, document: Document, faults: Faults) -> None:
    """What a profile says of policy; one that says nothing costs no look at rules and facts."""
    if not next(Look(document, faults).values("policy"), None):
        return
    try:
        check_policy(document, library.policy, library.facts, library.catalogue, faults)
    except StackError as error:  # of the data files
        faults.found.extend(error.faults)

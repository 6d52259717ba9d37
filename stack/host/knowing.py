"""What is known of the packages in locks: reading both, and writing entries for those that nobody looked at."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stack import lock as locks
from stack.audit.coverage import Archive, Contents, Coverage, Package, contents, coverage, of_recipes
from stack.audit.facts_text import Known, entry
from stack.document import did_you_mean, read
from stack.errors import Faults, Position, StackError, bad_input
from stack.facts import KINDS, Facts, FactsFile, Kind
from stack.host import checking, clock, deb_file, files, packages
from stack.host.cells import RELEASED
from stack.host.library import PACKAGE, Library, shipped, shown
from stack.licences import Licences

LOCK = "*/*/*/stack.lock.json"
MAX_BYTES = 1 << 26
HEADER = "# Packages of locks that nobody has looked at. Fill them in; what is unknown is never a pass.\n"


@dataclass(frozen=True)
class Locks:
    """What is in each lock: cell -> names."""

    cells: Mapping[str, Contents]

    @cached_property
    def packages(self) -> Mapping[Package, Mapping[str, tuple[str, ...]]]:
        """Package -> cell -> versions."""
        found: dict[Package, dict[str, tuple[str, ...]]] = {}
        for cell, names in self.cells.items():
            for package, versions in names.packages.items():
                found.setdefault(package, {})[cell] = tuple(sorted(versions))
        return dict(sorted(found.items()))

    @cached_property
    def components(self) -> frozenset[Package]:
        """Packages that are components of some cell."""
        return frozenset(package for names in self.cells.values() for package in names.components)

    @cached_property
    def archives(self) -> Mapping[str, tuple[Archive, ...]]:
        """Debian's source package -> its package files in any lock."""
        found: dict[str, dict[Archive, None]] = {}
        for names in self.cells.values():
            for source, archives in names.archives.items():
                found.setdefault(source, {}).update(dict.fromkeys(archives))
        return {source: tuple(sorted(a, key=lambda item: (item.package, item.sha256))) for source, a in found.items()}


def facts(library: Library) -> Facts:
    """Everything that is known; raises with every fault of every file."""
    checking.check_knowledge(library).raise_if_any()
    return library.facts


def read_locks(library: Library, build_dir: Path | None = None) -> Locks:
    """The released locks of all roots, the first root's where two have one; and the build folder's that differ."""
    found: dict[str, tuple[str, Contents]] = {}
    for root in reversed(library.roots):
        found |= {_cell(path): _lock(path) for path in sorted((root / RELEASED).glob(LOCK))}
    for path in sorted(build_dir.glob(LOCK)) if build_dir else ():
        text, names = _lock(path)
        if found.get(_cell(path), ("", names))[0] != text:
            found[f"{_cell(path)} ({shown(path)})"] = text, names
    return Locks({cell: names for cell, (_, names) in sorted(found.items())})


def _cell(path: Path) -> str:
    return "/".join(path.parts[-4:-1])


def _lock(path: Path) -> tuple[str, Contents]:
    """Names are read without the lock's model, which takes long; it is asked where the lock is not as it should be."""
    text = files.read_text(path, MAX_BYTES, "delete it and lock again")
    try:
        data = json.loads(text)
        if data["schema"] == 1:
            return text, contents(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    locks.parse(text, shown(path))
    raise bad_input("the lock is damaged", Position(shown(path)), "delete it and lock again")


def covered(library: Library, known: Facts, found: Locks, kind: Kind | None = None) -> Coverage:
    """How much is known of what the locks hold, of one kind or all, and of the components that have a recipe."""
    components = of_recipes(library.catalogue.recipes.values()) | found.components
    return coverage(
        (package for package in found.packages if kind in (None, package[0])),
        known,
        {package for package in components if kind in (None, package[0])},
    )


def look_up(word: str, kind: Kind | None, known: Facts, found: Locks) -> tuple[Known, ...]:
    """Everything of that name; a binary package of Debian's is its source package. Raises where there is nothing."""
    kinds = (kind,) if kind else KINDS
    names = {k: {name for of, name in found.packages if of == k} | known.packages[k].keys() for k in kinds}
    binaries = {a.package: source for source, archives in found.archives.items() for a in archives}
    matches = [(k, name) for k in kinds if (name := word if word in names[k] else _normal(word, k)) in names[k]]
    if not matches and "debian" in kinds and word in binaries:
        matches = [("debian", binaries[word])]
    if not matches:
        every = {*(name for of in names.values() for name in of), *(binaries if "debian" in kinds else ())}
        what = f"no file of facts and no lock has a package {word[:100]!r}"
        raise bad_input(what, remedy=did_you_mean(word, every) or "`sovstack facts --coverage` tells what there is")
    return tuple(_known(package, known, found) for package in matches)


def _normal(word: str, kind: Kind) -> str:
    """Python projects go by any spelling, Spack's packages by dashes or underscores."""
    return re.sub(r"[-_.]+", "-", word).lower() if kind == "wheel" else word.replace("_", "-")


def _known(package: Package, known: Facts, found: Locks) -> Known:
    kind, name = package
    facts = known.of(kind, name)
    binaries = {a.package for a in found.archives.get(name, ())} if kind == "debian" else set[str]()
    cells = found.packages.get(package, {})
    return Known(kind, name, facts, known.steward(facts), cells, tuple(sorted(binaries)))


@dataclass(frozen=True)
class Addition:
    """Entries for one file: the whole of its new text, and what is new in it. `read`: name -> licence that was read."""

    path: Path
    kind: Kind
    names: tuple[str, ...]
    read: Mapping[str, str]
    text: str


def missing(library: Library, known: Facts, found: Locks, kind: Kind | None, into: Path | None) -> tuple[Addition, ...]:
    """Entries for packages of the locks that no file has. Nothing is written; see `write`."""
    lacking: dict[Kind, list[str]] = {}
    for of, name in found.packages:
        if known.of(of, name) is None and kind in (None, of):
            lacking.setdefault(of, []).append(name)
    if into is not None and len(lacking) > 1:
        what = f"packages of several kinds have no facts ({', '.join(lacking)}), and a file is about one"
        raise bad_input(what, remedy="say --kind, or leave --into out")
    made = (_addition(library, into or _usual(library, of), of, names, found) for of, names in lacking.items())
    return tuple(addition for addition in made if addition.names)


def write(additions: Iterable[Addition]) -> None:
    """Put them where they belong, each file whole."""
    for addition in additions:
        files.write_text(addition.path, addition.text)


def _usual(library: Library, kind: Kind) -> Path:
    """The user's own root, or the checkout's own facts where there is no root and this is a checkout."""
    own = library.roots[0]
    if own != shipped():
        return own / "facts" / f"missing-{kind}.yaml"
    if own != PACKAGE.parent:
        what = "the program is installed, and the facts that come with it are not for changing"
        raise bad_input(what, remedy="name a folder of your own with --root, or a file with --into")
    return PACKAGE / "data/facts" / f"missing-{kind}.yaml"


def _addition(library: Library, path: Path, kind: Kind, names: list[str], found: Locks) -> Addition:
    text = files.read_text(path, MAX_BYTES) if path.exists() else f"{HEADER}schema: 1\nkind: {kind}\npackages: {{}}\n"
    held = _held(path, text, kind)
    new = tuple(name for name in names if name not in held.packages)
    licences = _licences(library) if kind == "debian" and new else None
    entries = {name: _read(found.archives.get(name, ()), licences) if licences else entry() for name in new}
    told = {name: made["licence"] for name, made in entries.items() if made.get("evidence")}
    made = _appended(text, entries)
    after = _held(path, made, kind).packages
    if {name: after.get(name) for name in held.packages} != held.packages:
        raise bad_input("no entry can be added without changing others", Position(shown(path)), "name another file")
    return Addition(path, kind, new, told, made)


def _held(path: Path, text: str, kind: Kind) -> FactsFile:
    faults = Faults()
    found = read(text, shown(path), FactsFile, faults)
    faults.raise_if_any()
    assert found  # noqa: S101 - no faults
    if found[1].kind != kind:
        where = found[0].at(("kind",))
        raise bad_input(f"is about packages of {found[1].kind}, and these are of {kind}", where, "name another file")
    return found[1]


def _appended(text: str, entries: Mapping[str, Any]) -> str:
    """The text with entries at the end of its packages, comments and order kept."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 1 << 16
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    listed = document["packages"]
    listed.fa.set_block_style()
    for name, made in entries.items():
        listed[name] = CommentedMap({key: _flow(value) for key, value in made.items()})
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _flow(value: Any) -> Any:
    """A mapping on one line, as in the files that people write."""
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, list):
        return [_flow(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = CommentedMap({k: DoubleQuotedScalarString(v) if v != "unknown" else v for k, v in value.items()})
    made.fa.set_flow_style()
    return made


def _licences(library: Library) -> Licences:
    faults = Faults()
    found = library.load(PACKAGE / "data/licences.yaml", Licences, faults)
    faults.raise_if_any()
    assert found  # noqa: S101 - no faults
    return found[1]


def _read(archives: Iterable[Archive], licences: Licences) -> dict[str, Any]:
    """The licence as the copyright file of a package in the cache states it, where a machine can read that."""
    from stack.audit.copyright import conclude
    from stack.host.apt import cache_folder

    store = cache_folder() / "archives/sha256"
    for archive in archives:
        member = f"usr/share/doc/{archive.package}/copyright"
        if not packages.cached(store, archive.sha256):
            continue
        try:
            text = deb_file.text(packages.place(store, archive.sha256), member)
        except StackError:  # packed in a way that is not read here: nothing is known of it
            continue
        concluded = conclude(text, licences).expression if text else None
        if concluded:
            where = {"archive": archive.filename, "sha256": archive.sha256, "path": member, "date": clock.now()[:10]}
            return entry(concluded, [where])
    return entry()

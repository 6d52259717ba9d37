"""Where documents are found: the site's own folder first, then the checkout or what was installed with the package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from stack import catalogue as cat
from stack.catalogue import Catalogue
from stack.document import MAX_BYTES, Document, did_you_mean, validate
from stack.environment import Environment
from stack.errors import Faults, Position, StackError, bad_input
from stack.facts import Facts, FactsFile, Steward, Stewards, join
from stack.hardware import Hardware
from stack.host import parsed
from stack.host.files import read_text
from stack.policy import Policy
from stack.profile import Profile
from stack.recipe import Recipe
from stack.words import Model

PACKAGE = Path(__file__).resolve().parent.parent
STEWARDS = "stewards"
M = TypeVar("M", bound=Model)


def shipped() -> Path:
    """The folder that holds `profiles/`, `recipes/` ...: the checkout, or the installed package's share."""
    checkout = PACKAGE.parent
    return (
        checkout if (checkout / "profiles").is_dir() and (checkout / "pyproject.toml").is_file() else PACKAGE / "share"
    )


def roots(option: Path | None) -> tuple[Path, ...]:
    """Folders to look in, in order: `--root` or SOVSTACK_ROOT, then what ships with the program."""
    chosen = option or (Path(os.environ["SOVSTACK_ROOT"]) if os.environ.get("SOVSTACK_ROOT") else None)
    if chosen is None:
        return (shipped(),)
    if not chosen.is_dir():
        raise bad_input(
            f"{chosen} is not a folder",
            remedy="--root and SOVSTACK_ROOT name a folder that holds profiles/ or recipes/",
        )
    return (chosen.resolve(), shipped())


@dataclass(frozen=True)
class Library:
    """All documents of a set of roots; a site's document hides the shipped one of the same name."""

    roots: tuple[Path, ...]

    def files(self, folder: str) -> dict[str, Path]:
        """Name -> path of the documents of one folder."""
        found: dict[str, Path] = {}
        for root in reversed(self.roots):
            found.update({p.stem: p for p in sorted((root / folder).glob("*.yaml"))})
        return dict(sorted(found.items()))

    def load(self, path: Path, model: type[M], faults: Faults) -> tuple[Document, M] | None:
        """One document and its model; None when there was a fault."""
        before = len(faults.found)
        document = self.document(path, faults)
        made = validate(document, model, faults) if document else None
        return (document, made) if document and made is not None and len(faults.found) == before else None

    def document(self, path: Path, faults: Faults) -> Document | None:
        """One document as plain data, whatever its model; its `name`, where it has one, must be its file's."""
        try:
            text = read_text(path, MAX_BYTES)
        except StackError as error:
            faults.found.extend(replace(f, where=replace(f.where, file=shown(path))) for f in error.faults if f.where)
            return None
        document = parsed.read(text, shown(path), faults)
        name = document.data.get("name") if document and isinstance(document.data, dict) else None
        if document and isinstance(name, str) and name != path.stem and re.fullmatch("[a-z][a-z0-9._-]{0,63}", name):
            remedy = f"call the file {name}.yaml or write name: {path.stem}"
            faults.add(f"the name {name!r} is not the file's", document.at(("name",)), remedy)
        return document

    def _all(self, paths: dict[str, Path], model: type[M], faults: Faults) -> Iterator[tuple[str, M]]:
        for name, path in paths.items():
            made = self.load(path, model, faults)
            if made:
                yield name, made[1]

    @cached_property
    def catalogue(self) -> Catalogue:
        """Every recipe and data file; raises `StackError` with all their faults."""
        faults = Faults()
        data = PACKAGE / "data"
        recipes = dict(self._all(self.files("recipes"), Recipe, faults))
        systems = dict(self._all({p.stem: p for p in sorted((data / "os").glob("*.yaml"))}, cat.Os, faults))
        containers = dict(self._all(self.files("containers"), cat.Container, faults))
        hardware = self.load(data / "hardware.yaml", Hardware, faults)
        defaults = self.load(data / "defaults.yaml", cat.Defaults, faults)
        upstream = self.load(data / "upstream.yaml", cat.Upstream, faults)
        faults.raise_if_any()
        assert hardware and defaults and upstream  # noqa: S101 - no faults
        return Catalogue(recipes, hardware[1], systems, containers, defaults[1], upstream[1])

    @cached_property
    def facts(self) -> Facts:
        """Everything that is known of packages; a site's own `facts/` come last and hide ours. Raises all faults."""
        faults = Faults()
        folders = [PACKAGE / "data/facts", *(root / "facts" for root in reversed(self.roots) if root != shipped())]
        roots, stewards = [], dict[str, Steward]()
        for folder in folders:
            paths = {p.stem: p for p in sorted(folder.glob("*.yaml"))}
            known = self.load(paths.pop(STEWARDS), Stewards, faults) if STEWARDS in paths else None
            stewards |= known[1].stewards if known else {}
            roots.append([(shown(paths[name]), found) for name, found in self._all(paths, FactsFile, faults)])
        faults.raise_if_any()
        made = join(roots, stewards, faults)
        faults.raise_if_any()
        return made

    @cached_property
    def policy(self) -> Policy:
        """The rules that ship, and the exceptions from them; raises `StackError` with all their faults."""
        faults = Faults()
        made = self.load(PACKAGE / "data/policy.yaml", Policy, faults)
        faults.raise_if_any()
        assert made  # noqa: S101 - no faults
        return made[1]

    def find(self, folder: str, name: str) -> Path:
        """Path of a document by name, or by a path that ends in .yaml."""
        if is_path(name):
            path = Path(name)
            if os.path.isfile(path):  # noqa: PTH113 - `Path.is_file` raises for a name that is too long
                return path
            raise bad_input("no such file", Position(name))
        known = self.files(folder)
        if name in known:
            return known[name]
        kind = folder.removesuffix("s")
        raise bad_input(
            f"no {kind} {name!r}", remedy=did_you_mean(name, known) or f"put one in {self.roots[0] / folder}/"
        )

    def profile(self, name: str) -> tuple[Document, Profile]:
        """A profile by name or path; raises with all its faults."""
        return self._one("profiles", name, Profile)

    def environment(self, name: str) -> tuple[Document, Environment]:
        """An environment by name or path; raises with all its faults."""
        return self._one("environments", name, Environment)

    @cached_property
    def _read(self) -> dict[tuple[str, str], tuple[Document, Any]]:
        """What was read already: many cells share their documents."""
        return {}

    def _one(self, folder: str, name: str, model: type[M]) -> tuple[Document, M]:
        found = self._read.get((folder, name))
        if found is None:
            faults = Faults()
            found = self.load(self.find(folder, name), model, faults)
            faults.raise_if_any()
            assert found  # noqa: S101 - no faults
            self._read[folder, name] = found
        return found


def is_path(name: str) -> bool:
    """Whether a document is named by its file, and not by its name."""
    return name.endswith((".yaml", ".yml")) or "/" in name


def shown(path: Path) -> str:
    """A path as the user would type it: relative to the current folder when it is below it."""
    try:
        return str(absolute(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def absolute(path: Path) -> Path:
    """A path from the root, links followed; unlike `Path.resolve` it takes links that lead in a circle as they are."""
    try:
        return Path(os.path.realpath(path))
    except FileNotFoundError:
        raise bad_input("the current folder is gone", remedy="cd to another") from None

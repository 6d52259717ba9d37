"""Ring 4. How much is known of the packages in locks. What nobody looked at counts like what has no answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from stack.facts import KINDS, Facts, Kind, PackageFacts
from stack.lock import package_of
from stack.recipe import Recipe

Package = tuple[Kind, str]
Aspect = Literal["facts", "licence", "class", "redistribution", "reach", "evidence"]
ASPECTS: tuple[Aspect, ...] = ("facts", "licence", "class", "redistribution", "reach", "evidence")
"""`facts`: there is an entry; `evidence`: it says where the licence was read."""


@dataclass(frozen=True)
class Archive:
    """A Debian package file that a lock names, and the package in it."""

    package: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class Contents:
    """The names in a lock: packages with their versions, which of them are components, and files of source packages."""

    packages: Mapping[Package, frozenset[str]]
    components: frozenset[Package]
    archives: Mapping[str, tuple[Archive, ...]]


def contents(data: Any) -> Contents:
    """Of a lock's plain data, which is not validated: raises KeyError, TypeError or AttributeError for another's."""
    packages: dict[Package, set[str]] = {}
    archives: dict[str, list[Archive]] = {}
    sources: dict[str, str] = {}
    for row in (row for part in (data["os"], data.get("tools") or {}) for row in part.get("packages", ())):
        source = row["source"].partition(" ")[0]
        sources[row["name"]] = source
        packages.setdefault(("debian", source), set()).add(row["version"])
        archives.setdefault(source, []).append(Archive(row["name"], row["filename"], row["sha256"]))
    for row in (data.get("wheels") or {}).get("files", ()):
        packages.setdefault(("wheel", _project(row["project"])), set()).add(row["version"])
    for row in (data.get("spack") or {}).get("nodes", ()):
        packages.setdefault(("spack", row["name"]), set()).add(row["version"])
    components = {_component(row, sources) for row in data["components"]}
    return Contents(
        {package: frozenset(versions) for package, versions in packages.items()},
        frozenset(components & packages.keys()),
        {source: tuple(found) for source, found in archives.items()},
    )


def _component(row: Mapping[str, str], sources: Mapping[str, str]) -> Package:
    name = row["package"].partition(" ")[0]
    if row["provider"] == "os":
        return "debian", sources.get(name, "")
    return ("wheel", _project(name)) if row["provider"] == "wheel" else ("spack", package_of(row["spec"]))


def _project(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def of_recipes(recipes: Iterable[Recipe]) -> frozenset[Package]:
    """The packages that recipes name: Spack's and wheels. A distribution's are known by the locks' components."""
    found: set[Package] = set()
    for recipe in recipes:
        given = recipe.providers
        found |= {("spack", package_of(part.spec)) for part in (given.source, given.site) if part}
        found |= {("wheel", _project(given.wheel.project))} if given.wheel else set()
    return frozenset(found)


@dataclass(frozen=True)
class Part:
    """Packages of one kind, and those of them of which something is not known."""

    kind: Kind
    packages: tuple[str, ...]
    lacking: Mapping[Aspect, tuple[str, ...]]


@dataclass(frozen=True)
class Coverage:
    """What is known of some packages. `needed`: those whose steward must be known; `unsteered`: and is not."""

    parts: tuple[Part, ...]
    needed: tuple[Package, ...] = ()
    unsteered: tuple[Package, ...] = field(default=())

    @cached_property
    def packages(self) -> int:
        """How many there are."""
        return sum(len(part.packages) for part in self.parts)

    @cached_property
    def incomplete(self) -> tuple[Package, ...]:
        """Packages of which anything is not known, their steward included where it must be."""
        here = {(part.kind, name) for part in self.parts for name in part.packages}
        lacking = {(part.kind, name) for part in self.parts for names in part.lacking.values() for name in names}
        return tuple(sorted(lacking | (here & set(self.unsteered))))

    @property
    def whole(self) -> bool:
        """Whether everything is known that must be."""
        return not self.incomplete and not self.unsteered

    @property
    def figure(self) -> str:
        """In words: `390 of 396 packages (98.4 %)`; rounded down, so that 100 % is all of them."""
        known = self.packages - len(self.incomplete)
        share = known * 1000 // self.packages if self.packages else 1000
        return f"{known} of {self.packages} packages ({share // 10}.{share % 10} %)"


def coverage(packages: Iterable[Package], facts: Facts, components: Collection[Package]) -> Coverage:
    """What is known of packages. Of the components that are given the steward must be known, in a lock or not; of the
    packages, where they are not open source or are for one vendor's hardware alone."""
    found = sorted(set(packages))
    parts = tuple(_part(kind, tuple(name for k, name in found if k == kind), facts) for kind in KINDS)
    needed = {*components, *(package for package in found if steered(facts.of(*package)))}
    unsteered = sorted(package for package in needed if not steward_known(package, facts))
    return Coverage(parts, tuple(sorted(needed)), tuple(unsteered))


def _part(kind: Kind, names: tuple[str, ...], facts: Facts) -> Part:
    there = {name: known(facts.of(kind, name)) for name in names}
    return Part(kind, names, {a: tuple(name for name in names if a not in there[name]) for a in ASPECTS})


def known(facts: PackageFacts | None) -> frozenset[Aspect]:
    """What is known of one package."""
    if facts is None:
        return frozenset()
    found: dict[Aspect, bool] = {
        "facts": True,
        "licence": facts.licence != "unknown",
        "class": facts.licence_class != "unknown",
        "redistribution": "unknown" not in (facts.redistribution.source, facts.redistribution.binary),
        "reach": "unknown" not in (facts.reach.cpu, facts.reach.accelerator),
        "evidence": any("licence" in said.of for said in facts.evidence),
    }
    return frozenset(aspect for aspect, is_known in found.items() if is_known)


def steered(facts: PackageFacts | None) -> bool:
    """Whether who decides about a package matters to whoever depends on it."""
    if facts is None:
        return False
    reach = facts.reach.accelerator
    return facts.licence_class != "osi" or (isinstance(reach, tuple) and len(reach) == 1)


def steward_known(package: Package, facts: Facts) -> bool:
    """Whether it is known who decides about a package, where, and how."""
    steward = facts.steward(facts.of(*package))
    return steward is not None and "unknown" not in (steward.jurisdiction, steward.governance)


def as_data(found: Coverage) -> dict[str, Any]:
    """For `--json`, and the report."""
    kinds = {part.kind: _row(part.packages, part.lacking) for part in found.parts}
    stewards = {
        "needed": len(found.needed),
        "known": len(found.needed) - len(found.unsteered),
        "unknown": [list(package) for package in found.unsteered],
    }
    known = found.packages - len(found.incomplete)
    total = {"packages": found.packages, "known": known, "figure": found.figure}
    return {"all": total, "kinds": kinds, "stewards": stewards, "incomplete": [list(p) for p in found.incomplete]}


def _row(packages: tuple[str, ...], lacking: Mapping[Aspect, tuple[str, ...]]) -> dict[str, Any]:
    known = {aspect: len(packages) - len(lacking[aspect]) for aspect in ASPECTS}
    return {"packages": len(packages), "known": known, "unknown": {a: list(lacking[a]) for a in ASPECTS}}


def text(found: Coverage) -> str:
    """A table, the figure, and the names behind whatever is not complete."""
    head = ("", "packages", *ASPECTS)
    cells = [head, *((part.kind, str(len(part.packages)), *_counts([part])) for part in found.parts)]
    cells.append(("all", str(found.packages), *_counts(found.parts)))
    lines = ["  ".join(f"{c:<8}" if n == 0 else f"{c:>{len(head[n])}}" for n, c in enumerate(r)) for r in cells]
    steered = len(found.needed) - len(found.unsteered)
    lines += ["", f"everything known: {found.figure}", f"stewards: {steered} of {len(found.needed)} that must be known"]
    for part in found.parts:
        for aspect in ASPECTS:
            names = [n for n in part.lacking[aspect] if aspect == "facts" or n not in part.lacking["facts"]]
            label = f"{'no' if aspect in ('facts', 'evidence') else 'unknown'} {aspect}, {part.kind}"
            lines += [f"{label}: {', '.join(names)}"] if names else []
    if found.unsteered:
        lines.append(f"unknown steward: {', '.join(f'{name} ({kind})' for kind, name in found.unsteered)}")
    return "\n".join(lines)


def _counts(parts: Sequence[Part]) -> list[str]:
    return [str(sum(len(p.packages) - len(p.lacking[aspect]) for p in parts)) for aspect in ASPECTS]

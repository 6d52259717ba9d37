"""Ring 4. What it means to forbid a vendor or a steward: which packages, processors and accelerators go."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from stack.artifact import digest
from stack.document import did_you_mean
from stack.errors import bad_input
from stack.facts import KINDS, Facts, Kind
from stack.hardware import Hardware
from stack.lock import Lock, OsPackage, package_of
from stack.target import Target

FILLINGS = 50  # ways to fill the roles that are tried; a role has four or five components


@dataclass(frozen=True)
class Ban:
    """One vendor, or one steward, forbidden. `name` is its id, `title` how people call it."""

    name: str
    title: str
    facts: Facts
    hardware: Hardware

    def takes(self, kind: Kind, name: str) -> bool:
        """Whether a package is forbidden: its steward is the one, or belongs to the vendor."""
        found = self.facts.of(kind, name)
        return found is not None and self.name in (found.steward, self.facts.vendor(found))

    @cached_property
    def packages(self) -> Mapping[Kind, tuple[str, ...]]:
        """Every forbidden package that is known, by whose names they have."""
        return {kind: tuple(sorted(n for n in self.facts.packages[kind] if self.takes(kind, n))) for kind in KINDS}

    @cached_property
    def digest(self) -> str:
        """Equal digests, equal bans."""
        hardware = self.hardware.model_dump(mode="json", exclude={"families": {"__all__": {"emulator"}}})
        return digest([self.name, {k: list(v) for k, v in self.packages.items()}, hardware])


def known(facts: Facts, hardware: Hardware) -> dict[str, str]:
    """Id -> title of everything that can be forbidden: makers, vendors of accelerators, stewards."""
    stewards = {name: steward.title for name, steward in sorted(facts.stewards.items())}
    owners = {s.vendor: s.vendor for s in facts.stewards.values() if s.vendor}
    vendors = {name: vendor.label for name, vendor in hardware.vendors.items()}
    return {**owners, **stewards, **vendors, **{name: maker.label for name, maker in hardware.makers.items()}}


def ban(name: str, facts: Facts, hardware: Hardware) -> Ban:
    """What `--forbid NAME` forbids; raises `StackError` for a name that nothing has."""
    names = known(facts, hardware)
    if name not in names:
        remedy = did_you_mean(name, names) or f"vendors: {', '.join(sorted({*hardware.makers, *hardware.vendors}))}"
        raise bad_input(f"unknown vendor or steward {name!r}", remedy=remedy)
    return Ban(name, names[name], facts, hardware)


def unusable(target: Target, ban: Ban) -> str:
    """Why a target's hardware cannot be used; nothing where it can."""
    if target.accelerator and target.accelerator.vendor == ban.name:
        return f"{target.accelerator.label} is {ban.title}'s"
    licensors = owners(target.family, ban.hardware)
    if licensors and set(licensors) <= {ban.name}:
        return f"nobody makes {target.family} without {ban.title}'s leave"
    if maker(target.microarchitecture, ban.hardware) == ban.name:
        return f"{target.microarchitecture} is {ban.title}'s"
    return ""


def owners(family: str, hardware: Hardware) -> tuple[str, ...]:
    """By whose leave alone a CPU family is made; nobody's where it is open."""
    found = hardware.families.get(family)
    return found.licensors if found else ()


def maker(microarchitecture: str, hardware: Hardware) -> str:
    """Who designed a microarchitecture; nothing for a generic one."""
    import archspec.cpu

    vendor = archspec.cpu.TARGETS[microarchitecture].vendor
    return next((name for name, m in hardware.makers.items() if vendor in m.archspec), "")


@dataclass(frozen=True, order=True)
class Found:
    """A package of a lock that is forbidden. `through`: from what the lock was asked for, down to it; nothing where no
    way leads there from a name, as to the base of an image."""

    kind: Kind
    name: str
    version: str
    through: tuple[str, ...] = ()


def packages(lock: Lock) -> Iterator[tuple[Kind, str, str]]:
    """(kind, name, version) of every package of a lock, by the names that facts know; the build's tools too."""
    for node in lock.spack.nodes if lock.spack else ():
        yield "spack", node.name, node.version
    for package in (*lock.os.packages, *(lock.tools.packages if lock.tools else ())):
        yield "debian", source_of(package), package.version
    for wheel in lock.wheels.files if lock.wheels else ():
        yield "wheel", wheel.project, wheel.version


def source_of(package: OsPackage) -> str:
    """Name of the source package."""
    return package.source.partition(" ")[0]


def found(lock: Lock, ban: Ban) -> tuple[Found, ...]:
    """Every forbidden package of a lock, once each, with a way that leads to it."""
    made = {(kind, name): version for kind, name, version in packages(lock) if ban.takes(kind, name)}
    for component in lock.components:
        name = package_of(component.spec)
        if component.provider in ("os", "site") and ban.takes("spack", name):
            made.setdefault(("spack", name), component.version)
    ways = _ways(lock, {n for k, n in made if k == "spack"}, {n for k, n in made if k == "debian"})
    return tuple(sorted(Found(kind, name, made[kind, name], ways.get((kind, name), ())) for kind, name in made))


def free(one: Found, ban: Ban) -> bool:
    """Whether others may carry a package on, and it needs no hardware of anybody's. It is forbidden all the same."""
    facts = ban.facts.of(one.kind, one.name)
    return facts is not None and facts.licence_class == "osi" and (facts.reach.cpu, facts.reach.accelerator) == (
        "any", "none")  # fmt: skip


def _ways(lock: Lock, nodes: Collection[str], sources: Collection[str]) -> dict[tuple[Kind, str], tuple[str, ...]]:
    ways: dict[tuple[Kind, str], tuple[str, ...]] = {}
    if lock.spack and nodes:
        graph = lock.spack.by_hash()
        below = {n.hash: tuple(e.hash for e in n.dependencies) for n in lock.spack.nodes}
        for end, path in shortest([r.hash for r in lock.spack.roots], below).items():
            if graph[end].name in nodes:
                ways.setdefault(("spack", graph[end].name), tuple(graph[h].name for h in path))
    every = (*lock.os.packages, *(lock.tools.packages if lock.tools else ()))
    homes = {p.name: source_of(p) for p in every}
    for asked in (lock.os.requested, lock.tools.requested if lock.tools else ()) if sources else ():
        for end, path in shortest([n for n in asked if n in homes], depends(every)).items():
            if homes[end] in sources:
                ways.setdefault(("debian", homes[end]), path)
    return ways


def shortest(starts: Iterable[str], below: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Everything that is reached, with the shortest way to it."""
    ways: dict[str, tuple[str, ...]] = {start: (start,) for start in starts}
    edge = list(ways)
    while edge:
        beyond: list[str] = []
        for one in edge:
            fresh = [m for m in below.get(one, ()) if m not in ways]
            ways.update({m: (*ways[one], m) for m in fresh})
            beyond += fresh
        edge = list(dict.fromkeys(beyond))
    return ways


def depends(every: Sequence[OsPackage]) -> dict[str, tuple[str, ...]]:
    """Package -> the packages of the lock that its dependencies name, or that provide what they name."""
    provided: dict[str, list[str]] = {p.name: [p.name] for p in every}
    for package in every:
        for name in _names(package.control.get("Provides", "")):
            provided.setdefault(name, []).append(package.name)
    wanted = {p.name: f"{p.control.get('Pre-Depends', '')}, {p.control.get('Depends', '')}" for p in every}
    return {name: tuple(m for n in _names(text) for m in provided.get(n, ())) for name, text in wanted.items()}


def _names(text: str) -> list[str]:
    """Names in a relationship field, alternatives too."""
    return [m[1] for part in re.split(r"[,|]", text) if (m := re.match(r"\s*([a-z0-9][a-z0-9+.-]*)", part))]

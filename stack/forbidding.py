"""Ring 4. What it means to forbid a vendor or a steward: which packages, providers, processors and accelerators go."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from stack import plan as planning
from stack.artifact import digest
from stack.catalogue import Catalogue, Hardware
from stack.document import did_you_mean
from stack.environment import Environment
from stack.errors import StackError, bad_input
from stack.facts import KINDS, Facts, Kind
from stack.lock import Lock, OsPackage, package_of
from stack.plan import Plan
from stack.profile import Profile
from stack.recipe import Recipe
from stack.target import Target
from stack.words import Provider

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
        return digest(
            [self.name, {k: list(v) for k, v in self.packages.items()}, self.hardware.model_dump(mode="json")]
        )


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
        for end, path in _shortest([r.hash for r in lock.spack.roots], below).items():
            if graph[end].name in nodes:
                ways.setdefault(("spack", graph[end].name), tuple(graph[h].name for h in path))
    every = (*lock.os.packages, *(lock.tools.packages if lock.tools else ()))
    homes = {p.name: source_of(p) for p in every}
    for asked in (lock.os.requested, lock.tools.requested if lock.tools else ()) if sources else ():
        for end, path in _shortest([n for n in asked if n in homes], depends(every)).items():
            if homes[end] in sources:
                ways.setdefault(("debian", homes[end]), path)
    return ways


def _shortest(starts: Iterable[str], below: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
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


@dataclass(frozen=True, order=True)
class Refusal:
    """A provider that may not supply a component any more."""

    component: str
    provider: Provider
    why: str


def refusals(plan: Plan, lock: Lock | None, catalogue: Catalogue, ban: Ban) -> tuple[Refusal, ...]:
    """Every provider of every recipe that is forbidden, or whose packages of the OS or wheels bring forbidden ones."""
    made = [r for recipe in catalogue.recipes.values() for r in _forbidden(recipe, plan, lock, ban)]
    brought = found(lock, ban) if lock else ()
    taken = [f for f in brought if f.kind == "debian"]
    for choice in plan.choices:
        if choice.provider == "os" and lock and taken:
            every = (*lock.os.packages, *(lock.tools.packages if lock.tools else ()))
            asked = (*choice.packages, *choice.development)
            reached = {homes.partition(" ")[0] for homes in _sources(every, _shortest(asked, depends(every)))}
            for one in (f for f in taken if f.name in reached):
                made.append(Refusal(choice.component, "os", f"its packages bring {one.name}, which is {ban.title}'s"))
        for one in (f for f in brought if f.kind == "wheel" and choice.provider == "wheel"):
            made.append(Refusal(choice.component, "wheel", f"the wheels bring {one.name}, which is {ban.title}'s"))
    unique = {(r.component, r.provider): r for r in reversed(made)}
    return tuple(sorted(unique.values()))


def _sources(every: Sequence[OsPackage], names: Collection[str]) -> list[str]:
    return [p.source for p in every if p.name in names]


def _forbidden(recipe: Recipe, plan: Plan, lock: Lock | None, ban: Ban) -> Iterator[Refusal]:
    """Providers of a recipe whose own package is forbidden."""
    offers, system = recipe.providers, plan.target.os.components.get(recipe.name)
    brought = plan.profile.site.get(recipe.name)
    spack: dict[Provider, str] = {}
    if offers.source:
        spack["source"] = offers.source.spec
    if offers.os and system:
        spack["os"] = system.spec or recipe.name
    if offers.site:
        spack["site"] = (brought.spec if brought else None) or offers.site.spec
    for provider, spec in spack.items():
        if ban.takes("spack", package_of(spec)):
            yield Refusal(recipe.name, provider, f"{package_of(spec)} is {ban.title}'s")
    homes = {p.name: source_of(p) for p in lock.os.packages} if lock else {}
    for name in system.packages if offers.os and system else ():
        if ban.takes("debian", homes.get(name, name)):
            yield Refusal(recipe.name, "os", f"{name} is {ban.title}'s")
    if offers.wheel and ban.takes("wheel", offers.wheel.project):
        yield Refusal(recipe.name, "wheel", f"{offers.wheel.project} is {ban.title}'s")


def replan(plan: Plan, catalogue: Catalogue, refused: Sequence[Refusal], ban: Ban) -> tuple[Plan, Catalogue]:
    """The plan without the refused providers, roles filled by another component where need be, and the catalogue that
    it is of. Raises `StackError` with what nobody can supply any more."""
    recipes = {name: _without(recipe, refused) for name, recipe in catalogue.recipes.items()}
    left, error = replace(catalogue, recipes=recipes), None
    for profile, environment in itertools.islice(_fillings(plan, catalogue, refused), FILLINGS):
        try:
            made = planning.make(profile, environment, plan.target, left)
        except StackError as found:
            error = error or found
        else:
            return replace(made, forbidden=ban.packages["spack"]), left
    assert error is not None  # noqa: S101 - there is one filling at least
    raise error


def _without(recipe: Recipe, refused: Sequence[Refusal]) -> Recipe:
    gone: dict[str, None] = {str(r.provider): None for r in refused if r.component == recipe.name}
    return recipe.model_copy(update={"providers": recipe.providers.model_copy(update=gone)}) if gone else recipe


def _fillings(plan: Plan, catalogue: Catalogue, refused: Sequence[Refusal]) -> Iterator[tuple[Profile, Environment]]:
    """Profile and environment with every choice of components for the roles that are hit, the nearest first."""
    hit = {r.component for r in refused}
    components = dict(plan.environment.components)
    roles = {r: plan.profile.roles.get(r) or catalogue.defaults.roles.get(r, "") for r in plan.environment.roles}
    slots = [("role", role, name) for role, name in sorted(roles.items()) if name in hit]
    slots += [("component", role, n) for n in sorted(components) if n in hit and (role := catalogue.recipes[n].role)]
    options = []
    for _kind, role, name in slots:
        usual = catalogue.defaults.roles.get(role)
        options.append(tuple(dict.fromkeys((name, *([usual] if usual else []), *catalogue.roles.get(role, ())))))
    wishes = {
        name: wish.model_copy(update={"provider": None}) if (name, wish.provider) in _pairs(refused) else wish
        for name, wish in plan.profile.components.items()
    }
    for chosen in itertools.product(*options):
        filled, wanted = dict(plan.profile.roles), dict(components)
        for (kind, role, name), new in zip(slots, chosen, strict=True):
            if kind == "role":
                filled[role] = new
            elif new != name:
                wanted.pop(name)
                wanted[new] = components[name].model_copy(update={"version": None})
        profile = plan.profile.model_copy(update={"roles": filled, "components": wishes})
        yield profile, plan.environment.model_copy(update={"components": wanted})


def _pairs(refused: Iterable[Refusal]) -> set[tuple[str, str]]:
    return {(r.component, r.provider) for r in refused}

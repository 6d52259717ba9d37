"""Ring 4. Providers that are refused because they are a vendor's, or bring what is; and the plan that is left."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from stack import plan as planning
from stack.catalogue import Catalogue
from stack.environment import Environment
from stack.errors import StackError
from stack.forbidding import Ban, depends, found, shortest, source_of
from stack.lock import Lock, OsPackage, package_of
from stack.plan import Plan
from stack.profile import Profile
from stack.recipe import Recipe
from stack.solver import Reason
from stack.words import Provider

FILLINGS = 50  # ways to fill the roles that are tried; a role has four or five components


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
            reached = {homes.partition(" ")[0] for homes in _sources(every, shortest(asked, depends(every)))}
            for one in (f for f in taken if f.name in reached):
                made.append(Refusal(choice.component, "os", f"its packages bring {one.name}, which is {ban.title}'s"))
        for one in (f for f in brought if f.kind == "wheel" and choice.provider == "wheel"):
            made.append(Refusal(choice.component, "wheel", f"the wheels bring {one.name}, which is {ban.title}'s"))
    unique = {(r.component, r.provider): r for r in reversed(made)}
    return tuple(sorted(unique.values()))


def unbuildable(plan: Plan, lock: Lock | None, blamed: Iterable[Reason], ban: Ban) -> tuple[Refusal, ...]:
    """What Spack cannot build without a forbidden package that it blames, as the lock shows; others may supply it."""
    names = {reason.subject for reason in blamed}
    if lock is None or lock.spack is None:
        return ()
    graph = lock.spack.by_hash()
    below = {n.hash: tuple(e.hash for e in n.dependencies) for n in lock.spack.nodes}
    roots = {graph[r.hash].name: shortest([r.hash], below) for r in lock.spack.roots}
    needs = {root: sorted(names & {graph[h].name for h in reached}) for root, reached in roots.items()}
    return tuple(
        Refusal(
            c.component, "source", f"Spack cannot build it without {', '.join(needs[name])}, which is {ban.title}'s"
        )
        for c in plan.choices
        if c.provider == "source" and needs.get(name := package_of(c.spec))
    )


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

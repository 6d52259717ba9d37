"""Ring 2. Profile + environment + target -> each component, its provider, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from stack.catalogue import Catalogue, Container
from stack.document import did_you_mean
from stack.environment import Environment
from stack.errors import Fault, Faults, StackError, bad_input
from stack.hardware import Vendor
from stack.offer import Choice, Rejection, Setting, offer
from stack.profile import Profile
from stack.recipe import Recipe
from stack.target import Target
from stack.words import Provider


@dataclass(frozen=True)
class Plan:
    """One cell before it is locked. `forbidden`: packages that Spack may not use, for an exit test."""

    environment: Environment
    profile: Profile
    target: Target
    base: Container | None
    choices: tuple[Choice, ...]
    recipes: Mapping[str, Recipe]
    vendor: Vendor | None
    forbidden: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """`environment/profile/target`, also the folder of everything made of it."""
        return f"{self.environment.name}/{self.profile.name}/{self.target.name}"

    @property
    def container(self) -> Container:
        """The base of the image; raises `StackError` for a cell that is built for the machine's own OS."""
        if self.base is None:
            remedy = "build_for: image in the profile gives one"
            raise bad_input(f"{self.cell} is built for the machine's own OS: there is no image of it", remedy=remedy)
        return self.base

    @property
    def built(self) -> bool:
        """Whether Spack has something to build."""
        return any(c.provider == "source" for c in self.choices)

    @property
    def baseline(self) -> str:
        """The microarchitecture whose instructions a host must have: packages of a distribution are for many."""
        packaged = all(c.provider in ("os", "site") for c in self.choices)
        return self.target.least if packaged else self.target.microarchitecture

    def choice(self, component: str) -> Choice:
        """The choice for a component; raises `StackError` when the plan has none."""
        for choice in self.choices:
            if choice.component == component:
                return choice
        names = [c.component for c in self.choices]
        raise StackError([Fault(f"{component!r} is not in {self.cell}", None, did_you_mean(component, names))])


def make(profile: Profile, environment: Environment, target: Target, catalogue: Catalogue) -> Plan:
    """Choose a provider for every component. Raises `StackError` with every component that nobody can supply."""
    faults = Faults()
    wanted = _components(profile, environment, catalogue, faults)
    setting = Setting(profile, target, _filled(wanted, catalogue, faults))
    offers = ((name, _choose(catalogue.recipes[name], environment, setting, catalogue, faults)) for name in wanted)
    choices = tuple(replace(c, why=f"{wanted[name]}; {c.why}") for name, c in offers if c)
    _needs(choices, {*wanted, *setting.filled}, catalogue, faults)
    faults.raise_if_any()
    return Plan(
        environment,
        profile,
        target,
        None if target.native else catalogue.containers[profile.image],
        choices,
        {c.component: catalogue.recipes[c.component] for c in choices},
        catalogue.hardware.vendors[target.vendor] if target.accelerator else None,
    )


def _components(profile: Profile, environment: Environment, catalogue: Catalogue, faults: Faults) -> dict[str, str]:
    """Component -> why it is in the plan."""
    wanted = dict.fromkeys(environment.components, f"{environment.name} lists it")
    listed = {catalogue.recipes[n].role for n in wanted if n in catalogue.recipes}
    for role in (r for r in environment.roles if r not in listed):
        name = profile.roles.get(role) or catalogue.defaults.roles.get(role)
        if name is None:
            faults.add(f"nothing fills the role {role!r}", None, f"profile {profile.name}: roles: {{{role}: ...}}")
        else:
            source = "the profile" if role in profile.roles else "the default"
            wanted[name] = f"{source} fills the role {role} with it"
    for name in wanted:
        if name not in catalogue.recipes:
            faults.add(f"no recipe for {name!r}", None, did_you_mean(name, catalogue.recipes))
    return {n: why for n, why in sorted(wanted.items()) if n in catalogue.recipes}


def _filled(wanted: Iterable[str], catalogue: Catalogue, faults: Faults) -> dict[str, str]:
    """Role -> the component that fills it; a second one for a role is a fault."""
    filled: dict[str, str] = {}
    for name in wanted:
        role = catalogue.recipes[name].role
        if role and role in filled:
            faults.add(f"two providers for the role {role}: {filled[role]} and {name}", None, "keep one of them")
        elif role:
            filled[role] = name
    return filled


def _choose(
    recipe: Recipe, environment: Environment, setting: Setting, catalogue: Catalogue, faults: Faults
) -> Choice | None:
    """The first provider, in the order wished for, that can supply the component in a wanted version."""
    profile, wish = setting.profile, setting.profile.components.get(recipe.name)
    want = environment.components.get(recipe.name)
    usual: tuple[Provider, ...] = profile.providers or catalogue.defaults.providers
    order: tuple[Provider, ...]
    if wish and wish.provider:
        order, said = (wish.provider,), f"profile {profile.name} asks for it"
    elif want and want.provider:
        order = tuple(dict.fromkeys((want.provider, *usual)))
        said = f"{environment.name} asks for {want.provider} first, then {', '.join(usual)}"
    else:
        order = usual
        said = f"first of {', '.join(order)} that can"
    wants = [v for v in (want and want.version, wish and wish.version) if v]
    chosen: Choice | None = None
    rejected: list[Rejection] = []
    for provider in dict.fromkeys((*order, *catalogue.defaults.providers)):
        made = offer(provider, recipe, setting)
        if isinstance(made, str):
            rejected.append(Rejection(provider, made))
        elif provider not in order:
            rejected.append(Rejection(provider, f"can, but {', '.join(order)} is asked for"))
        elif miss := _too_far(made.version, wants):
            rejected.append(Rejection(provider, miss))
        elif chosen is None:
            chosen = made
        else:
            rejected.append(Rejection(provider, f"can, but {chosen.provider} stands before it"))
    if chosen is None:
        reasons = "; ".join(f"{r.provider}: {r.why}" for r in rejected)
        faults.add(f"nobody can supply {recipe.name} for {setting.target.name}: {reasons}")
        return None
    wanted = chosen.version or (wants[0] if wants and chosen.provider == "source" else "")
    return replace(chosen, version=wanted, why=f"{chosen.provider}: {said}", rejected=tuple(rejected))


def matches(version: str, prefix: str) -> bool:
    """Whether a version is the prefix or starts with it at a dot: 2.6.1 matches 2.6, 2.61 does not."""
    return version == prefix or version.startswith(prefix + ".")


def _too_far(version: str, wants: Iterable[str]) -> str:
    missed = [w for w in wants if version and not matches(version, w)]
    return f"has {version}, not {missed[0]}" if missed else ""


def _needs(choices: Sequence[Choice], names: Set[str], catalogue: Catalogue, faults: Faults) -> None:
    """`names`: what is wanted, also what nobody can supply: that was said already."""
    for choice in choices:
        for need in catalogue.recipes[choice.component].needs:
            if need not in names:
                faults.add(f"{choice.component} needs {need}, which is not in the environment", None, "list it")

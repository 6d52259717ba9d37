"""Ring 2. Profile + environment + target -> each component, its provider, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stack.catalogue import Catalogue, Container, Native, Recipe, Vendor
from stack.document import did_you_mean
from stack.environment import Environment
from stack.errors import Fault, Faults, StackError
from stack.profile import Profile, Provider
from stack.target import Target


@dataclass(frozen=True)
class Rejection:
    """A provider that does not supply the component, and why not."""

    provider: Provider
    why: str


@dataclass(frozen=True)
class Choice:
    """How one component is supplied. `version` is what the data files expect; the lock has the exact one."""

    component: str
    provider: Provider
    version: str
    why: str
    role: str | None = None
    spec: str = ""
    packages: tuple[str, ...] = ()
    version_of: str | None = None
    archive_components: tuple[str, ...] = ()
    project: str | None = None
    prefix: str = "/usr"
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One cell before it is locked."""

    environment: Environment
    profile: Profile
    target: Target
    container: Container
    choices: tuple[Choice, ...]
    recipes: Mapping[str, Recipe]
    vendor: Vendor | None

    @property
    def cell(self) -> str:
        """`environment/profile/target`, also the folder of everything made of it."""
        return f"{self.environment.name}/{self.profile.name}/{self.target.name}"

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
    choices = [
        c for name, why in wanted.items() if (c := _choose(name, why, profile, environment, target, catalogue, faults))
    ]
    _needs(choices, catalogue, faults)
    faults.raise_if_any()
    return Plan(
        environment,
        profile,
        target,
        catalogue.containers[profile.image],
        tuple(choices),
        {c.component: catalogue.recipes[c.component] for c in choices},
        catalogue.hardware.vendors[target.vendor] if target.accelerator else None,
    )


def _components(profile: Profile, environment: Environment, catalogue: Catalogue, faults: Faults) -> dict[str, str]:
    """Component -> why it is in the plan."""
    wanted = dict.fromkeys(environment.components, f"{environment.name} lists it")
    for role in environment.roles:
        listed = [n for n in environment.components if n in catalogue.recipes and catalogue.recipes[n].role == role]
        if listed:
            continue
        name = profile.roles.get(role) or catalogue.defaults.roles.get(role)
        if name is None:
            faults.add(f"nothing fills the role {role!r}", None, f"profile {profile.name}: roles: {{{role}: ...}}")
        else:
            source = "the profile" if role in profile.roles else "the default"
            wanted[name] = f"{source} fills the role {role} with it"
    for name in wanted:
        if name not in catalogue.recipes:
            faults.add(f"no recipe for {name!r}", None, did_you_mean(name, catalogue.recipes))
    roles: dict[str, str] = {}
    for name in (n for n in wanted if n in catalogue.recipes):
        role_of = catalogue.recipes[name].role
        if role_of and role_of in roles:
            faults.add(f"two providers for the role {role_of}: {roles[role_of]} and {name}", None, "keep one of them")
        elif role_of:
            roles[role_of] = name
    return {n: why for n, why in sorted(wanted.items()) if n in catalogue.recipes}


def _choose(
    name: str,
    why: str,
    profile: Profile,
    environment: Environment,
    target: Target,
    catalogue: Catalogue,
    faults: Faults,
) -> Choice | None:
    recipe = catalogue.recipes[name]
    wish = profile.components.get(name)
    order = (wish.provider,) if wish and wish.provider else profile.providers or catalogue.defaults.providers
    said = f"profile {profile.name} asks for it" if wish and wish.provider else f"first of {', '.join(order)} that can"
    wants = [
        v
        for v in (
            environment.components[name].version if name in environment.components else None,
            wish.version if wish else None,
        )
        if v
    ]
    chosen: Choice | None = None
    rejected: list[Rejection] = []
    for provider in dict.fromkeys((*order, *catalogue.defaults.providers)):
        made = _offer(provider, recipe, profile, target)
        if isinstance(made, str):
            rejected.append(Rejection(provider, made))
        elif provider not in order:
            rejected.append(Rejection(provider, f"can, but the profile asks for {', '.join(order)}"))
        elif miss := _too_far(made.version, wants):
            rejected.append(Rejection(provider, miss))
        elif chosen is None:
            chosen = made
        else:
            rejected.append(Rejection(provider, f"can, but {chosen.provider} stands before it"))
    if chosen is None:
        reasons = "; ".join(f"{r.provider}: {r.why}" for r in rejected)
        faults.add(f"nobody can supply {name} for {target.name}: {reasons}")
        return None
    return Choice(**{**chosen.__dict__, "why": f"{why}; {chosen.provider}: {said}", "rejected": tuple(rejected)})


def matches(version: str, prefix: str) -> bool:
    """Whether a version is the prefix or starts with it at a dot: 2.6.1 matches 2.6, 2.61 does not."""
    return version == prefix or version.startswith(prefix + ".")


def _too_far(version: str, wants: Iterable[str]) -> str:
    missed = [w for w in wants if version and not matches(version, w)]
    return f"has {version}, not {missed[0]}" if missed else ""


def _offer(provider: Provider, recipe: Recipe, profile: Profile, target: Target) -> Choice | str:
    """What a provider offers, or why it cannot."""
    if getattr(recipe.providers, provider) is None:
        return f"the recipe of {recipe.name} names no {provider} provider"
    return {"source": _source, "os": _os, "wheel": _wheel, "site": _site}[provider](recipe, profile, target)


def _os(recipe: Recipe, _profile: Profile, target: Target) -> Choice | str:
    found = target.os.components.get(recipe.name)
    if found is None:
        return f"{target.os.title} has no package for it"
    native: Native = found
    if recipe.accelerated and target.vendor != "none":
        if target.vendor not in found.accelerators:
            return f"{target.os.title} has no build of it for {target.vendor}"
        native = found.accelerators[target.vendor]
    return Choice(
        recipe.name,
        "os",
        native.version,
        "",
        recipe.role,
        native.spec or recipe.name,
        native.packages,
        native.version_of or native.packages[0],
        native.components,
    )


def _wheel(recipe: Recipe, _profile: Profile, target: Target) -> Choice | str:
    wheel = recipe.providers.wheel
    assert wheel is not None  # noqa: S101 - `_offer` looked
    if recipe.accelerated and target.vendor not in wheel.vendors:
        return f"the wheels of {wheel.project} do not reach {target.vendor}"
    return Choice(
        recipe.name,
        "wheel",
        wheel.version or "",
        "",
        recipe.role,
        project=wheel.project,
        spec=recipe.providers.source.spec if recipe.providers.source else "",
    )


def _site(recipe: Recipe, profile: Profile, _target: Target) -> Choice | str:
    brought, provider = profile.site.get(recipe.name), recipe.providers.site
    if brought is None or provider is None:
        return f"profile {profile.name} brings none (site: {recipe.name}: ...)"
    return Choice(
        recipe.name, "site", brought.version, "", recipe.role, brought.spec or provider.spec, prefix=brought.prefix
    )


def _source(recipe: Recipe, _profile: Profile, target: Target) -> Choice | str:
    source = recipe.providers.source
    assert source is not None  # noqa: S101 - `_offer` looked
    parts = [source.spec, source.variants or ""]
    extra = source.accelerators.get(target.vendor, "")
    parts.append(extra.replace("{arch}", target.accelerator.spack if target.accelerator else ""))
    return Choice(recipe.name, "source", "", "", recipe.role, " ".join(p for p in parts if p))


def _needs(choices: list[Choice], catalogue: Catalogue, faults: Faults) -> None:
    names = {c.component for c in choices} | {c.role for c in choices if c.role}
    for choice in choices:
        for need in catalogue.recipes[choice.component].needs:
            if need not in names:
                faults.add(f"{choice.component} needs {need}, which is not in the environment", None, "list it")

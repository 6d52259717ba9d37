"""Ring 2. What each provider can offer for one component, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stack.catalogue import Native
from stack.profile import Profile
from stack.recipe import Compilers, Recipe
from stack.target import Target
from stack.words import Provider


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
    why: str = ""
    role: str | None = None
    spec: str = ""
    packages: tuple[str, ...] = ()
    version_of: str | None = None
    archive_components: tuple[str, ...] = ()
    project: str | None = None
    prefix: str = "/usr"
    compilers: Mapping[str, str] = field(default_factory=dict)
    development: tuple[str, ...] = ()
    below: Mapping[str, str] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What an offer depends on. `filled`: role -> the component that fills it in this plan."""

    profile: Profile
    target: Target
    filled: Mapping[str, str]


def offer(provider: Provider, recipe: Recipe, setting: Setting) -> Choice | str:
    """What a provider offers, or the reason why it cannot, in words."""
    if getattr(recipe.providers, provider) is None:
        return f"the recipe of {recipe.name} names no {provider} provider"
    return {"source": _source, "os": _os, "wheel": _wheel, "site": _site}[provider](recipe, setting)


def _os(recipe: Recipe, setting: Setting) -> Choice | str:
    target = setting.target
    found = target.os.components.get(recipe.name)
    if found is None:
        return f"{target.os.title} has no package for it"
    native: Native = found
    if recipe.accelerated and target.vendor != "none":
        if target.vendor in found.refused:
            return found.refused[target.vendor]
        if target.vendor not in found.accelerators:
            return f"{target.os.title} has no build of it for {target.vendor}"
        native = found.accelerators[target.vendor]
    for role, components in native.built_for.items():
        filled = setting.filled.get(role, components[0])  # one that nothing fills clashes with nothing
        if filled not in components:
            return f"{target.os.title} builds it for {' or '.join(components)}, and {role} is {filled}"
    return Choice(
        recipe.name,
        "os",
        native.version,
        role=recipe.role,
        spec=native.spec or recipe.name,
        packages=native.packages,
        version_of=native.version_of or native.packages[0],
        archive_components=native.components,
        prefix=native.prefix,
        compilers=_compilers(recipe, native.compilers),
        development=native.development,
    )


def _wheel(recipe: Recipe, setting: Setting) -> Choice | str:
    wheel = recipe.providers.wheel
    assert wheel is not None  # noqa: S101 - `offer` looked
    vendor = setting.target.vendor
    if setting.target.native or setting.target.os.python is None:
        return "wheels go into images alone"
    if recipe.accelerated and vendor not in wheel.vendors:
        return f"the wheels of {wheel.project} do not reach {vendor}"
    spec = recipe.providers.source.spec if recipe.providers.source else ""
    return Choice(recipe.name, "wheel", wheel.version or "", role=recipe.role, project=wheel.project, spec=spec)


def _site(recipe: Recipe, setting: Setting) -> Choice | str:
    brought, provider = setting.profile.site.get(recipe.name), recipe.providers.site
    if brought is None or provider is None:
        return f"profile {setting.profile.name} brings none (site: {recipe.name}: ...)"
    spec = " ".join(filter(None, (brought.spec or provider.spec, _for_accelerator(provider.accelerators, setting))))
    return Choice(
        recipe.name,
        "site",
        brought.version,
        role=recipe.role,
        spec=spec,
        prefix=brought.prefix,
        compilers=_compilers(recipe, {}),
    )


def _compilers(recipe: Recipe, own: Compilers) -> dict[str, str]:
    return {str(language): command for language, command in {**recipe.spack.compilers, **own}.items()}


def _source(recipe: Recipe, setting: Setting) -> Choice | str:
    source = recipe.providers.source
    assert source is not None  # noqa: S101 - `offer` looked
    extra = _for_accelerator(source.accelerators, setting)
    spec = " ".join(part for part in (source.spec, source.variants, extra) if part)
    below = {name: for_arch(wanted, setting.target) for name, wanted in source.below.items()}
    return Choice(recipe.name, "source", "", role=recipe.role, spec=spec, below=below)


def _for_accelerator(variants: Mapping[str, str], setting: Setting) -> str:
    return for_arch(variants.get(setting.target.vendor, ""), setting.target)


def for_arch(spec: str, target: Target) -> str:
    """The spec with the accelerator's architecture where `{arch}` stands."""
    return spec.replace("{arch}", target.accelerator.spack if target.accelerator else "")

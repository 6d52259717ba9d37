"""Ring 2. What a schema cannot see: names that nothing knows, parts that do not fit together. Every fault at once.

The checks read a document's plain data, so they also say what they can about one that fails its schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stack.catalogue import Catalogue, Defaults, Os, Upstream
from stack.catalogue import Container as Image
from stack.document import Document, Path, did_you_mean
from stack.environment import Environment
from stack.errors import Faults
from stack.facts import FactsFile, Stewards
from stack.facts_check import check_facts, check_licences, check_stewards
from stack.hardware import Hardware
from stack.licences import Licences
from stack.policy import Policy
from stack.profile import Profile
from stack.recipe import Recipe
from stack.target import known_microarchitectures
from stack.words import Model

GIT = ("spack", "packages")  # repositories of `upstream.yaml`; a profile may name a mirror of each
# What stands in a build folder beside the environments' own folders.
TAKEN = ("audit.html", "audit.json", "exit-test", "mirror", "modules", "report.html", "report.json")


@dataclass(frozen=True)
class Look:
    """Finds words in a document and notes what is wrong with them; one fault for one place."""

    document: Document
    faults: Faults

    def values(self, *pattern: str) -> Iterator[tuple[Path, Any]]:
        """(path, value) of what a pattern of keys reaches; `*` stands for every entry of a mapping or a list."""
        found: list[tuple[Path, Any]] = [((), self.document.data)]
        for part in pattern:
            found = [((*path, key), inner) for path, value in found for key, inner in _entries(value, part)]
        yield from found

    def words(self, *pattern: str) -> Iterator[tuple[Path, str]]:
        """The same, texts alone."""
        yield from ((path, value) for path, value in self.values(*pattern) if isinstance(value, str))

    def keys(self, *pattern: str) -> Iterator[tuple[Path, str]]:
        """(path, key) of every entry of the mappings a pattern reaches."""
        yield from ((path, str(path[-1])) for path, _ in self.values(*pattern, "*") if isinstance(path[-1], str))

    def add(self, what: str, path: Path, remedy: str = "", *, key: bool = False) -> None:
        """Note a fault, unless one already stands at that place."""
        where = self.document.at(path, key=key)
        if all(fault.where != where for fault in self.faults.found):
            self.faults.add(what, where, remedy)

    def known(self, found: Iterable[tuple[Path, str]], known: Iterable[str], kind: str, *, key: bool = False) -> None:
        """Every word found is one of the known."""
        names = frozenset(known)
        for path, word in found:
            if word not in names:
                self.add(f"unknown {kind} {word!r}", path, did_you_mean(word, names), key=key)

    def unique(self, found: Iterable[tuple[Path, str]]) -> None:
        """No word is found twice in one list."""
        seen: dict[tuple[Path, str], Path] = {}
        for path, word in found:
            first = seen.setdefault((tuple(p for p in path if isinstance(p, str)), word), path)
            if first != path:
                self.add(f"{word!r} is listed twice", path, f"first in line {self.document.at(first).line}")


def _entries(value: Any, part: str) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from ((k, v) for k, v in value.items() if part in ("*", k))
    elif isinstance(value, tuple) and part == "*":
        yield from enumerate(value)


def check_profile(document: Document, catalogue: Catalogue, faults: Faults) -> None:
    """Names of hardware, systems, images, components, roles and archives; who fills a role; what a site brings."""
    look = Look(document, faults)
    cpus = ("host", "host-level", *known_microarchitectures())
    look.known(look.words("partitions", "*", "cpu", "microarchitecture"), cpus, "microarchitecture")
    models = ("partitions", "*", "accelerators", "*", "model")
    look.known(look.words(*models), catalogue.hardware.accelerators, "accelerator")
    look.known(look.words("os"), ("host", *catalogue.systems), "operating system")
    look.known(look.words("image"), catalogue.containers, "image")
    look.known(look.keys("roles"), catalogue.roles, "role", key=True)
    for words, key in ((look.words("roles", "*"), False), (look.keys("components"), True), (look.keys("site"), True)):
        look.known(words, catalogue.recipes, "component", key=key)
    archives = [*(name for system in catalogue.systems.values() for name in system.archives), *GIT]
    look.known(look.keys("mirrors"), archives, "archive", key=True)
    for pattern in (models, ("providers", "*"), ("partitions", "*", "features", "*")):
        look.unique(look.words(*pattern))
    _packages_for_cpu(look, catalogue)
    _roles_filled(look, catalogue)
    _wishes(look, catalogue)
    _sites_versions(look)


def _packages_for_cpu(look: Look, catalogue: Catalogue) -> None:
    """The image's distribution exists for the family of every CPU named."""
    import archspec.cpu

    image = catalogue.containers.get(next((w for _, w in look.words("image")), Profile.model_fields["image"].default))
    if image is None or image.os not in catalogue.systems:
        return
    system = catalogue.systems[image.os]
    for path, name in look.words("partitions", "*", "cpu", "microarchitecture"):
        family = str(archspec.cpu.TARGETS[name].family) if name in archspec.cpu.TARGETS else ""
        if family and family not in system.architectures:
            look.add(f"{system.title} has no packages for {name!r}, a {family}", path, _list(system.architectures))


def _roles_filled(look: Look, catalogue: Catalogue) -> None:
    for path, name in look.words("roles", "*"):
        role, recipe = str(path[-1]), catalogue.recipes.get(name)
        if recipe and role in catalogue.roles and recipe.role != role:
            fills = f", it fills {recipe.role}" if recipe.role else ""
            look.add(f"{name!r} does not fill the role {role}{fills}", path, _list(catalogue.roles[role]))


def _wishes(look: Look, catalogue: Catalogue) -> None:
    brought = {name for _, name in look.keys("site")}
    for path, provider in look.words("components", "*", "provider"):
        name = str(path[1])
        if name not in catalogue.recipes:
            continue
        can = provided(catalogue.recipes[name])
        if provider not in can:
            look.add(f"the recipe of {name} names no {provider} provider", path, _list(can))
        elif provider == "site" and name not in brought:
            look.add(f"{name} is wished from the site, which brings none", path, f"add it under 'site': {name}: ...")
    for path, name in look.keys("site"):
        if name in catalogue.recipes and "site" not in (can := provided(catalogue.recipes[name])):
            look.add(f"the recipe of {name} names no site provider", path, _list(can), key=True)


def _sites_versions(look: Look) -> None:
    """A site's spec may say its version again, and then the same one: Spack is told the spec, the lock the version."""
    versions = {path[1]: version for path, version in look.words("site", "*", "version")}
    for path, spec in look.words("site", "*", "spec"):
        said, version = re.search(r"@=?([\w.-]+)", spec), versions.get(path[1])
        if said and version and said[1] != version:
            what = f"the spec says version {said[1]}, and 'version' beside it {version}"
            look.add(what, path, "say it under 'version' alone")


def provided(recipe: Recipe) -> tuple[str, ...]:
    """Providers that a recipe has."""
    return tuple(name for name in type(recipe.providers).model_fields if getattr(recipe.providers, name) is not None)


def check_environment(document: Document, catalogue: Catalogue, faults: Faults) -> None:
    """Names of components and roles; one component for a role; everything that a component needs is there."""
    look, before = Look(document, faults), len(faults.found)
    for path, name in look.words("name"):
        if name in TAKEN:
            look.add(
                f"an environment cannot be called {name!r}, as the build folder has one", path, "call it otherwise"
            )
    look.known(look.keys("components"), catalogue.recipes, "component", key=True)
    look.known(look.words("roles", "*"), catalogue.roles, "role")
    misspelt = len(faults.found) > before
    look.unique(look.words("roles", "*"))
    roles = {word for _, word in look.words("roles", "*")}
    listed = {name: catalogue.recipes[name] for _, name in look.keys("components") if name in catalogue.recipes}
    filled: dict[str, str] = {}
    for name, recipe in listed.items():
        other = filled.setdefault(recipe.role, name) if recipe.role else name
        if other != name:
            what = f"two components for the role {recipe.role}: {other} and {name}"
            look.add(what, ("components", name), "keep one of them", key=True)
    if not misspelt:
        _needs_met(look, catalogue, listed, roles | set(filled))


def _needs_met(look: Look, catalogue: Catalogue, listed: Mapping[str, Recipe], roles: set[str]) -> None:
    for name, recipe in listed.items():
        path = ("components", name)
        for need in recipe.needs:
            role = catalogue.recipes[need].role if need in catalogue.recipes else need
            if need not in listed and role not in roles:
                place = "roles" if need in catalogue.roles else "components"
                what, where = f"{name} needs {need!r}", look.document.at(path, key=True)
                look.faults.add(what, where, f"list it under '{place}'")


def check_recipe(document: Document, catalogue: Catalogue, faults: Faults) -> None:
    """What it needs exists; it has a provider; accelerator vendors are known; a distribution that supplies it."""
    look = Look(document, faults)
    own = {word for pattern in ("name", "role") for _, word in look.words(pattern)}
    look.known(look.words("needs", "*"), ({*catalogue.recipes, *catalogue.roles} | own), "component or role")
    look.unique(look.words("needs", "*"))
    look.unique(look.words("commands", "*"))
    look.known(look.words("verify", "optional", "*"), [c for _, c in look.words("commands", "*")], "command")
    look.unique(look.words("verify", "optional", "*"))
    optional = {word for _, word in look.words("verify", "optional", "*")}
    for path, _ in look.values("verify", "optional") if optional >= {c for _, c in look.words("commands", "*")} else ():
        look.add("with every command optional, nothing would fill the role", path, "leave one out", key=True)
    for path, need in look.words("needs", "*"):
        if need in own:
            look.add(f"{need!r} is what this recipe is itself", path, "remove it")
    vendors = ("none", *catalogue.hardware.vendors)
    look.known(look.keys("providers", "source", "accelerators"), vendors, "accelerator vendor", key=True)
    look.known(look.words("providers", "wheel", "vendors", "*"), vendors, "accelerator vendor")
    look.known(look.words("assertions", "*", "when"), vendors, "accelerator vendor")
    look.known(look.words("assertions", "*", "families", "*"), known_microarchitectures(), "CPU family")
    _assertions_meant(look)
    for path, providers in look.values("providers"):
        if providers == {}:
            look.add("nobody supplies this component", path, "name one of the providers source, os, wheel, site")
    for _, name in look.words("name"):
        has = any(name in system.components for system in catalogue.systems.values())
        for path, _ in () if has else look.values("providers", "os"):
            look.add(f"no distribution's data file lists {name!r}", path, "remove it", key=True)


def _assertions_meant(look: Look) -> None:
    """No assertion asks more of what shall be absent, or names the model of an accelerator where there may be none."""
    for path, made in look.values("assertions", "*"):
        parts = made if isinstance(made, dict) else {}
        senseless = [key for key in ("has", "one", "optional") if parts.get("absent") and parts.get(key)]
        for key in senseless:
            look.add(f"{key!r} says nothing of what is absent", (*path, key), "keep one of them", key=True)
        if "{arch}" in str(parts.get("has", "")) and parts.get("when", "none") == "none":
            look.add("without an accelerator '{arch}' stands for nothing", (*path, "has"), "say when: VENDOR")


def check_hardware(document: Document, _catalogue: Catalogue, faults: Faults) -> None:
    """An accelerator's vendor is in the same file."""
    look = Look(document, faults)
    look.known(look.words("accelerators", "*", "vendor"), [name for _, name in look.keys("vendors")], "vendor")


def check_os(document: Document, catalogue: Catalogue, faults: Faults) -> None:
    """It lists components that have a recipe, accelerators of known vendors, architectures that archspec knows."""
    look = Look(document, faults)
    look.known(look.keys("components"), catalogue.recipes, "component", key=True)
    vendors = catalogue.hardware.vendors
    look.known(look.keys("components", "*", "accelerators"), vendors, "accelerator vendor", key=True)
    look.known(look.keys("architectures"), known_microarchitectures(), "architecture", key=True)


def check_container(document: Document, catalogue: Catalogue, faults: Faults) -> None:
    """The operating system of an image has a data file; what is a file is not a folder too."""
    look = Look(document, faults)
    look.known(look.words("os"), catalogue.systems, "operating system")
    files = dict(look.keys("files"))
    for path, name in files.items():
        if any(other.startswith(f"{name}/") for other in files.values()):
            look.add(f"{name!r} is a file and, in another line, a folder", path, "remove one of them", key=True)


def check_defaults(document: Document, catalogue: Catalogue, faults: Faults) -> None:
    """Default roles exist and are filled by what can fill them."""
    look = Look(document, faults)
    look.known(look.keys("roles"), catalogue.roles, "role", key=True)
    look.known(look.words("roles", "*"), catalogue.recipes, "component")
    look.unique(look.words("providers", "*"))
    _roles_filled(look, catalogue)


def _list(names: Iterable[str]) -> str:
    return f"known: {', '.join(sorted(names))}"


Check = Callable[[Document, Catalogue, Faults], None]

KINDS: Mapping[str, tuple[type[Model], Check]] = {
    "profile": (Profile, check_profile),
    "environment": (Environment, check_environment),
    "recipe": (Recipe, check_recipe),
    "os": (Os, check_os),
    "container": (Image, check_container),
    "hardware": (Hardware, check_hardware),
    "defaults": (Defaults, check_defaults),
    "upstream": (Upstream, lambda _document, _catalogue, _faults: None),
    "facts": (FactsFile, lambda document, _catalogue, faults: check_facts(document, faults)),
    "stewards": (Stewards, lambda document, _catalogue, faults: check_stewards(document, faults)),
    "licences": (Licences, lambda document, _catalogue, faults: check_licences(document, faults)),
    "policy": (Policy, lambda _document, _catalogue, _faults: None),
}
"""Every kind of document that somebody writes: its model, and its checks."""

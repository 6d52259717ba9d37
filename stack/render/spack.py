"""Ring 4. Plan -> a Spack environment for the target, whatever machine concretizes it."""

from __future__ import annotations

import io
import re
from collections.abc import Container
from typing import Any

from stack.artifact import Tree
from stack.lock import Lock
from stack.plan import Plan
from stack.render.text import Part, parts

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VERSION = re.compile(r"[A-Za-z0-9_.-]*")  # what Spack reads as one version; a distribution's suffix ends it
_HEADER = """\
# The environment {cell}, written by sovstack.
# Change the profile or the environment instead: this file is written anew.
"""


def environment(plan: Plan, lock: Lock | None) -> Tree:
    """`spack/spack.yaml`: a root for every component that Spack knows; what others supply is external."""
    known = [part for part in parts(plan, lock) if part.choice.spec]
    target = f"target={plan.target.microarchitecture}"
    data = {
        "spack": {
            "specs": [f"{spec(part)} {target}" for part in known],
            "view": True,
            "concretizer": {
                "unify": True,
                "reuse": False,
                "targets": {"host_compatible": False, "granularity": "microarchitectures"},
            },
            "packages": {"all": _all(plan, target), **_virtuals(known), **_externals(plan, known)},
        }
    }
    return Tree.of({"spack/spack.yaml": _HEADER.format(cell=plan.cell) + _yaml(data)})


def spec(part: Part) -> str:
    """The component as a Spack spec: name, version where one is known, variants."""
    name = package(part)
    rest = part.choice.spec[len(name) :]
    version = _VERSION.match(part.version)
    number = version[0].rstrip(".-_") if version else ""
    return part.choice.spec if rest.startswith("@") or not number else f"{name}@{number}{rest}"


def package(part: Part) -> str:
    """The name that Spack gives the component."""
    found = _NAME.match(part.choice.spec)
    return found[0] if found else part.name


def _all(plan: Plan, target: str) -> dict[str, Any]:
    """A foreign target must be required here as well; preferring the model keeps libraries below a root accelerated."""
    accelerator, vendor = plan.target.accelerator, plan.vendor
    prefer = {"prefer": [f"{vendor.spack_variant}={accelerator.spack}"]} if accelerator and vendor else {}
    return {"require": [target], **prefer}


def _virtuals(known: list[Part]) -> dict[str, Any]:
    return {v: {"require": [package(part)]} for part in known for v in part.recipe.spack.virtuals}


def _externals(plan: Plan, known: list[Part]) -> dict[str, Any]:
    """Nothing can be said of a version that is not known yet, so such a component has no entry below `externals`."""
    supplied = [part for part in known if part.provider != "source"]
    named = {part.name for part in supplied if "@" in spec(part)}
    return {
        package(part): {"buildable": False, "externals": [_external(plan, part, named)] if part.name in named else []}
        for part in supplied
    }


def _external(plan: Plan, part: Part, named: Container[str]) -> dict[str, Any]:
    """No `target=` here: Spack drops an external that names another one, without a word."""
    made: dict[str, Any] = {"id": part.name, "spec": spec(part), "prefix": _prefix(plan, part)}
    if part.provider == "site" and plan.profile.site[part.name].modules:
        made["modules"] = list(plan.profile.site[part.name].modules)
    if part.recipe.spack.compilers:
        folder = part.choice.prefix.rstrip("/") + "/bin"
        compilers = {language: f"{folder}/{name}" for language, name in sorted(part.recipe.spack.compilers.items())}
        made["extra_attributes"] = {"compilers": compilers}
    if needed := [name for name in _needs(plan, part) if name in named]:
        made["dependencies"] = [{"id": name} for name in needed]
    return made


def _prefix(plan: Plan, part: Part) -> str:
    """Wheels are unpacked where the distribution's Python looks for software that it does not package."""
    return plan.target.os.site_packages.partition("/lib/")[0] if part.provider == "wheel" else part.choice.prefix


def _needs(plan: Plan, part: Part) -> list[str]:
    """Components that a component needs, its roles resolved."""
    return sorted(c.component for c in plan.choices if {c.component, c.role} & set(part.recipe.needs))


def _yaml(data: Any) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096  # a spec is never folded
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()

"""Ring 4. Plan -> a Spack environment for the target, whatever machine concretizes it."""

from __future__ import annotations

import io
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stack.artifact import Tree, digest
from stack.catalogue import Upstream
from stack.lock import Lock, package_of, upstream
from stack.plan import Plan
from stack.render.text import Part, parts

PATH = "spack/spack.yaml"
_VERSION = re.compile(r"[A-Za-z0-9_.-]*")  # what Spack reads as one version; a distribution's suffix ends it
_HEADER = """\
# The environment {cell}, written by sovstack.
# Change the profile or the environment instead: this file is written anew.
"""


@dataclass(frozen=True)
class Solve:
    """One question for Spack's solver: the environment, and what the machine it is for would say of itself.

    `release`: text of its `os-release`; `facts`: what `inside_spack/solve.py` is given.
    """

    environment: str
    release: str
    facts: Mapping[str, str]
    key: str


def environment(plan: Plan, lock: Lock | None) -> Tree:
    """`spack/spack.yaml`: a root for every component that Spack knows; what others supply is external."""
    return Tree.of({PATH: _HEADER.format(cell=plan.cell) + _yaml(settings(plan, lock))})


def solve(plan: Plan, lock: Lock, pinned: Upstream, overlay: str) -> Solve:
    """What the solver is asked. Equal keys, equal answers: `overlay` is the digest of our own packages and scripts."""
    system = plan.target.os
    release = f'ID={system.release.id}\nVERSION_ID="{system.release.version}"\nNAME="{system.release.id}"\n'
    facts = {
        "version": pinned.spack.version,
        "linker": plan.target.linker,
        "libc": system.glibc,
        "libc_prefix": system.libc_prefix,
        "target": plan.target.microarchitecture,
    }
    data = settings(plan, lock)
    commits = [pinned.spack.commit, pinned.packages.commit, pinned.solver.version, overlay]
    return Solve(_yaml(data), release, facts, digest([data, release, facts, commits]))


def settings(plan: Plan, lock: Lock | None) -> dict[str, Any]:
    """The content of `spack.yaml`."""
    known = [part for part in parts(plan, lock) if part.choice.spec]
    target = f"target={plan.target.microarchitecture}"
    tools = _tools(plan, lock) if plan.built else {}
    roots = [part for part in known if not plan.built or part.provider == "source" or not part.choice.compilers]
    return {
        "spack": {
            "specs": [f"{spec(part)} {target}" for part in roots],
            "view": True,
            "concretizer": {
                "unify": True,
                "reuse": False,
                "targets": {"host_compatible": False, "granularity": "microarchitectures"},
            },
            "packages": {
                "all": _all(plan, target),
                **_virtuals(known),
                **_below(known),
                **tools,
                **_externals(plan, known),
                # Last: an external of a forbidden package is none.
                **{name: {"buildable": False, "externals": []} for name in plan.forbidden},
            },
        }
    }


def spec(part: Part) -> str:
    """The component as a Spack spec: name, version where one is known, variants. A wished version of what Spack builds
    stays a prefix, so that the question does not change when it has been answered."""
    name = package(part)
    rest = part.choice.spec[len(name) :]
    version = _VERSION.match(part.choice.version if part.provider == "source" else part.version)
    number = version[0].rstrip(".-_") if version else ""
    return part.choice.spec if rest.startswith("@") or not number else f"{name}@{number}{rest}"


def package(part: Part) -> str:
    """The name that Spack gives the component."""
    return package_of(part.choice.spec) or part.name


def _all(plan: Plan, target: str) -> dict[str, Any]:
    """A foreign target must be required here as well; preferring the model keeps libraries below a root accelerated."""
    accelerator, vendor = plan.target.accelerator, plan.vendor
    prefer = {"prefer": [f"{vendor.spack_variant}={accelerator.spack}"]} if accelerator and vendor else {}
    return {"require": [target], **prefer}


def _virtuals(known: list[Part]) -> dict[str, Any]:
    own = {v: {"require": [package(part)]} for part in known for v in part.recipe.spack.virtuals}
    beside = {v: {"require": [s]} for part in known for v, s in part.recipe.spack.companions.items() if v not in own}
    return {**own, **beside}


def _below(known: list[Part]) -> dict[str, Any]:
    wanted = sorted((name, spec) for part in known for name, spec in part.choice.below.items())
    return {name: {"require": [s for n, s in wanted if n == name]} for name, _spec in wanted}


def _tools(plan: Plan, lock: Lock | None) -> dict[str, Any]:
    """Build tools of the distribution; the lock's versions, where it has them."""
    locked = [*lock.os.packages, *(lock.tools.packages if lock.tools else ())] if lock else []
    versions = {p.name: upstream(p.version) for p in locked}
    made = {}
    for tool in plan.target.os.tools.values():
        if tool.spec is None:
            continue
        name, version = package_of(tool.spec), versions.get(tool.packages[0], tool.version)
        external = {"id": name, "spec": f"{name}@{version}{tool.spec[len(name) :]}", "prefix": "/usr"}
        made[name] = {"buildable": False, "externals": [external]}
    return made


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
    if part.choice.compilers:
        folder = part.choice.prefix.rstrip("/") + "/bin"
        compilers = {language: f"{folder}/{name}" for language, name in sorted(part.choice.compilers.items())}
        made["extra_attributes"] = {"compilers": compilers}
    if needed := [name for name in _needs(plan, part) if name in named]:
        made["dependencies"] = [{"id": name} for name in needed]
    return made


def _prefix(plan: Plan, part: Part) -> str:
    """Wheels are unpacked where the distribution's Python looks for software that it does not package."""
    site = plan.target.os.site_packages
    return site.partition("/lib/")[0] if part.provider == "wheel" and site else part.choice.prefix


def _needs(plan: Plan, part: Part) -> Iterable[str]:
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

"""Ring 4. Plan and lock -> an Apptainer definition, and the same content as the files Apptainer keeps in an image.

An image put together from the metadata behaves as one that `apptainer build` made from the definition.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stack import contract
from stack.artifact import File, Tree, canonical_json
from stack.lock import Lock
from stack.plan import Plan
from stack.render.text import Part, definition_arguments, parts, template, variables, version_pattern

ROOTFS = "rootfs.squashfs"
METADATA = ".singularity.d"
EVIDENCE = "opt/sovstack"
INSPECTION = "inspect-metadata.json"  # Apptainer looks for an object of this name
_UNLOCKED = "unlocked"


def definition(plan: Plan, lock: Lock | None) -> Tree:
    """`<environment>.def`, to be built in a folder that holds the lock's root file system, `rootfs.squashfs`."""
    return Tree.of({f"{plan.environment.name}.def": _definition(plan, lock)})


def metadata(plan: Plan, lock: Lock | None) -> Tree:
    """What goes into the root file system before it is compressed: `.singularity.d/`, the plan, and the lock."""
    scripts = {
        "env/90-environment.sh": "#!/bin/sh\n" + _environment(plan),
        "env/99-base.sh": template("base.sh.j2"),
        "runscript": "#!/bin/sh\n" + template("runscript.sh.j2"),
        "test": "#!/bin/sh\n" + _test(plan, lock),
    }
    texts = {
        "runscript.help": "".join(f"{line}\n" for line in help_lines(plan, lock)),
        "labels.json": canonical_json(labels(plan, lock) | _USAGE),
        "Singularity": _definition(plan, lock),
    }
    inside = Tree.of({**{p: File(t, executable=True) for p, t in scripts.items()}, **texts})
    expects = canonical_json(host_contract(plan, lock).model_dump(mode="json", by_alias=True))
    evidence = {"plan.json": canonical_json(plan_record(plan)), contract.FILE: expects}
    evidence |= {"stack.lock.json": lock.text()} if lock else {}
    return inside.under(METADATA) | Tree.of(evidence).under(EVIDENCE)


def host_contract(plan: Plan, lock: Lock | None) -> contract.Contract:
    """What the image expects of a host."""
    return contract.make(plan, lock, software_prefix(plan))


def inspection(plan: Plan, lock: Lock | None) -> Tree:
    """`inspect-metadata.json`: as a generic JSON object of a SIF it spares `inspect` and `run-help` a container run."""
    files = {path.removeprefix(f"{METADATA}/"): file.text.rstrip("\n") for path, file in metadata(plan, lock)}
    attributes = {
        "deffile": files["Singularity"],
        "environment": {f"/{METADATA}/{p}": t for p, t in files.items() if p == "env/90-environment.sh"},
        "helpfile": files["runscript.help"],
        "labels": labels(plan, lock) | _USAGE,
        "runscript": files["runscript"],
        "test": files["test"],
    }
    return Tree.of({INSPECTION: canonical_json({"data": {"attributes": attributes}, "type": "container"})})


# Where `apptainer inspect` and `run-help` look, as `apptainer build` itself labels it.
_USAGE = {
    "org.label-schema.schema-version": "1.0",
    "org.label-schema.usage": f"/{METADATA}/runscript.help",
    "org.label-schema.usage.apptainer.runscript.help": f"/{METADATA}/runscript.help",
}


def labels(plan: Plan, lock: Lock | None) -> dict[str, str]:
    """Labels of the image; values are one line without blanks at its ends, which Apptainer would drop."""
    made = {
        "org.opencontainers.image.title": plan.environment.name,
        "org.opencontainers.image.description": plan.environment.purpose,
        "org.opencontainers.image.version": lock.digest[:12] if lock else _UNLOCKED,
        "org.sovstack.cell": plan.cell,
        "org.sovstack.contract": host_contract(plan, lock).line,
        "org.sovstack.lock": lock.digest if lock else _UNLOCKED,
        "org.sovstack.profile": plan.profile.name,
        "org.sovstack.target": plan.target.name,
    }
    return {key: value.strip() for key, value in made.items()}


def help_lines(plan: Plan, lock: Lock | None) -> tuple[str, ...]:
    """What is inside, for `apptainer run-help`. No line begins with free text: `%` there would begin a section."""
    found = parts(plan, lock)
    width = max((len(p.name) + len(p.version) for p in found), default=0) + 2
    rows = [f"  {(p.name + ' ' + p.version).strip():<{width}} {p.recipe.summary}" + _origin(p) for p in found]
    head = (f"{plan.environment.name} for {plan.target.name}", f"Purpose: {plan.environment.purpose}", "", "Inside:")
    locked = [f"Lock: {lock.digest}", f"The whole list: /{EVIDENCE}/stack.lock.json"] if lock else ["Not locked."]
    return (*head, *rows, "", *locked)


def plan_record(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-able data: every component, its provider, and why."""
    return {
        "schema": 1,
        "environment": plan.environment.name,
        "profile": plan.profile.name,
        "target": plan.target.name,
        "container": plan.base.name if plan.base else "",
        "components": [asdict(choice) for choice in plan.choices],
    }


def _origin(part: Part) -> str:
    return f" (the site's, at {part.choice.prefix})" if part.provider == "site" else ""


def _environment(plan: Plan) -> str:
    return template("environment.sh.j2", variables=variables({**plan.container.environment, **_view(plan)}))


def software_prefix(plan: Plan) -> str:
    """Where in the image is what Spack built."""
    return f"/{EVIDENCE}/{plan.environment.name}"


def _view(plan: Plan) -> dict[str, str]:
    """Variables that make a build's view usable; none where nothing is built."""
    if not plan.built:
        return {}
    view = f"{software_prefix(plan)}/view"
    libraries = f"{view}/lib:{view}/lib64"
    found = {
        "PATH": f"{view}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": libraries,
        "LIBRARY_PATH": libraries,
        "CPATH": f"{view}/include",
        "CMAKE_PREFIX_PATH": view,
        "PKG_CONFIG_PATH": f"{view}/lib/pkgconfig:{view}/lib64/pkgconfig:{view}/share/pkgconfig",
    }
    python = plan.target.os.python
    return {**found, **({"PYTHONPATH": f"{view}/lib/python{python}/site-packages"} if python else {})}


def _test(plan: Plan, lock: Lock | None) -> str:
    """Every component in the image says its own version; what the site brings is not in the image."""
    inside = [p for p in parts(plan, lock) if p.provider != "site" and p.version]
    checks = [(p.name, p.version, version_pattern(p.version), p.recipe.verify.version) for p in inside]
    return template("test.sh.j2", checks=checks)


def _definition(plan: Plan, lock: Lock | None) -> str:
    labelled = tuple(f"{key} {value}" for key, value in labels(plan, lock).items())
    helped = help_lines(plan, lock)
    return template(
        "definition.def.j2",
        cell=plan.cell,
        rootfs=ROOTFS,
        arguments=definition_arguments((*labelled, *helped)),
        labels=labelled,
        help=helped,
        environment=_environment(plan),
        runscript=template("runscript.sh.j2"),
        test=_test(plan, lock),
    )

"""Ring 4. In what two locks differ as wholes: what they are for, what made them, who supplies what, levels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from stack import aspects
from stack.aspects import OPEN, UNKNOWN, Aspect, Terms
from stack.audit.inventory import Inventory
from stack.graph import Graph
from stack.lock import Lock

# How it is called -> the graph's field. What names a solve, and its file, changes with anything else.
_SPACK = {
    "Spack": "spack",
    "Spack's packages": "packages",
    "our own packages": "overlay",
    "Spack's target": "target",
    "Spack's OS": "os",
    "Spack's hashes": "hashes",
}


def settings(before: Inventory, after: Inventory) -> tuple[Aspect, ...]:
    """What the locks are for, what they were made with, what was asked for, and the inputs by their digests."""
    old, new = before.lock, after.lock
    made, now = _made_with(before), _made_with(after)
    inputs = [{f"input {name}": value for name, value in lock.inputs.items()} for lock in (old, new)]
    asked = [
        ("asked of the distribution", old.os.requested, new.os.requested),
        ("asked of the package index", _wheels(old), _wheels(new)),
    ]
    return (
        *aspects.values_differ(made, made, now),
        *(a for what, one, other in asked for a in aspects.missing_or_not(what, one, other)),
        *aspects.values_differ(sorted({*inputs[0], *inputs[1]}), *inputs),
    )


def _wheels(lock: Lock) -> tuple[str, ...]:
    return lock.wheels.requested if lock.wheels else ()


def _made_with(inventory: Inventory) -> Mapping[str, str]:
    lock = inventory.lock
    base = next((item for item in inventory.items if item.kind == "base"), None)
    values = {
        "environment": lock.environment,
        "profile": lock.profile,
        "target": lock.target,
        "distribution": lock.os.system,
        "architecture": lock.os.architecture,
        "suites": " ".join(lock.os.suites),
        "base image": f"{base.name} {base.version}" if base else "",
    }
    wheels, graph = lock.wheels, lock.spack
    values["Python of the wheels"] = wheels.python if wheels else ""
    values["platforms of the wheels"] = " ".join(wheels.platforms) if wheels else ""
    for name, field in _SPACK.items():
        values[name] = str(getattr(graph, field)) if graph else ""
    return values


def uses(before: Graph | None, after: Graph | None) -> tuple[Aspect, ...]:
    """Virtual packages that others supply now: names, in one text."""
    old, new = _uses(before), _uses(after)
    return aspects.values_differ(sorted({*old, *new}), old, new)


def _uses(graph: Graph | None) -> Mapping[str, str]:
    found: dict[str, set[str]] = {}
    nodes = graph.by_hash() if graph else {}
    for node in nodes.values():
        for edge in node.dependencies:
            for virtual in edge.virtuals:
                found.setdefault(virtual, set()).add(nodes[edge.hash].name)
    return {virtual: " ".join(sorted(names)) for virtual, names in found.items()}


def classes(before: Inventory, after: Inventory) -> tuple[Aspect, ...]:
    """How many packages that run are of a class; how many may not be handed on, or where that is not known."""
    old, new = _tally(before), _tally(after)
    made = []
    for name in sorted({*old, *new}):
        if old[name] != new[name]:
            made.append(
                Aspect(name, str(old[name]), str(new[name]), worse=name != f"class {OPEN}" and new[name] > old[name])
            )
    return tuple(made)


def _tally(inventory: Inventory) -> Counter[str]:
    known = [Terms.of(item) for item in inventory.scoped("run") if item.kind != "base"]
    held = [f"binary redistribution {t.binary}" for t in known if t.binary in ("forbidden", UNKNOWN)]
    return Counter([*(f"class {t.licence_class}" for t in known), *held])


def levels(before: Mapping[str, int | None] | None, after: Mapping[str, int | None] | None) -> tuple[Aspect, ...]:
    """Layers that have another level; nothing where the levels of a side are not given."""
    if before is None or after is None:
        return ()
    made = []
    for layer in dict.fromkeys((*before, *after)):
        old, new = before.get(layer), after.get(layer)
        if old != new:
            fell = (-1 if new is None else new) < (-1 if old is None else old)
            made.append(Aspect(layer, _level(old), _level(new), worse=fell))
    return tuple(made)


def _level(level: int | None) -> str:
    return "not assessed" if level is None else str(level)

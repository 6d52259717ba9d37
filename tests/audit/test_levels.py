"""The rubric: every check can pass, fail, and be not assessed, and a level is reached only through those below it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stack.audit.completeness import Gap
from stack.audit.levels import Assessment, assess
from stack.audit.situation import Exit, Locked, Mirrored, Proof, Rebuild, Signed, Situation, unsteered
from tests.audit.locks import library, released_inventory

FOUND = released_inventory("numerics/generic-x86/*v3")
MAKERS = ("amd", "intel", "nvidia")
ROLES = {"mpi": ("mpich", "openmpi"), "blas": ("blis", "openblas")}
FULL = Situation(
    inventory=FOUND,
    phase="build",
    gaps=(),
    today="2026-06-01",
    others=(Locked("numerics/a/x", ("nvidia",)), Locked("numerics/b/y", ("amd",))),
    makers=MAKERS,
    exits=tuple(Exit(maker, True, True, "2026-05-01") for maker in MAKERS),
    proofs=(
        Proof("a", ("nvidia",), "x86_64", False, "2026-05-01"),
        Proof("b", ("amd",), "riscv64", True, "2026-05-01"),
    ),
    mirrored=Mirrored(9, ()),
    rebuild=Rebuild("2026-05-01", True),
    confirmed=("o" * 64,),
    signed=Signed("k" * 64, True),
    providers=ROLES,
    scheduled=("flux", "slurm"),
)


def levels(**changes: Any) -> dict[str, int | None]:
    return {layer.name: layer.level for layer in assess(replace(FULL, **changes)).layers}


def test_everything_proven_is_level_four_and_data_and_models_are_not_assessed() -> None:
    assert levels() == {"compute": 4, "software": 4, "operational": 4, "data": None, "model": None}


def _unclassed(kind: str) -> Any:
    """The inventory with one component of which something is unknown."""
    item = next(i for i in FOUND.items if i.name == "numactl" and i.kind == "spack")
    assert item.facts
    facts = {
        "reach": item.facts.model_copy(update={"reach": item.facts.reach.model_copy(update={"cpu": "unknown"})}),
        "class": item.facts.model_copy(update={"licence_class": "proprietary"}),
        "redistribution": item.facts.model_copy(
            update={"redistribution": item.facts.redistribution.model_copy(update={"binary": "unknown"})}
        ),
        "unknown": item.facts.model_copy(update={"licence_class": "unknown"}),
        "none": None,
    }[kind]
    changed = replace(item, facts=facts, licence=None if kind == "none" else item.licence)
    return replace(FOUND, items=tuple(changed if i is item else i for i in FOUND.items))


CASES: tuple[tuple[str, int | None, dict[str, Any]], ...] = (
    ("compute", 0, {"inventory": _unclassed("reach")}),
    ("compute", 1, {"others": (Locked("numerics/a/x", ("nvidia",)),)}),
    ("compute", 1, {"others": ()}),
    ("compute", 0, {"inventory": replace(FOUND, items=tuple(i for i in FOUND.items if i.kind == "base"))}),
    ("software", 0, {"inventory": replace(FOUND, items=tuple(i for i in FOUND.items if i.kind == "base"))}),
    ("compute", 2, {"exits": ()}),
    ("compute", 2, {"exits": FULL.exits[:-1]}),
    ("compute", 2, {"exits": (*FULL.exits[:-1], Exit("nvidia", False, False, "2026-05-01"))}),
    ("compute", 2, {"exits": (*FULL.exits[:-1], Exit("nvidia", True, False, "2026-05-01"))}),
    ("compute", 2, {"makers": ()}),
    ("compute", 3, {"proofs": ()}),
    ("compute", 3, {"proofs": FULL.proofs[:1]}),
    ("compute", 3, {"proofs": FULL.proofs[1:]}),
    ("software", 1, {"inventory": _unclassed("none")}),
    ("software", 1, {"gaps": (Gap("licence", "x 1"),)}),
    ("software", 1, {"invalid": ("MIT or so: no SPDX expression",)}),
    ("software", 1, {"phase": "design"}),
    ("software", 1, {"inventory": _unclassed("redistribution")}),
    ("software", 2, {"inventory": _unclassed("class")}),
    ("software", 2, {"unsteered": (FOUND.items[0].ref,)}),
    ("software", 3, {"mirrored": None}),
    ("software", 3, {"mirrored": Mirrored(8, ("blis@2.0",))}),
    ("software", 3, {"confirmed": ()}),
    ("software", 3, {"rebuild": Rebuild("2026-05-01", False)}),
    ("operational", 0, {"signed": None}),
    ("operational", 1, {"signed": Signed("k" * 64, False)}),
    ("operational", 2, {"rebuild": None}),
    ("operational", 3, {"rebuild": Rebuild("2025-01-01", True)}),
    ("operational", 3, {"rebuild": Rebuild("nonsense", True)}),
    ("operational", 3, {"rebuild": Rebuild("2026-06-02", True)}),
    ("operational", 3, {"scheduled": ("slurm",)}),
    ("operational", 3, {"providers": {**ROLES, "mpi": ("openmpi",)}}),
)  # fmt: skip


@pytest.mark.parametrize(("layer", "level", "changes"), CASES)
def test_one_thing_missing_stops_its_layer_at_that_level(layer: str, level: int, changes: dict[str, Any]) -> None:
    found = levels(**changes)
    assert found[layer] == level


def test_an_exception_is_stated_and_lets_the_layer_pass() -> None:
    inventory = _unclassed("class")
    ref = next(i.ref for i in inventory.items if i.facts and i.facts.licence_class == "proprietary")
    found = assess(replace(FULL, inventory=inventory, excepted={ref: "no other driver"}))
    assert found.level("software") == 4
    said = [c.said for layer in found.layers for c in layer.checks if c.level == 3 and c.layer == "software"]
    assert any("numactl: no other driver" in text for text in said)


def test_no_exception_makes_an_unknown_class_a_known_one() -> None:
    inventory = _unclassed("unknown")
    ref = next(i.ref for i in inventory.items if i.facts and i.facts.licence_class == "unknown")
    assert assess(replace(FULL, inventory=inventory, excepted={ref: "needed"})).level("software") == 2


def test_what_nobody_looked_at_is_not_a_fail_and_not_a_pass() -> None:
    found = assess(replace(FULL, exits=(), mirrored=None, rebuild=None, confirmed=(), proofs=()))
    states = {c.state for layer in found.layers for c in layer.next}
    assert states == {"not assessed"}


def test_the_weakest_link_is_named_and_layers_that_were_not_assessed_are_none() -> None:
    found: Assessment = assess(replace(FULL, signed=None))
    assert found.weakest == ("operational",)


def test_every_check_says_what_was_seen() -> None:
    for situation in (
        FULL,
        replace(FULL, signed=None, exits=(), rebuild=None, phase="design", gaps=(Gap("hash", ""),)),
    ):
        for layer in assess(situation).layers:
            assert {c.level for c in layer.checks} == {1, 2, 3, 4}
            assert all(c.said and c.title for c in layer.checks)


def test_who_decides_is_asked_of_what_was_asked_for() -> None:
    facts = library().facts
    asked = {ref for ref in FOUND.roots if FOUND.by_ref[ref].kind != "base" and FOUND.by_ref[ref].scope == "run"}
    assert asked
    everybody = set(unsteered(FOUND, replace(facts, stewards={})))
    assert asked <= everybody
    assert set(unsteered(FOUND, facts)) < everybody

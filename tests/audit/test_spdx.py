"""SPDX 3.0.1: read back by SPDX's own bindings, which check classes, cardinalities and values, and by its schema."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from spdx_python_model import v3_0_1 as model

from stack.artifact import canonical_json
from stack.audit import spdx
from tests.audit.locks import build, design, released_inventory

CELLS = ("ai-hpc/generic-x86/*gfx942", "numerics/generic-riscv/*", "ai-hpc/csc-lumi-g/*gfx90a")
SCHEMA = "SOVSTACK_SPDX_SCHEMA"


def made(cell: str, phase: str) -> dict[str, Any]:
    found = released_inventory(cell)
    return spdx.render(found, design() if phase == "design" else build(found))


def read(document: dict[str, Any]) -> model.SHACLObjectSet:
    objects = model.SHACLObjectSet()
    model.JSONLDDeserializer().read(io.BytesIO(json.dumps(document).encode()), objects)
    return objects


@pytest.mark.parametrize("phase", ["design", "build"])
@pytest.mark.parametrize("cell", CELLS)
def test_spdxs_own_bindings_read_it_back_whole(cell: str, phase: str) -> None:
    objects = read(made(cell, phase))
    inventory = released_inventory(cell)
    packages = {p.software_packageUrl for p in objects.foreach_type(model.software_Package) if p.software_packageUrl}
    assert packages == {item.purl for item in inventory.items}
    missing = {i for i in objects.missing_ids if "/terms/Core/N" not in i}
    assert not missing
    bill = next(iter(objects.foreach_type(model.software_Sbom)))
    kinds = model.software_SbomType
    assert bill.software_sbomType == [kinds.design if phase == "design" else kinds.build]


def test_a_broken_document_is_not_read() -> None:
    document = made(CELLS[1], "design")
    package = next(e for e in document["@graph"] if e["type"] == "software_Package")
    package["software_primaryPurpose"] = "thing"
    with pytest.raises((ValueError, KeyError)):
        read(document)


def test_equal_locks_give_equal_bytes() -> None:
    assert canonical_json(made(CELLS[1], "build")) == canonical_json(made(CELLS[1], "build"))


def test_edges_say_whether_only_building_needs_them() -> None:
    relations = [e for e in made(CELLS[0], "design")["@graph"] if e.get("relationshipType") == "dependsOn"]
    assert {r.get("scope") for r in relations} == {None, "build"}
    assert {r["completeness"] for r in relations} == {"complete"}


@pytest.mark.parametrize("phase", ["design", "build"])
def test_the_official_schema_takes_it(phase: str) -> None:
    path = os.environ.get(SCHEMA)
    if not path:
        pytest.skip(f"SPDX's JSON Schema is not here: {SCHEMA} names its file, of spdx.org/schema/3.0.1; takes minutes")
    import jsonschema

    schema = json.loads(Path(path).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(made("numerics/jsc-jupiter/*v2", phase))

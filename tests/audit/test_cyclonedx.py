"""CycloneDX 1.6: valid by its own schema, read back by its own library, and the same for the same lock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from stack.artifact import canonical_json
from stack.audit import cyclonedx
from tests.audit.locks import build, design, released_inventory

CELLS = ("ai-hpc/generic-x86/*gfx942", "numerics/generic-riscv/*", "ai-hpc/csc-lumi-g/*gfx90a")
SMALL = "numerics/jsc-jupiter/*v2"


def made(cell: str, phase: str) -> dict[str, Any]:
    found = released_inventory(cell)
    return cyclonedx.render(found, design() if phase == "design" else build(found))


@pytest.mark.parametrize("phase", ["design", "build"])
def test_the_official_schema_takes_it(phase: str) -> None:
    """Of a small lock: that every component is unique takes the validator the square of their number."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made(SMALL, phase))) is None


@pytest.mark.parametrize("phase", ["design", "build"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_formats_own_library_reads_it_back(cell: str, phase: str) -> None:
    read = Bom.from_json(made(cell, phase))  # type: ignore[attr-defined]
    inventory = released_inventory(cell)
    assert {str(c.bom_ref.value) for c in read.components} == {item.ref for item in inventory.items}
    assert {str(c.purl) for c in read.components} == {item.purl for item in inventory.items}
    assert read.validate()


def test_a_broken_document_is_not_valid() -> None:
    document = made(SMALL, "design")
    document["components"][0]["type"] = "thing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is not None


def test_equal_locks_give_equal_bytes_and_another_author_another_identity() -> None:
    found, about = released_inventory(CELLS[1]), design()
    first = cyclonedx.render(found, about)
    assert canonical_json(first) == canonical_json(cyclonedx.render(found, about))
    other = cyclonedx.render(found, build(found))
    assert first["serialNumber"] != other["serialNumber"]


def test_a_design_claims_no_file_and_a_build_has_the_digests_of_each() -> None:
    assert "SHA-512" not in json.dumps(made(CELLS[0], "design"))
    document = made(CELLS[0], "build")
    running = [c for c in document["components"] if c["scope"] == "required"]
    assert all("SHA-512" in json.dumps(c) for c in [*running, document["metadata"]["component"]])


def test_what_is_not_known_to_be_whole_is_not_said_to_be() -> None:
    document = made("ai-hpc/csc-lumi-g/*gfx90a", "design")
    stated = {ref: c["aggregate"] for c in document["compositions"] for ref in c.get("dependencies", ())}
    mpi = next(c["bom-ref"] for c in document["components"] if c["name"] == "cray-mpich")
    assert stated[mpi] == "unknown"
    assert set(stated) == {d["ref"] for d in document["dependencies"]}

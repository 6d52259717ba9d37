"""What the rules ask for is asked of the documents themselves, and every demand can fail."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack.audit import completeness, cyclonedx, spdx
from stack.audit.completeness import FIELDS, Gap
from tests.audit.locks import build, design, released_inventory

CELL = "numerics/generic-riscv/*"
DOCS = Path(__file__).parents[2] / "docs/reference/sbom.md"
Data = dict[str, Any]


def document(kind: str, phase: str = "build") -> Data:
    found = released_inventory(CELL)
    about = design() if phase == "design" else build(found)
    made = (cyclonedx if kind == "cyclonedx" else spdx).render(found, about)
    return copy.deepcopy(made)


@pytest.mark.parametrize("phase", ["design", "build"])
@pytest.mark.parametrize("kind", ["cyclonedx", "spdx"])
def test_our_documents_lack_nothing(kind: str, phase: str) -> None:
    assert completeness.gaps(document(kind, phase)) == ()


@pytest.mark.parametrize("kind", ["cyclonedx", "spdx"])
def test_both_formats_are_asked_the_same(kind: str) -> None:
    found = document(kind)
    ask = completeness._Cyclonedx(found) if kind == "cyclonedx" else completeness._Spdx(found)
    assert {*ask.said, *ask.has} == {field.id for field in FIELDS}


def _without(name: str) -> Callable[[Data], None]:
    def take(component: Data) -> None:
        component["properties"] = [p for p in component["properties"] if p["name"] != f"bsi:component:{name}"]

    return take


TAKEN: dict[str, Callable[[Data], Any]] = {
    "name": lambda c: c.update(name=""),
    "version": lambda c: c.pop("version"),
    "creator": lambda c: c.pop("manufacturer"),
    "identifier": lambda c: (c.pop("purl"), c.pop("bom-ref")),
    "licence": lambda c: c.pop("licenses"),
    "hash": lambda c: c.pop("externalReferences"),
    **{name: _without(name) for name in ("filename", "executable", "archive", "structured")},
}


@pytest.mark.parametrize("field", sorted(TAKEN))
def test_what_a_component_of_cyclonedx_does_not_say_is_missed(field: str) -> None:
    found = document("cyclonedx")
    component = next(c for c in found["components"] if c["scope"] == "required" and c["name"] == "libc6")
    TAKEN[field](component)
    assert field in {gap.field for gap in completeness.gaps(found)}


@pytest.mark.parametrize("field", ["dependencies", "completeness"])
def test_what_cyclonedx_does_not_say_of_edges_is_missed(field: str) -> None:
    found = document("cyclonedx")
    if field == "dependencies":
        found["dependencies"] = found["dependencies"][:-1]
    else:
        found["compositions"][0]["dependencies"] = found["compositions"][0]["dependencies"][:-1]
    assert [gap.field for gap in completeness.gaps(found)] == [field]


HEADS: dict[str, dict[str, Callable[[Data], Any]]] = {
    "cyclonedx": {
        "author": lambda d: d["metadata"].pop("manufacturer"),
        "timestamp": lambda d: d["metadata"].pop("timestamp"),
        "tool": lambda d: d["metadata"].pop("tools"),
        "sbom-version": lambda d: d.pop("serialNumber"),
    },
    "spdx": {
        "author": lambda d: _first(d, "CreationInfo").update(createdBy=[]),
        "timestamp": lambda d: _first(d, "CreationInfo").pop("created"),
        "tool": lambda d: _first(d, "CreationInfo").pop("createdUsing"),
        "sbom-version": lambda d: _first(d, "SpdxDocument").pop("comment"),
    },
}


def _first(document: Data, kind: str) -> Data:
    found: Data = next(e for e in document["@graph"] if e["type"] == kind)
    return found


@pytest.mark.parametrize(("kind", "field"), [(k, f) for k, fields in HEADS.items() for f in fields])
def test_what_a_document_does_not_say_of_itself_is_missed(kind: str, field: str) -> None:
    found = document(kind)
    HEADS[kind][field](found)
    assert completeness.gaps(found) == (Gap(field, ""),)


@pytest.mark.parametrize("field", ["licence", "dependencies", "hash", "version", "creator"])
def test_what_a_component_of_spdx_does_not_say_is_missed(field: str) -> None:
    found = document("spdx")
    package = next(e for e in found["@graph"] if e["type"] == "software_Package" and e["name"] == "libc6")
    relation = {"licence": "hasConcludedLicense", "dependencies": "dependsOn", "hash": "hasDistributionArtifact"}
    if field in relation:
        gone = (package["spdxId"], relation[field])
        found["@graph"] = [e for e in found["@graph"] if (e.get("from"), e.get("relationshipType")) != gone]
    else:
        package.pop({"version": "software_packageVersion", "creator": "originatedBy"}[field])
    assert field in {gap.field for gap in completeness.gaps(found)}


def test_what_only_builds_is_listed_and_not_asked_for_a_file() -> None:
    found = document("cyclonedx")
    assert any(c["scope"] == "excluded" and "SHA-512" not in json.dumps(c) for c in found["components"])


def test_the_document_shows_the_table() -> None:
    assert completeness.table() in DOCS.read_text(encoding="utf-8")

"""How much is known of packages: every way in which something can be unknown, counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stack.audit.coverage import ASPECTS, Archive, Aspect, Package, as_data, contents, coverage, of_recipes, text
from stack.catalogue import Catalogue
from stack.facts import Facts, Kind, PackageFacts, Steward

WHOLE: Mapping[str, Any] = {
    "licence": "MIT",
    "class": "osi",
    "redistribution": {"source": "allowed", "binary": "allowed"},
    "reach": {"cpu": "any"},
    "evidence": [{"url": "https://example.org/LICENSE", "date": "2026-11-21"}],
}
STEWARD = {"title": "A", "jurisdiction": "PT", "governance": "public", "contact": "https://example.org/"}


def entry(**changes: Any) -> PackageFacts:
    return PackageFacts.model_validate({**WHOLE, **changes}, strict=False)


def facts(packages: Mapping[str, PackageFacts], kind: Kind = "spack", **stewards: Any) -> Facts:
    every: dict[Kind, dict[str, PackageFacts]] = {"spack": {}, "debian": {}, "wheel": {}}
    every[kind] = dict(packages)
    return Facts(every, {name: Steward.model_validate({**STEWARD, **s}) for name, s in stewards.items()})


def lacking(of: PackageFacts) -> set[Aspect]:
    found = coverage([("spack", "a")], facts({"a": of}), ())
    return {aspect for aspect in ASPECTS if found.parts[0].lacking[aspect]}


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({}, set()),
        ({"licence": "unknown"}, {"licence"}),
        ({"class": "unknown"}, {"class"}),
        ({"redistribution": {"source": "allowed", "binary": "unknown"}}, {"redistribution"}),
        ({"redistribution": {"source": "unknown", "binary": "allowed"}}, {"redistribution"}),
        ({"redistribution": {"source": "forbidden", "binary": "conditional"}}, set()),
        ({"reach": {"cpu": "unknown"}}, {"reach"}),
        ({"reach": {"cpu": "any", "accelerator": "unknown"}}, {"reach"}),
        ({"reach": {"cpu": ("x86_64",), "accelerator": ("nvidia",)}}, set()),
        ({"evidence": []}, {"evidence"}),
        ({"evidence": [{"of": ("reach",), "url": "https://example.org/", "date": "2026-11-21"}]}, {"evidence"}),
    ],
)
def test_each_aspect_counts(changes: dict[str, Any], unknown: set[Aspect]) -> None:
    assert lacking(entry(**changes)) == unknown


def test_no_entry_lacks_everything() -> None:
    found = coverage([("spack", "a")], facts({}), ())
    assert {aspect for aspect in ASPECTS if found.parts[0].lacking[aspect] == ("a",)} == set(ASPECTS)
    assert (found.incomplete, found.whole, found.figure) == ((("spack", "a"),), False, "0 of 1 packages (0.0 %)")


def test_the_figure_is_rounded_down_and_the_kinds_are_apart() -> None:
    known = facts({str(n): entry() for n in range(1999)})
    packages: list[Package] = [("spack", str(n)) for n in range(2000)]
    found = coverage(packages, known, ())
    assert found.figure == "1999 of 2000 packages (99.9 %)"
    assert found.incomplete == (("spack", "1999"),)
    assert coverage(packages[:-1], known, ()).figure == "1999 of 1999 packages (100.0 %)"
    assert coverage([*packages, ("wheel", "1")], known, ()).incomplete == (("spack", "1999"), ("wheel", "1"))


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"class": "proprietary", "licence": "LicenseRef-x"}, True),
        ({"class": "source-available"}, True),
        ({"class": "unknown"}, True),
        ({"reach": {"cpu": "any", "accelerator": ("nvidia",)}}, True),
        ({"reach": {"cpu": "any", "accelerator": ("nvidia", "amd")}}, False),
    ],
)
def test_whose_steward_must_be_known(changes: dict[str, Any], needed: bool) -> None:
    found = coverage([("spack", "a")], facts({"a": entry(**changes)}), ())
    assert found.needed == ((("spack", "a"),) if needed else ())
    assert found.unsteered == found.needed
    assert (("spack", "a") in found.incomplete) == (needed or changes.get("class") == "unknown")


@pytest.mark.parametrize(
    ("steward", "known"),
    [({}, True), ({"jurisdiction": "unknown"}, False), ({"governance": "unknown"}, False)],
)
def test_a_steward_is_known_by_country_and_governance(steward: dict[str, str], known: bool) -> None:
    found = coverage([("spack", "a")], facts({"a": entry(steward="s")}, s=steward), {("spack", "a")})
    assert (found.unsteered == ()) == known == found.whole


def test_a_component_in_no_lock_needs_a_steward_and_is_no_package_of_theirs() -> None:
    found = coverage([], facts({}), {("wheel", "torch")})
    assert (found.packages, found.incomplete, found.whole) == (0, (), False)
    assert found.unsteered == (("wheel", "torch"),)


def deb(name: str, source: str, version: str) -> dict[str, str]:
    return {"name": name, "source": f"{source} {version}", "version": version, "filename": "f.deb", "sha256": "0"}


LOCK: dict[str, Any] = {
    "os": {"packages": [deb("libacl1", "acl", "2.3-1")]},
    "tools": {"packages": [deb("gcc-14", "gcc-14", "14.2-1")]},
    "wheels": {"files": [{"project": "Ruamel.YAML", "version": "1"}]},
    "spack": {"nodes": [{"name": "zlib", "version": "1.3"}, {"name": "zlib", "version": "1.2"}]},
    "components": [
        {"package": "gcc-14 14.2-1", "provider": "os", "spec": "gcc languages=c"},
        {"package": "ruamel_yaml 1", "provider": "wheel", "spec": ""},
        {"package": "zlib aaaa", "provider": "source", "spec": "zlib+shared"},
        {"package": "", "provider": "site", "spec": "cray-mpich@8"},
    ],
}  # fmt: skip


def test_names_are_read_from_a_lock() -> None:
    found = contents(LOCK)
    assert dict(found.packages) == {
        ("debian", "acl"): {"2.3-1"},
        ("debian", "gcc-14"): {"14.2-1"},
        ("wheel", "ruamel-yaml"): {"1"},
        ("spack", "zlib"): {"1.3", "1.2"},
    }
    assert found.components == {("debian", "gcc-14"), ("wheel", "ruamel-yaml"), ("spack", "zlib")}
    assert found.archives["acl"] == (Archive("libacl1", "f.deb", "0"),)


@pytest.mark.parametrize(
    "data", [None, [], {}, {"os": None}, {**LOCK, "spack": {"nodes": [3]}}, {**LOCK, "os": {"packages": [{}]}}]
)
def test_another_documents_data_is_refused(data: Any) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError)):
        contents(data)


def test_recipes_name_spacks_packages_and_wheels(catalogue: Catalogue) -> None:
    found = of_recipes(catalogue.recipes.values())
    assert {("spack", "openblas"), ("spack", "cray-mpich"), ("spack", "py-torch"), ("wheel", "torch")} <= found
    assert all("+" not in name and " " not in name for _, name in found)


def test_as_data_and_as_text() -> None:
    known = facts({"a": entry(), "b": entry(**{"class": "unknown"}, licence="unknown")})
    found = coverage([("spack", "a"), ("spack", "b"), ("spack", "c")], known, ())
    data = as_data(found)
    assert data["all"] == {"packages": 3, "known": 1, "figure": "1 of 3 packages (33.3 %)"}
    assert data["kinds"]["spack"]["known"] == {
        "facts": 2, "licence": 1, "class": 1, "redistribution": 2, "reach": 2, "evidence": 2,
    }  # fmt: skip
    assert data["kinds"]["spack"]["unknown"]["licence"] == ["b", "c"]
    assert data["stewards"] == {"needed": 1, "known": 0, "unknown": [["spack", "b"]]}
    assert text(found).splitlines() == [
        "          packages  facts  licence  class  redistribution  reach  evidence",
        "spack            3      2        1      1               2      2         2",
        "debian           0      0        0      0               0      0         0",
        "wheel            0      0        0      0               0      0         0",
        "all              3      2        1      1               2      2         2",
        "",
        "everything known: 1 of 3 packages (33.3 %)",
        "stewards: 0 of 1 that must be known",
        "no facts, spack: c",
        "unknown licence, spack: b",
        "unknown class, spack: b",
        "unknown steward: b (spack)",
    ]

"""Checks of meaning, beyond the documents in `tests/broken/`: what is right passes, and one place has one fault."""

from __future__ import annotations

from stack.catalogue import Catalogue
from stack.check import KINDS, Look, check_environment, check_profile, check_recipe, provided
from stack.document import Document, parse
from stack.errors import Faults
from stack.host.library import Library


def document(text: str) -> Document:
    made = parse(text, "f", Faults())
    assert made is not None
    return made


def said(check: str, text: str, catalogue: Catalogue) -> list[str]:
    faults = Faults()
    KINDS[check][1](document(text), catalogue, faults)
    return [f"{f.where.line}:{f.where.column}: {f.what}" for f in faults.found if f.where]


def test_what_ships_has_no_fault(library: Library, catalogue: Catalogue) -> None:
    for folder, check in (("profiles", check_profile), ("environments", check_environment), ("recipes", check_recipe)):
        for path in library.files(folder).values():
            faults = Faults()
            made = library.document(path, faults)
            assert made is not None
            check(made, catalogue, faults)
            assert not faults.found


def test_every_accelerator_and_microarchitecture_is_known(catalogue: Catalogue) -> None:
    for model in catalogue.hardware.accelerators:
        text = f"partitions: {{a: {{cpu: {{microarchitecture: neoverse_v2}}, accelerators: [{{model: {model}}}]}}}}"
        assert said("profile", text, catalogue) == []


def test_every_component_alone_in_its_role_is_right(catalogue: Catalogue) -> None:
    for role, names in catalogue.roles.items():
        for name in names:
            assert said("profile", f"roles: {{{role}: {name}}}", catalogue) == []


def test_a_need_is_met_by_a_role_or_by_a_component_that_fills_it(catalogue: Catalogue) -> None:
    for roles in (
        "components: {mpi4py: {}, python: {}}\nroles: [mpi]",
        "components: {mpi4py: {}, python: {}, mpich: {}}",
    ):
        assert said("environment", roles, catalogue) == []
    assert said("environment", "components: {mpi4py: {}, python: {}}", catalogue) == ["1:14: mpi4py needs 'mpi'"]


def test_a_misspelt_name_does_not_also_count_as_missing(catalogue: Catalogue) -> None:
    text = "components: {mpi4py: {}, pyhton: {}}\nroles: [mpi]"
    assert said("environment", text, catalogue) == ["1:26: unknown component 'pyhton'"]


def test_shapes_that_no_schema_takes_are_passed_over(catalogue: Catalogue) -> None:
    for kind in KINDS:
        for text in (
            "[]",
            "x",
            "1",
            "{roles: 1, components: [a], providers: {a: 1}, partitions: [x], site: ~, os: [x]}",
        ):
            said(kind, text, catalogue)


def test_one_place_has_one_fault(catalogue: Catalogue) -> None:
    faults = Faults()
    look = Look(document("a: x\n"), faults)
    look.add("first", ("a",))
    look.add("second", ("a",))
    look.add("third", ("a",), key=True)
    assert [fault.what for fault in faults.found] == ["first", "third"]


def test_patterns_reach_mappings_and_lists() -> None:
    look = Look(document("a: {x: [1, {k: u}], y: [{k: v}]}\n"), Faults())
    assert list(look.words("a", "*", "*", "k")) == [(("a", "x", 1, "k"), "u"), (("a", "y", 0, "k"), "v")]
    assert list(look.keys("a")) == [(("a", "x"), "x"), (("a", "y"), "y")]
    assert list(look.values("a", "z", "*")) == []


def test_the_same_word_in_two_lists_is_not_twice(catalogue: Catalogue) -> None:
    text = "partitions:\n  a: {features: [x, y]}\n  b: {features: [x, x]}\n"
    assert said("profile", text, catalogue) == ["3:21: 'x' is listed twice"]


def test_providers_of_a_recipe(catalogue: Catalogue) -> None:
    assert provided(catalogue.recipes["mpi4py"]) == ("source", "os", "wheel")


def test_a_default_role_must_be_filled_by_what_can(catalogue: Catalogue) -> None:
    found = said("defaults", "roles: {mpi: openblas, blsa: blis}\nproviders: [os, os]\n", catalogue)
    assert [line.partition(": ")[2] for line in found] == [
        "unknown role 'blsa'",
        "'os' is listed twice",
        "'openblas' does not fill the role mpi, it fills blas",
    ]


def test_data_files_name_what_exists(catalogue: Catalogue) -> None:
    assert said("hardware", "vendors: {a: {}}\naccelerators: {x: {vendor: b}}", catalogue) == [
        "2:28: unknown vendor 'b'"
    ]
    system = "architectures: {x86: a}\ncomponents: {nunpy: {accelerators: {nvida: {}}}}"
    assert [line.split(": ")[1] for line in said("os", system, catalogue)] == [
        "unknown component 'nunpy'",
        "unknown accelerator vendor 'nvida'",
    ]

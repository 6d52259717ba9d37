"""Files of facts: what each says alone is in `tests/broken/facts/`; here, what several say together."""

from __future__ import annotations

from stack.document import Document, parse
from stack.errors import Faults
from stack.facts_check import check_facts, check_licences, check_stewards, together

STEWARDS = "stewards: {gnu: {governance: foundation}}"


def document(text: str, name: str = "f.yaml") -> Document:
    made = parse(text, name, Faults())
    assert made is not None
    return made


def said(faults: Faults) -> list[str]:
    return [str(fault) for fault in faults.found]


def packages(kind: str, *names: str, steward: str = "gnu") -> str:
    return f"kind: {kind}\npackages:\n" + "".join(f"  {name}: {{steward: {steward}}}\n" for name in names)


def test_a_package_twice_in_one_folder() -> None:
    first, second = document(packages("spack", "a", "b"), "1.yaml"), document(packages("spack", "c", "b"), "2.yaml")
    faults = Faults()
    together([[document(STEWARDS), first, second]], faults)
    assert said(faults) == ["2.yaml:4:3: 'b' has facts in 1.yaml:4:3 too (keep one of them)"]


def test_another_kind_or_another_folder_may_have_it_too() -> None:
    one, other = document(packages("spack", "b"), "1.yaml"), document(packages("debian", "b"), "2.yaml")
    faults = Faults()
    together([[document(STEWARDS), one, other], [document(packages("spack", "b"), "mine.yaml")]], faults)
    assert said(faults) == []


def test_a_steward_may_be_in_any_folder() -> None:
    faults = Faults()
    together([[document(packages("spack", "a"))], [document(STEWARDS)]], faults)
    assert said(faults) == []
    together([[document(packages("spack", "a", steward="gnv"))], [document(STEWARDS)]], faults)
    assert said(faults) == ["f.yaml:3:16: unknown steward 'gnv' (did you mean 'gnu'?)"]


def test_names_of_licences_have_expressions() -> None:
    faults = Faults()
    check_licences(document("debian: {expat: MIT, gpl-2: GPL-2.0, other: unknown, wrong: 1}"), faults)
    assert [(fault.where.column, fault.what) for fault in faults.found if fault.where] == [
        (29, "SPDX gave up the id 'GPL-2.0', or never had it"),
        (45, "a name that says nothing"),
    ]


def test_shapes_that_the_schema_refuses_are_passed_over() -> None:
    faults = Faults()
    packages = ("1", "{a: 1}", "{1: {licence: 2}}", "{a: {licence: [1]}}", "{a: {evidence: [1, {date: 3}]}}")
    texts = ("a", "[1]", "debian: [a]", "stewards: []", *(f"packages: {found}" for found in packages))
    for text in texts:
        for check in (check_facts, check_stewards, check_licences):
            check(document(text), faults)
        together([[document(text)]], faults)
    assert said(faults) == []


def test_one_fault_is_enough_for_one_place() -> None:
    made = document("packages: {a: {licence: 'MIT; x', class: osi}}")
    faults = Faults()
    faults.add("told by the schema", made.at(("packages", "a", "licence")))
    check_facts(made, faults)
    assert [fault.what for fault in faults.found] == ["told by the schema"]

"""Who answers for an SBOM, and what names it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stack.audit.document import author, identity, text
from stack.errors import StackError
from tests.audit.locks import build, design, released_inventory


@pytest.mark.parametrize(
    ("text", "name", "contact"),
    [
        ("Example HPC <sbom@example.org>", "Example HPC", "sbom@example.org"),
        (" CSC - IT Center <https://csc.example/contact> ", "CSC - IT Center", "https://csc.example/contact"),
    ],
)
def test_an_author_is_a_name_with_a_way_to_reach_it(text: str, name: str, contact: str) -> None:
    made = author(text)
    assert (made.name, made.contact) == (name, contact)
    assert made.is_mail == ("@" in contact)


@pytest.mark.parametrize(
    "text", ["", "sovstack", "X <>", "X <nobody>", "X <a@b>", "<a@b.eu>", "X\x1b[1m <a@b.eu>", "X <ftp://b>"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(StackError, match=r"^THERE: .*names no author"):
        author(text, "THERE")


def test_an_identity_is_a_uuid_and_changes_with_what_is_said() -> None:
    found, about = released_inventory("numerics/jsc-jupiter/*v2"), design()
    said = {
        identity(found, about),
        identity(found, about),
        identity(found, build(found)),
        identity(found, replace(about, author=None)),
        identity(found, replace(about, epoch=1)),
        identity(released_inventory("numerics/generic-riscv/*"), about),
    }
    assert len(said) == 5
    assert all([len(part) for part in each.split("-")] == [8, 4, 4, 4, 12] and each[14] == "8" for each in said)


def test_a_document_is_json_with_a_line_for_each_member_of_its_lists() -> None:
    value = {"b": [{"z": 1, "a": "ä"}, {}], "a": {"x": [1, 2]}, "c": []}
    written = text(value)
    assert json.loads(written) == value
    assert written.splitlines()[:4] == ["{", '"a": {"x": [1, 2]},', '"b": [', '{"a": "ä", "z": 1},']
    assert text(dict(reversed(value.items()))) == written

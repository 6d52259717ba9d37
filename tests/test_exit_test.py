"""The record of an exit test, and the data that it needs."""

from __future__ import annotations

import json

import pytest

from stack import exit_test
from stack.artifact import canonical_json
from stack.errors import Faults, StackError
from stack.exit_test import Differences, ExitRecord, Exits, Side
from stack.facts import Facts
from stack.host.library import PACKAGE, Library

BEFORE = Side(
    profile="here", partition="gpu", target="debian13-x86_64_v3-sm90", accelerator="NVIDIA H100", lock="0" * 64
)
AFTER = Side(profile="here", partition="cpu", target="debian13-x86_64_v3", lock="1" * 64)
RECORD = ExitRecord(
    schema=1,  # type: ignore[call-arg]
    environment="ai-hpc",
    forbidden="nvidia",
    title="NVIDIA",
    result="moves",
    before=BEFORE,
    after=AFTER,
    anew=False,
    built=False,
    date="2026-11-21T17:00:00Z",
    key="2" * 64,
)


def text(**changed: object) -> str:
    return canonical_json({**RECORD.model_dump(mode="json", by_alias=True), **changed})


def test_a_record_is_read_as_it_was_written() -> None:
    assert exit_test.parse(text(), "x.json") == RECORD
    assert RECORD.exists and not RECORD.model_copy(update={"after": None}).exists
    assert BEFORE.place == "here/debian13-x86_64_v3-sm90"
    assert json.loads(text())["schema"] == 1


@pytest.mark.parametrize(
    "bad",
    ["", "[]", "{}", text()[:-20], text(schema=2), text(result="perhaps"), text(date="today"), text(more=1),
     text(title="a\x1b[31mb")],
)  # fmt: skip
def test_anything_else_is_an_error_that_names_the_file_and_the_remedy(bad: str) -> None:
    with pytest.raises(StackError, match=r"x\.json: no record of an exit test.*run sovstack exit-test again"):
        exit_test.parse(bad, "x.json")


def test_what_a_program_said_becomes_one_line() -> None:
    assert exit_test.line("a\x1b[31m red\n  \x07b") == "a red �b"
    assert len(exit_test.line("x" * 600)) == 500 and exit_test.line(" \n") == "?"
    assert Differences().components == ()


@pytest.fixture(scope="module")
def shipped_exits(library: Library) -> Exits:
    faults = Faults()
    found = library.load(PACKAGE / "data/exits.yaml", Exits, faults)
    assert found and not faults.found
    return found[1]


def test_every_scheduler_of_a_profile_has_a_steward_that_is_known(shipped_exits: Exits, library: Library) -> None:
    kinds = {library.profile(n)[1].scheduler.kind for n in library.files("profiles")} - {"local"}
    assert kinds <= set(shipped_exits.schedulers)
    facts: Facts = library.facts
    assert {s.steward for s in shipped_exits.schedulers.values()} <= set(facts.stewards)


def test_work_is_named_once_and_shared_by_two_at_least(shipped_exits: Exits) -> None:
    works = [c.work for c in shipped_exits.counterparts]
    assert len(works) == len(set(works))
    for group in shipped_exits.counterparts:
        assert len(set(group.packages)) == len(group.packages) >= 2

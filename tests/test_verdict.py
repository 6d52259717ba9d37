"""Numbers of the identity card as checks print them: read, or refused in words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack import verdict as verdicts
from stack.verdict import MAX_NUMBERS, Number, Point
from tests import cards as samples


def line(name: str = "gemm_fp64", **given: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "sovstack": "number", "name": name, "precision": "fp64", "kind": "bounded", "inputs": "a" * 64,
        "said": "A B, 192 x 192, seed 2", "digest": "b" * 64, "count": 9, "ratio": 0.3, "basis": "gamma_k",
        "points": [["3,5", "0x1.8p+3", "0x1.0p-40"]],
    }  # fmt: skip
    return {**usual, **given}


def test_a_line_of_the_protocol_is_a_number() -> None:
    found, switches, wrong = verdicts.numbers([line(), {"sovstack": "switch", "name": "EMULATE", "value": "1"}])
    assert (switches, wrong) == ({"EMULATE": "1"}, ())
    assert found[0].points == (Point(where="3,5", value="0x1.8p+3", bound="0x1.0p-40"),)
    assert (found[0].name, found[0].ratio, found[0].ok) == ("gemm_fp64", 0.3, True)


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -math.pi, 5e-324, 1.7976931348623157e308, math.inf, -math.inf])
def test_every_float_goes_through_as_its_bits(value: float) -> None:
    found, _switches, wrong = verdicts.numbers([line(points=[["0", value.hex(), (0.0).hex()]])])
    assert not wrong
    assert float.fromhex(found[0].points[0].value).hex() == value.hex()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (3, "is no mapping"),
        (None, "is no mapping"),
        ({}, "cannot be read: name"),
        (line(digest="x"), "the number gemm_fp64 cannot be read: digest"),
        (line(points=[["1", 1.5, "0x1p+0"]]), "points.0.value"),
        (line(points=[["1", "0x1p+0", "nan"]]), "the bound is no finite number"),
        (line(points=["x"] * 65), "points"),
        (line(frob=1), "frob"),
        ({"sovstack": "switch", "name": "a b", "value": 1}, "the switch a b has no name"),
        ({"sovstack": "switch"}, None),
    ],
)
def test_what_is_no_number_is_a_fault_in_words(message: Any, said: str | None) -> None:
    found, _switches, wrong = verdicts.numbers([line("good"), message])
    assert [number.name for number in found] == ["good"]
    assert (said is None) == (not wrong)
    assert said is None or said in wrong[0]


def test_a_name_stands_once_and_there_is_an_end() -> None:
    assert verdicts.numbers([line(), line()])[2] == ("the number gemm_fp64 was printed twice",)
    found, _switches, wrong = verdicts.numbers([line(f"n{i}") for i in range(MAX_NUMBERS + 1)])
    assert len(found) == MAX_NUMBERS
    assert "at most" in wrong[0]


@pytest.mark.parametrize("messages", [3, "abc", {"a": 1}])
def test_what_is_no_list_is_one_fault(messages: Any) -> None:
    assert verdicts.numbers(messages) == ((), {}, ("the numbers of the identity card are no list",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(line(), JSON)), max_size=4))
def test_nothing_that_a_foreign_suite_prints_is_a_crash(messages: Any) -> None:
    found, _switches, wrong = verdicts.numbers(messages)
    assert len(found) + len(wrong) >= sum(not isinstance(m, dict) for m in messages)
    assert all("\x1b" not in text and "\n" not in text for text in wrong)


@pytest.mark.parametrize(
    ("ratio", "ok"), [(None, True), (0.0, True), (1.0, True), (1.0000001, False), (math.nan, False)]
)
def test_a_number_is_within_its_own_bound(ratio: float | None, ok: bool) -> None:
    assert samples.bounded(ratio=ratio).ok is ok


def test_a_number_reads_back() -> None:
    made = samples.bounded(ratio=math.inf)
    assert Number.model_validate_json(made.model_dump_json()) == made

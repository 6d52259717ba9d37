"""Numbers as a person reads them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack import quantity


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (7.0, "7"), (-3, "-3"), (4032, "4,032"), (9_999_999, "9,999,999"), (731_000_000, "7.31e8"),
        (0.01664, "0.01664"), (0.5, "0.5"), (71.3825, "71.38"), (12345.678, "12,346"), (0.00012345, "1.234e-4"),
        (1.84e-5, "1.84e-5"), (5e-324, "4.941e-324"), (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "-∞"),
    ],
)  # fmt: skip
def test_number(value: float, shown: str) -> None:
    assert quantity.number(value) == shown


def test_a_value_just_beyond_its_bound_does_not_look_equal() -> None:
    assert quantity.pair(1.0000001, 1.0) == ("1.0000001", "1")
    assert quantity.pair(0.25, 0.5) == ("0.25", "0.5")
    assert quantity.pair(1.0, 1.0) == ("1", "1")


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_different_numbers_look_different(value: float, bound: float) -> None:
    shown = quantity.pair(value, bound)
    assert (shown[0] == shown[1]) == (value == bound)


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_a_number_reads_back_within_its_digits(value: float) -> None:
    assert float(quantity.number(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "bound", "ratio"),
    [(1, 4, 0.25), (0, 0, 0.0), (3, 0, None), (1, None, None), (math.nan, 1, None), (math.inf, 1, None), (-1, -2, None),
     (1e308, 1e-308, None)],
)  # fmt: skip
def test_ratio(value: float, bound: float | None, ratio: float | None) -> None:
    assert quantity.ratio(value, bound) == ratio


@pytest.mark.parametrize(
    ("octets", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (396_820_480, "397 MB"), (2.5e12, "2.5 TB")]
)
def test_size(octets: float, shown: str) -> None:
    assert quantity.size(octets) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 ms"), (0.0421, "42 ms"), (0.9999, "1.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (204, "3 min 24 s"),
     (3599.7, "1 h 00 min"), (7380, "2 h 03 min"), (math.nan, "NaN s")],
)  # fmt: skip
def test_duration(seconds: float, shown: str) -> None:
    assert quantity.duration(seconds) == shown

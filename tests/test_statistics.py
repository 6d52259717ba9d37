"""The exact Mann-Whitney test against brute force and the printed tables; Holm against a worked example."""

from __future__ import annotations

import itertools
import math
import statistics as reference
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stack import statistics
from stack.statistics import Shift, enough, holm, least_p, mann_whitney, median, quantile

# Largest U that is significant, one-sided, for two samples of n: Mann and Whitney's table, as textbooks print it.
CRITICAL = {
    0.05: {5: 4, 6: 7, 7: 11, 8: 15, 9: 21, 10: 27},
    0.025: {5: 2, 6: 5, 7: 8, 8: 13, 9: 17, 10: 23},
    0.01: {5: 1, 6: 3, 7: 6, 8: 9, 9: 14, 10: 19},
}


def samples(n: int, u: int) -> tuple[list[float], list[float]]:
    """Two samples of n without ties, in which the second is the larger in u of the pairs."""
    full, part = divmod(u, n)
    second = [n + i + 0.5 for i in range(full)] + ([part + 0.5] if part else [])
    second += [i / 1000 for i in range(n - len(second))]
    return [float(i + 1) for i in range(n)], second


def brute(before: list[float], now: list[float]) -> Shift:
    """The same by going through every way to deal the values, and every pair."""

    def u(first: list[float], second: list[float]) -> Fraction:
        return sum((Fraction((b > a) * 2 + (b == a), 2) for a in first for b in second), Fraction(0))

    pool, seen = [*before, *now], u(before, now)
    dealt = []
    for chosen in itertools.combinations(range(len(pool)), len(now)):
        second = [pool[i] for i in chosen]
        dealt.append(u([v for i, v in enumerate(pool) if i not in chosen], second))
    share = [Fraction(sum(test), len(dealt)) for test in ([d >= seen for d in dealt], [d <= seen for d in dealt])]
    return Shift(seen, share[0], share[1])


@pytest.mark.parametrize("level", CRITICAL)
@pytest.mark.parametrize("n", range(5, 11))
def test_the_printed_tables_are_met(level: float, n: int) -> None:
    critical = CRITICAL[level][n]
    for u, significant in ((critical, True), (critical + 1, False)):
        found = mann_whitney(*samples(n, u))
        assert found.u == u
        assert (found.lower <= level) is significant


def test_the_smallest_case_by_hand() -> None:
    assert mann_whitney([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]) == Shift(Fraction(9), Fraction(1, 20), Fraction(1))
    assert mann_whitney([1.0, 3.0], [2.0, 4.0]) == Shift(Fraction(3), Fraction(2, 6), Fraction(5, 6))
    assert mann_whitney([7.0] * 4, [7.0] * 3) == Shift(Fraction(6), Fraction(1), Fraction(1))


few = st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0, 1e300, math.inf, -math.inf]), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(few, few)
def test_ties_are_as_brute_force_has_them(before: list[float], now: list[float]) -> None:
    assert mann_whitney(before, now) == brute(before, now)


@given(few, few)
def test_the_other_way_round_is_the_mirror(before: list[float], now: list[float]) -> None:
    one, other = mann_whitney(before, now), mann_whitney(now, before)
    assert (one.higher, one.lower) == (other.lower, other.higher)
    assert one.u + other.u == len(before) * len(now)


def test_the_largest_samples_are_still_exact() -> None:
    most = statistics.MOST
    found = mann_whitney([float(i) for i in range(most)], [float(most + i) for i in range(most)])
    assert found.higher == least_p(most, most) == Fraction(1, math.comb(2 * most, most))
    assert found.lower == 1


@pytest.mark.parametrize(("before", "now"), [([], [1.0]), ([1.0], []), ([1.0], [math.nan]), ([1.0] * 61, [1.0])])
def test_what_cannot_be_tested_is_refused(before: list[float], now: list[float]) -> None:
    with pytest.raises(ValueError, match=r"values|rank"):
        mann_whitney(before, now)


def test_how_many_are_enough() -> None:
    assert enough(0.05) == 3  # 1 of 20
    assert enough(0.0499) == 4
    assert enough(0.01) == 5  # 1 of 252; of 4 and 4 it is 1 of 70
    assert enough(0.0) == statistics.MOST


def test_holm_as_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_steps_reject(ps: list[float]) -> None:
    level, rejected = 0.05, set()
    for step, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        if (len(ps) - step) * ps[i] > level:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(ps)) if p <= level} == rejected


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=9))
def test_medians_and_quartiles_are_the_usual_ones(values: list[float]) -> None:
    assert median(values) == pytest.approx(reference.median(values), abs=1e-6)
    quarters = reference.quantiles(values, n=4, method="inclusive")
    assert [quantile(values, q) for q in (0.25, 0.5, 0.75)] == pytest.approx(quarters, abs=1e-6)


def test_a_median_of_infinities_is_infinite() -> None:
    assert median([math.inf, math.inf, 1.0]) == math.inf
    assert median([2.0]) == 2.0

"""Ring 0. What can be said of few measurements: medians, the exact Mann-Whitney test, and many tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

MOST = 60  # of each of two samples: the exact distribution of more takes long, and says hardly more


@dataclass(frozen=True)
class Shift:
    """A second sample against a first. `u`: pairs in which the second is larger, ties as one half.

    `higher` and `lower` are one-sided: how likely a sample at least that high (low) is when both are of one kind.
    """

    u: Fraction
    higher: Fraction
    lower: Fraction


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the sample lies, on a straight line between neighbours."""
    found = sorted(values)
    place = share * (len(found) - 1)
    low = math.floor(place)
    high = min(low + 1, len(found) - 1)
    if found[low] == found[high]:  # also where both are infinite
        return found[low]
    return found[low] + (place - low) * (found[high] - found[low])


def mann_whitney(before: Sequence[float], now: Sequence[float]) -> Shift:
    """The exact test, given the ties: every way to deal the pooled values to the two samples is as likely.

    Raises ValueError for an empty sample, one of more than `MOST` values, and not-a-number.
    """
    if not (0 < len(before) <= MOST and 0 < len(now) <= MOST):
        raise ValueError(f"each sample has 1 to {MOST} values")
    doubled = _doubled_midranks([*before, *now])
    count, observed = len(now), sum(doubled[len(before) :])
    at_least, exactly = _ways(doubled, count, observed)
    total = math.comb(len(doubled), count)
    u = Fraction(observed - count * (count + 1), 2)
    return Shift(u, Fraction(at_least, total), Fraction(total - at_least + exactly, total))


def _doubled_midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, where equal values share the mean of their ranks: always whole numbers."""
    if any(math.isnan(v) for v in values):
        raise ValueError("not a number has no rank")
    ranks, order, first = [0] * len(values), sorted(range(len(values)), key=lambda i: values[i]), 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for i in order[first : last + 1]:
            ranks[i] = first + last + 2
        first = last + 1
    return ranks


def _ways(weights: Sequence[int], count: int, observed: int) -> tuple[int, int]:
    """How many choices of `count` weights sum to at least, and to exactly, what was observed.

    For each number of weights chosen, one whole number holds the ways for every sum, as digits to the base 2^width.
    """
    width = len(weights) + 1  # no digit and no sum of digits reaches the base less one: there are below 2^n choices
    ways = [1] + [0] * count
    for weight in weights:
        for chosen in range(count, 0, -1):
            ways[chosen] += ways[chosen - 1] << (weight * width)
    rest, base = ways[count] >> (observed * width), 1 << width
    return rest % (base - 1), rest % base  # the sum of the digits, and the lowest


def least_p(before: int, now: int) -> Fraction:
    """The smallest p that samples of these sizes can have, one-sided and without ties."""
    return Fraction(1, math.comb(before + now, now))


def enough(level: float) -> int:
    """How many values each of two equal samples must have for `least_p` to reach a level; capped at `MOST`."""
    return next((n for n in range(1, MOST) if least_p(n, n) <= level), MOST)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values: rejecting those up to a level rejects a true hypothesis no more often than that, in all."""
    adjusted, least = [0.0] * len(ps), 0.0
    for passed, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        least = max(least, min(1.0, (len(ps) - passed) * ps[i]))
        adjusted[i] = least
    return adjusted

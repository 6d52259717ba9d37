"""Ring 4. Where the numbers of several machines differ, and whether that is within the bounds.

An exact number has the same bits everywhere. A bounded one is within its bound of the truth on each machine, so the
entries of two machines differ by at most the sum of both bounds. Sums and differences are taken exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal

from stack import card as cards
from stack import card_parts
from stack.card import Card, Entry
from stack.verdict import Point

State = Literal["identical", "within", "not comparable", "only in one", "beyond"]
STATES: tuple[State, ...] = ("identical", "within", "not comparable", "only in one", "beyond")
"""From the best to the worst."""
_ALIKE = {"kind": "kind", "precision": "precision", "count": "number of values"}
DIGITS = 12  # of a digest, that tell it from others


@dataclass(frozen=True)
class Spot:
    """One entry of a result on two machines. `share`: difference / allowed; None where that is no number."""

    where: str
    a: float
    b: float
    difference: float
    allowed: float
    share: float | None


@dataclass(frozen=True)
class Pair:
    """One number on two machines. `share`: the largest of all entries that both recorded.

    `spots`: of those the ones that are beyond, or of a number within its bounds that differ; `region`: which of all
    values differ, in words, as far as both cards say it.
    """

    a: Entry | None
    b: Entry | None
    state: State
    why: str = ""
    share: float | None = None
    compared: int = 0
    spots: tuple[Spot, ...] = ()
    region: str = ""

    @property
    def number(self) -> Entry:
        """What is said of it, by one that has it."""
        found = self.a or self.b
        assert found  # noqa: S101 - a pair has a side
        return found


@dataclass(frozen=True)
class Difference:
    """All numbers of two cards, in the order of their names."""

    a: Card
    b: Card
    names: tuple[str, str]
    pairs: tuple[Pair, ...]

    @property
    def ok(self) -> bool:
        """Every number is on both, and has the same bits or is within its bounds."""
        return all(pair.state in ("identical", "within") for pair in self.pairs)


@dataclass(frozen=True)
class Row:
    """One number on all machines. `groups`: machines with the same bits have the same letter; "" where it is missing.

    `state` is the worst of any two machines; `why`, `spots`, `region` and how many entries were `compared` are those of
    the two that are named in `between`.
    """

    number: Entry
    state: State
    entries: tuple[Entry | None, ...]
    groups: tuple[str, ...]
    share: float | None
    why: str = ""
    spots: tuple[Spot, ...] = ()
    between: tuple[int, int] = (0, 1)
    region: str = ""
    compared: int = 0


@dataclass(frozen=True)
class Comparison:
    """Several cards side by side."""

    cards: tuple[Card, ...]
    names: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Every number is on all of them, and has the same bits or is within its bounds; and there is one."""
        return bool(self.rows) and all(row.state in ("identical", "within") for row in self.rows)

    @property
    def counts(self) -> Mapping[State, int]:
        """How many numbers have each state."""
        found = [row.state for row in self.rows]
        return {state: found.count(state) for state in STATES}


def difference(a: Card, b: Card, names: tuple[str, str] = ("A", "B")) -> Difference:
    """Every number of two cards: the same bits, within the bounds, beyond, not comparable, or only in one."""
    first, second = ({entry.key: entry for entry in card.numbers} for card in (a, b))
    keys = sorted({*first, *second})
    pairs = (_pair(first.get(key), second.get(key), (a, b), names) for key in keys)
    return Difference(a, b, names, tuple(pairs))


def compare(found: Sequence[Card], names: Sequence[str] = ()) -> Comparison:
    """Several cards, two by two. Machines are called what they are, or by `names`."""
    called = tuple(names) or labels(found)
    between = {
        (i, j): {pair.number.key: pair for pair in difference(a, b, (called[i], called[j])).pairs}
        for (i, a), (j, b) in combinations(enumerate(found), 2)
    }
    by_key = [{entry.key: entry for entry in card.numbers} for card in found]
    keys = sorted({key for entries in by_key for key in entries})
    rows = (_row(tuple(entries.get(key) for entries in by_key), _of(between, key)) for key in keys)
    return Comparison(tuple(found), called, tuple(rows))


def _of(between: Mapping[tuple[int, int], Mapping[Any, Pair]], key: tuple[str, str]) -> Mapping[tuple[int, int], Pair]:
    return {place: pairs[key] for place, pairs in between.items() if key in pairs}


def labels(found: Sequence[Card], places: Sequence[str] = ()) -> tuple[str, ...]:
    """What each machine is called: its family, or more of it where two would be called the same.

    `places`: where the cards come from, which tells apart those of one machine and one cell.
    """
    for name in (_family, cards.machine, lambda card: f"{cards.machine(card)}, {card.cell}"):
        made = tuple(map(name, found))
        if len(set(made)) == len(made):
            return made
    apart = places if len({*places}) == len(found) else [str(i + 1) for i in range(len(found))]
    return tuple(f"{cards.machine(card)} ({place})" for card, place in zip(found, apart, strict=True))


def _family(card: Card) -> str:
    return card.machine.family if card.machine else "machine not told"


def letter(index: int) -> str:
    """A, B ... Z, then AA."""
    return (letter(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


# --- two machines ---


def _pair(a: Entry | None, b: Entry | None, both: tuple[Card, Card], names: tuple[str, str]) -> Pair:
    if a is None or b is None:
        return Pair(a, b, "only in one", _missing(a or b, both, names, 1 if b is None else 0))
    if why := _incomparable(a, b):
        return Pair(a, b, "not comparable", why)
    spots = tuple(_spots(a, b))
    apart, region = tuple(spot for spot in spots if _differs(spot)), card_parts.region(a, b)
    if a.digest == b.digest:
        if apart or region:
            why = "the digests are the same and entries are not: one of the cards is not what a check printed"
            return Pair(a, b, "beyond", why, compared=len(spots), spots=_worst(apart))
        return Pair(a, b, "identical", compared=len(spots))
    if a.kind == "exact":
        where = f"; {region}" if region else "" if apart else f"; {card_parts.unseen(len(spots))}"
        why = f"it is exact, and the bits differ: {a.digest[:DIGITS]} and {b.digest[:DIGITS]}{where}"
        return Pair(a, b, "beyond", why, compared=len(spots), spots=_worst(apart), region=region)
    return replace(_bounded(a, b, spots, names), region=region)


def _missing(entry: Entry | None, both: tuple[Card, Card], names: tuple[str, str], lacking: int) -> str:
    """Why a card lacks a number, as far as it says so."""
    assert entry  # noqa: S101 - a pair has a side
    result = both[lacking].results.get(entry.check)
    words = {None: "did not run", "skip": "was skipped", "fail": "failed", "pass": "passed without it"}
    return f"{names[lacking]} lacks it: {entry.check} {words[result]} there"


def _incomparable(a: Entry, b: Entry) -> str:
    """Why two numbers of one name are not of the same computation; empty where they are."""
    if a.inputs != b.inputs:
        return f"the inputs differ: {a.inputs[:DIGITS]} and {b.inputs[:DIGITS]}"
    for field, words in _ALIKE.items():
        if getattr(a, field) != getattr(b, field):
            return f"the {words} differs: {getattr(a, field)} and {getattr(b, field)}"
    return "what was computed is described in other words, as by another suite" if a.said != b.said else ""


def _bounded(a: Entry, b: Entry, spots: Sequence[Spot], names: tuple[str, str]) -> Pair:
    """Of a bounded number whose bits differ."""
    shares = [math.inf if spot.share is None else spot.share for spot in spots]
    share = max(shares, default=None)
    beyond = tuple(s for s in spots if s.share is None or s.share > 1)
    if out := [name for name, entry in zip(names, (a, b), strict=True) if not entry.ok]:
        why = f"beyond its own bound on {' and '.join(out)}"
    elif beyond:
        why = f"{len(beyond)} of {len(spots)} recorded entries differ by more than both bounds together"
    elif not spots:
        return Pair(a, b, "not comparable", f"the bits differ, and {card_parts.unseen(0)}")
    else:
        apart = (spot for spot in spots if _differs(spot))
        return Pair(a, b, "within", share=share, compared=len(spots), spots=_worst(apart))
    return Pair(a, b, "beyond", why, share, len(spots), _worst(beyond))


def _spots(a: Entry, b: Entry) -> Iterator[Spot]:
    """Every entry that both recorded."""
    other = {point.where: point for point in b.points}
    yield from (_spot(point, other[point.where], a.kind) for point in a.points if point.where in other)


def _spot(a: Point, b: Point, kind: str) -> Spot:
    x, y = float.fromhex(a.value), float.fromhex(b.value)
    allowed = Fraction(0)
    if kind == "bounded":
        allowed = sum((Fraction(float.fromhex(p.bound)) for p in (a, b)), Fraction(0))
    if x.hex() == y.hex() and not math.isnan(x):
        return Spot(a.where, x, y, 0.0, _number(allowed), 0.0)
    if not (math.isfinite(x) and math.isfinite(y)):
        return Spot(a.where, x, y, math.nan if math.isnan(x) or math.isnan(y) else math.inf, _number(allowed), None)
    apart = abs(Fraction(x) - Fraction(y))
    share = _share(apart, allowed)
    return Spot(a.where, x, y, _number(apart), _number(allowed), share)


def _share(apart: Fraction, allowed: Fraction) -> float | None:
    """The quotient, which is above 1 exactly where the difference is more than what is allowed."""
    if apart <= allowed:
        return min(_number(apart / allowed), 1.0) if allowed else 0.0
    return max(_number(apart / allowed), math.nextafter(1, 2)) if allowed else None


def _number(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _differs(spot: Spot) -> bool:
    """Whether the bits differ."""
    return spot.a.hex() != spot.b.hex()


def _worst(spots: Iterable[Spot]) -> tuple[Spot, ...]:
    """By what they are of what is allowed; where nothing is, by how far they are apart."""

    def rank(spot: Spot) -> tuple[float, float, str]:
        share = math.inf if spot.share is None else spot.share
        apart = math.inf if math.isnan(spot.difference) else spot.difference
        return -share, -apart, spot.where

    return tuple(sorted(spots, key=rank))


# --- many machines ---


def _row(entries: tuple[Entry | None, ...], between: Mapping[tuple[int, int], Pair]) -> Row:
    number = next(entry for entry in entries if entry)
    shares = [pair.share for pair in between.values() if pair.share is not None]
    share = max(shares, default=None)
    if not between:  # one machine alone
        return Row(number, "identical", entries, _groups(entries), None)
    # The first two machines of those that are furthest apart.
    place = max(between, key=lambda p: (STATES.index(between[p].state), between[p].share or 0, [-i for i in p]))
    worst, why = between[place], between[place].why
    if worst.state == "only in one":  # every machine that lacks it is told
        why = "; ".join(dict.fromkeys(pair.why for pair in between.values() if pair.state == worst.state))
    return Row(
        number, worst.state, entries, _groups(entries), share, why, worst.spots, place, worst.region, worst.compared
    )


def _groups(entries: Sequence[Entry | None]) -> tuple[str, ...]:
    """Letters of the bits, in the order in which they are met; results for other inputs are other bits."""
    met = list(dict.fromkeys((e.inputs, e.digest) for e in entries if e))
    return tuple(letter(met.index((e.inputs, e.digest))) if e else "" for e in entries)

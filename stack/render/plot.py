"""Ring 4. One number over time as a small line plot: SVG that stands in a page, without a script, with words beside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from stack import quantity
from stack.render import html

LEFT, RIGHT, TOP, BOTTOM = 78, 626, 32, 156
MOST = 1e300
_ROOM = 0.1  # of the middle value: noise of a percent is not to look like a cliff
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Dot:
    """One session: its moment, the median and the quartiles, and what was changed since the one before."""

    date: str
    middle: float
    low: float
    high: float
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plot:
    """One number over time, oldest first; `name` is unique in the page. All numbers are finite."""

    name: str
    title: str
    unit: str
    said: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Tick:
    """A line across, and the number that it stands for."""

    y: str
    label: str


@dataclass(frozen=True)
class Drawn:
    """A dot in the picture: its place, its spread, and whether something was changed there."""

    x: str
    y: str
    top: str
    bottom: str
    changed: str
    date: str


@dataclass(frozen=True)
class Shape:
    """A plot as coordinates, with the words beside it: what the template draws."""

    name: str
    title: str
    said: str
    unit: str
    first: str
    last: str
    ticks: tuple[Tick, ...] = ()
    dots: tuple[Drawn, ...] = ()
    lines: tuple[str, ...] = field(default=(), metadata={"what": "points of one unbroken line each"})


def svg(plot: Plot) -> str:
    """The picture alone."""
    return html.template("plot.svg.j2").render(plot=shape(plot))


def shape(plot: Plot) -> Shape:
    """Where everything stands; raises ValueError for a number that has no place."""
    dots = plot.dots
    if not all(abs(v) <= MOST for d in dots for v in (d.middle, d.low, d.high)):
        raise ValueError(f"{plot.name} has a number beyond every scale")
    if not dots:
        return Shape(plot.name, plot.title, plot.said, plot.unit, "", "")
    ticks = _ticks(*_span(dots))
    low, high = ticks[0], ticks[-1]
    places = [(_x(i, len(dots)), _y(d.middle, low, high)) for i, d in enumerate(dots)]
    drawn = [
        Drawn(_at(x), _at(y), _at(_y(d.high, low, high)), _at(_y(d.low, low, high)), ", ".join(d.changed), d.date)
        for d, (x, y) in zip(dots, places, strict=True)
    ]
    labels = tuple(Tick(_at(_y(t, low, high)), quantity.number(t)) for t in ticks)
    return Shape(plot.name, plot.title, plot.said, plot.unit, dots[0].date, dots[-1].date,
                 labels, tuple(drawn), tuple(_lines(dots, places)))  # fmt: skip


def _lines(dots: Sequence[Dot], places: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The line is broken where something was changed."""
    starts = [i for i, d in enumerate(dots) if i and d.changed]
    for first, end in pairwise([0, *starts, len(dots)]):
        if end - first > 1:
            yield " ".join(f"{_at(x)},{_at(y)}" for x, y in places[first:end])


def _span(dots: Sequence[Dot]) -> tuple[float, float]:
    """From the lowest to the highest, and not so near that nothing looks like something."""
    low, high = min(min(d.low, d.middle) for d in dots), max(max(d.high, d.middle) for d in dots)
    middles = sorted(d.middle for d in dots)
    room = _ROOM * abs(middles[len(middles) // 2]) or 1.0
    return min(low, middles[0] - room), max(high, middles[-1] + room)


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from below the lowest to above the highest."""
    size = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next(s * size for s in _STEPS if math.ceil(high / (s * size)) - math.floor(low / (s * size)) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, last + 1)]


def _x(place: int, count: int) -> float:
    """Sessions stand side by side, however long it was between them."""
    return (LEFT + RIGHT) / 2 if count == 1 else LEFT + 10 + (RIGHT - LEFT - 20) * place / (count - 1)


def _y(value: float, low: float, high: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)


def _at(value: float) -> str:
    return f"{value:.1f}"

"""Ring 4. Two times the same measurements -> what became slower, and what may be noise; tested, never guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import Field

from stack import statistics
from stack.document import read
from stack.errors import Faults
from stack.history import Series, Session, unlike
from stack.verify import Thresholds
from stack.words import Line, Model

RULE = "comparison.yaml"
Better = Literal["higher", "lower"]
Said = Literal["slower", "faster", "same", "cannot tell", "not judged", "not comparable"]
Directions = Mapping[tuple[str, str], Better]
_MEANT = 3  # values from which on the median of a session says something of the session
_UNDER = "under emulation, not judged"


class Rule(Model):
    """`reframe_tests/comparison.yaml`: when a difference is a regression."""

    schema_version: Literal[1] = Field(alias="schema")
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    least_change: Annotated[float, Field(ge=0, lt=1)]
    origin: Line


@dataclass(frozen=True)
class Sample:
    """One number on one side: how often it was measured, its median and quartiles; `lost`: repeats without it."""

    n: int
    median: float | None
    low: float | None
    high: float | None
    lost: int


@dataclass(frozen=True)
class Outcome:
    """One number, before and now. `change`: of the median, as a share; `p`: one-sided, adjusted for all numbers."""

    check: str
    title: str
    metric: str
    unit: str
    better: Better
    before: Sample
    now: Sample
    change: float | None
    least_change: float
    p: float | None
    said: Said
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """All numbers of two sides. `unlike`: why they cannot be compared; `judged`: whether a regression counts."""

    before: tuple[Session, ...]
    now: Session
    rule: Rule
    unlike: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def judged(self) -> bool:
        """Speed under an emulator says nothing of the software."""
        return not self.now.emulator and not any(s.emulator for s in self.before)

    @property
    def regressions(self) -> tuple[Outcome, ...]:
        """What was proven to be slower."""
        return tuple(o for o in self.outcomes if o.said == "slower")


def directions(limits: Thresholds) -> Directions:
    """What is compared: the numbers of the suite for which it is said whether higher or lower is better."""
    return {(check, metric): limit.better for check, entry in limits.checks.items()
            for metric, limit in entry.metrics.items() if limit.better}  # fmt: skip


def measuring(limits: Thresholds, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the checks that measure speed."""
    found = {check for check, _metric in directions(limits)}
    return tuple(name for name in names if name in found)


def rule(text: str, name: str = RULE) -> Rule:
    """The rule of a suite; raises `StackError` with every fault of the file."""
    faults = Faults()
    made = read(text, name, Rule, faults)
    faults.raise_if_any()
    assert made  # noqa: S101 - no faults
    return made[1]


def compare(
    before: Sequence[Session], now: Session, earlier: Sequence[Session], directions: Directions, by: Rule
) -> Comparison:
    """Every number with a direction. `earlier`: all sessions before, which show how far one image's numbers wander."""
    why = tuple(dict.fromkeys(w for s in before for w in unlike(s, now)))
    pairs = [(key, _pooled(before, key), _pooled([now], key)) for key in _keys([*before, now], directions)]
    made = Comparison(tuple(before), now, by, why, ())
    if why or not made.judged:
        said: Said = "not comparable" if why else "not judged"
        note = "; ".join(why) or _UNDER
        found = [_shown(_better(directions, key), one, two, by.least_change, said, note) for key, one, two in pairs]
    else:
        drifts = {key: _drift(key, [s for s in earlier if not unlike(s, now)]) for key, _one, _two in pairs}
        found = _judged(pairs, directions, drifts, by)
    return Comparison(made.before, now, by, why, tuple(found))


def _keys(sessions: Sequence[Session], directions: Directions) -> list[tuple[str, str]]:
    return sorted({s.key for session in sessions for s in session.series if (named(s.check), s.metric) in directions})


def named(check: str) -> str:
    """A check's own name, without the parameters that ReFrame writes behind it."""
    return check.split(" ", 1)[0]


def _better(directions: Directions, key: tuple[str, str]) -> Better:
    return directions[named(key[0]), key[1]]


def _pooled(sessions: Sequence[Session], key: tuple[str, str]) -> Series:
    """The number over several sessions; the newest values, where there are very many."""
    found = [s for session in sessions for s in session.series if s.key == key]
    values = tuple(v for s in found for v in s.values)[-statistics.MOST :]
    if not found:
        return Series(key[0], "", key[1], "", ())
    return Series(key[0], found[-1].title, key[1], found[-1].unit, values, sum(s.lost for s in found))


def _drift(key: tuple[str, str], sessions: Sequence[Session]) -> float:
    """How far the medians of sessions of one image lay apart: a machine has good and bad days."""
    by_image: dict[str, list[float]] = {}
    for session in sessions:
        for series in session.series:
            if series.key == key and len(series.values) >= _MEANT:
                by_image.setdefault(session.image, []).append(statistics.median(series.values))
    pairs = [pair for medians in by_image.values() for pair in combinations(medians, 2)]
    return max((abs(_change(one, two)) for one, two in pairs), default=0.0)


def _judged(
    pairs: Sequence[tuple[tuple[str, str], Series, Series]], directions: Directions,
    drifts: Mapping[tuple[str, str], float], by: Rule,
) -> list[Outcome]:  # fmt: skip
    """Holm's correction over the numbers that could reach the level at all: that depends on how many were measured."""
    able = [key for key, one, two in pairs if _least_p(one, two) <= by.alpha]
    shifts = {key: statistics.mann_whitney(one.values, two.values) for key, one, two in pairs if key in able}
    higher = dict(zip(able, statistics.holm([float(shifts[key].higher) for key in able]), strict=True))
    lower = dict(zip(able, statistics.holm([float(shifts[key].lower) for key in able]), strict=True))
    up = {key: _better(directions, key) == "higher" for key in able}
    numbers = len(able), len(pairs)
    found = []
    for key, one, two in pairs:
        least = max(by.least_change, drifts[key])
        sides = (lower.get(key), higher.get(key)) if up.get(key) else (higher.get(key), lower.get(key))
        tested = None if sides[0] is None or sides[1] is None else (sides[0], sides[1])
        found.append(_outcome(_better(directions, key), (one, two), least, tested, numbers, by))
    return found


def _outcome(
    better: Better, sides: tuple[Series, Series], least: float, tested: tuple[float, float] | None,
    numbers: tuple[int, int], by: Rule,
) -> Outcome:  # fmt: skip
    one, two = sides
    able, known = numbers
    if not one.values or not two.values:
        side = "before" if not one.values else "now"
        return _shown(better, one, two, least, "cannot tell", f"not measured {side}")
    change = _change(statistics.median(one.values), statistics.median(two.values))
    loss = -change if better == "higher" else change
    p = None if tested is None else tested[0 if loss >= 0 else 1]
    if p is not None and p <= by.alpha:
        if abs(loss) >= least:
            return _shown(better, one, two, least, "slower" if loss > 0 else "faster", "", p)
        return _shown(better, one, two, least, "same", _small(least, by), p)
    if p is not None and _least_p(one, two) <= by.alpha / able:
        return _shown(better, one, two, least, "same", "within noise", p)
    want = statistics.enough(by.alpha / known)
    why = f"too few repeats: {len(one.values)} before and {len(two.values)} now; {want} and {want} can tell"
    return _shown(better, one, two, least, "cannot tell", why, p)


def _small(least: float, by: Rule) -> str:
    """Why a difference that is proven does not count."""
    if least > by.least_change:
        return f"sessions of one image differed by {least:.1%} before"
    return f"a change below {least:.1%} does not count"


def _shown(
    better: Better, one: Series, two: Series, least: float, said: Said, why: str, p: float | None = None
) -> Outcome:  # fmt: skip
    known = two if two.unit else one
    change = None
    if one.values and two.values:
        change = _change(statistics.median(one.values), statistics.median(two.values))
    return Outcome(known.check, known.title, known.metric, known.unit, better, sample(one), sample(two),
                   change, least, p, said, why)  # fmt: skip


def sample(series: Series) -> Sample:
    """What is shown of a number's values."""
    if not series.values:
        return Sample(0, None, None, None, series.lost)
    low, middle, high = (statistics.quantile(series.values, q) for q in (0.25, 0.5, 0.75))
    return Sample(len(series.values), middle, low, high, series.lost)


def _least_p(one: Series, two: Series) -> float:
    return float(statistics.least_p(len(one.values), len(two.values))) if one.values and two.values else 1.0


def _change(before: float, now: float) -> float:
    if before == now:
        return 0.0
    return (now - before) / abs(before) if before else math.copysign(math.inf, now)


def content(made: Comparison) -> dict[str, Any]:
    """Plain data of a comparison (format: `docs/reference/history.md`)."""
    return {
        "schema": 1,
        "rule": made.rule.model_dump(mode="json", by_alias=True),
        "before": [_of_session(s) for s in made.before],
        "now": _of_session(made.now),
        "comparable": not made.unlike,
        "why_not": list(made.unlike),
        "judged": made.judged,
        "regressions": [f"{o.check}.{o.metric}" for o in made.regressions],
        "numbers": [{**asdict(o), "change": _finite(o.change)} for o in made.outcomes],
    }


def _finite(change: float | None) -> float | None:
    return change if change is not None and math.isfinite(change) else None


def _of_session(session: Session) -> dict[str, Any]:
    return {"session": session.id, "date": session.date, "image": session.image, "lock": session.lock}

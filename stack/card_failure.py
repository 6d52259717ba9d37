"""Ring 4. Why an identity card is no good one: its checks that failed, what is out of bounds, and what that leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stack import quantity
from stack.card import Card, Entry, Measured

FEW = 10  # names in a sentence


@dataclass(frozen=True)
class Failure:
    """A check that failed. `metrics` and `beyond` are out of their bounds; `exact`: numbers not to be relied on."""

    check: str
    reason: str
    metrics: tuple[Measured, ...]
    beyond: tuple[Entry, ...]
    exact: tuple[Entry, ...]


def failures(card: Card) -> tuple[Failure, ...]:
    """Every check that failed, by its name."""
    return tuple(
        Failure(
            check=check,
            reason=card.reasons.get(check, ""),
            metrics=tuple(metric for metric in card.out if metric.check == check),
            beyond=tuple(number for number in card.beyond if number.check == check),
            exact=tuple(number for number in card.doubtful if number.check == check),
        )
        for check in card.failed
    )


def words(failure: Failure) -> Iterator[tuple[str, str]]:
    """What there is to say of one: what it is about, and that in words."""
    for metric in failure.metrics:
        yield "out of bounds", measured(metric)
    if failure.beyond:
        yield "beyond their own bound", few([number.name for number in failure.beyond])
    if failure.exact:
        yield "exact numbers, not to be relied on", few([number.name for number in failure.exact])
    if failure.reason:
        yield "the check says", failure.reason
    if not (failure.metrics or failure.beyond or failure.reason):
        yield "why", "the card does not say; the verdict beside it does"


def measured(metric: Measured) -> str:
    """A metric out of its bound, what is accepted, and where that comes from."""
    bound = metric.bound if metric.bound is not None else 0.0
    value, most = quantity.pair(metric.value, bound)
    told = f"{metric.name} is {value}{f' {metric.unit}' if metric.unit else ''}, accepted up to {most}"
    return f"{told}: {metric.origin}" if metric.origin else told


def few(names: Sequence[str], most: int = FEW) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")

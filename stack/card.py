"""Ring 4. The numerical identity card of an image or of software: what it computes, number by number, and with what.

Made of a verdict; two cards of different machines can be compared (`stack.card_difference`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from stack.artifact import canonical_json
from stack.errors import Fault, Position, StackError, bad_input
from stack.lock import Lock
from stack.statements import CARD
from stack.verdict import Machine, Metric, Number, Switch, Verdict
from stack.visible import one_line
from stack.words import Digest, Model, SchemaVersion

NAME, PAGE, PAGE_OF_ALL = CARD, "card.html", "cards.html"
NEWEST = 1
MAX_FAULTS = 5  # of a damaged card, that are told
MAX_REASON = 600  # characters
Result = Literal["pass", "fail", "skip"]


class Part(Model):
    """One component of what was checked, and who supplies it."""

    name: str
    version: str
    provider: str


class Measured(Metric):
    """A number of a check that has a bound."""

    check: str


class Entry(Number):
    """A number of the card, with the check that computed it."""

    check: str

    @property
    def key(self) -> tuple[str, str]:
        """Names it among all numbers."""
        return self.check, self.name


def _once(numbers: tuple[Entry, ...]) -> tuple[Entry, ...]:
    found = Counter(number.key for number in numbers)
    twice = [key for key, times in found.items() if times > 1]
    if twice:
        raise ValueError(f"{' '.join(twice[0])} stands twice")
    return numbers


class Card(Model):
    """What was computed. `image`: SHA-256 of the SIF as it was built, and `lock` of its lock, where there are such.

    `suite`: SHA-256 over the suite's files, the same for every machine. `date` is ISO 8601 UTC, `seconds` how long the
    checks took together.
    """

    schema_version: SchemaVersion = Field(1, alias="schema")
    cell: str
    image: Digest | None
    lock: Digest | None
    answers: Digest | None = Field(None, description="of software without an image: SHA-256 of what it said of itself")
    suite: Digest
    date: str
    reframe: str
    host: str
    machine: Machine | None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    software: tuple[Part, ...]
    switches: dict[Switch, str]
    results: dict[str, Result] = Field(description="of every check, by its name")
    reasons: dict[str, str] = Field({}, description="of every check that failed, in words")
    numbers: Annotated[tuple[Entry, ...], AfterValidator(_once)]
    metrics: tuple[Measured, ...] = Field(description="those with a bound")

    @property
    def beyond(self) -> tuple[Entry, ...]:
        """Numbers whose error is out of their own bound, whatever another machine computes."""
        return tuple(number for number in self.numbers if not number.ok)

    @property
    def out(self) -> tuple[Measured, ...]:
        """Metrics out of their bounds."""
        return tuple(metric for metric in self.metrics if not metric.ok)

    @property
    def failed(self) -> tuple[str, ...]:
        """Checks that failed, or have a metric or a number out of its bound, whatever they say of themselves."""
        said = {check for check, result in self.results.items() if result == "fail"}
        metrics, numbers = ({one.check for one in some} for some in (self.out, self.beyond))
        return tuple(sorted(said | metrics | numbers))

    @property
    def doubtful(self) -> tuple[Entry, ...]:
        """Exact numbers of checks that failed: nobody says that they have the bits of other machines."""
        return tuple(number for number in self.numbers if number.kind == "exact" and number.check in self.failed)

    @property
    def passed(self) -> bool:
        """No check failed and no number is out of its own bound."""
        return not self.failed


def make(verdict: Verdict, lock: Lock | None = None) -> Card:
    """The card of what a verdict is about. `lock`: of the image, for its software."""
    entries = sorted(_entries(verdict), key=lambda e: e.key)
    measured = (Measured(check=c.name, **dict(m)) for c in verdict.checks for m in c.metrics if m.bound is not None)
    parts = sorted(lock.components, key=lambda c: c.name) if lock else ()
    return Card(
        schema=1,
        cell=verdict.cell,
        image=verdict.image or None,
        lock=verdict.lock or None,
        suite=verdict.files or verdict.suite,
        date=verdict.date,
        reframe=verdict.reframe,
        host=verdict.host,
        machine=verdict.machine,
        seconds=max(round(sum(check.seconds for check in verdict.checks), 3), 0.0),
        software=tuple(Part(name=c.name, version=c.version, provider=c.provider) for c in parts),
        switches={name: value for check in verdict.checks for name, value in sorted(check.switches.items())},
        results={check.name: check.result for check in verdict.checks},
        reasons={c.name: _reason(c.reason) for c in verdict.checks if c.result == "fail" and c.reason},
        numbers=tuple(entries),
        metrics=tuple(sorted(measured, key=lambda m: (m.check, m.name))),
    )


def _reason(said: str) -> str:
    said = one_line(" ".join(said.split()))
    return said if len(said) <= MAX_REASON else f"{said[:MAX_REASON]} [...]"


def foreign(card: Card, software: Iterable[Part], *, image: bool) -> Card:
    """The card of software that nobody here built: it has no lock, and no image's digest unless it is an image."""
    own = {"image": card.image, "answers": None} if image else {"image": None, "answers": card.image}
    return card.model_copy(update={"software": tuple(software), "lock": None, **own})


def _entries(verdict: Verdict) -> Iterator[Entry]:
    for check in verdict.checks:
        yield from (Entry(check=check.name, **dict(number)) for number in check.numbers)


def text(card: Card) -> str:
    """The card as it is kept: equal cards are equal bytes."""
    return canonical_json(card.model_dump(mode="json", by_alias=True))


# --- read ---


def parse(text: str, name: str) -> Card:
    """A card from its text. Raises `StackError` for what is none, cut off, or of a newer schema."""
    where = Position(name)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        inside = isinstance(error, json.JSONDecodeError) and error.pos < len(text.rstrip())
        cut = text.lstrip().startswith("{") and not (inside and text.rstrip().endswith("}"))
        what = "is cut off: its JSON has no end" if cut else "is not JSON"
        raise bad_input(what, where, "copy it again, or run `sovstack verify`, which writes it anew") from None
    _is_card(data, where)
    try:
        return Card.model_validate(data)
    except ValidationError as error:
        raise StackError([*_faults(error, where)]) from None


def _is_card(data: Any, where: Position) -> None:
    known = isinstance(data, dict) and {"schema", "numbers", "results"} <= set(data)
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is int and schema > NEWEST and "numbers" in data:
        what = f"a card of schema {schema}, and this program reads {NEWEST}"
        raise bad_input(what, where, "a newer sovstack reads it")
    if not known:
        beside = isinstance(data, dict) and "checks" in data and "reframe" in data
        remedy = f"this is a verdict: name the {NAME} beside it" if beside else f"name a {NAME}"
        raise bad_input("is no numerical identity card", where, remedy)


def _faults(error: ValidationError, where: Position) -> Iterator[Fault]:
    found = error.errors(include_url=False)
    for one in found[:MAX_FAULTS]:
        place = _place(one["loc"])
        yield Fault(f"{place}: {one_line(str(one['msg']))[:200]}", where)
    if (more := len(found) - MAX_FAULTS) > 0:
        yield Fault(f"and {more} more faults", where, "run `sovstack verify`, which writes it anew")


def _place(steps: tuple[int | str, ...]) -> str:
    return one_line(".".join(map(str, steps)))[:200] or "the card"


# --- told ---


def machine(card: Card) -> str:
    """What it ran on, in a few words: the microarchitecture, and the emulator where there is one."""
    found = card.machine
    if found is None:
        return "machine not told"
    return f"{found.microarchitecture}{f' under {found.emulator}' if found.emulator else ''}"


def counts(card: Card) -> Mapping[str, int]:
    """How many numbers of each kind."""
    kinds = [number.kind for number in card.numbers]
    return {"exact": kinds.count("exact"), "bounded": kinds.count("bounded")}


def by_check(card: Card) -> Mapping[str, list[Entry]]:
    """The numbers of every check; some have none."""
    found: dict[str, list[Entry]] = {check: [] for check in sorted({*card.results, *(n.check for n in card.numbers)})}
    for number in card.numbers:
        found[number.check].append(number)
    return found


def outcome(card: Card, check: str) -> str:
    """How a check ended: one with something out of its bound failed, whatever it says of itself."""
    return "fail" if check in card.failed else card.results.get(check, "pass")


def headline(card: Card) -> str:
    """One sentence: how many numbers, whether each is within its own bound, and how many checks failed."""
    found = counts(card)
    told = f"{len(card.numbers)} numbers: {found['exact']} exact, {found['bounded']} bounded"
    parts = [told if card.numbers else "No check printed a number"]
    parts += [f"{len(card.beyond)} beyond their own bound"] if card.beyond else []
    parts += [f"{len(card.out)} metric{'s' if len(card.out) > 1 else ''} out of bounds"] if card.out else []
    parts += [f"{len(card.failed)} of {len(card.results)} checks failed"] if card.failed else []
    return "; ".join(parts)

"""Ring 4. Identity cards and their differences in words: for a terminal, as Markdown, and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stack import card as cards
from stack import card_failure, quantity
from stack.card import Card, Entry
from stack.card_difference import DIGITS, STATES, Comparison, Row, Spot, State
from stack.card_failure import few
from stack.difference_markdown import cell, table
from stack.visible import visible

MARK = {"identical": " ", "within": " ", "not comparable": "?", "only in one": "?", "beyond": "!"}
WORDS: Mapping[State, str] = {
    "identical": "the same bits",
    "within": "within the bounds",
    "not comparable": "not comparable",
    "only in one": "not on all of them",
    "beyond": "beyond the bounds",
}
SPOTS = 3  # of one number, that are shown
LONG = 400  # characters of a reason
FEW, MANY = 4, 10  # names in a sentence among others; numbers of one kind in a list


def plain(text: str) -> str:
    """A text from a card on one line of a terminal."""
    return " ".join(visible(text).split())


# --- one card ---


def show(card: Card) -> str:
    """One card: what it is of, what failed, then every number."""
    lines = [plain(card.cell), *(f"{name:9}{plain(value)}" for name, value in facts(card)), "", cards.headline(card)]
    lines += _failed(card)
    for check, numbers in cards.by_check(card).items():
        if numbers:
            result = cards.outcome(card, check)
            lines += ["", f"{plain(check)}: {result}", *(line for number in numbers for line in _shown(number))]
    silent = [check for check, numbers in cards.by_check(card).items() if not numbers]
    return "\n".join([*lines, *(["", f"without a number: {plain(', '.join(silent))}"] if silent else [])])


def _failed(card: Card) -> Iterator[str]:
    for failure in card_failure.failures(card):
        yield from ("", f"! {plain(failure.check)} failed")
        for about, what in card_failure.words(failure):
            told = plain(what)
            yield f"    {about}: {told[:LONG]}{' [...]' if len(told) > LONG else ''}"


def facts(card: Card) -> tuple[tuple[str, str], ...]:
    """What a card is of, as names and values; what is not known is left out."""
    found = (
        ("machine", cards.machine(card)),
        ("host", card.host),
        ("date", f"{card.date}, the checks took {quantity.duration(card.seconds)}"),
        ("image", card.image or ""),
        ("lock", card.lock or ""),
        ("answers", f"{card.answers} of what the software said of itself" if card.answers else ""),
        ("suite", card.suite),
        ("software", ", ".join(f"{part.name} {part.version}" for part in card.software)),
        ("switches", " ".join(f"{name}={value}" for name, value in sorted(card.switches.items()))),
    )
    return tuple((name, value) for name, value in found if value)


def size(number: Entry) -> str:
    """`exact`, or how large the error is."""
    if number.kind == "exact":
        return "exact"
    if number.ratio is None:
        return "bounded"
    told = f"{quantity.number(number.ratio, 3)} of its bound"
    return told if number.ok else f"{told}: BEYOND"


def _shown(number: Entry) -> Iterator[str]:
    name = f"{plain(number.name)} ({plain(number.precision)})"
    yield f"  {name:36} {size(number):18} {number.digest[:DIGITS]}"
    yield f"      {plain(number.said)}"


# --- several ---


def summary(found: Comparison) -> str:
    """One sentence: where the machines differ, and whether that is within the bounds."""
    counts, n = found.counts, len(found.rows)
    if not n:
        return "no card has a number"
    where = {1: "this machine", 2: "both machines"}.get(len(found.cards), f"all {len(found.cards)} machines")
    if counts["identical"] == n:
        return (
            f"all {n} numbers have the same bits on {where}"
            if n > 1
            else f"the one number has the same bits on {where}"
        )
    told = [f"{counts['identical']} of {n} numbers have the same bits on {where}"]
    if counts["within"]:
        share = max(row.share or 0 for row in found.rows if row.state == "within")
        told.append(
            f"{counts['within']} differ within their bounds, in the entries that cards record by at most {share:.2g} of"
            " what is allowed"
        )
    for state in ("beyond", "not comparable", "only in one"):
        if names := [f"{row.number.check} {row.number.name}" for row in found.rows if row.state == state]:
            told.append(f"{len(names)} {WORDS[state]}: {few(names, FEW)}")
    return "; ".join(told)


def notes(found: Comparison) -> tuple[str, ...]:
    """What else is not the same, and may explain a difference: suites, software, switches; and what failed alone."""
    made = []
    if len({card.suite for card in found.cards}) > 1:
        made.append("the suites differ: a number is compared where its inputs and its description are the same")
    if versions := _versions(found.cards):
        made.append(f"other versions: {'; '.join(versions)}")
    if len({tuple(sorted(card.switches.items())) for card in found.cards}) > 1:
        made.append("the switches of emulated arithmetic are not set alike")
    for name, card in zip(found.names, found.cards, strict=True):
        if card.beyond:
            made.append(f"beyond its own bound on {name}: {few([entry.name for entry in card.beyond], FEW)}")
        if card.failed:
            made.append(f"failed on {name}: {few(card.failed, FEW)}")
    return tuple(made)


def _versions(found: Sequence[Card]) -> list[str]:
    by_name: dict[str, list[str]] = {}
    for card in found:
        for part in card.software:
            by_name.setdefault(part.name, []).append(part.version)
    return [f"{name} {' and '.join(dict.fromkeys(some))}" for name, some in sorted(by_name.items()) if len({*some}) > 1]


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """What has to be looked at first."""

    def rank(row: Row) -> tuple[int, float, tuple[str, str]]:
        return -STATES.index(row.state), -(row.share or 0) if row.state == "within" else 0, row.number.key

    return sorted(rows, key=rank)


def _shortened(rows: Iterable[Row]) -> tuple[list[Row], int]:
    """All that have to be looked at, and of those within their bounds the first few; how many more there are."""
    found = worst_first(rows)
    loud = sum(row.state != "within" for row in found)
    return found[: loud + MANY], max(0, len(found) - loud - MANY)


def told(row: Row, names: Sequence[str]) -> str:
    """What there is to say of one number, in a few words."""
    if row.state == "within":
        return "; ".join(filter(None, (_seen(row), row.region)))
    many = len(names) > 2 and row.state in ("beyond", "not comparable")
    return f"{row.why} ({names[row.between[0]]} and {names[row.between[1]]})" if many else row.why


def _seen(row: Row) -> str:
    """What the recorded entries show of a number within its bounds."""
    both = f"the {row.compared} entries that both record" if row.compared > 1 else "the one entry that both record"
    if not row.spots:
        return f"no difference in {both}"
    return f"in {both} at most {row.share or 0:.2g} of what is allowed apart"


def uncompared(found: Comparison) -> Mapping[tuple[State, str], list[str]]:
    """Numbers that are not on all machines, or not of the same computation, by why that is so."""
    made: dict[tuple[State, str], list[str]] = {}
    for row in worst_first(found.rows):
        if row.state in ("only in one", "not comparable"):
            key = row.state, told(row, found.names)
            made.setdefault(key, []).append(f"{row.number.check} {row.number.name}")
    return made


def spot_text(spot: Spot, names: tuple[str, str]) -> str:
    """Where two machines differ, both values, the difference and what is allowed."""
    apart = f"{spot.difference:.4g} apart, {spot.allowed:.4g} allowed"
    return f"entry {spot.where}: {spot.a!r} on {names[0]}, {spot.b!r} on {names[1]}: {apart}"


def render(found: Comparison) -> str:
    """The whole answer for a terminal."""
    lines = [line for i in range(len(found.cards)) for line in _head(found, i)]
    lines += [*(f"note: {plain(note)}" for note in notes(found)), plain(summary(found)), ""]
    for row in worst_first(row for row in found.rows if row.state == "beyond"):
        lines += _row(row, found.names)
    for (state, why), names in uncompared(found).items():
        lines += [f"{MARK[state]} {plain(f'{WORDS[state]}: {few(names)}')}", f"      {plain(why)}"]
    shown, more = _shortened(row for row in found.rows if row.state == "within")
    for row in shown:
        lines += _row(row, found.names)
    lines += [f"  {more} more {WORDS['within']}; --json has all"] if more else []
    same = [row.number for row in found.rows if row.state == "identical"]
    for check in dict.fromkeys(number.check for number in same):
        listed = few([number.name for number in same if number.check == check])
        lines.append(f"  {plain(f'the same bits: {check}: {listed}')}")
    return "\n".join(lines).rstrip()


def _head(found: Comparison, i: int) -> Iterator[str]:
    card = found.cards[i]
    yield plain(f"{i + 1}: {found.names[i]}: {cards.machine(card)}, {card.date}, {len(card.numbers)} numbers")
    yield f"   {plain(card.cell)}"


def _row(row: Row, names: Sequence[str]) -> Iterator[str]:
    number = row.number
    what = f"{WORDS[row.state]}: {number.check} {number.name}, {number.precision}, bits {_bits(row)}"
    if row.state == "within":
        yield f"  {plain(f'{what}: {told(row, names)}')}"
        both = names[row.between[0]], names[row.between[1]]
        yield from (f"      {plain(spot_text(spot, both))}" for spot in row.spots[:1])
        return
    yield f"{MARK[row.state]} {plain(what)}"
    yield f"      {plain(told(row, names))}"
    both = names[row.between[0]], names[row.between[1]]
    yield from (f"      {plain(spot_text(spot, both))}" for spot in row.spots[:SPOTS])
    if (more := len(row.spots) - SPOTS) > 0:
        yield f"      and {more} more entries"


def _bits(row: Row) -> str:
    return " ".join(group or "-" for group in row.groups)


def markdown(found: Comparison) -> str:
    """The whole answer for a merge request; every text from a card stands in a code span."""
    heads = [
        (str(i + 1), cell(found.names[i]), cell(cards.machine(card)), cell(card.cell), cell(card.date))
        for i, card in enumerate(found.cards)
    ]
    parts = ["### Numerical identity", table(("", "machine", "CPU", "of", "date"), heads), f"**{_sentence(found)}**"]
    parts += [f"- {cell(note)}" for note in notes(found)]
    rows, more = _shortened(row for row in found.rows if row.state != "identical")
    if rows:
        parts.append(table(("", "number", "precision", "bits", "what differs"), map(_marked, rows)))
    parts += [f"and {more} more {WORDS['within']}"] if more else []
    return "\n\n".join(parts)


def _sentence(found: Comparison) -> str:
    """The summary with the names of numbers left to the table: they are texts of a document."""
    return summary(found) if found.ok else "; ".join(part.partition(":")[0] for part in summary(found).split("; "))


def _marked(row: Row) -> tuple[str, ...]:
    number = row.number
    first = f"; entry {row.spots[0].where}: {row.spots[0].a!r} and {row.spots[0].b!r}" if row.spots else ""
    what = f"{told(row, ()) if row.state == 'within' else row.why}{first}"
    mark = f"**{WORDS[row.state]}**" if row.state == "beyond" else WORDS[row.state]
    return mark, cell(f"{number.check} {number.name}"), cell(number.precision), cell(_bits(row)), cell(what)


def as_data(found: Comparison) -> dict[str, Any]:
    """For programs."""
    machines = [
        {"name": name, "cell": card.cell, "machine": card.machine.model_dump() if card.machine else None,
         "image": card.image, "lock": card.lock, "answers": card.answers, "suite": card.suite, "date": card.date,
         "numbers": len(card.numbers), "failed": list(card.failed)}
        for name, card in zip(found.names, found.cards, strict=True)
    ]  # fmt: skip
    rows = [_row_data(row, found.names) for row in found.rows]
    return {"schema": 1, "ok": found.ok, "summary": summary(found), "machines": machines, "counts": dict(found.counts),
            "notes": list(notes(found)), "numbers": rows}  # fmt: skip


def _row_data(row: Row, names: Sequence[str]) -> dict[str, Any]:
    number = row.number
    spots = [{"where": s.where, "values": [s.a.hex(), s.b.hex()], "difference": _finite(s.difference),
              "allowed": _finite(s.allowed)} for s in row.spots]  # fmt: skip
    return {
        "check": number.check, "name": number.name, "precision": number.precision, "kind": number.kind,
        "state": row.state, "why": row.why, "share": _finite(row.share), "bits": list(row.groups),
        "ratios": [_finite(entry.ratio) if entry else None for entry in row.entries],
        "digests": [entry.digest if entry else None for entry in row.entries],
        "between": [names[i] for i in row.between], "region": row.region, "entries": spots,
        "beyond": spots if row.state == "beyond" else [],
    }  # fmt: skip


def _finite(value: float | None) -> float | str | None:
    """As JSON can write it."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"

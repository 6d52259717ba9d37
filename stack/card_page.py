"""Ring 4. Identity cards as pages that need nothing else: one card, and many machines side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from stack import card as cards
from stack import card_failure, card_text, quantity
from stack.card import Card, Entry
from stack.card_difference import DIGITS, Comparison, Row, letter
from stack.render import html

FEW = 12  # numbers of one check, that are shown at once; more are a click away
TONES = 6  # washes that tell groups of bits apart, besides their letters


def as_html(card: Card) -> str:
    """One card's page."""
    return html.template("card.html.j2").render(_card(card))


def as_overview(found: Comparison, links: Sequence[str] = ()) -> str:
    """All machines side by side. `links`: paths of the cards' own pages, relative to this one."""
    return html.template("cards.html.j2").render(_overview(found, links))


def _card(card: Card) -> dict[str, Any]:
    by_check = cards.by_check(card)
    return {
        "headline": cards.headline(card),
        "good": card.passed and bool(card.numbers),
        "cell": card.cell,
        "machine": cards.machine(card),
        "host": card.host,
        "date": card.date,
        "seconds": card.seconds,
        "counts": cards.counts(card),
        "beyond": len(card.beyond),
        "doubtful": len(card.doubtful),
        "failures": [_failure(failure) for failure in card_failure.failures(card)],
        "worst": max((n.ratio for n in card.numbers if n.ratio is not None), default=None),
        "digests": _digests(card),
        "software": [part.model_dump() for part in card.software],
        "switches": sorted(card.switches.items()),
        "checks": [_check(name, cards.outcome(card, name), some) for name, some in by_check.items() if some],
        "silent": [(name, cards.outcome(card, name)) for name, some in by_check.items() if not some],
        "metrics": [{**metric.model_dump(), "ok": metric.ok} for metric in card.metrics],
        "reframe": card.reframe,
    }  # fmt: skip


def _digests(card: Card) -> list[tuple[str, str, str]]:
    """Name, digest, and what it is of where the name does not say so."""
    found = (("Image", card.image, ""), ("Lock", card.lock, ""),
             ("Answers", card.answers, "what the software said of itself"), ("Suite", card.suite, ""))  # fmt: skip
    return [(name, digest, of) for name, digest, of in found if digest]


def _failure(failure: card_failure.Failure) -> dict[str, Any]:
    return {"check": failure.check, "words": list(card_failure.words(failure))}


def _check(name: str, result: str, numbers: Sequence[Entry]) -> dict[str, Any]:
    exact, ratios = sum(n.kind == "exact" for n in numbers), [n.ratio for n in numbers if n.ratio is not None]
    parts = [f"{exact} exact"] if exact else []
    parts += [f"{len(numbers) - exact} bounded"] if exact < len(numbers) else []
    told = f"{', '.join(parts)}{f'; largest error {quantity.number(max(ratios), 3)} of its bound' if ratios else ''}"
    return {"name": name, "result": result, "told": told, "numbers": [*map(_number, numbers)],
            "open": len(numbers) <= FEW or not all(number.ok for number in numbers)}  # fmt: skip


def _number(number: Entry) -> dict[str, Any]:
    points = [{"where": p.where, "value": repr(float.fromhex(p.value)), "bound": f"{float.fromhex(p.bound):.3g}"}
              for p in number.points]  # fmt: skip
    return {"name": number.name, "precision": number.precision, "kind": number.kind, "said": number.said,
            "digest": number.digest, "short": number.digest[:DIGITS], "inputs": number.inputs, "count": number.count,
            "ratio": number.ratio, "ok": number.ok, "basis": number.basis, "points": points}  # fmt: skip


def _overview(found: Comparison, links: Sequence[str]) -> dict[str, Any]:
    hrefs = [f"./{quote(link)}" for link in links] or [""] * len(found.cards)
    return {
        "summary": card_text.summary(found),
        "ok": found.ok,
        "environments": list(dict.fromkeys(card.cell.partition("/")[0] for card in found.cards)),
        "machines": [_machine(found, i, href) for i, href in zip(range(len(found.cards)), hrefs, strict=True)],
        "counts": [{"words": card_text.WORDS[state], "n": n} for state, n in found.counts.items() if n],
        "notes": card_text.notes(found),
        "apart": [_row(row, found.names) for row in card_text.worst_first(found.rows) if _loud(row)],
        "uncompared": [
            {"words": card_text.WORDS[state], "why": why, "names": names}
            for (state, why), names in card_text.uncompared(found).items()
        ],
        "checks": _by_check(found.rows, found.names),
        "total": len(found.rows),
    }


def _loud(row: Row) -> bool:
    return row.state == "beyond"


def _machine(found: Comparison, i: int, href: str) -> dict[str, Any]:
    card = found.cards[i]
    return {"letter": letter(i), "name": found.names[i], "machine": cards.machine(card), "host": card.host,
            "cell": card.cell, "date": card.date, "seconds": card.seconds, "numbers": len(card.numbers), "href": href,
            "failed": len(card.failed)}  # fmt: skip


def _by_check(rows: Iterable[Row], names: Sequence[str]) -> list[Mapping[str, Any]]:
    made: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        made.setdefault(row.number.check, []).append(_row(row, names))
    return [{"name": name, "rows": some, "told": _states(some), "open": len(some) <= FEW or _apart(some)}
            for name, some in made.items()]  # fmt: skip


def _apart(rows: Iterable[Mapping[str, Any]]) -> bool:
    return any(row["state"] not in ("identical", "within") for row in rows)


def _states(rows: Sequence[Mapping[str, Any]]) -> str:
    found = [row["state"] for row in rows]
    return ", ".join(f"{found.count(state)} {words}" for state, words in card_text.WORDS.items() if state in found)


def _row(row: Row, names: Sequence[str]) -> dict[str, Any]:
    number, both = row.number, (names[row.between[0]], names[row.between[1]])
    return {
        "check": number.check,
        "name": number.name,
        "precision": number.precision,
        "kind": number.kind,
        "said": number.said,
        "basis": number.basis,
        "state": row.state,
        "words": card_text.WORDS[row.state],
        "told": card_text.told(row, names),
        "share": row.share,
        "cells": [_cell(entry, group) for entry, group in zip(row.entries, row.groups, strict=True)],
        "spots": [card_text.spot_text(spot, both) for spot in row.spots],
    }


def _cell(entry: Entry | None, group: str) -> dict[str, Any] | None:
    if entry is None:
        return None
    tone = (ord(group[-1]) - ord("A")) % TONES
    return {"group": group, "tone": tone, "digest": entry.digest, "short": entry.digest[:DIGITS],
            "ratio": entry.ratio, "ok": entry.ok}  # fmt: skip

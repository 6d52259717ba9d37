"""Ring 4. The same software in its image and without one, side by side: whether the numbers are the same, and what the
image costs."""

from __future__ import annotations

import math
from typing import Any

from stack import card as cards
from stack import card_difference, quantity
from stack.verdict import Check, Metric, Verdict
from stack.visible import visible

IMAGE, NATIVE = "image", "native"
Content = dict[str, Any]


def content(image: Verdict, native: Verdict) -> Content:
    """Plain data: what both computed, check by check, and one sentence about it."""
    others = {check.name: check for check in native.checks}
    both = [(check, others[check.name]) for check in image.checks if check.name in others]
    # What ran on one side alone is named as such; its numbers are no difference.
    one = image.model_copy(update={"checks": tuple(a for a, _ in both)})
    other = native.model_copy(update={"checks": tuple(b for _, b in both)})
    found = card_difference.difference(cards.make(one), cards.make(other), (IMAGE, NATIVE))
    states = [pair.state for pair in found.pairs]
    counts = {state: states.count(state) for state in card_difference.STATES if state in states}
    missing = sorted({c.name for c in image.checks} ^ {*others})
    return {
        "sentence": _sentence(counts, len(found.pairs), same=found.ok),
        "same": found.ok,
        "host": {IMAGE: image.host, NATIVE: native.host},
        "date": {IMAGE: image.date, NATIVE: native.date},
        "numbers": {
            "counts": counts,
            "differ": [{"check": p.number.check, "name": p.number.name, "state": p.state, "why": p.why}
                       for p in found.pairs if p.state != "identical"],
        },
        "checks": [_check(a, b) for a, b in both],
        "alone": missing,
    }  # fmt: skip


def _sentence(counts: dict[Any, int], total: int, *, same: bool) -> str:
    if not total:
        return "No check printed a number, so nothing is compared bit by bit"
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{'The same numbers' if same else 'Not the same numbers'} in the image and natively: {told}"


def _check(image: Check, native: Check) -> Content:
    values = {m.name: m for m in native.metrics}
    both = [(m, values[m.name]) for m in image.metrics if m.name in values]
    return {
        "name": image.name,
        "title": image.title,
        "results": {IMAGE: image.result, NATIVE: native.result},
        "seconds": {IMAGE: image.seconds, NATIVE: native.seconds},
        "ratio": _ratio(image.seconds, native.seconds),
        "metrics": [_metric(a, b) for a, b in both if _measured(a, b)],
    }


def _measured(image: Metric, native: Metric) -> bool:
    """A time or a speed: what is judged has its bound, and what is equal on both sides tells of no cost."""
    return image.bound is None and image.value > 0 and native.value > 0 and image.value != native.value


def _metric(image: Metric, native: Metric) -> Content:
    """A measurement that is not judged: a speed, or a time."""
    return {
        "name": image.name,
        "unit": image.unit,
        IMAGE: image.value,
        NATIVE: native.value,
        "ratio": _ratio(image.value, native.value),
    }


def _ratio(image: float, native: float) -> float | None:
    """The image's as a multiple of the native one."""
    made = image / native if native > 0 else math.nan
    return round(made, 4) if math.isfinite(made) else None


def text(data: Content) -> str:
    """The table for a terminal: an image and no image, and the first as a multiple of the second."""
    rows = [("", "image", "native", "image / native", "")]
    for check in data["checks"]:
        seconds = check["seconds"]
        rows.append((check["name"], *_row(seconds[IMAGE], seconds[NATIVE], check["ratio"]), "s"))
        rows += [(f"  {m['name']}", *_row(m[IMAGE], m[NATIVE], m["ratio"]), m["unit"]) for m in check["metrics"]]
    wide = max(len(row[0]) for row in rows)
    lines = [f"{visible(n):{wide}}  {a:>10}  {b:>10}  {r:>14}  {visible(u)}".rstrip() for n, a, b, r, u in rows]
    differ = [f"  {d['check']} {d['name']}: {d['state']} {d['why']}".rstrip() for d in data["numbers"]["differ"]]
    alone = [f"on one side only: {', '.join(data['alone'])}"] if data["alone"] else []
    return "\n".join([data["sentence"], *map(visible, differ), *alone, "", *lines])


def _row(image: float, native: float, ratio: float | None) -> tuple[str, str, str]:
    return quantity.number(image), quantity.number(native), "-" if ratio is None else quantity.number(ratio)

"""Ring 4. The repeats of one check -> one check: every repeat is judged, and the numbers of all are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from stack import statistics
from stack.verdict import Check, Metric, Number


def merged(repeats: Sequence[Check]) -> Check:
    """What a check that was run several times came to: it failed where it failed once.

    A number with a bound is the worst of them, another the median.
    """
    first, differing = repeats[0], _differing(repeats)
    if len(repeats) == 1:
        return first
    failed = [check for check in repeats if check.result == "fail"]
    reasons = [f"in {len(failed)} of {len(repeats)} repeats: {failed[0].reason}"] if failed else []
    reasons += [f"{name} is exact, and had other bits in another repeat" for name in differing]
    shown = failed[0] if failed else first
    return shown.model_copy(
        update={
            "result": _result(repeats, reasons),
            "seconds": round(sum(check.seconds for check in repeats), 3),
            "metrics": _metrics(repeats),
            "numbers": first.numbers or shown.numbers,
            "reason": "; ".join(reasons) or shown.reason,
        }
    )


def _result(repeats: Sequence[Check], reasons: Sequence[str]) -> Literal["pass", "fail", "skip"]:
    if reasons:
        return "fail"
    return "pass" if any(check.result == "pass" for check in repeats) else "skip"


def _differing(repeats: Sequence[Check]) -> list[str]:
    """Exact numbers that are not the same every time: no rounding explains that."""
    seen: dict[tuple[str, str], set[str]] = {}
    every: list[Number] = [number for check in repeats for number in check.numbers if number.kind == "exact"]
    for number in every:
        seen.setdefault((number.name, number.inputs), set()).add(number.digest)
    return sorted({name for (name, _inputs), digests in seen.items() if len(digests) > 1})


def _metrics(repeats: Sequence[Check]) -> tuple[Metric, ...]:
    by_name: dict[str, list[Metric]] = {}
    for check in repeats:
        for metric in check.metrics:
            by_name.setdefault(metric.name, []).append(metric)
    return tuple(_metric(found) for found in by_name.values())


def _metric(found: Sequence[Metric]) -> Metric:
    values = tuple(metric.value for metric in found)
    if any(math.isnan(value) for value in values):
        one = math.nan
    elif found[0].bound is not None:
        one = max(values)
    else:
        one = statistics.median(values)
    return found[0].model_copy(update={"value": one, "values": values})

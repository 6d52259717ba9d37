"""One check of several repeats: a failure is not outvoted, and no number is lost."""

from __future__ import annotations

import json
import math

import pytest

from stack.artifact import digest
from stack.explain import verdict_text
from stack.outcome import Subject, parse
from stack.repeats import merged
from stack.verdict import Check, Metric, Number, Verdict


def check(speed: float, error: float = 0.5, **said: object) -> Check:
    metrics = (Metric(name="error", value=error, bound=1.0), Metric(name="speed", value=speed, unit="GFLOP/s"))
    made = Check(name="Gemm", title="products", result="pass", seconds=1.5, metrics=metrics, reproduce="again")
    return made.model_copy(update=said)


def exact(bits: str, inputs: str = "same") -> Number:
    return Number(name="gemm_fp64_exact", precision="fp64", kind="exact", inputs=digest(inputs), said="a product",
                  digest=digest(bits), count=4)  # fmt: skip


def test_one_run_is_as_it_was() -> None:
    one = check(60.0)
    assert merged([one]) is one


def test_the_median_of_a_speed_and_the_worst_of_an_error() -> None:
    made = merged([check(60.0, 0.1), check(48.0, 0.9), check(61.0, 0.2)])
    assert [(m.name, m.value, m.values) for m in made.metrics] == [
        ("error", 0.9, (0.1, 0.9, 0.2)),
        ("speed", 60.0, (60.0, 48.0, 61.0)),
    ]
    assert (made.result, made.seconds, made.reason) == ("pass", 4.5, "")


def test_a_failure_is_not_outvoted() -> None:
    bad = check(10.0, 3.0, result="fail", reason="error is 3", output="the end", metrics=(Metric(name="x", value=1),))
    made = merged([check(60.0), bad, check(61.0), bad])
    assert (made.result, made.reason, made.output) == ("fail", "in 2 of 4 repeats: error is 3", "the end")
    assert [m.name for m in made.metrics] == ["error", "speed", "x"]


@pytest.mark.parametrize("name", ["error", "speed"])
def test_not_a_number_is_the_worst(name: str) -> None:
    values = {"error": 0.5, "speed": 60.0, name: math.nan}
    made = merged([check(60.0), check(values["speed"], values["error"])])
    assert math.isnan(next(m for m in made.metrics if m.name == name).value)


def test_an_exact_number_with_other_bits_fails() -> None:
    same = merged([check(60.0, numbers=(exact("a"),)), check(61.0, numbers=(exact("a"),))])
    assert (same.result, same.numbers) == ("pass", (exact("a"),))
    made = merged([check(60.0, numbers=(exact("a"),)), check(61.0, numbers=(exact("b"),))])
    assert (made.result, made.reason) == ("fail", "gemm_fp64_exact is exact, and had other bits in another repeat")
    other = merged([check(60.0, numbers=(exact("a", "1"),)), check(61.0, numbers=(exact("b", "2"),))])
    assert other.result == "pass"


def test_skipped_only_where_all_were() -> None:
    skipped = check(0.0, result="skip", reason="no GPU")
    assert merged([skipped, skipped]).result == "skip"
    assert merged([skipped, check(1.0)]).result == "pass"


def test_all_rounds_of_a_run_report_are_read() -> None:
    """ReFrame writes each round as a run of its own."""
    cases = [{"name": "Gemm", "result": result, "fail_reason": "why", "fail_phase": "run",
              "perfvalues": {"a:b:speed": [speed, 0, None, None, "GFLOP/s", "pass"]}}
             for result, speed in (("pass", 60.0), ("fail", 10.0), ("pass", 62.0))]  # fmt: skip
    report = {"session_info": {"version": "4.10"}, "runs": [{"testcases": [case]} for case in cases]}
    subject = Subject(cell="c", image=digest("i"), lock=digest("l"), suite=digest("s"), date="2026-03-02", host="h",
                      expected=("Gemm", "Other"))  # fmt: skip
    one, missing = parse(json.dumps(report), subject).checks
    assert (one.result, one.metrics[0].values, one.metrics[0].value) == ("fail", (60.0, 10.0, 62.0), 60.0)
    assert one.reason == "in 1 of 3 repeats: why (in phase run)"
    assert (missing.name, missing.result) == ("Other", "fail")


def test_a_terminal_shows_the_median_and_how_far_the_repeats_lay_apart() -> None:
    made = merged([check(60.0), check(48.0), check(61.0)])
    verdict = Verdict(schema=1, cell="c", image=digest("i"), lock=digest("l"), suite=digest("s"), date="d", reframe="r",
                      host="h", checks=(made,))  # fmt: skip
    assert "speed 60 GFLOP/s, median of 3 (48 to 61)" in verdict_text(verdict)
    assert "median" not in verdict_text(verdict.model_copy(update={"checks": (check(60.0),)}))


def test_failures_with_one_cause_are_told_once() -> None:
    fails = [check(60.0).model_copy(update={"name": name, "result": "fail", "reason": why, "reproduce": f"run {name}"})
             for name, why in (("A", "no nodes"), ("B", "wrong"), ("C", "no nodes"))]  # fmt: skip
    verdict = Verdict(schema=1, cell="c", image=digest("i"), lock=digest("l"), suite=digest("s"), date="d", reframe="r",
                      host="h", checks=tuple(fails))  # fmt: skip
    told = verdict_text(verdict)
    assert "FAILED A, C: no nodes\n  run the first alone: run A\n" in told
    assert "FAILED B: wrong\n  run it alone: run B\n" in told

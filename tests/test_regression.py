"""A regression is told from noise: proven ones are found, noise is not, and too few repeats tell nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stack import history_text, regression
from stack.errors import StackError
from stack.history import Session
from stack.regression import Comparison, Outcome, Rule, compare, content, directions, measuring, rule
from stack.verify import thresholds
from tests.measured import DIRECTIONS, OTHER, session

SUITE = Path(__file__).parent.parent / "reframe_tests"
BY = Rule(schema=1, alpha=0.01, least_change=0.05, origin="chosen")
FAST = [60.0, 60.5, 61.0, 61.5, 62.0, 62.5, 63.0]
SLOW = [v * 0.8 for v in FAST]


def told(before: dict[str, Sequence[float]], now: dict[str, Sequence[float]], *earlier: Session) -> Comparison:
    one, two = session(8, before), session(9, now, image=OTHER)
    return compare([one], two, [*earlier, one], DIRECTIONS, BY)


def only(made: Comparison) -> Outcome:
    (outcome,) = made.outcomes
    return outcome


def test_a_fifth_less_speed_is_a_regression_and_the_other_way_round_is_none() -> None:
    made = told({"fp64_speed": FAST}, {"fp64_speed": SLOW})
    assert only(made).said == "slower"
    assert only(made).change == pytest.approx(-0.2)
    assert only(made).p == pytest.approx(1 / 3432)  # of the ways to choose 7 of 14, one
    assert made.regressions == made.outcomes
    back = told({"fp64_speed": SLOW}, {"fp64_speed": FAST})
    assert (only(back).said, back.regressions) == ("faster", ())


def test_a_higher_latency_is_slower() -> None:
    assert only(told({"latency": SLOW}, {"latency": FAST})).said == "slower"
    assert only(told({"latency": FAST}, {"latency": SLOW})).said == "faster"


def test_noise_is_no_regression_although_the_median_fell() -> None:
    made = only(told({"fp64_speed": FAST}, {"fp64_speed": [40.0, 50.0, 55.0, 56.0, 63.0, 64.0, 65.0]}))
    assert made.change is not None
    assert made.change < -0.05
    assert (made.said, made.why) == ("same", "within noise")


def test_what_is_proven_and_small_is_the_same() -> None:
    made = only(told({"fp64_speed": FAST}, {"fp64_speed": [v * 0.955 for v in [60.0] * 7]}))
    assert (made.said, made.least_change) == ("slower", 0.05)
    close = only(told({"fp64_speed": [60.0 + i / 100 for i in range(7)]}, {"fp64_speed": [59.0] * 7}))
    assert close.p is not None
    assert close.p < 0.01
    assert (close.said, close.why) == ("same", "a change below 5.0% does not count")


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_too_few_repeats_tell_nothing_however_large_the_difference(n: int) -> None:
    made = told({"fp64_speed": FAST[:n]}, {"fp64_speed": [1.0] * n})
    assert only(made).said == "cannot tell"
    assert only(made).why == f"too few repeats: {n} before and {n} now; 5 and 5 can tell"
    assert made.regressions == ()
    enough = told({"fp64_speed": FAST[:5]}, {"fp64_speed": [1.0] * 5})
    assert only(enough).said == "slower"


def test_many_numbers_need_more_than_one_does() -> None:
    """1 of 252 is enough alone, and is not when it is one of three."""
    directions = {("Gemm", name): "higher" for name in ("a", "b", "c")}
    same = dict.fromkeys(("b", "c"), FAST[:5])
    one, two = session(1, {"a": FAST[:5], **same}), session(2, {"a": SLOW[:5], **same})
    made = compare([one], two, [one], directions, BY)  # type: ignore[arg-type]
    assert [o.said for o in made.outcomes] == ["cannot tell"] * 3
    assert made.outcomes[0].p == pytest.approx(3 / 252)
    assert made.outcomes[0].why.endswith("6 and 6 can tell")
    longer = dict.fromkeys(("b", "c"), FAST)
    made = compare([session(1, {"a": FAST, **longer})], session(2, {"a": SLOW, **longer}), [], directions, BY)  # type: ignore[arg-type]
    assert [o.said for o in made.outcomes] == ["slower", "same", "same"]
    assert made.outcomes[0].p == pytest.approx(3 / 3432)


def test_numbers_measured_once_do_not_weaken_the_others() -> None:
    made = told({"fp64_speed": FAST[:5], "latency": [1.0]}, {"fp64_speed": SLOW[:5], "latency": [2.0]})
    assert [o.said for o in made.outcomes] == ["slower", "cannot tell"]
    assert made.outcomes[0].p == pytest.approx(1 / 252)


def test_days_that_differed_before_are_no_regression() -> None:
    """Two sessions of one image, a quarter apart: the machine does that by itself."""
    days = [session(n, {"fp64_speed": [v] * 3}) for n, v in ((1, 60.0), (2, 45.0))]
    made = only(told({"fp64_speed": FAST}, {"fp64_speed": SLOW}, *days))
    assert made.said == "same"
    assert made.least_change == pytest.approx(0.3667, abs=1e-3)
    assert made.why == "sessions of one image differed by 36.7% before"
    single = [replace(d, series=tuple(replace(s, values=s.values[:2]) for s in d.series)) for d in days]
    assert only(told({"fp64_speed": FAST}, {"fp64_speed": SLOW}, *single)).said == "slower"
    elsewhere = [replace(d, host="another") for d in days]
    assert only(told({"fp64_speed": FAST}, {"fp64_speed": SLOW}, *elsewhere)).said == "slower"


def test_several_sessions_before_are_one_sample() -> None:
    before = [session(n, {"fp64_speed": FAST[n : n + 2]}) for n in (1, 2, 3)]
    made = compare(before, session(9, {"fp64_speed": SLOW}), before, DIRECTIONS, BY)
    assert only(made).before.n == 6
    long = [session(n, {"fp64_speed": [float(n)] * 30}) for n in (1, 2, 3)]
    made = compare(long, session(9, {"fp64_speed": [3.0] * 30}), [], DIRECTIONS, BY)
    assert (only(made).before.n, only(made).before.median) == (60, 2.5)  # the newest


def test_under_emulation_nothing_is_judged() -> None:
    one, two = (session(n, {"fp64_speed": v}, emulator="qemu-riscv64 7.2") for n, v in ((1, FAST), (2, SLOW)))
    made = compare([one], two, [one], DIRECTIONS, BY)
    assert (made.judged, made.regressions) == (False, ())
    assert (only(made).said, only(made).why, only(made).p) == ("not judged", "under emulation, not judged", None)
    assert only(made).change == pytest.approx(-0.2)  # shown all the same


def test_another_host_is_not_compared() -> None:
    made = compare([session(1, {"fp64_speed": FAST}, host="b")], session(2, {"fp64_speed": SLOW}), [], DIRECTIONS, BY)
    assert made.unlike == ("the host differs (b, then x86_64_v4, 2 cores, 8 GiB, Debian 13)",)
    assert (only(made).said, made.regressions) == ("not comparable", ())


def test_what_was_not_measured_on_one_side_is_said() -> None:
    made = told({"fp64_speed": FAST, "latency": FAST}, {"fp64_speed": FAST})
    assert [(o.metric, o.said, o.why) for o in made.outcomes][1] == ("latency", "cannot tell", "not measured now")
    back = told({}, {"fp64_speed": FAST})
    assert (only(back).why, only(back).change) == ("not measured before", None)


def test_numbers_without_a_direction_are_left_out() -> None:
    assert told({"initial_loss": FAST}, {"initial_loss": SLOW}).outcomes == ()


def test_a_check_with_parameters_has_the_direction_of_its_name() -> None:
    one, two = session(1, {"fp64_speed": FAST}), session(2, {"fp64_speed": SLOW})
    both = [replace(s, series=tuple(replace(x, check="Gemm %size=64") for x in s.series)) for s in (one, two)]
    assert only(compare([both[0]], both[1], [], DIRECTIONS, BY)).said == "slower"


def test_zeros_do_not_divide() -> None:
    made = told({"latency": [0.0] * 7}, {"latency": [1.0] * 7})
    assert only(made).said == "slower"
    assert content(made)["numbers"][0]["change"] is None
    assert only(told({"latency": [0.0] * 7}, {"latency": [0.0] * 7})).change == 0.0


def test_false_alarms_are_as_rare_as_the_level_says() -> None:
    """Ten noisy numbers, nothing changed: of 400 comparisons at a level of 0.2 no more than a fifth finds anything."""
    dice, found = random.Random(5), 0
    names = {("Gemm", f"n{i}"): "higher" for i in range(10)}
    loose = BY.model_copy(update={"alpha": 0.2, "least_change": 0.0})
    for _ in range(400):
        one, two = (session(n, {m: [dice.gauss(100, 10) for _ in range(8)] for _c, m in names}) for n in (1, 2))
        found += bool(compare([one], two, [], names, loose).regressions)  # type: ignore[arg-type]
    assert 0 < found <= 100  # expected at most 80


def test_the_data_is_json() -> None:
    data = json.loads(json.dumps(content(told({"fp64_speed": FAST}, {"fp64_speed": SLOW})), allow_nan=False))
    assert data["regressions"] == ["Gemm.fp64_speed"]
    assert (data["comparable"], data["judged"], data["rule"]["schema"]) == (True, True, 1)
    assert data["numbers"][0]["before"] == {"n": 7, "median": 61.5, "low": 60.75, "high": 62.25, "lost": 0}


def test_every_speed_of_the_suite_says_what_is_better() -> None:
    found = {p.parent.name: p.read_text() for p in SUITE.glob("*/thresholds.yaml")}
    limits = thresholds(found)
    speeds = {(c, m) for c, entry in limits.checks.items() for m, limit in entry.metrics.items()
              if limit.unit in ("GFLOP/s", "GB/s", "GiB/s", "MB/s", "s", "ms", "us", "samples/s")}  # fmt: skip
    assert ("Gemm", "fp64_speed") in speeds
    assert speeds - set(directions(limits)) == set()
    assert measuring(limits, ("Gemm", "Versions")) == ("Gemm",)
    assert directions(limits)["Mpi4py", "latency"] == "lower"


def test_the_rule_of_the_suite_is_read_and_faults_have_a_place() -> None:
    assert rule((SUITE / regression.RULE).read_text()).alpha == 0.01
    with pytest.raises(StackError, match=r"comparison.yaml:2:\d+"):
        rule("schema: 1\nalpha: 2\nleast_change: 0.05\norigin: o\n")


def test_words() -> None:
    both = told({"fp64_speed": FAST, "latency": [1.0]}, {"fp64_speed": SLOW, "latency": [1.5]})
    text = history_text.compared(both)
    assert "✗ slower" in text
    assert "61.5 -> 49.2 GFLOP/s -20.0% p 2.9e-4 7 and 7 runs" in " ".join(text.split())
    assert text.endswith("1 of 2 numbers became slower, beyond noise (exact Mann-Whitney test, level 0.01 for all "
                         "numbers together; a change of at least 5%).\n")  # fmt: skip
    few = history_text.conclusion(told({"latency": [1.0]}, {"latency": [9.0]}))
    assert few.startswith("None of 1 number was proven to be slower")
    assert few.endswith(" Of 1 nothing can be told: --repeat measures more.")
    gone = history_text.conclusion(told({"latency": FAST}, {}))
    assert gone.endswith(" Of 1 nothing can be told.")
    assert history_text.conclusion(told({}, {})).startswith("No performance was measured")
    alone = compare([], session(2, {"latency": [1.0]}), [], DIRECTIONS, BY)
    assert "There is no earlier session to compare with" in history_text.compared(alone)
    assert (only(alone).said, only(alone).why) == ("cannot tell", "not measured before")
    strange = compare([session(1, {"latency": [1.0]}, host="b\x1b[31m")], session(2, {}), [], DIRECTIONS, BY)
    assert "\x1b" not in history_text.compared(strange)
    assert "These sessions cannot be compared:" in history_text.compared(strange)
    emulated = [session(n, {"latency": [1.0]}, emulator="qemu") for n in (1, 2)]
    assert "under an emulator" in history_text.conclusion(compare(emulated[:1], emulated[1], [], DIRECTIONS, BY))

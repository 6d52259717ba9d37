"""ReFrame's run report as a verdict; they were recorded from ReFrame 4.10.4."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import outcome
from stack.errors import ExitCode, StackError
from stack.host import checks
from stack.verdict import Check, Verdict
from tests import cards as samples

RECORDED = Path(__file__).parent / "recorded" / "reframe"
NAMES = ("Compilers", "Gemm", "Mpi4py", "MpiProgram", "TorchOperators", "TorchTraining", "Versions")
SUBJECT = outcome.Subject("ai-hpc/laptop/x", "0" * 64, "1" * 64, "2" * 64, "2026-01-01T00:00:00Z", "a machine",
                         ("sovstack", "verify", "laptop"))  # fmt: skip


def parsed(name: str, **changes: Any) -> Verdict:
    return outcome.parse((RECORDED / name).read_text(), replace(SUBJECT, **changes))


def check(verdict: Verdict, name: str) -> Check:
    return next(c for c in verdict.checks if c.name == name)


def test_a_good_image_passes() -> None:
    verdict = parsed("good.json", expected=NAMES)
    assert verdict.passed
    assert tuple(c.name for c in verdict.checks) == NAMES
    assert verdict.reframe == "4.10.4"
    gemm = check(verdict, "Gemm")
    assert gemm.reproduce == "sovstack verify laptop --check Gemm"
    assert gemm.seconds > 0
    assert gemm.tags == ("ci", "precision")
    assert (gemm.reason, gemm.output) == ("", "")
    bounds = {m.name: m.bound for m in gemm.metrics}
    assert (bounds["fp64_error"], bounds["fp64_exact"], bounds["fp64_speed"]) == (1, 0, None)
    assert next(m for m in gemm.metrics if m.name == "fp64_speed").unit == "GFLOP/s"


def test_every_bound_of_the_data_file_is_in_the_verdict() -> None:
    limits = checks.limits()
    for made in parsed("good.json").checks:
        known = limits.checks[made.name].metrics
        said = {m.name: (m.bound, m.unit, m.origin) for m in made.metrics}
        assert said == {n: (k.bound, k.unit, k.origin) for n, k in known.items()}


def test_a_wrong_library_fails_with_numbers_and_words() -> None:
    verdict = parsed("wrong-blas.json")
    assert not verdict.passed
    assert {c.name: c.result for c in verdict.checks} == {
        "Gemm": "fail",
        "MpiProgram": "pass",
        "TorchOperators": "fail",
    }
    gemm = check(verdict, "Gemm")
    assert [m.name for m in gemm.metrics if not m.ok] == ["fp64_exact", "fp64_error", "fp64_error_wide"]
    assert "A B, float64" in gemm.reason
    assert "expected -141376709341210, got -141376700284928.0" in gemm.reason
    assert [m.name for m in check(verdict, "TorchOperators").metrics if not m.ok] == ["matmul_float64"]


def test_infinities_are_told_and_survive_json() -> None:
    verdict = parsed("nan-blas.json")
    worst = next(m for m in check(verdict, "Gemm").metrics if m.name == "fp64_error")
    assert math.isinf(worst.value)
    assert not worst.ok
    assert Verdict.model_validate_json(verdict.model_dump_json(by_alias=True)) == verdict


def test_a_program_that_does_not_start_says_why() -> None:
    made = check(parsed("no-image.json"), "MpiProgram")
    assert made.result == "fail"
    assert made.reason.startswith("the program did not come to its end (status 255): FATAL:")
    assert "no such file or directory" in made.output
    assert made.metrics == ()


def test_a_check_that_did_not_run_is_a_failure() -> None:
    verdict = parsed("no-image.json", expected=("MpiProgram", "Gemm"))
    assert check(verdict, "Gemm").result == "fail"
    assert "did not run it" in check(verdict, "Gemm").reason


def test_a_number_beyond_its_bound_fails_whatever_reframe_said() -> None:
    report = json.loads((RECORDED / "good.json").read_text())
    case = next(c for c in report["runs"][0]["testcases"] if c["name"] == "Gemm")
    key = next(k for k in case["perfvalues"] if k.endswith(":fp64_error"))
    case["perfvalues"][key][0] = 1.5
    made = check(outcome.parse(json.dumps(report), SUBJECT), "Gemm")
    assert made.result == "fail"
    assert made.reason == "fp64_error is 1.5, accepted up to 1.0"


@pytest.mark.parametrize("said", ["fail", "abort", "xpass", "anything"])
def test_only_pass_passes(said: str) -> None:
    report = json.loads((RECORDED / "good.json").read_text())
    report["runs"][0]["testcases"][0].update(result=said, fail_reason="aborted due to a signal", fail_phase="run")
    verdict = outcome.parse(json.dumps(report), SUBJECT)
    assert not verdict.passed
    assert [c.reason for c in verdict.checks if c.result == "fail"] == ["aborted due to a signal (in phase run)"]


def with_numbers(numbers: Any) -> Verdict:
    """The recorded run, as if Gemm had printed numbers for the identity card."""
    data = json.loads((RECORDED / "good.json").read_text())
    case = next(c for c in data["runs"][-1]["testcases"] if c["name"] == "Gemm")
    case["numbers"] = numbers
    return outcome.parse(json.dumps(data), replace(SUBJECT, machine=samples.RISCV))


def test_numbers_of_the_identity_card_are_in_the_verdict_with_their_machine() -> None:
    line = {"sovstack": "number", **samples.bounded().model_dump(mode="json")}
    verdict = with_numbers([line, {"sovstack": "switch", "name": "EMULATE", "value": "1"}])
    assert check(verdict, "Gemm").numbers == (samples.bounded(),)
    assert check(verdict, "Gemm").switches == {"EMULATE": "1"}
    assert check(verdict, "Versions").numbers == ()
    assert verdict.machine == samples.RISCV
    assert verdict.passed
    assert Verdict.model_validate_json(verdict.model_dump_json(by_alias=True)) == verdict


@pytest.mark.parametrize("numbers", [[{"sovstack": "number"}], "abc", {"a": 1}, [3], [[]], 7])
def test_a_number_that_cannot_be_read_fails_its_check_and_no_other(numbers: Any) -> None:
    verdict = with_numbers(numbers)
    assert [c.name for c in verdict.checks if c.result == "fail"] == ["Gemm"]
    assert "number" in check(verdict, "Gemm").reason


@pytest.mark.parametrize("ratio", [1.01, math.inf, math.nan])
def test_a_number_beyond_its_own_bound_fails_its_check(ratio: float) -> None:
    made = check(with_numbers([{"sovstack": "number", **samples.bounded(ratio=ratio).model_dump()}]), "Gemm")
    assert made.result == "fail"
    assert made.reason == f"the error of the number gemm_fp64 is {ratio:.4g} of its own bound"


def test_nothing_ran_is_no_pass() -> None:
    report = json.loads((RECORDED / "good.json").read_text())
    report["runs"][0]["testcases"] = []
    assert not outcome.parse(json.dumps(report), SUBJECT).passed


def broken() -> list[str]:
    good = json.loads((RECORDED / "good.json").read_text())
    nameless, short = copy.deepcopy(good), copy.deepcopy(good)
    del nameless["runs"][0]["testcases"][0]["name"]
    short["runs"][0]["testcases"][0]["perfvalues"] = {"a:b:c": [1]}
    return ["", "{", "[]", "{}", json.dumps(nameless), json.dumps(short)]


@pytest.mark.parametrize("text", broken())
def test_a_broken_report_is_an_error(text: str) -> None:
    with pytest.raises(StackError, match="cannot be read") as caught:
        outcome.parse(text, SUBJECT)
    assert caught.value.exit_code == ExitCode.HOST

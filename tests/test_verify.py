"""ReFrame's command line, and its run report as a verdict; the reports were recorded from ReFrame 4.10.4."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import verify
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.host.library import shipped
from stack.lock import Component, Lock, OsLock
from stack.plan import Plan
from stack.verdict import Check, Verdict

RECORDED = Path(__file__).parent / "recorded" / "reframe"
NAMES = ("Compilers", "Gemm", "Mpi4py", "MpiProgram", "TorchOperators", "TorchTraining", "Versions")
SUBJECT = verify.Subject("ai-hpc/laptop/x", "0" * 64, "1" * 64, "2" * 64, "2026-01-01T00:00:00Z", "a machine",
                         ("sovstack", "verify", "laptop"))  # fmt: skip
PATHS = verify.Paths("/v/bin/python", "/opt/a/bin/apptainer", "/s/reframe_tests", "/b/settings.json",
                     "/b/manifest.json", "/b/image.sif", "/b/verify")  # fmt: skip


@pytest.fixture
def lock(laptop: Plan) -> Lock:
    components = tuple(
        Component(name=c.component, role=c.role, provider=c.provider, version="1.0") for c in reversed(laptop.choices)
    )
    system = OsLock(system="debian-13", architecture="amd64", suites=(), requested=(), packages=())
    return Lock(
        schema=1, environment="ai-hpc", profile="laptop", target="t", components=components, os=system, inputs={}
    )


@pytest.fixture(scope="module")
def limits() -> verify.Thresholds:
    return verify.thresholds((shipped() / "reframe_tests" / verify.THRESHOLDS).read_text())


def parsed(name: str, **changes: Any) -> Verdict:
    return verify.parse((RECORDED / name).read_text(), replace(SUBJECT, **changes))


def check(verdict: Verdict, name: str) -> Check:
    return next(c for c in verdict.checks if c.name == name)


def test_manifest_states_the_locked_versions(lock: Lock, catalogue: Catalogue) -> None:
    made = json.loads(verify.manifest(lock, catalogue))
    assert [c["name"] for c in made["components"]] == sorted(c.name for c in lock.components)
    assert made["roles"] == {"blas": "openblas", "compilers": "gcc", "mpi": "openmpi"}
    assert {c["version"] for c in made["components"]} == {"1.0"}
    assert all(c["command"] == list(catalogue.recipes[c["name"]].verify.version) for c in made["components"])


def test_every_check_is_expected_of_the_whole_environment(limits: verify.Thresholds, lock: Lock) -> None:
    assert verify.expected(limits, lock) == NAMES
    assert verify.expected(limits, lock, ("Gemm",)) == ("Gemm",)


def test_what_is_not_in_the_image_is_not_expected(limits: verify.Thresholds, lock: Lock) -> None:
    less = lock.model_copy(update={"components": tuple(c for c in lock.components if c.name != "pytorch")})
    assert verify.expected(limits, less) == tuple(n for n in NAMES if not n.startswith("Torch"))
    with pytest.raises(StackError, match="TorchTraining needs pytorch") as caught:
        verify.expected(limits, less, ("TorchTraining",))
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_an_unknown_check_gets_a_suggestion(limits: verify.Thresholds, lock: Lock) -> None:
    with pytest.raises(StackError, match="did you mean 'Gemm'"):
        verify.expected(limits, lock, ("Gem",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: 2\nchecks: {A: {needs: [], metrics: {a: {unit: x, origin: y}}}}", "schema"),
        ("schema: 1\nchecks: {A: {needs: [], metrics: {a: {unit: x}}}}", "origin"),
        ("schema: 1\nchecks: {A: {needs: [], metrics: {a: {unit: x, origin: y, bound: .nan}}}}", "not a finite number"),
        ("schema: 1\nchecks: {A: {needs: [], metrics: {a: {unit: x, origin: y, bound: -1}}}}", "bound"),
        ("schema: 1\nchecks: {A: {needs: [], metrics: {}}}", "metrics"),
    ],
)
def test_thresholds_are_checked(text: str, said: str) -> None:
    with pytest.raises(StackError, match=said):
        verify.thresholds(text)


def test_the_command_keeps_to_its_folder() -> None:
    (command,) = verify.commands(PATHS, {"PATH": "/usr/bin", "APPTAINER_USERNS": "1"})
    assert command.argv[0] == "/v/bin/python"
    assert command.cwd == "/b/verify"
    assert command.argv[command.argv.index("--report-file") + 1] == PATHS.report == "/b/verify/report.json"
    assert command.env["PATH"] == "/opt/a/bin:/usr/bin"
    assert command.env["APPTAINER_USERNS"] == "1"
    assert command.env["SOVSTACK_IMAGE"] == "/b/image.sif"
    assert command.env["SOVSTACK_PRELOAD"] == ""
    assert "-n" not in command.argv


def test_the_command_for_some_checks() -> None:
    (command,) = verify.commands(PATHS, {}, ("Gemm", "Versions"))
    assert command.argv[-2:] == ("-n", "^(Gemm|Versions)$")


@pytest.mark.parametrize(
    "folder", ["/b/my build", "/b/$(id)", '/b/"', "/b/`id`", "/b/a:b", "/b/a,b", "/b/a\nb", "/b/a\\b"]
)
def test_a_folder_that_reframe_cannot_take_is_refused(folder: str) -> None:
    with pytest.raises(StackError, match="choose another folder") as caught:
        verify.commands(replace(PATHS, folder=folder), {})
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("field", ["suite", "manifest", "preload"])
def test_a_path_that_apptainer_cannot_bind_is_refused(field: str) -> None:
    assert verify.commands(replace(PATHS, **{field: "/a folder/x"}), {})
    with pytest.raises(StackError, match="cannot run with ':'"):
        verify.commands(replace(PATHS, **{field: "/a:b/x"}), {})


def test_the_suites_digest_is_of_paths_and_texts() -> None:
    one = verify.suite_digest({"a": "1", "b": "2"})
    assert one == verify.suite_digest({"b": "2", "a": "1"})
    assert len({one, verify.suite_digest({"a": "1", "b": "3"}), verify.suite_digest({"a": "1", "c": "2"})}) == 3


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


def test_every_bound_of_the_data_file_is_in_the_verdict(limits: verify.Thresholds) -> None:
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
    made = check(verify.parse(json.dumps(report), SUBJECT), "Gemm")
    assert made.result == "fail"
    assert made.reason == "fp64_error is 1.5, accepted up to 1.0"


@pytest.mark.parametrize("said", ["fail", "abort", "xpass", "anything"])
def test_only_pass_passes(said: str) -> None:
    report = json.loads((RECORDED / "good.json").read_text())
    report["runs"][0]["testcases"][0].update(result=said, fail_reason="aborted due to a signal", fail_phase="run")
    verdict = verify.parse(json.dumps(report), SUBJECT)
    assert not verdict.passed
    assert [c.reason for c in verdict.checks if c.result == "fail"] == ["aborted due to a signal (in phase run)"]


def test_nothing_ran_is_no_pass() -> None:
    report = json.loads((RECORDED / "good.json").read_text())
    report["runs"][0]["testcases"] = []
    assert not verify.parse(json.dumps(report), SUBJECT).passed


def broken() -> list[str]:
    good = json.loads((RECORDED / "good.json").read_text())
    nameless, short = copy.deepcopy(good), copy.deepcopy(good)
    del nameless["runs"][0]["testcases"][0]["name"]
    short["runs"][0]["testcases"][0]["perfvalues"] = {"a:b:c": [1]}
    return ["", "{", "[]", "{}", json.dumps(nameless), json.dumps(short)]


@pytest.mark.parametrize("text", broken())
def test_a_broken_report_is_an_error(text: str) -> None:
    with pytest.raises(StackError, match="cannot be read") as caught:
        verify.parse(text, SUBJECT)
    assert caught.value.exit_code == ExitCode.HOST

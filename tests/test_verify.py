"""What the suite is asked, and ReFrame's command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import verify
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.host import checks
from stack.lock import Component, Lock, OsLock
from stack.plan import Plan

RECORDED = Path(__file__).parent / "recorded" / "reframe"
NAMES = ("Compilers", "Gemm", "Mpi4py", "MpiProgram", "TorchOperators", "TorchTraining", "Versions")
PATHS = verify.Paths("/v/bin/python", "/s/reframe_tests", "/b/settings.json", "/b/manifest.json", "/b/subject.json",
                     "/b/verify", programs=("/opt/a/bin",))  # fmt: skip
FEATURES = (
    "image",
    "local",
    "x86_64",
    "python",
    "numpy",
    "pytorch",
    "mpi4py",
    "openmpi",
    "mpi",
    "openblas",
    "blas",
    "gcc",
    "compilers",
)


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
    return checks.limits()


def test_manifest_states_the_locked_versions(lock: Lock, catalogue: Catalogue) -> None:
    made = json.loads(verify.manifest(lock, catalogue))
    assert [c["name"] for c in made["components"]] == sorted(c.name for c in lock.components)
    assert made["roles"] == {"blas": "openblas", "compilers": "gcc", "mpi": "openmpi"}
    assert {c["version"] for c in made["components"]} == {"1.0"}
    assert all(c["command"] == list(catalogue.recipes[c["name"]].verify.version) for c in made["components"])


def test_manifest_states_what_looks_for_foreign_instructions(lock: Lock, catalogue: Catalogue) -> None:
    assert "emulation" not in json.loads(verify.manifest(lock, catalogue))
    told = {"cpu": "sifive-u54", "program": "qemu-riscv64-static"}
    assert json.loads(verify.manifest(lock, catalogue, told))["emulation"] == told


def test_every_check_is_expected_of_the_whole_environment(limits: verify.Thresholds) -> None:
    assert set(NAMES) <= set(verify.expected(limits, FEATURES, "a cell"))
    assert verify.expected(limits, FEATURES, "a cell", ("Gemm",)) == ("Gemm",)


def test_what_is_not_in_the_image_is_not_expected(limits: verify.Thresholds) -> None:
    less = tuple(f for f in FEATURES if f != "pytorch")
    found = verify.expected(limits, less, "a cell")
    assert {n for n in NAMES if not n.startswith("Torch")} <= set(found)
    assert not [n for n in found if n.startswith("Torch")]
    with pytest.raises(StackError, match="TorchTraining needs pytorch, which is not so of a cell") as caught:
        verify.expected(limits, less, "a cell", ("TorchTraining",))
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_a_feature_may_rule_a_check_out() -> None:
    text = "schema: 1\nchecks: {A: {needs: [x.y], unless: [emulated], metrics: {a: {unit: x, origin: y}}}}"
    limits = verify.thresholds({"a": text})
    assert verify.expected(limits, ("x_y",), "a cell") == ("A",)
    assert verify.expected(limits, ("x_y", "emulated"), "a cell") == ()
    with pytest.raises(StackError, match="needs no emulated, which"):
        verify.expected(limits, ("x_y", "emulated"), "a cell", ("A",))


def test_an_unknown_check_gets_a_suggestion(limits: verify.Thresholds) -> None:
    with pytest.raises(StackError, match="did you mean 'Gemm'"):
        verify.expected(limits, FEATURES, "a cell", ("Gem",))


def test_of_several_that_were_named_those_that_cannot_run_say_why(limits: verify.Thresholds) -> None:
    named = ("Gemm", "GpuGemm")
    assert verify.expected(limits, FEATURES, "a cell", named) == ("Gemm",)
    assert verify.refused(limits, FEATURES, "a cell", named) == {
        "GpuGemm": "the check GpuGemm needs gpu, which is not so of a cell"
    }
    assert verify.refused(limits, FEATURES, "a cell", ()) == {} == verify.left_out(limits, FEATURES, named)
    out = verify.left_out(limits, FEATURES)
    assert out["GpuGemm"] == "gpu" and not {*out} & {*verify.expected(limits, FEATURES, "a cell")}
    assert {*out} | {*verify.expected(limits, FEATURES, "a cell")} == {*limits.checks}


def test_what_judges_an_image_alone(limits: verify.Thresholds) -> None:
    assert verify.anywhere(limits, sorted(limits.checks), "image") == ("InstructionSet", "Linkage", "Versions")
    assert verify.anywhere(limits, sorted(limits.checks), "native") == ()


def test_a_check_has_its_bounds_in_one_file() -> None:
    text = "schema: 1\nchecks: {A: {needs: [], metrics: {a: {unit: x, origin: y}}}}"
    with pytest.raises(StackError, match=r"A has bounds in a/thresholds\.yaml too"):
        verify.thresholds({"a/thresholds.yaml": text, "b/thresholds.yaml": text})


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
        verify.thresholds({"thresholds.yaml": text})


def test_the_command_keeps_to_its_folder() -> None:
    (command,) = verify.commands(PATHS, {"PATH": "/usr/bin", "APPTAINER_USERNS": "1"})
    assert command.argv[0] == "/v/bin/python"
    assert command.cwd == "/b/verify"
    assert command.argv[command.argv.index("--report-file") + 1] == PATHS.report == "/b/verify/report.json"
    assert command.env["PATH"] == "/opt/a/bin:/usr/bin"
    assert command.env["APPTAINER_USERNS"] == "1"
    assert command.env["SOVSTACK_SUBJECT"] == "/b/subject.json"
    assert command.env["SOVSTACK_PRELOAD"] == ""
    assert "-n" not in command.argv


def test_the_command_for_some_checks() -> None:
    (command,) = verify.commands(PATHS, {}, ("Gemm", "Versions"))
    assert command.argv[-2:] == ("-n", "^(Gemm|Versions)( |$)")


def test_reframe_itself_can_be_put_into_a_namespace() -> None:
    (command,) = verify.commands(replace(PATHS, namespace=("unshare", "-m")), {})
    assert command.argv[:3] == ("unshare", "-m", "/v/bin/python")


def test_how_programs_are_started_is_read_back() -> None:
    start = verify.Start("image", apptainer="/a", image="/i.sif", options=("--nv",), variables={"A": 'b"c'})
    made = json.loads(start.text)
    assert (made["schema"], made["kind"], made["options"], made["variables"]) == (1, "image", ["--nv"], {"A": 'b"c'})


@pytest.mark.parametrize(
    "folder", ["/b/my build", "/b/$(id)", '/b/"', "/b/`id`", "/b/a:b", "/b/a,b", "/b/a\nb", "/b/a\\b"]
)
def test_a_folder_that_reframe_cannot_take_is_refused(folder: str) -> None:
    with pytest.raises(StackError, match="choose another folder") as caught:
        verify.commands(replace(PATHS, folder=folder), {})
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("field", ["suite", "manifest", "preload"])
def test_a_path_that_apptainer_cannot_bind_is_refused(field: str) -> None:
    changes: dict[str, Any] = {field: "/a folder/x"}
    assert verify.commands(replace(PATHS, **changes), {})
    changes[field] = "/a:b/x"
    with pytest.raises(StackError, match="cannot run with ':'"):
        verify.commands(replace(PATHS, **changes), {})


def test_the_suites_digest_is_of_paths_and_texts() -> None:
    one = verify.suite_digest({"a": "1", "b": "2"})
    assert one == verify.suite_digest({"b": "2", "a": "1"})
    assert len({one, verify.suite_digest({"a": "1", "b": "3"}), verify.suite_digest({"a": "1", "c": "2"})}) == 3

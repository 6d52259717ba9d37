"""The suite's checks on software that is not ours: what is run, what is kept of it, and what a history has."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import verify
from stack.artifact import Command
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError, host_lacks
from stack.host import checks, remembering, standing, suite_checks, suiting
from stack.host.placing import Cluster, Place
from stack.host.run import Result
from stack.host.suiting import Asked, Subject
from stack.profile import Scheduler
from stack.regression import Comparison
from stack.verify import Start
from tests.host.test_suiting import answers_of
from tests.measured import case, report


@pytest.fixture
def subject(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Subject:
    """A machine where Python and a NumPy with its own BLAS answer."""
    answers_of(monkeypatch, catalogue)
    return suiting.open_subject(Asked(build_dir=tmp_path), catalogue)


@pytest.fixture
def reframe(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """A ReFrame whose checks pass and that says nothing of what it keeps; gathers what it was asked."""
    asked: list[Command] = []
    made: dict[str, Any] = report(1, [case("Gemm", {"fp64_speed": 60.0})])
    made["session_info"]["version"] = "4.10"

    def ran(command: Command, *_more: object) -> tuple[Result, str]:
        asked.append(command)
        return Result(0, "", ""), json.dumps(made)

    monkeypatch.setattr(checks, "ran", ran)
    return asked


def ignored(_line: str) -> None:
    pass


def test_a_check_that_cannot_run_says_what_it_needs(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="MpiProgram needs compilers, mpi") as raised:
        suite_checks.check(subject, ignored, ("MpiProgram",))
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    assert not (tmp_path / "suite").exists()


def test_the_list_has_what_is_meant_and_why_it_is_left_out(subject: Subject) -> None:
    left = {row["check"]: row["left_out"] for row in suite_checks.rows(subject)}
    assert left["Gemm"] == "" and left["Versions"] == "no site" and "openmpi" not in left["MpiProgram"]
    assert "mpi" in left["MpiProgram"]
    two = suite_checks.rows(subject, ("MpiProgram", "Gemm"))
    assert [row["check"] for row in two] == ["Gemm", "MpiProgram"] and two[1]["left_out"] == left["MpiProgram"]
    fast = {row["check"] for row in suite_checks.rows(subject, repeat=2)}
    assert "Gemm" in fast and not fast & {"Stream", "Versions"}  # of what can run, what measures speed
    with pytest.raises(StackError, match="did you mean 'Gemm'"):
        suite_checks.rows(subject, ("Gemmm",))


def test_repeats_are_of_what_measures_speed_and_go_into_the_history_alone(
    subject: Subject, reframe: list[Command]
) -> None:
    notes: list[str] = []
    suite_checks.check(subject, ignored, repeat=3, note=notes.append)
    (command,) = reframe
    assert command.argv[command.argv.index("--reruns") + 1] == "2"
    names = command.argv[-1].removeprefix("^(").removesuffix(")( |$)").split("|")
    assert command.argv[-2] == "-n" and {"FourierTransform", "Gemm"} <= {*names} and "Stream" not in names
    assert command.env["RFM_SQLITE_DB_FILE"] == f"{subject.folder}/reframe/history/results.db"
    assert {"sovstack_cell=suite/machine", "sovstack_subject=native"} <= {*command.argv}
    assert not (subject.folder / "verdict.json").exists()
    assert "this run is not in the history" in notes[0]
    suite_checks.check(subject, ignored, ("Gemm",), repeat=3)
    assert reframe[1].argv[-1] == "^(Gemm)( |$)"


def test_what_a_preloaded_library_did_is_not_kept(subject: Subject, reframe: list[Command], tmp_path: Path) -> None:
    other = replace(subject, asked=replace(subject.asked, preload=tmp_path / "l.so"))
    notes: list[str] = []
    verdict = suite_checks.check(other, ignored, note=notes.append)
    assert reframe[0].env["SOVSTACK_PRELOAD"] == f"{tmp_path}/l.so"
    assert "RFM_SQLITE_DB_FILE" not in reframe[0].env and notes == []
    assert not (subject.folder / "verdict.json").exists()
    assert f"--preload {tmp_path}/l.so" in verdict.checks[0].reproduce


def test_a_whole_run_is_the_verdict_and_one_of_a_scale_stands_beside_it(
    subject: Subject, reframe: list[Command]
) -> None:
    verdict = suite_checks.check(subject, ignored)
    assert checks.read(subject.folder / "verdict.json") == verdict
    assert verdict.files == verify.suite_digest(checks.suite_files()) != verdict.suite
    assert json.loads((subject.folder / "card.json").read_text())["suite"] == verdict.files
    small = replace(subject, asked=replace(subject.asked, place=Place(scale="1_core")))
    other = suite_checks.check(small, ignored)
    assert checks.read(subject.folder / "verdict.json") == verdict
    assert checks.read(subject.folder / "verdict.1_core.json") == other
    assert {p.name for p in subject.folder.glob("*1_core*")} == {
        *("card.1_core.html", "card.1_core.json", "report.1_core.txt", "verdict.1_core.json")
    }
    assert "scale 1_core" in other.host and "--scale 1_core" in other.checks[0].reproduce


def test_without_a_scheduler_that_answers_an_image_is_judged_alone(
    subject: Subject, reframe: list[Command], catalogue: Catalogue, tmp_path: Path
) -> None:
    """All other software would have to be asked on a node."""
    down = Place(cluster=Cluster(Scheduler(), 2, down=host_lacks("Slurm does not answer: no route", "is it up?")))
    with pytest.raises(StackError, match="no route"):
        suiting.open_subject(Asked(place=down, build_dir=tmp_path), catalogue)
    meant = replace(subject, asked=replace(subject.asked, place=down))
    with pytest.raises(StackError, match="no route"):
        suite_checks.check(meant, ignored)
    assert reframe == []
    image = replace(meant, begin=Start("image", image="/i.sif"), where=replace(meant.where, kind="image"))
    notes: list[str] = []
    verdict = suite_checks.check(image, ignored, note=notes.append)
    assert reframe[0].argv[-1] == "^(Linkage)( |$)" and "is it up?" in notes[0]
    failed = {check.name: check for check in verdict.checks if check.result == "fail"}
    assert failed["FourierTransform"].reason == "Slurm does not answer: no route (is it up?)"
    assert "RFM_SQLITE_DB_FILE" not in reframe[0].env and "here and not on nodes" in verdict.host
    rows = {row["check"]: row["left_out"] for row in suite_checks.rows(image)}
    assert rows["Linkage"] == "" and rows["FourierTransform"].startswith("nodes: Slurm does not answer")
    assert "nodes" not in rows["GpuGemm"]
    assert "--scheduler slurm --nodes 2" in failed["FourierTransform"].reproduce and not verdict.passed
    assert not (subject.folder / "verdict.slurm.json").exists() and not (subject.folder / "verdict.json").exists()


def test_new_software_is_compared_with_the_old(
    subject: Subject, reframe: list[Command], catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was installed, or loaded under another version, does not make another machine or other checks."""
    answers_of(monkeypatch, catalogue, hdf5="1.14.5", numpy="2.5.0")
    newer = suiting.open_subject(Asked(name="machine", build_dir=tmp_path), catalogue)
    newer = replace(newer, asked=replace(newer.asked, load=("numpy/2.5",)))
    assert {*newer.features} - {*subject.features} == {"hdf5"}
    verdicts = [suite_checks.check(s, ignored) for s in (subject, newer)]
    said = [{w.partition("=")[0]: w for w in c.argv if w.startswith("sovstack_")} for c in reframe]
    differing = {key for key in said[0] if said[0][key] != said[1][key]}
    assert differing == {"sovstack_image", "sovstack_lock"}
    assert (verdicts[0].host, verdicts[0].suite) != (verdicts[1].host, verdicts[1].suite)


def test_the_suite_runs_on_this_machine_and_its_verdict_is_no_evidence(catalogue: Catalogue, tmp_path: Path) -> None:
    from stack.host import comparing

    subject = suiting.open_subject(Asked(build_dir=tmp_path), catalogue)
    if "numpy" not in subject.features:
        pytest.skip("this machine's Python has no NumPy: python3 -m pip install numpy")
    notes: list[str] = []
    verdict = suite_checks.check(subject, ignored, ("FourierTransform",), 2, notes.append)
    assert (verdict.provider, verdict.cell) == ("site", "suite/machine") and verdict.checks[0].result == "pass"
    assert not (subject.folder / "verdict.json").exists()  # one check alone is no verdict on the software
    (session,) = found = remembering.sessions(subject.folder)
    assert notes == [] and (session.cell, session.repeats, session.image) == ("suite/machine", 2, verdict.image)
    made: Comparison = comparing.compared(found, "last", remembering.ran(subject.folder, found, verdict))
    assert (made.before, made.now) == ((), session)
    suite_checks._keep(subject, verdict)
    kept = checks.read(subject.folder / "verdict.json")
    assert kept == verdict
    lock = tmp_path / "stack.lock.json"
    lock.write_text(subject.manifest)
    about = verdict.model_copy(update={"lock": subprocess.check_output(["sha256sum", lock], text=True).split()[0]})
    (tmp_path / "verdict.json").write_text(about.model_dump_json(by_alias=True))
    assert standing.verdict(tmp_path / "verdict.json") is None
    (tmp_path / "verdict.json").write_text(about.model_copy(update={"provider": ""}).model_dump_json(by_alias=True))
    assert standing.verdict(tmp_path / "verdict.json") is not None
    card = json.loads((subject.folder / "card.json").read_text())
    assert {part["provider"] for part in card["software"]} == {"site"}
    assert (card["image"], card["lock"], card["answers"]) == (None, None, subject.sha256)
    assert subject.found
    assert {own.name for own in subject.found.carried} <= {part["name"] for part in card["software"]}
    assert "numpy" in (subject.folder / "report.txt").read_text()

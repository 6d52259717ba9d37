"""The checks of a cell that were meant for nodes of a scheduler which does not answer."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stack import lock as locks
from stack.artifact import Command
from stack.errors import ExitCode, StackError, host_lacks
from stack.explain import verdict_text
from stack.host import apptainer, cells, checks, examining
from stack.host.cells import Cell
from stack.host.examining import Asked, Subject
from stack.host.image import Image
from stack.host.library import Library, roots
from stack.host.placing import HERE, Cluster, Place
from stack.host.progress import Progress
from stack.host.run import Result
from stack.profile import Scheduler
from tests.measured import case, report

DOWN = Place(
    cluster=Cluster(Scheduler(kind="slurm"), 2, down=host_lacks("Slurm does not answer: no route", "is it up?")),
    scale="2_nodes",
)
ANYWHERE = ("Linkage", "Versions")  # InstructionSet too, where there is an emulator


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    made = cells.open_cell(Library(roots(None)), "generic-x86", "ai-hpc", None, tmp_path / "build")
    made.folder.mkdir(parents=True)
    shutil.copy(made.released / "stack.lock.json", made.lock_path)
    return made


@pytest.fixture
def subject(cell: Cell) -> Subject:
    lock = locks.parse(cell.lock_path.read_text(), "a lock")
    return Subject(lock, Image(cell.folder / "i.sif", "k", "5" * 64, "6" * 64, 1, lock.digest, {}))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """A ReFrame whose checks pass; gathers what it was asked."""
    asked: list[Command] = []
    made = report(1, [case(name, {"components": 1.0}) for name in ANYWHERE])
    made["session_info"]["version"] = "4.10"

    def answer(command: Command, *_more: object) -> tuple[Result, str]:
        asked.append(command)
        return Result(0, "", ""), json.dumps(made)

    monkeypatch.setattr(checks, "ran", answer)
    monkeypatch.setattr(apptainer, "find", lambda: Path("/usr/bin/apptainer"))
    return asked


def test_what_judges_the_image_alone_runs_here_and_the_others_fail(
    cell: Cell, subject: Subject, ran: list[Command]
) -> None:
    told = io.StringIO()
    verdict, reused = examining.examine(cell, subject, Asked(), DOWN, Progress(stream=told), None)
    assert verdict and not reused and not verdict.passed
    (command,) = ran
    names = command.argv[-1].removeprefix("^(").removesuffix(")( |$)").split("|")
    assert {*ANYWHERE} <= {*names} <= {*ANYWHERE, "InstructionSet"}
    assert json.loads((cell.folder / "reframe/subject.json").read_text())["launch"] == "local"
    results = {check.name: check for check in verdict.checks}
    assert {results[name].result for name in ANYWHERE} == {"pass"}
    assert "--scheduler" not in results["Versions"].reproduce
    assert verdict.host.endswith("here and not on nodes: Slurm does not answer: no route (is it up?)")
    gemm = results["Gemm"]
    assert (gemm.result, gemm.reason) == ("fail", "Slurm does not answer: no route (is it up?)")
    assert "RFM_SQLITE_DB_FILE" not in command.env  # the history is of the nodes
    assert "--scheduler slurm --nodes 2 --scale 2_nodes" in gemm.reproduce and gemm.reproduce.endswith("--check Gemm")
    assert not [*cell.folder.glob("verdict*")]  # a part of the whole is nobody's verdict
    assert "no route (is it up?)" in told.getvalue() and "Linkage" in told.getvalue()


def test_of_several_that_were_named_those_run_that_can(cell: Cell, subject: Subject, ran: list[Command]) -> None:
    library = cell.folder / "l.so"
    library.touch()
    asked = Asked(only=("Gemm", "Versions"), preload=library)
    verdict, _ = examining.examine(cell, subject, asked, DOWN, Progress(quiet=True), None)
    assert ran[0].argv[-1] == "^(Versions)( |$)" and ran[0].env["SOVSTACK_PRELOAD"] == str(library)
    gemm = next(check for check in verdict.checks if check.name == "Gemm") if verdict else None
    assert gemm and f"--preload {library}" in gemm.reproduce


def test_checks_that_all_need_no_node_say_where_they_ran(cell: Cell, subject: Subject, ran: list[Command]) -> None:
    told = io.StringIO()
    verdict, _ = examining.examine(cell, subject, Asked(only=ANYWHERE), DOWN, Progress(stream=told), None)
    assert verdict and verdict.passed and "here and not on nodes" in verdict.host
    assert "the others" not in told.getvalue()


@pytest.mark.parametrize(
    ("asked", "place"),
    [(Asked(only=("Gemm",)), DOWN), (Asked(repeat=3), DOWN), (Asked(), replace(DOWN, kind="native"))],
)
def test_where_nothing_can_be_said_without_nodes_nothing_runs(
    cell: Cell, subject: Subject, ran: list[Command], asked: Asked, place: Place
) -> None:
    with pytest.raises(StackError, match="no route"):
        examining.examine(cell, subject, asked, place, Progress(quiet=True), None)
    assert ran == []


def test_a_scale_is_of_the_nodes_that_the_profile_describes(tmp_path: Path) -> None:
    made = cells.open_cell(Library(roots(None)), "cineca-leonardo", "ai-hpc", None, tmp_path)
    told = made.plan.profile.partitions[made.plan.target.partition].cpu.cores
    assert told != "host" and checks.cores(made, DOWN) == told and checks.cores(made, HERE) == made.facts.cores
    nodes = replace(DOWN, cluster=replace(DOWN.cluster, down=None)) if DOWN.cluster else HERE
    assert checks.sized(checks.cores(made, nodes), nodes, "2_nodes").scale == "2_nodes"


def test_a_dry_run_shows_what_would_run_here(cell: Cell, subject: Subject, ran: list[Command]) -> None:
    shown: list[Command] = []
    asked = Asked(only=("Gemm", "Versions"))
    assert examining.examine(cell, subject, asked, DOWN, Progress(quiet=True), shown.append) == (None, False)
    assert ran == [] and shown[0].argv[-1] == "^(Versions)( |$)"


def test_a_missing_feature_fails_its_check_and_the_others_run(cell: Cell, subject: Subject, ran: list[Command]) -> None:
    for place in (HERE, DOWN):
        asked = Asked(only=("GpuGemm", "Versions"))
        verdict, _ = examining.examine(cell, subject, asked, place, Progress(quiet=True), None)
        assert ran[-1].argv[-1] == "^(Versions)( |$)"
        found = {check.name: check for check in verdict.checks} if verdict else {}
        assert found["Versions"].result == "pass" and found["GpuGemm"].result == "fail"
        assert "the check GpuGemm needs gpu" in found["GpuGemm"].reason
    with pytest.raises(StackError, match="the check GpuGemm needs gpu") as raised:
        examining.examine(cell, subject, Asked(only=("GpuGemm",)), HERE, Progress(quiet=True), None)
    assert raised.value.exit_code == ExitCode.BAD_INPUT


def test_a_whole_run_says_what_was_left_out(cell: Cell, subject: Subject, ran: list[Command]) -> None:
    verdict, _ = examining.examine(cell, subject, Asked(fresh=True), HERE, Progress(quiet=True), None)
    assert verdict and verdict.left_out["GpuGemm"] == "gpu" and "GpuGemm" in verdict.needs["gpu"]
    assert "left out, needing gpu: " in (told := verdict_text(verdict)) and "GpuGemm" in told
    kept = checks.read(cell.folder / "verdict.json")
    assert kept and kept.left_out == verdict.left_out

"""One job of a real two-node Slurm, from its script to its exit status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.artifact import Command
from stack.errors import ExitCode, StackError
from stack.host import slurm as edge
from stack.host.run import Result, Sink, run
from stack.profile import Scheduler
from stack.render.jobs import Job
from tests import slurm
from tests.slurm import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture
def here(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def job(folder: Path, *argv: str, nodes: int = 2) -> Job:
    return Job(name="try", argv=argv, folder=str(folder), scheduler=Scheduler(kind="slurm"), nodes=nodes, minutes=5)


def test_output_and_status_come_back(here: Path) -> None:
    lines: list[str] = []
    status, output = edge.perform(job(here, "sh", "-c", "echo on $SLURMD_NODENAME; exit 7"), lines.append, here / "log")
    assert status == 7
    assert sorted(output.splitlines())[:2] == ["on n1", "on n2"]
    assert {"on n1", "on n2"} <= set(lines)
    assert any(line.startswith("job ") and "sent to Slurm" in line for line in lines)


def test_a_cancelled_job_is_an_error_of_the_host(here: Path, cluster: Cluster) -> None:
    def cancel(line: str) -> None:
        if line == "begun":
            number = next(here.glob("try-*.log")).stem.removeprefix("try-")
            assert cluster.run("scancel", number).returncode == 0

    with pytest.raises(StackError, match="was ended from outside") as caught:
        edge.perform(job(here, "sh", "-c", "echo begun; sleep 60", nodes=1), cancel, here / "log")
    assert caught.value.exit_code == ExitCode.HOST


def test_a_job_that_we_leave_is_cancelled(here: Path, cluster: Cluster) -> None:
    def leave(line: str) -> None:
        if line == "begun":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edge.perform(job(here, "sh", "-c", "echo begun; sleep 60", nodes=1), leave, here / "log")
    states = cluster.run("squeue", "--noheader", "--states=PENDING,RUNNING", "--format=%T").stdout
    assert "RUNNING" not in states


def test_what_slurm_refuses_is_told(here: Path) -> None:
    wrong = Job(name="try", argv=("true",), folder=str(here), scheduler=Scheduler(kind="slurm", queue="nowhere"))
    with pytest.raises(StackError, match=r"did not take the job.*queue"):
        edge.perform(wrong, lambda _line: None, here / "log")


TIMED_OUT = "slurm_load_jobs error: Socket timed out on send/recv operation\n"


class Busy:
    """`run`, as it is where Slurm's controller is busy: some commands fail, and those that were sent are noted.

    `deaf`: programs that fail, and how often still; `after`: raised once a program has ended, after what it printed.
    """

    def __init__(self, deaf: dict[str, int], after: dict[str, BaseException] | None = None) -> None:
        self.deaf, self.after, self.ran = deaf, after or {}, list[str]()

    def __call__(
        self, command: Command, sink: Sink | None = None, *, check: bool = True, log: Path | None = None
    ) -> Result:
        program = command.argv[0]
        self.ran.append(program)
        if self.deaf.get(program, 0) > 0:
            self.deaf[program] -= 1
            return Result(1, TIMED_OUT, TIMED_OUT)
        result = run(command, sink, check=check, log=log)
        if program in self.after:
            raise self.after.pop(program)
        return result


def busy(monkeypatch: pytest.MonkeyPatch, deaf: dict[str, int], after: dict[str, BaseException] | None = None) -> Busy:
    made = Busy(deaf, after)
    monkeypatch.setattr(edge, "run", made)
    monkeypatch.setattr(edge, "PAUSE", 0.1)
    return made


def none_goes_on(cluster: Cluster) -> bool:
    """Whether all jobs come to an end soon."""
    deadline = time.monotonic() + 20
    while cluster.run("squeue", "--noheader", "--format=%i").stdout.split():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_slurm_that_does_not_answer_for_a_while(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that runs is not given up; that the user reruns beside it is the worst that can be."""
    made, lines = busy(monkeypatch, {"squeue": 5}), list[str]()
    status, output = edge.perform(job(here, "sh", "-c", "sleep 2; exit 7", nodes=1), lines.append, here / "log")
    assert (status, "scancel" in made.ran) == (7, False), output
    assert len([line for line in lines if "does not answer, it is asked again" in line]) == 1
    assert any(": running on n" in line for line in lines)


def test_a_slurm_that_answers_no_more(here: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    made = busy(monkeypatch, {"squeue": 1 << 20, "scancel": 1})
    monkeypatch.setattr(edge, "PATIENCE", 0.5)
    with pytest.raises(StackError, match=r"did not answer for .*: .*Socket timed out.*scancel \d") as caught:
        edge.perform(job(here, "sleep", "60"), lambda _line: None, here / "log")
    assert caught.value.exit_code == ExitCode.HOST
    assert made.ran[-2:] == ["scancel", "scancel"]
    assert none_goes_on(cluster)


def test_a_job_that_ended_while_slurm_did_not_answer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, {"squeue": 1 << 20})
    assert edge.perform(job(here, "sh", "-c", "exit 7"), lambda _line: None, here / "log")[0] == 7


def test_a_job_that_slurm_forgot_before_it_was_over(here: Path, cluster: Cluster) -> None:
    """As after a controller that lost its state: what still runs is cancelled."""

    class Forgetful(Busy):
        def __call__(
            self, command: Command, sink: Sink | None = None, *, check: bool = True, log: Path | None = None
        ) -> Result:
            result = super().__call__(command, sink, check=check, log=log)
            return (
                Result(1, "slurm_load_jobs error: Invalid job id specified\n", "")
                if "squeue" in command.argv
                else result
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "run", Forgetful({}))
        with pytest.raises(StackError, match="was ended from outside"):
            edge.perform(job(here, "sleep", "60"), lambda _line: None, here / "log")
    assert none_goes_on(cluster)


def test_a_job_that_cannot_be_cancelled_is_told_of(
    here: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(monkeypatch, {"scancel": 1 << 20}, {"squeue": KeyboardInterrupt()})
    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        edge.perform(job(here, "sleep", "60"), lines.append, here / "log")
    number = lines[0].split(":")[0].removeprefix("job ")
    assert "could not be cancelled" in lines[-1] and f"`scancel {number}`" in lines[-1]
    assert cluster.run("scancel", number).returncode == 0
    assert none_goes_on(cluster)


def test_a_job_that_we_leave_as_soon_as_it_is_sent(
    here: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(monkeypatch, {}, {"sbatch": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        edge.perform(job(here, "sleep", "60"), lambda _line: None, here / "log")
    assert none_goes_on(cluster)


def test_a_job_that_we_leave_while_its_number_is_told(here: Path, cluster: Cluster) -> None:
    def leave(line: str) -> None:
        if "sent to Slurm" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edge.perform(job(here, "sleep", "60"), leave, here / "log")
    assert none_goes_on(cluster)


def test_of_a_long_output_the_end_is_kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "LIMIT", 4096)
    count = "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo line $i of 2000; done"
    status, output = edge.perform(job(here, "sh", "-c", count, nodes=1), lambda _line: None, here / "log")
    kept = output.splitlines()
    assert status == 0 and kept[-1] == "line 2000 of 2000"
    assert 100 < len(kept) < 2000 and all(line.endswith(" of 2000") and line.startswith("line ") for line in kept)


def test_output_that_is_not_text(here: Path) -> None:
    _, output = edge.perform(job(here, "printf", r"\377\nend\n", nodes=1), lambda _line: None, here / "log")
    assert output == "\ufffd\nend\n"

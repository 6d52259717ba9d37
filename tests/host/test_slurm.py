"""One job of a real two-node Slurm, from its script to its exit status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import slurm as edge
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

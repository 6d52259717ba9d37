"""Where checks run: names and options of a place, and a Slurm that is not there, is down, or refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import placing
from stack.host.placing import HERE, Cluster, Place
from stack.profile import Scheduler
from stack.render.reframe import Where
from stack.verify import Start
from tests import slurm

SLURM = Scheduler(kind="slurm", account="proj", queue="short", minutes=5)
TWO = Cluster(SLURM, 2, speaks=("none", "pmi2"))


def test_a_place_names_its_files_and_its_options() -> None:
    assert (HERE.name, HERE.words, HERE.text, HERE.file("verdict.json")) == ("", (), "", "verdict.json")
    both = Place("native", TWO)
    assert both.file("verdict.json") == "verdict.native.slurm.json"
    assert both.words == ("--native", "--scheduler", "slurm", "--nodes", "2")
    assert "2 nodes" in both.text


def test_a_cluster_says_account_queue_and_how_long() -> None:
    assert Place(cluster=TWO).where(Where(accelerated=True)) == Where(
        scheduler="slurm", access=("--account=proj", "--partition=short"), nodes=2, accelerated=True
    )
    begun = TWO.start(Start("image"), "pmix")
    assert (begun.launch, begun.nodes, begun.minutes, begun.pending) == ("srun", 2, 5, 3600)
    assert "--mpi=pmix" in begun.srun
    assert not [word for word in TWO.start(Start("image"), "").srun if word.startswith("--mpi")]


def test_ranks_that_will_not_find_each_other_are_told_of() -> None:
    assert "--mpi=pmix" in TWO.lacks("pmix") and "pmi2" in TWO.lacks("pmix")
    assert not TWO.lacks("pmi2") and not TWO.lacks("")


def test_another_scheduler_is_bad_input() -> None:
    with pytest.raises(StackError, match="cannot be run by 'pbs'") as raised:
        placing.cluster("pbs", 2, SLURM)
    assert raised.value.exit_code == ExitCode.BAD_INPUT


def test_without_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(placing, "which", lambda _name: None)
    with pytest.raises(StackError, match="Slurm is not installed here: there is no sbatch") as raised:
        placing.cluster("slurm", 2, SLURM)
    assert raised.value.exit_code == ExitCode.HOST


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> None:
    if slurm.missing():
        pytest.skip(f"Slurm is not installed here; {slurm.REMEDY}")


@pytest.mark.usefixtures("clients")
def test_a_controller_that_is_down_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        ports = [free.getsockname()[1]] * 2
    (tmp_path / "slurm.conf").write_text(slurm.configuration(tmp_path, ("n1",), 1, ports))
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    monkeypatch.setattr(placing, "PATIENCE", 3)
    place = Place(cluster=placing.cluster("slurm", 2, SLURM), scale="2_nodes")
    assert place.down and place.down.exit_code == ExitCode.HOST and HERE.down is None is place.here.down
    assert "Slurm does not answer" in str(place.down) and "scontrol ping" in str(place.down)
    with pytest.raises(StackError, match="scontrol ping"):
        placing.without_nodes(place.down, (), ("A",), None)
    said: list[str] = []
    others = placing.without_nodes(place.down, ("A", "B"), ("A", "B", "C"), said.append)
    assert others == {"C": str(place.down)} and "scontrol ping" in said[0] and said[1].endswith("A, B; the others fail")
    assert placing.without_nodes(place.down, ("A",), ("A",), said.append) == {} and said[3].endswith("alone: A")
    here = place.here
    assert (here.cluster, here.scale, here.name) == (None, "", "") and here != HERE
    assert "here and not on nodes: Slurm does not answer" in here.text and HERE.here is HERE


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


def test_a_cluster_that_answers(cluster: slurm.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    found = placing.cluster("slurm", None, Scheduler(), 7)
    assert (found.nodes, found.pending, found.accounting) == (2, 7, False)
    assert "pmi2" in found.speaks and found.down is None


def test_a_queue_that_is_not_there_is_told_before_any_job(
    cluster: slurm.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    with pytest.raises(StackError, match=r"(?i)invalid partition") as raised:
        placing.cluster("slurm", 2, Scheduler(queue="nowhere"))
    assert raised.value.exit_code == ExitCode.HOST

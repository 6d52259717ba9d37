"""A real Slurm of two nodes: what the jobs of `render.jobs` rely on, and that the cluster for tests is a clean one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.artifact import Command
from stack.errors import ExitCode
from stack.host.files import write_tree
from stack.profile import Scheduler
from stack.render import jobs
from stack.render.jobs import Job, Progress
from tests import slurm
from tests.conftest import RECORDED
from tests.slurm import Cluster

SLURM = Scheduler(kind="slurm")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as made:
        assert made.nodes == ("n1", "n2")
        yield made


def until(found: Callable[[], bool], patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while not found():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def processes(text: str) -> list[int]:
    """Processes, those of the cluster too, with a text in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if text.encode() in line and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def run(cluster: Cluster, command: Command) -> subprocess.CompletedProcess[str]:
    return cluster.run(*command.argv, cwd=Path(command.cwd) if command.cwd else None)


def job(folder: Path, *argv: str, nodes: int = 2) -> Job:
    return Job("probe", argv, str(folder), SLURM, nodes=nodes)


def send(cluster: Cluster, wanted: Job) -> str:
    """Number of the job that was sent."""
    write_tree(Path(wanted.folder), jobs.script(wanted))
    done = run(cluster, jobs.send(wanted))
    return jobs.job_id(done.stdout + done.stderr)


def finish(cluster: Cluster, wanted: Job) -> tuple[str, int | None]:
    """Number of the job once it is over, and its status. `sbatch --wait` would look after 2 seconds, then each 10."""
    number = send(cluster, wanted)
    until(lambda: (told := asked(cluster, number)) is not None and told.over)
    return number, status(wanted, number)


def status(wanted: Job, number: str) -> int | None:
    path = Path(jobs.status_file(wanted, number))
    return jobs.exit_status(path.read_text() if path.exists() else None)


def printed(wanted: Job, number: str) -> list[str]:
    return sorted(Path(jobs.output_file(wanted, number)).read_text().splitlines())


def asked(cluster: Cluster, number: str) -> Progress | None:
    return jobs.progress(run(cluster, jobs.watch(number)).stdout)


def test_two_nodes_are_idle(cluster: Cluster) -> None:
    done = cluster.run("sinfo", "--noheader", "--Node", "--format=%N %T")
    assert done.stdout.splitlines() == ["n1 idle", "n2 idle"]


def test_a_step_runs_on_both_nodes(cluster: Cluster) -> None:
    done = cluster.run("srun", "-N2", "--ntasks-per-node=1", "sh", "-c", "echo $SLURMD_NODENAME")
    assert sorted(done.stdout.split()) == ["n1", "n2"], done.stderr


@pytest.mark.parametrize("expected", [0, 7])
def test_a_job_leaves_its_status(cluster: Cluster, tmp_path: Path, expected: int) -> None:
    wanted = job(tmp_path, "sh", "-c", f"echo on $SLURMD_NODENAME; exit {expected}")
    number, ended = finish(cluster, wanted)
    assert ended == expected
    where = dict(line.split(": on ") for line in printed(wanted, number) if ": on " in line)
    assert sorted(where) == ["0", "1"] and sorted(where.values()) == ["n1", "n2"]
    told = asked(cluster, number)
    assert told and told.state == ("FAILED" if expected else "COMPLETED")


def test_one_failed_task_does_not_end_the_others(cluster: Cluster, tmp_path: Path) -> None:
    wanted = job(tmp_path, "sh", "-c", "[ $SLURM_PROCID = 0 ] && exit 5; sleep 3; echo done")
    number, ended = finish(cluster, wanted)
    assert ended == 5
    assert "1: done" in printed(wanted, number)


def test_a_program_that_is_not_there(cluster: Cluster, tmp_path: Path) -> None:
    wanted = job(tmp_path, "/nonexistent/program")
    number, ended = finish(cluster, wanted)
    assert ended == 2
    assert any("/nonexistent/program" in line for line in printed(wanted, number))
    assert f"job {number} (probe) ended with status 2" in str(jobs.failed(wanted, number, ended, None))


AWKWARD = (
    "",
    " ",
    "-x",
    "a b",
    "$HOME `id` $(id)",
    'it\'s "so"',
    "{{ x }}",
    "é",
    "\\n",
    "*",
    "%j",
    "two\n#SBATCH -N9",
)


def test_words_arrive_as_they_are(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a "folder" $HOME #{{é'
    folder.mkdir()
    write = "import json, os, sys; json.dump([sys.argv[1:], os.getcwd()], open('words.json', 'w'))"
    wanted = job(folder, sys.executable, "-c", write, *AWKWARD, nodes=1)
    number, ended = finish(cluster, wanted)
    assert ended == 0, Path(jobs.output_file(wanted, number)).read_text()
    assert json.loads((folder / "words.json").read_text()) == [list(AWKWARD), str(folder)]


def test_tasks_and_processors(cluster: Cluster, tmp_path: Path) -> None:
    wanted = Job(
        "probe",
        ("sh", "-c", "echo $SLURMD_NODENAME $SLURM_CPUS_PER_TASK"),
        str(tmp_path),
        SLURM,
        nodes=2,
        cpus_per_task=2,
    )
    number, ended = finish(cluster, wanted)
    assert ended == 0
    assert sorted(line.split(": ")[1] for line in printed(wanted, number)) == ["n1 2", "n2 2"]


LOCKING = """
import fcntl, os, sys, time
node = os.environ["SLURMD_NODENAME"]
with open("ready-" + node, "w"):
    pass
while not (os.path.exists("ready-n1") and os.path.exists("ready-n2")):
    time.sleep(0.01)
with open("lock", "r+") as lock:
    refused = 0
    while True:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            refused += 1
            time.sleep(0.05)
    with open("journal", "a") as journal:
        print("in", node, file=journal, flush=True)
        time.sleep(0.5)
        print("out", node, file=journal, flush=True)
    fcntl.lockf(lock, fcntl.LOCK_UN)
print("refused" if refused else "first")
"""


def test_two_nodes_take_a_lock_in_turn(cluster: Cluster, tmp_path: Path) -> None:
    """As Spack's own locks do: fcntl, over a file in a folder that the nodes share."""
    (tmp_path / "lock").touch()
    wanted = job(tmp_path, sys.executable, "-c", LOCKING)
    number, ended = finish(cluster, wanted)
    assert ended == 0, Path(jobs.output_file(wanted, number)).read_text()
    first, second = (line.split()[1] for line in (tmp_path / "journal").read_text().splitlines()[::2])
    assert {first, second} == {"n1", "n2"}
    expected = ["in " + first, "out " + first, "in " + second, "out " + second]
    assert (tmp_path / "journal").read_text().splitlines() == expected
    assert sorted(line.split()[-1] for line in printed(wanted, number)) == ["first", "refused"]


def test_a_cancelled_job_ends_its_processes(cluster: Cluster, tmp_path: Path) -> None:
    mark = f"mark of {tmp_path}"
    # One that starts a session of its own, and does not want to end.
    stubborn = "trap '' TERM; setsid sh -c 'sleep 300; : \"$0\"' \"$0\" & while :; do sleep 1; done"
    wanted = job(tmp_path, "sh", "-c", stubborn, mark)
    number = send(cluster, wanted)
    until(lambda: len(processes(f'sleep 300; : "$0" {mark}')) >= 2)
    assert str(asked(cluster, number)) == "running on n[1-2]"
    assert run(cluster, jobs.cancel(number)).returncode == 0
    until(lambda: str(asked(cluster, number)) == "cancelled on n[1-2]" and not processes(mark))
    assert status(wanted, number) is None
    error = jobs.failed(wanted, number, None, asked(cluster, number))
    assert error and "was ended from outside: cancelled on n[1-2]" in str(error)


def test_waiting_for_a_cancelled_job_says_success(cluster: Cluster, tmp_path: Path) -> None:
    """Why a job's own file is asked, and not `sbatch --wait`."""
    wanted = job(tmp_path, "true", nodes=3)  # more than there are: it waits for ever
    write_tree(tmp_path, jobs.script(wanted))
    argv = ("sbatch", "--parsable", "--wait", wanted.file)
    with subprocess.Popen(
        argv, cwd=tmp_path, env=os.environ | cluster.environment, stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout
        number = jobs.job_id(waiting.stdout.readline())  # at once, though sbatch still waits
        try:
            assert waiting.poll() is None
            told = asked(cluster, number)
            assert told and not told.over and str(told).startswith("pending (Partition")
        finally:
            assert run(cluster, jobs.cancel(number)).returncode == 0
    assert waiting.returncode == 0
    assert status(wanted, number) is None


def test_a_job_slurm_has_forgotten(cluster: Cluster) -> None:
    done = run(cluster, jobs.watch("999999"))
    assert done.returncode and jobs.progress(done.stdout) is None
    assert jobs.forgotten(done.returncode, done.stderr)
    assert done.stderr == (RECORDED / "slurm/forgotten.txt").read_text()


def test_a_queue_that_is_not_there(cluster: Cluster, tmp_path: Path) -> None:
    wanted = Job("probe", ("true",), str(tmp_path), Scheduler(kind="slurm", queue="nowhere"))
    write_tree(tmp_path, jobs.script(wanted))
    done = run(cluster, jobs.send(wanted))
    assert done.returncode and done.stderr == (RECORDED / "slurm/no-queue.txt").read_text()


def test_without_a_controller(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    with slurm.cluster(tmp_path / "slurm") as made:
        made.stop_controller()
        wanted = job(folder, "true")
        write_tree(folder, jobs.script(wanted))
        done = run(made, jobs.send(wanted))
        asked_of = run(made, jobs.watch("1"))
    assert asked_of.returncode and not jobs.forgotten(asked_of.returncode, asked_of.stdout + asked_of.stderr)
    assert done.returncode and done.stderr == (RECORDED / "slurm/no-controller.txt").read_text()
    error = jobs.refused(done.stdout + done.stderr)
    assert error.exit_code == ExitCode.HOST and "Unable to contact slurm controller" in str(error)


def test_the_cluster_ends_with_a_killed_test_run(tmp_path: Path) -> None:
    if slurm.missing():
        pytest.skip(f"Slurm is not installed here; {slurm.REMEDY}")
    folder = tmp_path / "slurm"
    program = (
        "import pathlib, signal, sys\nfrom tests import slurm\n"
        f"made = slurm.Cluster(pathlib.Path({str(folder)!r}))\n"
        "try:\n    made.__enter__()\nexcept slurm.DidNotStartError as why:\n    sys.exit(f'skip: {why}')\n"
        "print('up', flush=True)\nsignal.pause()\n"
    )
    root = Path(__file__).parent.parent
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        if child.stdout.readline() != "up\n":
            pytest.skip("Slurm does not come up here; `pytest tests/test_slurm.py` says why")
        script = folder / "long.sh"
        script.write_text("#!/bin/sh\n#SBATCH --nodes=2\nsrun setsid sh -c 'sleep 300; :' \"$SLURM_CONF\"\n")
        Cluster(folder).run("sbatch", "--parsable", script)
        until(lambda: len(processes(f"sleep 300; : {folder}")) >= 2)
        daemons = processes(str(folder))
        assert len(daemons) > 4
        child.send_signal(signal.SIGKILL)
    until(lambda: not processes(str(folder)))

"""Jobs for Slurm: the script, what can never get into it, and what Slurm's recorded answers mean.

`tests/test_slurm.py` has such jobs run by a real Slurm.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stack.errors import ExitCode, StackError
from stack.profile import Scheduler
from stack.render import jobs
from stack.render.jobs import Job, Progress
from tests.conftest import RECORDED

from .strategies import lines

SLURM = Scheduler(kind="slurm", account="project", queue="cpu")
JOB = Job("numerics", ("/opt/spack/bin/spack", "install"), "/shared/build", SLURM, nodes=2, cpus_per_task=8, minutes=90)
any_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
texts = st.one_of(lines, any_text)


def text_of(job: Job) -> str:
    return jobs.script(job).files[job.file].text


def directives(text: str) -> list[str]:
    """What sbatch reads: the lines before the first that is neither empty nor a comment."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            break
        if line.startswith("#SBATCH "):
            found.append(line.removeprefix("#SBATCH "))
    return found


def test_the_script() -> None:
    job = dataclasses.replace(JOB, environment={"HOME": "/shared/a home"}, tasks_per_node=2, whole_nodes=True)
    made = jobs.script(job)
    assert list(made.files) == ["numerics.sbatch"] and made.files["numerics.sbatch"].executable
    text = text_of(job)
    assert directives(text) == [
        "--job-name=numerics",
        "--output=numerics-%j.log",
        "--time=90",
        "--no-requeue",
        "--account=project",
        "--partition=cpu",
        "--exclusive",
        "--mem=0",
        "--nodes=2",
        "--ntasks=4",
        "--ntasks-per-node=2",
        "--cpus-per-task=8",
    ]
    assert "cd -- '/shared/build' || exit 1\nexport HOME='/shared/a home'\nsrun --nodes=2 --ntasks=4 " in text
    assert " --wait=0 --kill-on-bad-exit=0 --mpi=none --export=ALL -- '/opt/spack/bin/spack' 'install'\n" in text


def test_without_account_and_queue() -> None:
    text = text_of(dataclasses.replace(JOB, scheduler=Scheduler(kind="slurm")))
    assert not re.search("--account|--partition|--exclusive|--mem", text)


@given(st.lists(texts, min_size=1, max_size=6).filter(lambda argv: bool(argv[0])), texts, texts)
@example(["-x", "two\n#SBATCH --nodes=9", "", "a\\"], "{{ x }}\n#SBATCH --wrap=id", "it's $HOME")
@settings(max_examples=60, deadline=None)
def test_words_stay_words(argv: list[str], folder: str, value: str) -> None:
    job = dataclasses.replace(JOB, argv=tuple(argv), folder=f"/shared/{folder}", environment={"VALUE": value})
    try:
        text = text_of(job)
    except StackError:
        assert re.search(r"[%\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]", folder)
        return
    assert directives(text) == directives(text_of(JOB))
    body = text[text.index("\ncd --") :]
    assert shlex.split(body.split(" || exit 1\n")[0]) == ["cd", "--", f"/shared/{folder}"]
    words = shlex.split(body[body.index("\nexport VALUE=") :])
    assert words[:3] == ["export", f"VALUE={value}", "srun"]
    assert words[words.index("--", 3) + 1 :][: len(argv)] == argv


@pytest.mark.parametrize("field", ["name", "account", "queue"])
@given(value=texts)
@example("x --wrap=id")
@example("x\n#SBATCH --wrap=id")
@example("x\u2028y")
@example("%j")
@example("-x")
@example("x;id")
@example("")
@example("x\n")
@settings(max_examples=40, deadline=None)
def test_nothing_gets_into_a_directive(field: str, value: str) -> None:
    """Also where a caller did not take the word from a checked document."""
    scheduler = Scheduler.model_construct(**{**dict(SLURM), field: value}) if field != "name" else SLURM
    job = dataclasses.replace(JOB, scheduler=scheduler, name=value if field == "name" else JOB.name)
    try:
        text = text_of(job)
    except StackError as error:
        assert error.exit_code == ExitCode.BAD_INPUT
        assert f"cannot be a job's {field}" in str(error)
        assert not re.fullmatch(r"[A-Za-z0-9]+", value) or len(value) > 64
    else:
        assert [line.split("=")[0] for line in directives(text)] == [
            line.split("=")[0] for line in directives(text_of(JOB))
        ]
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value)


def test_all_faults_at_once() -> None:
    job = Job("-x", (), "shared", Scheduler(kind="pbs"), nodes=0, minutes=-1)
    with pytest.raises(StackError) as caught:
        jobs.script(job)
    told = str(caught.value)
    for part in ("kind 'pbs'", "'-x' cannot be a job's name", "folder 'shared'", "0 cannot be a job's nodes"):
        assert part in told
    assert "-1 cannot be a job's minutes" in told and "needs a program" in told
    assert len(caught.value.faults) == 6


def test_words_that_no_program_can_get() -> None:
    with pytest.raises(StackError, match="NUL"):
        text_of(dataclasses.replace(JOB, argv=("a\0b",)))
    with pytest.raises(StackError, match="not the name of an environment variable"):
        text_of(dataclasses.replace(JOB, environment={"A B": ""}))


def test_a_shell_accepts_the_script() -> None:
    text = text_of(dataclasses.replace(JOB, environment={"A": "'"}))
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_commands() -> None:
    assert list(map(str, jobs.commands(JOB))) == ["(cd /shared/build && sbatch --parsable --wait ./numerics.sbatch)"]
    assert "--wait" not in jobs.commands(JOB, wait=False)[0].argv
    assert str(jobs.watch("12")) == "squeue --noheader --states=all --jobs=12 '--format=%i|%T|%r|%N'"
    assert str(jobs.cancel("12")) == "scancel 12"
    assert jobs.output_file(JOB, "12") == "/shared/build/numerics-12.log"
    assert jobs.status_file(JOB, "12") == "/shared/build/numerics-12.status"


@pytest.mark.parametrize("number", ["", "12 13", "--user=root", "12\n", "\u0661"])
def test_what_is_not_the_number_of_a_job(number: str) -> None:
    for use in (jobs.watch, jobs.cancel, lambda n: jobs.status_file(JOB, n), lambda n: jobs.output_file(JOB, n)):
        with pytest.raises(StackError, match="is not the number of a job"):
            use(number)


@pytest.mark.parametrize(
    "said", ["12\n", "12;cluster\n", "sbatch: Pending job allocation 12\n12\n", "12\nsbatch: warning\n"]
)
def test_the_number_of_a_sent_job(said: str) -> None:
    assert jobs.job_id(said) == "12"


@pytest.mark.parametrize(
    ("said", "why", "remedy"),
    [
        ("no-controller", "Unable to contact slurm controller (connect failure)", "scontrol ping"),
        ("no-queue", "invalid partition specified: nowhere; Invalid partition name specified", "as `queue`"),
    ],
)
def test_a_job_that_slurm_did_not_take(said: str, why: str, remedy: str) -> None:
    with pytest.raises(StackError) as caught:
        jobs.job_id((RECORDED / f"slurm/{said}.txt").read_text())
    assert caught.value.exit_code == ExitCode.HOST
    assert caught.value.faults[0].what == f"Slurm did not take the job: {why}"
    assert remedy in caught.value.faults[0].remedy


def test_an_answer_nobody_knows() -> None:
    assert jobs.refused("").faults[0].what == "Slurm did not take the job: sbatch printed nothing"
    assert jobs.refused("something\nelse\n").faults[0].what == "Slurm did not take the job: something else"


@pytest.mark.parametrize(
    ("line", "expected", "over", "told"),
    [
        ("12|PENDING|Resources|\n", Progress("PENDING", "Resources", ""), False, "pending (Resources)"),
        ("12|PENDING|None|\n", Progress("PENDING", "None", ""), False, "pending"),
        ("12|RUNNING|None|n[1-2]\n", Progress("RUNNING", "None", "n[1-2]"), False, "running on n[1-2]"),
        ("12|COMPLETING|None|n1\n", Progress("COMPLETING", "None", "n1"), False, "completing on n1"),
        ("12|CANCELLED|None|\n", Progress("CANCELLED", "None", ""), True, "cancelled"),
        (
            "12|FAILED|NonZeroExitCode|n1\n",
            Progress("FAILED", "NonZeroExitCode", "n1"),
            True,
            "failed (NonZeroExitCode)",
        ),
        ("12|NODE_FAIL|NodeDown|n1\n", Progress("NODE_FAIL", "NodeDown", "n1"), True, "node fail (NodeDown)"),
    ],
)
def test_progress(line: str, expected: Progress, over: bool, told: str) -> None:
    found = jobs.progress(line)
    assert found == expected and found.over == over and str(found) == told


def test_a_job_that_slurm_knows_no_more() -> None:
    assert jobs.progress("") is None
    assert jobs.progress((RECORDED / "slurm/forgotten.txt").read_text()) is None


@pytest.mark.parametrize(
    ("text", "status"),
    [("0\n", 0), ("137\n", 137), (None, None), ("", None), ("1", None), ("-1\n", None), ("x\n", None)],
)
def test_exit_status(text: str | None, status: int | None) -> None:
    assert jobs.exit_status(text) == status


def test_how_a_job_ended() -> None:
    assert jobs.failed(JOB, "12", 0, None) is None
    assert str(jobs.failed(JOB, "12", 2, None)) == (
        "job 12 (numerics) ended with status 2 (its output is in /shared/build/numerics-12.log)"
    )
    last = Progress("TIMEOUT", "TimeLimit", "n[1-2]")
    assert "job 12 (numerics) was ended from outside: timeout (TimeLimit)" in str(jobs.failed(JOB, "12", None, last))
    assert "was ended from outside (its" in str(jobs.failed(JOB, "12", None, None))

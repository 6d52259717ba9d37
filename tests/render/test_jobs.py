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
from pydantic import ValidationError

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
    made = jobs.script(JOB)
    assert list(made.files) == ["numerics.sbatch"] and made.files["numerics.sbatch"].executable
    text = text_of(JOB)
    assert directives(text) == [
        "--job-name=numerics",
        "--output=numerics-%j.log",
        "--time=90",
        "--no-requeue",
        "--account=project",
        "--partition=cpu",
        "--nodes=2",
        "--ntasks=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=8",
    ]
    assert "cd -- '/shared/build' || exit 1\nsrun --nodes=2 --ntasks=2 " in text
    assert " --wait=0 --kill-on-bad-exit=0 --mpi=none --export=ALL -- '/opt/spack/bin/spack' 'install'\n" in text


def test_without_account_and_queue() -> None:
    text = text_of(dataclasses.replace(JOB, scheduler=Scheduler(kind="slurm")))
    assert not re.search("--account|--partition", text)


@given(st.lists(texts, min_size=1, max_size=6).filter(lambda argv: bool(argv[0])), texts)
@example(["-x", "two\n#SBATCH --nodes=9", "", "a\\"], "{{ x }} it's $HOME")
@example(["-x"], "{{ x }}\n#SBATCH --wrap=id")
@settings(max_examples=60, deadline=None)
def test_words_stay_words(argv: list[str], folder: str) -> None:
    job = dataclasses.replace(JOB, argv=tuple(argv), folder=f"/shared/{folder}")
    try:
        text = text_of(job)
    except StackError:
        assert re.search(r"[%\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]", folder)
        return
    assert directives(text) == directives(text_of(JOB))
    body = text[text.index("\ncd --") :]
    assert shlex.split(body.split(" || exit 1\n")[0]) == ["cd", "--", f"/shared/{folder}"]
    words = shlex.split(body[body.index("\nsrun --nodes=") :])
    assert words[words.index("--") + 1 :][: len(argv)] == argv


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


def test_a_shell_accepts_the_script() -> None:
    text = text_of(dataclasses.replace(JOB, argv=("/bin/echo", "'")))
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_commands() -> None:
    assert str(jobs.send(JOB)) == "(cd /shared/build && sbatch --parsable ./numerics.sbatch)"
    assert str(jobs.watch("12")) == "squeue --noheader --states=all --jobs=12 '--format=%i|%T|%r|%N'"
    assert str(jobs.cancel("12")) == "scancel 12"
    assert jobs.output_file(JOB, "12") == "/shared/build/numerics-12.log"
    assert jobs.status_file(JOB, "12") == "/shared/build/numerics-12.status"


@pytest.mark.parametrize("number", ["", "12 13", "--user=root", "12\n", "\u0661"])
def test_what_is_not_the_number_of_a_job(number: str) -> None:
    for use in (
        jobs.watch,
        jobs.cancel,
        jobs.see_to,
        lambda n: jobs.status_file(JOB, n),
        lambda n: jobs.output_file(JOB, n),
    ):
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


@pytest.mark.parametrize(
    ("why", "remedy"),
    [
        ("Requested time limit is invalid (missing or exceeds some limit)", "fewer `minutes` under `scheduler`"),
        ("Socket timed out on send/recv operation", "Slurm may have taken it"),
    ],
)
def test_what_to_do_about_a_job_that_slurm_did_not_take(why: str, remedy: str) -> None:
    (fault,) = jobs.refused(f"sbatch: error: Batch job submission failed: {why}\n").faults
    assert fault.what == f"Slurm did not take the job: {why}"
    assert remedy in fault.remedy


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
    said = (RECORDED / "slurm/forgotten.txt").read_text()
    assert jobs.progress("") is None and jobs.forgotten(0, "")
    assert jobs.progress(said) is None and jobs.forgotten(1, said)


@pytest.mark.parametrize("why", ["", "Socket timed out on send/recv operation", "Unable to contact slurm controller"])
def test_a_slurm_that_does_not_answer_says_nothing_of_the_job(why: str) -> None:
    said = f"slurm_load_jobs error: {why}\n" if why else ""
    assert jobs.progress(said) is None and not jobs.forgotten(1, said)
    (fault,) = jobs.silent("12", said, 10).faults
    expected = f"slurm_load_jobs error: {why}" if why else "squeue printed nothing"
    assert fault.what == f"Slurm did not answer for 10 minutes; job 12 was given up: {expected}"
    assert "`scancel 12`" in fault.remedy


def test_how_long_a_job_may_last_is_the_sites() -> None:
    assert SLURM.minutes is None
    assert Scheduler(minutes=1).minutes == 1 and Scheduler(minutes=527040).minutes == 527040


@pytest.mark.parametrize("minutes", [0, -1, 527041, 1.5, "a day"])
def test_what_is_no_time_for_a_job(minutes: object) -> None:
    with pytest.raises(ValidationError, match="minutes"):
        Scheduler.model_validate({"minutes": minutes})


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

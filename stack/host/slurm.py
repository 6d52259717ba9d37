"""One job of Slurm's, from its script to its exit status, watched without its accounting."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

from stack.errors import StackError
from stack.host import files
from stack.host.run import Sink, run
from stack.render import jobs
from stack.render.jobs import Job, Progress

PAUSE = 1.0  # seconds between two looks at a job
LATE = 10  # looks that its status file may come after the job's end: the folder may be on another machine
PATIENCE = 600.0  # seconds that Slurm may fail to say how a job is: a busy controller often does for a while
TRIES = 3  # at cancelling a job
LIMIT = 64 << 20  # bytes of its output that are read, the last ones


def perform(job: Job, sink: Sink, log: Path) -> tuple[int, str]:
    """Send the job, show what it prints, and wait for its end: its exit status and output.

    Raises `StackError` for a job that Slurm did not take or that was ended from outside; one that we leave is
    cancelled.
    """
    files.write_tree(Path(job.folder), jobs.script(job))
    said: list[str] = []  # by sbatch, as it comes: we may be interrupted right after the job's number
    last: Progress | None = None
    try:
        run(jobs.send(job), said.append, check=False, log=log)
        number = jobs.job_id("\n".join(said))
        sink(f"job {number}: sent to Slurm")
        last = _watch(job, number, sink)
        status = _status(job, number)
        if status is None and (error := jobs.failed(job, number, status, last)):
            raise error
    except BaseException:
        if not (last and last.over):
            _leave("\n".join(said), sink)
        raise
    return status or 0, _output(Path(jobs.output_file(job, number)))


def _leave(said: str, sink: Sink) -> None:
    """Cancel the job that sbatch told of, so that it does not write behind a later run's back."""
    try:
        number = jobs.job_id(said)
    except StackError:
        return  # Slurm took none, or we were interrupted before it said so
    for _ in range(TRIES):
        with contextlib.suppress(StackError):  # what we leave for is to be told, not this
            if run(jobs.cancel(number), check=False).returncode == 0:
                return
        time.sleep(PAUSE)
    sink(f"job {number}: could not be cancelled; {jobs.see_to(number)}")


def _watch(job: Job, number: str, sink: Sink) -> Progress | None:
    """Wait for the job's end; what Slurm said of it last. Raises `StackError` when Slurm answers no more."""
    told, place, last, heard = "", 0, None, time.monotonic()
    while True:
        answer = run(jobs.watch(number), check=False)
        found = jobs.progress(answer.stdout)
        gone = not found and jobs.forgotten(answer.returncode, answer.stdout)
        now = str(found or "Slurm does not answer, it is asked again")
        if not gone and now != told:
            told = now
            sink(f"job {number}: {told}")
        place = _tell(Path(jobs.output_file(job, number)), place, sink)
        if gone or (found and found.over) or (not found and _noted(job, number) is not None):
            return found or last
        if found:
            last, heard = found, time.monotonic()
        elif time.monotonic() - heard > PATIENCE:
            raise jobs.silent(number, answer.stdout, PATIENCE / 60)
        time.sleep(PAUSE)


def _tell(path: Path, place: int, sink: Sink) -> int:
    """Hand on the whole lines that came since the last look; where they end."""
    if not path.exists():
        return place
    with path.open("rb") as handle:
        handle.seek(place)
        new = handle.read(LIMIT)
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        sink(unlabelled(line))
    return place + len(whole)


def unlabelled(line: str) -> str:
    """A line without the number of the task that wrote it."""
    return re.sub(r"^\s*\d+: ?", "", line)


def _output(path: Path) -> str:
    """The end of what the job printed, in whole lines: that is where it says how it ended."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - LIMIT))
            cut, found = handle.tell() > 0, handle.read(LIMIT)
    except OSError:
        return ""
    if cut:
        found = found[found.find(b"\n") + 1 :]
    return "".join(f"{unlabelled(line)}\n" for line in found.decode(errors="replace").splitlines())


def _status(job: Job, number: str) -> int | None:
    """The job's exit status, which may come late; None when it left none."""
    for _ in range(LATE):
        if (status := _noted(job, number)) is not None:
            return status
        time.sleep(PAUSE / 4)
    return None


def _noted(job: Job, number: str) -> int | None:
    path = Path(jobs.status_file(job, number))
    return jobs.exit_status(path.read_text(encoding="utf-8")) if path.exists() else None

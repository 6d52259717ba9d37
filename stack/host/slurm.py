"""One job of Slurm's, from its script to its exit status, watched without its accounting."""

from __future__ import annotations

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
LIMIT = 64 << 20  # bytes of its output that are read


def perform(job: Job, sink: Sink, log: Path) -> tuple[int, str]:
    """Send the job, show what it prints, and wait for its end: its exit status and output.

    Raises `StackError` for a job that Slurm did not take or that was ended from outside; one that we leave is
    cancelled.
    """
    files.write_tree(Path(job.folder), jobs.script(job))
    (command,) = jobs.commands(job, wait=False)
    number = jobs.job_id(run(command, check=False, log=log).stdout)
    sink(f"job {number}: sent to Slurm")
    try:
        last = _watch(job, number, sink)
    except BaseException:
        run(jobs.cancel(number), check=False)
        raise
    status = _status(job, number)
    if status is None and (error := jobs.failed(job, number, status, last)):
        raise error
    return status or 0, _output(Path(jobs.output_file(job, number)))


def _watch(job: Job, number: str, sink: Sink) -> Progress | None:
    told, place, last = "", 0, None
    while True:
        found = jobs.progress(run(jobs.watch(number), check=False).stdout)
        if found and str(found) != told:
            told = str(found)
            sink(f"job {number}: {told}")
        place = _tell(Path(jobs.output_file(job, number)), place, sink)
        if found is None or found.over:
            return found or last
        last = found
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
    try:
        return "".join(f"{unlabelled(line)}\n" for line in files.read_text(path, LIMIT).splitlines())
    except StackError:
        return ""


def _status(job: Job, number: str) -> int | None:
    path = Path(jobs.status_file(job, number))
    for _ in range(LATE):
        if path.exists() and (status := jobs.exit_status(path.read_text(encoding="utf-8"))) is not None:
            return status
        time.sleep(PAUSE / 4)
    return None

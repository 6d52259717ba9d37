"""Ring 4. A job for Slurm: its script, the commands that send, watch and cancel it, and what they said.

Nothing here needs Slurm's accounting (`sacct`): the job itself leaves its exit status in a file. The status of
`sbatch --wait` does not do alone: it is 0 for a job that was cancelled while it waited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stack.artifact import Command, File, Tree
from stack.errors import Faults, StackError, bad_input, host_lacks
from stack.profile import Scheduler
from stack.render.text import template
from stack.words import HIDDEN

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"^([0-9]+)(?:;\S+)?$", re.MULTILINE)
_STATE = re.compile(r"^([0-9]+)\|([A-Z_]+)\|([^|\n]*)\|([^|\n]*)$", re.MULTILINE)
# https://slurm.schedmd.com/squeue.html, "JOB STATE CODES": what a job does not leave again.
_OVER = frozenset(
    (
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    )
)
_REMEDIES = {
    "Unable to contact slurm controller": "is Slurm's controller up (`scontrol ping`)?",
    "Invalid partition": "name one of `sinfo` as `queue` under `scheduler` in the profile",
    "Invalid account": "name one that you may use as `account` under `scheduler` in the profile",
    "Requested node configuration is not available": "ask for fewer or smaller nodes; `sinfo --long` lists them",
    "Requested time limit is invalid": "say fewer `minutes` under `scheduler` in the profile; see `sinfo --long`",
    "Socket timed out": "Slurm may have taken it: look with `squeue`, and `scancel` it, before you run the same again",
    "Access/permission denied": "may you use this `queue` with this `account`? They are in the profile's `scheduler`",
}


@dataclass(frozen=True)
class Job:
    """One program, run once on each node. The nodes share `folder`: it holds script, output and exit status."""

    name: str
    argv: tuple[str, ...]
    folder: str
    scheduler: Scheduler
    nodes: int = 1
    cpus_per_task: int = 1
    minutes: int = 60

    @property
    def file(self) -> str:
        """Name of the script in the folder."""
        return f"{self.name}.sbatch"


@dataclass(frozen=True)
class Progress:
    """What Slurm says of a job: its state, why it waits, and the nodes it has."""

    state: str
    reason: str
    nodes: str

    @property
    def over(self) -> bool:
        """Whether the job came to an end, good or bad."""
        return self.state in _OVER

    def __str__(self) -> str:
        more = self.nodes and f"on {self.nodes}"
        if self.reason not in ("", "None"):
            more = f"({self.reason})"
        return f"{self.state.lower().replace('_', ' ')} {more}".rstrip()


def script(job: Job) -> Tree:
    """The job's script. Raises `StackError`, with every fault, for what cannot be said to Slurm safely."""
    _check(job)
    shape = [
        f"--nodes={job.nodes}",
        f"--ntasks={job.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={job.cpus_per_task}",  # srun does not take it from the job
    ]
    text = template(
        "job.sh.j2",
        name=job.name,
        options=[*_about(job), *shape],
        step=[*shape, *_STEP],
        folder=job.folder,
        argv=job.argv,
    )
    return Tree.of({job.file: File(text, executable=True)})


# A site's defaults may end all tasks soon after the first one, start them for MPI, or keep variables from them.
_STEP = ("--label", "--input=none", "--wait=0", "--kill-on-bad-exit=0", "--mpi=none", "--export=ALL")


def _about(job: Job) -> list[str]:
    account, queue = job.scheduler.account, job.scheduler.queue
    return [
        f"--job-name={job.name}",
        f"--output={job.name}-%j.log",
        f"--time={job.minutes}",
        "--no-requeue",
        *([f"--account={account}"] if account else []),
        *([f"--partition={queue}"] if queue else []),
    ]


def _check(job: Job) -> None:
    faults = Faults()
    if job.scheduler.kind != "slurm":
        what = f"no jobs can be sent to a scheduler of kind {job.scheduler.kind!r}"
        faults.add(what, remedy="Slurm's can be: `kind: slurm` under `scheduler` in the profile")
    words = {"name": job.name, "account": job.scheduler.account, "queue": job.scheduler.queue}
    for key, value in words.items():
        if value is not None and not _WORD.fullmatch(value):
            faults.add(f"{value!r} cannot be a job's {key}", remedy="letters, digits, '.', '_' and '-', at most 64")
    # Slurm replaces what follows a '%' and drops a '\' in the path of a job's output, the folder included.
    if not job.folder.startswith("/") or HIDDEN.search(job.folder) or set("%\\") & set(job.folder):
        what = f"a job cannot write into the folder {job.folder!r}"
        faults.add(what, remedy="take one with an absolute path without '%', '\\' and control characters")
    for key in ("nodes", "cpus_per_task", "minutes"):
        if getattr(job, key) < 1:
            faults.add(f"{getattr(job, key)} cannot be a job's {key}", remedy="take at least 1")
    if not job.argv or not job.argv[0]:
        faults.add("a job needs a program to run")
    faults.raise_if_any()


def send(job: Job) -> Command:
    """Send the job. It prints the job's number, and does not wait for its end."""
    return Command(("sbatch", "--parsable", f"./{job.file}"), "send the job to Slurm", cwd=job.folder)


def watch(job_id: str) -> Command:
    """Ask how the job is; for `progress`. Slurm knows a job for some minutes after its end, then fails here."""
    argv = ("squeue", "--noheader", "--states=all", f"--jobs={_number(job_id)}", "--format=%i|%T|%r|%N")
    return Command(argv, "ask Slurm about the job")


def cancel(job_id: str) -> Command:
    """End the job with all its processes."""
    return Command(("scancel", _number(job_id)), "cancel the job")


def output_file(job: Job, job_id: str) -> str:
    """Path of what the job printed; a line begins with the number of the task that wrote it."""
    return f"{job.folder}/{job.name}-{_number(job_id)}.log"


def status_file(job: Job, job_id: str) -> str:
    """Path of the file that holds the job's exit status once it came to its own end."""
    return f"{job.folder}/{job.name}-{_number(job_id)}.status"


def job_id(said: str) -> str:
    """The number in what `sbatch --parsable` printed, warnings around it or not. Raises `StackError` without one."""
    found = _ID.search(said)
    if not found:
        raise refused(said)
    return found[1]


def refused(said: str) -> StackError:
    """The error for a job that Slurm did not take, in one line and with what to do."""
    errors = re.findall(r"^sbatch: (?:error|fatal): (?:Batch job submission failed: )?(.+)$", said, re.MULTILINE)
    why = "; ".join(dict.fromkeys(errors)) or " ".join(said.split()) or "sbatch printed nothing"
    remedy = next((r for words, r in _REMEDIES.items() if words in why), "")
    return host_lacks(f"Slurm did not take the job: {why}", remedy)


def progress(said: str) -> Progress | None:
    """What `squeue` printed; None when it said nothing of the job: that does not mean yet that the job is over."""
    found = _STATE.search(said)
    return Progress(found[2], found[3], found[4]) if found else None


def forgotten(status: int, said: str) -> bool:
    """Whether `squeue`, which told nothing of the job, knows it no more. Any other failure says nothing of the job."""
    return status == 0 or "Invalid job id specified" in said


def silent(job_id: str, said: str, minutes: float) -> StackError:
    """The error for a job that Slurm could not be asked about for so long."""
    why = " ".join(said.split()) or "squeue printed nothing"
    what = f"Slurm did not answer for {minutes:.0f} minutes; job {job_id} was given up: {why}"
    return host_lacks(what, see_to(job_id))


def see_to(job_id: str) -> str:
    """What to do about a job that may go on behind our back."""
    number = _number(job_id)
    return f"see that it is over, with `squeue --jobs={number}` and `scancel {number}`, before you run the same again"


def exit_status(text: str | None) -> int | None:
    """What the status file says; None when there is none (the job was cancelled, killed, or its node was lost)."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,3}\n", text) else None


def failed(job: Job, job_id: str, status: int | None, last: Progress | None) -> StackError | None:
    """The error for a job that is over; None when it did its work."""
    if status == 0:
        return None
    how = f"ended with status {status}"
    if status is None:
        how = "was ended from outside" + (f": {last}" if last else "")
    return host_lacks(f"job {job_id} ({job.name}) {how}", f"its output is in {output_file(job, job_id)}")


def _number(job_id: str) -> str:
    if not re.fullmatch(r"[0-9]+", job_id):
        raise bad_input(f"{job_id!r} is not the number of a job")
    return job_id

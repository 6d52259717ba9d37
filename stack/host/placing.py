"""Where checks run: on this machine or on nodes of a scheduler, in an image or on software of the machine's own.

Slurm is asked before any check is sent to it. Where it does not answer, checks that judge an image alone run here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stack.artifact import Command
from stack.errors import StackError, bad_input, host_lacks
from stack.host.run import Sink, run, which
from stack.profile import Scheduler
from stack.render.reframe import Where
from stack.verify import Start
from stack.visible import one_line

PATIENCE = 20  # seconds that Slurm has for an answer about itself
PENDING = 60  # minutes that a job may wait for nodes
_HERE = "run it where the cluster's jobs are sent from, or leave --scheduler out"
_NEVER = re.compile(r"(?i)\binvalid\b|\bdenied\b|not permitted")
_PLUGINS = re.compile(r"^(?:srun: )?\s+([a-z0-9_]+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Cluster:
    """A Slurm. `accounting`: it tells of jobs that are over; `speaks`: ways to start an MPI's ranks.

    `down`: what to raise where it does not answer, and something cannot do without it.
    """

    scheduler: Scheduler
    nodes: int
    accounting: bool = False
    speaks: tuple[str, ...] = ()
    pending: int = PENDING
    down: StackError | None = None

    @property
    def access(self) -> tuple[str, ...]:
        """Options of every job: whose account, and which queue."""
        named = {"account": self.scheduler.account, "partition": self.scheduler.queue}
        return tuple(f"--{option}={value}" for option, value in named.items() if value)

    def start(self, begin: Start, word: str) -> Start:
        """The same programs, started by Slurm. `word`: how it starts the ranks of the MPI that they are linked with."""
        options = ("--kill-on-bad-exit=1", *((f"--mpi={word}",) if word else ()))
        return replace(
            begin,
            launch="srun",
            srun=options,
            nodes=self.nodes,
            minutes=self.scheduler.minutes or 0,
            pending=60 * self.pending,
        )

    def lacks(self, word: str) -> str:
        """Why the ranks of an MPI will not find each other here, in words; empty when they will."""
        if not word or not self.speaks or word in self.speaks:
            return ""
        return f"srun here knows no --mpi={word}, so the checks of MPI will fail (it knows: {', '.join(self.speaks)})"


@dataclass(frozen=True)
class Place:
    """Where the checks of a cell run: in its image or natively, on this machine or on a cluster.

    `scale`: how much of that they take; what each needs least where it is empty. `instead`: of nodes that nothing can
    be sent to, in words.
    """

    kind: Literal["image", "native"] = "image"
    cluster: Cluster | None = None
    scale: str = ""
    instead: str = ""

    @property
    def down(self) -> StackError | None:
        """Why nothing can be sent there; None where it can."""
        return self.cluster.down if self.cluster else None

    @property
    def here(self) -> Place:
        """This machine instead of nodes that nothing can be sent to."""
        return replace(self, cluster=None, scale="", instead=str(self.down)) if self.down else self

    @property
    def name(self) -> str:
        """Stands in the names of files that are about it; empty for the image on this machine."""
        native = ("native",) if self.kind == "native" else ()
        return ".".join((*native, *(("slurm",) if self.cluster else ()), *((self.scale,) if self.scale else ())))

    @property
    def words(self) -> tuple[str, ...]:
        """Options of `verify` that name it."""
        native = ("--native",) if self.kind == "native" else ()
        scale = ("--scale", self.scale) if self.scale else ()
        if self.cluster is None:
            return (*native, *scale)
        waits = ("--pending", str(self.cluster.pending)) if self.cluster.pending != PENDING else ()
        return (*native, "--scheduler", "slurm", "--nodes", str(self.cluster.nodes), *waits, *scale)

    @property
    def text(self) -> str:
        """In words, after what the machine is."""
        scale = f"; scale {self.scale}" if self.scale else ""
        if self.instead:
            return f"; here and not on nodes: {self.instead}"
        return f"; on {self.cluster.nodes} nodes, by Slurm{scale}" if self.cluster else scale

    def file(self, name: str) -> str:
        """A file's name with the place in it: `verdict.json`, `verdict.slurm.json`."""
        stem, _, kind = name.rpartition(".")
        return ".".join(filter(None, (stem, self.name, kind)))

    def where(self, here: Where) -> Where:
        """What ReFrame is told of it."""
        if self.cluster is None:
            return replace(here, kind=self.kind)
        found = self.cluster
        return replace(
            here,
            kind=self.kind,
            scheduler="slurm",
            access=found.access,
            accounting=found.accounting,
            nodes=found.nodes,
        )


HERE = Place()


def cluster(kind: str, nodes: int | None, scheduler: Scheduler, pending: int | None = None) -> Cluster:
    """The scheduler of that name. Raises for another, and (exit code 3) where it is not here, or takes no such job."""
    if kind != "slurm":
        raise bad_input(f"checks cannot be run by {kind!r}", remedy="known: slurm")
    missing = [name for name in ("sbatch", "srun", "squeue", "scancel") if which(name) is None]
    if missing:
        raise host_lacks(f"Slurm is not installed here: there is no {', '.join(missing)}", _HERE)
    down = _silent()
    told = scheduler.model_copy(update={"kind": "slurm"})
    found = Cluster(told, nodes or 2, pending=pending or PENDING, down=down)
    if down:
        return found
    _takes(scheduler)
    speaks = tuple(_PLUGINS.findall(_ask("srun", "--mpi=list")[1]))
    return replace(found, accounting=_accounting(), speaks=speaks)


def without_nodes(
    down: StackError, able: Sequence[str], expected: Sequence[str], note: Sink | None
) -> dict[str, str]:  # fmt: skip
    """Say which checks run here though the scheduler does not answer; the others, and why. Raises where none can."""
    if not able:
        raise down
    others = dict.fromkeys((name for name in expected if name not in able), str(down))
    if note:
        note(str(down))
        note(f"run here, since they judge the image alone: {', '.join(able)}{'; the others fail' if others else ''}")
    return others


def _ask(*argv: str) -> tuple[int, str]:
    """Ask Slurm, for a while: where its controller is down, its programs try for minutes."""
    command = Command(("timeout", "--kill-after=5", str(PATIENCE), *argv), "ask Slurm", env={"LC_ALL": "C"})
    result = run(command, check=False)
    return result.returncode, result.stdout


def _silent() -> StackError | None:
    """What to say of a Slurm that does not answer; None where it does."""
    status, said = _ask("sinfo", "--noheader", "--format=%D")
    if status == 0:
        return None
    why = one_line("; ".join(dict.fromkeys(said.splitlines())))[:300] or f"no answer within {PATIENCE} seconds"
    return host_lacks(f"Slurm does not answer: {why}", f"is its controller up (`scontrol ping`)? Or {_HERE}")


def _takes(scheduler: Scheduler) -> None:
    """Raise where Slurm would refuse every job with this account and queue."""
    said = Cluster(scheduler, 1).access
    status, answer = _ask("sbatch", "--test-only", *said, "--nodes=1", "--time=1", "--wrap=true")
    if status and _NEVER.search(answer):  # anything else may be another in a while: nodes that are drained, or taken
        raise _refused(answer)


def _refused(said: str) -> StackError:
    from stack.render import jobs

    found = re.sub(r"(?m)^allocation failure: ", "sbatch: error: ", said)
    return jobs.refused(found)


def _accounting() -> bool:
    """Whether `sacct` tells of jobs; a cluster without accounting keeps a job in the queue for some minutes only."""
    return which("sacct") is not None and _ask("sacct", "--noheader", "--allocations", "--starttime=now")[0] == 0

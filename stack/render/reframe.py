"""Ring 4. A plan, or software that was found, and the machine -> ReFrame's settings; features are what is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from stack.artifact import Tree, canonical_json
from stack.plan import Plan
from stack.target import HostFacts
from stack.words import feature

PATH = "reframe/settings.json"
ENVIRON = "subject"
GPU, EMULATED, NODES, QEMU = "gpu", "emulated", "nodes", "qemu"
"""Features: the accelerator is in this machine; its CPU is emulated; there is more than one node; an emulator can be
the CPU that the target asks for, and no more."""
MAX_JOBS = 2  # several checks use two cores themselves

# Where ReFrame would write below the home folder otherwise; relative, so below the folder it is run in.
_FOLDERS = {"prefix": ".", "stagedir": "stage", "outputdir": "output", "resourcesdir": "."}
_GENERAL = {
    "check_search_recursive": True,
    "report_file": "report.json",
    "topology_prefix": "topology",
    "colorize": False,
    "perf_info_level": "verbose",
    # A check takes seconds: look often, ReFrame's own slowest pace is once in ten seconds.
    "poll_rate_max": 10,
    "poll_rate_min": 5,
    "pipeline_timeout": 3,
}


@dataclass(frozen=True)
class Where:
    """What the checks run on. `kind`: an image, or the machine's own software; `access`: options of the scheduler;
    `accounting`: the scheduler tells of jobs long after their end; `accelerated`: the accelerator that the target is
    for is in this machine; `emulated`: its CPU is not this one's; `baseline`: an emulator can be the target's CPU;
    `scales`: how much of it a run may ask for."""

    kind: Literal["image", "native"] = "image"
    scheduler: Literal["local", "slurm"] = "local"
    access: tuple[str, ...] = ()
    accounting: bool = False
    nodes: int = 1
    accelerated: bool = False
    emulated: bool = False
    baseline: bool = False
    scales: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """What is checked, as ReFrame's settings tell of it. `holds`: components, roles, CPU family, accelerator."""

    name: str
    description: str
    partition: str
    target: str
    microarchitecture: str
    cell: str
    holds: tuple[str, ...]


def system(plan: Plan) -> System:
    """The system of a plan, named after the profile."""
    target = plan.target
    holds = [target.family, *(c.component for c in plan.choices), *(c.role for c in plan.choices if c.role)]
    if target.accelerator:
        holds += [target.accelerator.vendor, target.accelerator.arch]
    return System(
        name=plan.profile.name,
        description=plan.profile.description,
        partition=target.partition,
        target=target.name,
        microarchitecture=target.microarchitecture,
        cell=plan.cell,
        holds=tuple(holds),
    )


def settings(plan: Plan, facts: HostFacts, where: Where) -> Tree:
    """`reframe/settings.json` for a plan; its checks run on the machine, or its nodes."""
    return settings_of(system(plan), facts, where)


def settings_of(about: System, facts: HostFacts, where: Where) -> Tree:
    """`reframe/settings.json`: one system with one partition."""
    cores = max(facts.cores, 1)
    jobs = min(MAX_JOBS, cores)
    system = {
        "name": feature(about.name),
        "descr": about.description,
        "hostnames": [".*"],
        "max_local_jobs": jobs,
        **_FOLDERS,
        "partitions": [_partition(about, cores, jobs, where)],
    }
    data = {
        "systems": [system],
        "environments": [{"name": ENVIRON}],
        "general": [_GENERAL],
        "storage": [{"enable": False, "sqlite_db_file": "results.db"}],
        "logging": [_logging()],
    }
    return Tree.of({PATH: canonical_json(data)})


def _partition(about: System, cores: int, jobs: int, where: Where) -> dict[str, Any]:
    return {
        "name": feature(about.partition),
        "descr": about.target,
        **_scheduler(where),
        "access": list(where.access),
        "environs": [ENVIRON],
        "max_jobs": jobs,
        # Given, so that ReFrame neither looks for it nor keeps it in a file of its own.
        "processor": {"arch": about.microarchitecture, "num_cpus": cores},
        "features": features_of(about, where),
        "extras": {"target": about.target, "cell": about.cell},
    }


def _scheduler(where: Where) -> dict[str, Any]:
    """Of Slurm without accounting ReFrame asks the queue alone."""
    if where.scheduler == "local":
        return {"scheduler": "local", "launcher": "local"}
    return {
        "scheduler": "slurm" if where.accounting else "squeue",
        "launcher": "srun",
        "sched_options": {"use_nodes_option": True},
    }


def features(plan: Plan, where: Where) -> list[str]:
    """What a check of a plan's software may ask for."""
    return features_of(system(plan), where)


def features_of(about: System, where: Where) -> list[str]:
    """What a check may ask for: components, filled roles, CPU family, accelerator, and what the checks run on."""
    names = [where.kind, where.scheduler, *about.holds]
    names += [GPU] if where.accelerated else []
    names += [EMULATED] if where.emulated else []
    names += [NODES] if where.nodes > 1 else []
    names += [QEMU] if where.baseline else []
    names += [f"scale_{name}" for name in where.scales]
    return sorted({feature(name) for name in names})


def _logging() -> dict[str, Any]:
    stream = {"type": "stream", "name": "stdout", "level": "info", "format": "%(message)s"}
    return {"handlers$": [stream], "handlers": [], "handlers_perflog": []}

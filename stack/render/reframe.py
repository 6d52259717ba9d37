"""Ring 4. A plan, or software that was found, and the machine -> ReFrame's settings; features are what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from stack.artifact import Tree, canonical_json
from stack.hardware import Accelerator
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
class Devices:
    """Accelerators of one kind. `here`: in this machine; `node`: in a node of the scheduler, 0 where nobody says."""

    vendor: str
    arch: str
    here: int = 0
    node: int = 0


@dataclass(frozen=True)
class System:
    """What is checked, as ReFrame's settings tell of it. `holds`: components, roles, CPU family, accelerator; `cores`:
    of a node of the scheduler, 0 where nobody says."""

    name: str
    description: str
    partition: str
    target: str
    microarchitecture: str
    cell: str
    holds: tuple[str, ...]
    devices: tuple[Devices, ...] = ()
    cores: int = 0


def system(plan: Plan, facts: HostFacts | None = None) -> System:
    """The system of a plan, named after the profile."""
    target, part = plan.target, plan.profile.partitions[plan.target.partition]
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
        devices=_devices(plan, facts or HostFacts()),
        cores=0 if part.cpu.cores == "host" else part.cpu.cores,
    )


def counted(found: Iterable[Accelerator]) -> tuple[Devices, ...]:
    """The accelerators of this machine, one entry of `found` for each."""
    return tuple(Devices(*kind, here=n) for kind, n in Counter((a.vendor, a.arch) for a in found).items())


def _devices(plan: Plan, facts: HostFacts) -> tuple[Devices, ...]:
    """What the target is for: counted on the bus of this machine, and as the profile says of a node."""
    target, named = plan.target, plan.profile.partitions[plan.target.partition].accelerators
    if target.accelerator is None or plan.vendor is None:
        return ()
    makers = [model for vendor, model in facts.accelerators if vendor == plan.vendor.pci]
    same = [model for model in makers if model in target.accelerator.pci]
    node = 0 if named == "host" else sum(a.count for a in named if a.model == target.accelerator_name)
    return (Devices(target.accelerator.vendor, target.accelerator.arch, len(same or makers), node),)


def settings(plan: Plan, facts: HostFacts, where: Where) -> Tree:
    """`reframe/settings.json` for a plan; its checks run on the machine, or its nodes."""
    return settings_of(system(plan, facts), facts, where)


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
        "partitions": [_partition(about, facts, jobs, where)],
    }
    data = {
        "systems": [system],
        "environments": [{"name": ENVIRON}],
        "general": [_GENERAL],
        "storage": [{"enable": False, "sqlite_db_file": "results.db"}],
        "logging": [_logging()],
    }
    return Tree.of({PATH: canonical_json(data)})


def _partition(about: System, facts: HostFacts, jobs: int, where: Where) -> dict[str, Any]:
    processor, devices = _processor(about, facts, where), _counts(about, where)
    unknown = _unknown(about, processor, devices, where)
    return {
        "name": feature(about.partition),
        "descr": about.target,
        **_scheduler(where),
        "access": list(where.access),
        "environs": [ENVIRON],
        "max_jobs": jobs,
        # Given, so that ReFrame neither looks for it nor keeps it in a file of its own.
        "processor": processor,
        **({"devices": devices} if devices else {}),
        "features": features_of(about, where),
        "extras": {"target": about.target, "cell": about.cell, **({"unknown": unknown} if unknown else {})},
    }


def _processor(about: System, facts: HostFacts, where: Where) -> dict[str, Any]:
    """Of this machine as it was found; of a node what the profile says, which need not be like this machine."""
    if where.scheduler != "local" and about.cores:
        return {"arch": about.microarchitecture, "num_cpus": about.cores}
    made: dict[str, Any] = {"arch": about.microarchitecture, "num_cpus": max(facts.cores, 1)}
    made |= {"num_cpus_per_core": facts.threads} if facts.threads else {}
    if where.scheduler != "local":
        return made
    made |= {"num_sockets": len(facts.sockets)} if facts.sockets else {}
    made |= {"num_cpus_per_socket": facts.cores // len(facts.sockets)} if facts.sockets else {}
    topology = {"sockets": list(facts.sockets), "numa_nodes": list(facts.numa)}
    found = {key: masks for key, masks in topology.items() if masks}
    return {**made, "topology": found} if found else made


def _counts(about: System, where: Where) -> list[dict[str, Any]]:
    """The accelerators of this machine or of a node; none where nobody says how many they are."""
    counts = [(d, d.here if where.scheduler == "local" else d.node) for d in about.devices]
    return [{"type": GPU, "arch": d.arch, "model": d.vendor, "num_devices": n} for d, n in counts if n]


def _unknown(about: System, processor: dict[str, Any], devices: list[Any], where: Where) -> list[str]:
    """What a scale may need and nobody says; under a scheduler this machine's cores stand for those of a node."""
    guessed = where.scheduler != "local" and not about.cores
    topology = processor.get("topology", {})
    return [
        *(["cores of a node: those of the machine that sends the jobs are taken"] if guessed else []),
        *(["sockets"] if "num_sockets" not in processor else []),
        *(["NUMA domains"] if "numa_nodes" not in topology else []),
        *(["devices"] if where.accelerated and not devices else []),
    ]


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

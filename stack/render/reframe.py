"""Ring 4. Plan + what was found on the machine -> ReFrame's settings; the features are what the image holds."""

from __future__ import annotations

import re
from typing import Any

from stack.artifact import Tree, canonical_json
from stack.plan import Plan
from stack.target import HostFacts

PATH = "reframe/settings.json"
ENVIRON = "image"
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


def settings(plan: Plan, facts: HostFacts) -> Tree:
    """`reframe/settings.json`: one system, named after the profile; its checks run on the machine itself."""
    cores = max(facts.cores, 1)
    jobs = min(MAX_JOBS, cores)
    system = {
        "name": word(plan.profile.name),
        "descr": plan.profile.description,
        "hostnames": [".*"],
        "max_local_jobs": jobs,
        **_FOLDERS,
        "partitions": [_partition(plan, cores, jobs)],
    }
    data = {
        "systems": [system],
        "environments": [{"name": ENVIRON, "features": [ENVIRON]}],
        "general": [_GENERAL],
        "storage": [{"enable": False, "sqlite_db_file": "results.db"}],
        "logging": [_logging()],
    }
    return Tree.of({PATH: canonical_json(data)})


def _partition(plan: Plan, cores: int, jobs: int) -> dict[str, Any]:
    target = plan.target
    return {
        "name": word(target.partition),
        "descr": target.name,
        "scheduler": "local",
        "launcher": "local",
        "environs": [ENVIRON],
        "max_jobs": jobs,
        "container_platforms": [{"type": "Apptainer", "default": True}],
        # Given, so that ReFrame neither looks for it nor keeps it in a file of its own.
        "processor": {"arch": target.microarchitecture, "num_cpus": cores},
        "features": features(plan),
        "extras": {"target": target.name, "cell": plan.cell},
    }


def features(plan: Plan) -> list[str]:
    """What a check may ask for: `image`, components, roles that are filled, CPU family, accelerator."""
    target = plan.target
    names = [ENVIRON, target.family, *(c.component for c in plan.choices), *(c.role for c in plan.choices if c.role)]
    if target.accelerator:
        names += [target.accelerator.vendor, target.accelerator.arch]
    return sorted({word(name) for name in names})


def word(name: str) -> str:
    """A name as ReFrame takes it: letters, digits, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _logging() -> dict[str, Any]:
    stream = {"type": "stream", "name": "stdout", "level": "info", "format": "%(message)s"}
    return {"handlers$": [stream], "handlers": [], "handlers_perflog": []}

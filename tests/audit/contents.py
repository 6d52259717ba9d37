"""What an audit found, as plain data, made small: one layer at each kind of level, a finding of each state."""

from __future__ import annotations

import copy
from typing import Any

from stack.artifact import digest

WHY_NOT = "no exit test from vendor-a stands; `sovstack exit-test --all` makes them"


def check(layer: str, level: int, title: str, state: str = "pass", said: str = "as it should", **more: Any) -> Any:
    return {"layer": layer, "level": level, "title": title, "state": state, "said": said, "evidence": "facts",
            "details": [], **more}  # fmt: skip


def finding(state: str, rule: str, level: str = "error", **more: Any) -> Any:
    return {"rule": rule, "level": level, "state": state, "why": f"why of {rule}", "ref": "", "kind": "spack",
            "name": "", "version": "", "package": "", "scope": "run", "path": [], "alternatives": [], "reason": "",
            "granted_by": "", "until": "", **more}  # fmt: skip


LEVELS: list[dict[str, Any]] = [
    {
        "name": "compute",
        "level": 2,
        "checks": [
            check("compute", 1, "hardware known", said="known of all 7"),
            check("compute", 2, "two makers", evidence="ai-hpc/other/cell"),
            check("compute", 3, "an exit from any one", "not assessed", WHY_NOT, evidence=""),
            check("compute", 4, "suite on two makers", "not assessed", "no verdict", evidence=""),
        ],
    },
    {
        "name": "software",
        "level": 0,
        "checks": [
            check("software", 1, "inventory with hashes", "fail", "3 stand in the way",
                  details=["closed-mpi 8: no hash", "libx 1: no hash", "tar 1.34: no hash"]),
            check("software", 2, "licences known", "fail", "closed-mpi 8: licence unknown",
                  details=["closed-mpi 8: licence unknown"]),
        ],
    },
    {"name": "operational", "level": 4, "checks": [check("operational", n, f"demand {n}") for n in (1, 2, 3, 4)]},
    {
        "name": "data",
        "level": None,
        "checks": [check("data", n, f"demand {n}", "not assessed", "environments carry no data yet") for n in (1, 2)],
    },
]  # fmt: skip
FINDINGS = [
    finding("breach", "unknown-licence", name="closed-mpi", version="8", path=["closed-mpi"]),
    finding("breach", "proprietary", name="libx", version="1", path=["py-torch", "middle", "libx"],
            alternatives=["neural kernels: open-a, open-b"]),
    finding("breach", "single-vendor", "warning", name="libx", version="1", path=["py-torch", "libx"],
            alternatives=["one use: open-a", "another use: open-c"]),
    finding("breach", "single-vendor", "warning", name="liby", version="2", scope="build"),
    finding("excepted", "proprietary", name="driver", version="12", reason="nothing else runs it",
            granted_by="the steering board", until="2027-06-30"),
    finding("not assessed", "single-forge", "warning", why="not looked yet (`sovstack mirror --survey` does)"),
    finding("stale", "proprietary", "warning", package="gone-package", reason="once needed", granted_by="the board"),
]  # fmt: skip
CONTENT: dict[str, Any] = {
    "schema": 1,
    "cell": "ai-hpc/laptop/debian13-x86_64_v3",
    "lock": digest("lock"),
    "phase": "design",
    "date": "2026-03-02",
    "program": "0.1.0",
    "passed": False,
    "levels": LEVELS,
    "weakest": ["software"],
    "components": {"run": {"all": 7, "spack": 7}, "build": {"all": 3, "spack": 3}},
    "coverage": {"components": 7, "facts": 7, "licence": 6, "class": 6, "redistribution": 5, "reach": 4, "evidence": 0},
    "licences": {"Apache-2.0": 1, "MIT": 4, "unknown": 1, "BSD-3-Clause": 1},
    "gaps": [{"field": "author", "component": ""}, {"field": "hash", "component": "libx 1"},
             {"field": "author", "component": "tar 1.34"}],
    "findings": FINDINGS,
    "held": [finding("breach", "not-redistributable", name="driver", version="12", path=["py-torch", "driver"])],
    "notes": ["the lock is not current: `sovstack lock` makes one"],
}  # fmt: skip


def content(**changes: Any) -> dict[str, Any]:
    """A copy of it, with other values."""
    return {**copy.deepcopy(CONTENT), **changes}


def level(data: dict[str, Any], name: str) -> dict[str, Any]:
    """One layer of it."""
    found: dict[str, Any] = next(layer for layer in data["levels"] if layer["name"] == name)
    return found

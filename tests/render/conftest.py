"""Cells that the render tests share: real plans of the shipped documents on fixed machines, and locks of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import plan as planning
from stack import target as targets
from stack.catalogue import Catalogue
from stack.host.library import Library
from stack.lock import Component, Lock, OsLock
from stack.plan import Plan
from stack.target import HostFacts

GOLDEN = Path(__file__).parent.parent / "golden"
FACTS = HostFacts("debian-13", "Debian 13", "x86_64_v3", 2, 16.0, ())
FOREIGN = {"laptop-riscv64": "riscv64", "laptop-arm64": "aarch64"}  # --arch
CASES = ("laptop", "nvidia-h100", "amd-mi300x", "site-mpi", "blis-mpich", *FOREIGN)


def plan_of(case: str, library: Library, catalogue: Catalogue) -> Plan:
    """The plan of `ai-hpc` for one case; its profile lies in the golden folder, or is a shipped one."""
    own, family = GOLDEN / case / f"{case}.yaml", FOREIGN.get(case, "")
    name = str(own) if own.is_file() else case.split("-", maxsplit=1)[0] if family else case
    profile = library.profile(name)[1]
    target = targets.resolve(profile, "default", catalogue, FACTS, family)
    return planning.make(profile, library.environment("ai-hpc")[1], target, catalogue)


def lock_of(plan: Plan) -> Lock | None:
    """A lock of a plan without its packages; none when a component is built from source, which is not locked yet."""
    if any(choice.provider == "source" for choice in plan.choices):
        return None
    rows = [
        # A wheel's version is the index's to tell, when the cell is locked.
        Component(name=c.component, role=c.role, provider=c.provider, version=c.version or "4.1.0")
        for c in plan.choices
    ]
    system = plan.target.os.name
    closure = OsLock(system=system, architecture=plan.target.architecture, suites=(), requested=(), packages=())
    return Lock(schema=1, environment=plan.environment.name, profile=plan.profile.name, target=plan.target.name,
                components=tuple(rows), os=closure, inputs={})  # fmt: skip


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plan(case: str, library: Library, catalogue: Catalogue) -> Plan:
    """One plan for each case."""
    return plan_of(case, library, catalogue)

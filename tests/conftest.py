"""What the tests share: the shipped catalogue, and plans made without looking at this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import plan as planning
from stack import target as targets
from stack.catalogue import Catalogue
from stack.host.library import Library, shipped
from stack.plan import Plan
from stack.target import HostFacts

FACTS = HostFacts("debian-12", "Debian GNU/Linux 12 (bookworm)", "zen2", 2, 23.5, ())
RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(scope="session")
def library() -> Library:
    return Library((shipped(),))


@pytest.fixture(scope="session")
def catalogue(library: Library) -> Catalogue:
    return library.catalogue


@pytest.fixture(scope="session")
def laptop(library: Library, catalogue: Catalogue) -> Plan:
    """`ai-hpc` on the laptop profile, for a fixed machine without an accelerator."""
    profile, environment = library.profile("laptop")[1], library.environment("ai-hpc")[1]
    target = targets.resolve(profile, "default", catalogue, FACTS)
    return planning.make(profile, environment, target, catalogue)

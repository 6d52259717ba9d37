"""Real locks for the tests of an audit, and small ones made of nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from stack import lock as locks
from stack.audit import inventory
from stack.audit.document import About, Author
from stack.audit.inventory import Deployable, Inventory
from stack.host.library import Library, roots
from stack.lock import Lock

RELEASED = Path(__file__).parents[2] / "environments/locks"
AUTHOR = Author("Example HPC", "sbom@example.org")


@cache
def library() -> Library:
    """The shipped documents."""
    return Library(roots(None))


@cache
def released(cell: str) -> Lock:
    """The first released lock whose folder a pattern names, `ai-hpc/generic-x86/*sm90` for example."""
    path = sorted(RELEASED.glob(f"{cell}/stack.lock.json"))[0]
    return locks.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def released_inventory(cell: str) -> Inventory:
    """What such a lock holds."""
    return of(released(cell))


def of(lock: Lock) -> Inventory:
    """The inventory of a lock, with the shipped facts."""
    known = library()
    system = known.catalogue.systems[lock.os.system]
    base = known.catalogue.containers.get(lock.os.system) if lock.os.packages else None
    return inventory.make(lock, known.facts, system, base)


def design() -> About:
    """Of a lock alone."""
    return About("design", "1.2.3", 1767225600, AUTHOR)


def build(found: Inventory) -> About:
    """Of an image in which everything that runs stands."""
    digits = {item.ref: f"{n:x}".rjust(8, "0") for n, item in enumerate(found.items)}
    files = {ref: Deployable(f"file-{n}", n * 8, n * 16, 1) for ref, n in digits.items() if _runs(found, ref)}
    return About("build", "1.2.3", 1767225600, AUTHOR, Deployable("rootfs", "a" * 64, "b" * 128, 7), files)


def _runs(found: Inventory, ref: str) -> bool:
    return found.by_ref[ref].scope == "run"

"""What an audit takes: of a released lock from a cold start, and of inventories of growing size.

    python benchmarks/audit.py [CELL]

CELL is a folder below `environments/locks/`, the largest for PyTorch on ROCm otherwise. `cold` has an empty cache of
the user's, `warm` the one that the first left; both are whole processes, the best and the median of ten. Then
copies of the lock's components, wired to each other, are rendered, checked, judged and written in this process: seconds
for each size, and microseconds a component, which stay the same where it is linear. Nothing else may be running.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from stack import lock as locks
from stack.artifact import canonical_json
from stack.audit import completeness, cyclonedx, inventory, policy, spdx
from stack.audit.document import About, Author
from stack.audit.inventory import Inventory
from stack.host.library import Library, roots, shipped
from stack.policy import terms

CELL = "ai-hpc/generic-x86/debian13-x86_64_v3-gfx942"
SIZES = (625, 1250, 2500, 5000, 10000)
ROUNDS = 10


def main() -> None:
    """Print milliseconds of processes, and seconds of sizes."""
    cell = sys.argv[1] if len(sys.argv) > 1 else CELL
    environment, profile, target = cell.split("/")
    library = Library(roots(None))
    partition = _partition(library, profile, target)
    words = ("audit", profile, environment, "--partition", partition)
    print(f"{cell}: {len(_inventory(library, cell).items)} components")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("cold", "warm"):
            times = [_process(words, Path(scratch), cold=name == "cold") for _ in range(ROUNDS)]
            print(f"{name:5} least {min(times):5.0f} ms  median {statistics.median(times):5.0f} ms")
    for size in SIZES:
        seconds = _render(library, _copies(_inventory(library, cell), size))
        print(f"{size:6} components {seconds:6.2f} s  {seconds / size * 1e6:5.0f} us each")


def _partition(library: Library, profile: str, target: str) -> str:
    from stack.host import cells

    names = library.profile(profile)[1].partitions
    opened = {p: cells.open_cell(library, profile, None, p, Path("build")).plan.target.name for p in names}
    return next(p for p, name in opened.items() if name == target)


def _inventory(library: Library, cell: str) -> Inventory:
    path = shipped() / "environments/locks" / cell / "stack.lock.json"
    lock = locks.parse(path.read_text(encoding="utf-8"), str(path))
    return inventory.make(lock, library.facts, library.catalogue.systems[lock.os.system], None)


def _process(words: tuple[str, ...], scratch: Path, *, cold: bool) -> float:
    """Milliseconds of one `sovstack audit`."""
    if cold:
        shutil.rmtree(scratch / "cache", ignore_errors=True)
    env = {**os.environ, "XDG_CACHE_HOME": str(scratch / "cache"), "SOVSTACK_AUTHOR": "Example <sbom@example.org>"}
    argv = [sys.executable, "-m", "stack", *words, "--build-dir", str(scratch / "build")]
    start = time.perf_counter()
    subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, check=False, cwd=shipped())
    return (time.perf_counter() - start) * 1000


def _copies(found: Inventory, size: int) -> Inventory:
    """So many components, each needing two others."""
    items = [
        replace(found.items[n % len(found.items)], ref=f"{found.items[n % len(found.items)].ref}#{n}")
        for n in range(size)
    ]
    wired = tuple(
        replace(item, depends=(items[(n + 1) % size].ref, items[(n * 7 + 3) % size].ref), build_only=frozenset())
        for n, item in enumerate(items)
    )
    return Inventory(found.lock, wired, (wired[0].ref,))


def _render(library: Library, found: Inventory) -> float:
    about = About("design", "0", 0, Author("Example", "sbom@example.org"))
    start = time.perf_counter()
    for render in (cyclonedx.render, spdx.render):
        document = render(found, about)
        completeness.gaps(document)
        canonical_json(document)
    policy.assess(found, terms(library.policy), library.facts, library.catalogue.recipes)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

"""The locks that are handed on with the documents: every cell's, current, whole, and as the recipes want it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import assertions, graph
from stack import lock as locks
from stack.artifact import digest
from stack.host import locking, resolving, together
from stack.host.cells import RELEASED, Cell
from stack.host.library import Library, shipped

ROOT = shipped()
NOWHERE = Path("/nonexistent")


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    found, refused = together.every(Library((ROOT,)), None, None, NOWHERE)
    assert refused == ()
    return {cell.plan.cell: cell for cell in found}


RELEASES = sorted((ROOT / RELEASED).glob("*/*/*/stack.lock.json"))
NAMES = ["/".join(path.parts[-4:-1]) for path in RELEASES]


def test_every_cell_has_one_and_there_is_no_other(cells: dict[str, Cell]) -> None:
    assert sorted(cells) == sorted(NAMES), "run: sovstack lock --all --release"
    assert len([name for name in NAMES if name.startswith("ai-hpc/")]) >= 16


@pytest.mark.parametrize("path", RELEASES, ids=NAMES)
def test_it_is_current_whole_and_holds(path: Path, cells: dict[str, Cell]) -> None:
    cell = cells["/".join(path.parts[-4:-1])]
    lock = locks.parse(path.read_text(), str(path))
    assert lock.text() == path.read_text()
    assert locking.stale(cell) == (), "run: sovstack lock --all --release"
    assert lock.spack is not None
    assert resolving.question(cell, lock).key == lock.spack.key, "Spack would be asked something else"
    text = path.with_name(locking.SPACK_LOCK).read_text()
    assert digest(text) == lock.spack.file
    roots, nodes, commit = graph.read(text, str(path))
    assert (roots, nodes, commit) == (lock.spack.roots, lock.spack.nodes, lock.spack.spack)
    assertions.check(cell.plan, lock.spack)
    assert lock.spack.hashes == ("native" if cell.plan.target.os.archives else "unverified")

"""A cell's lock on disk: current or not, whole or not, and where it is found. Spack's answer is a recorded one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stack import lock as locks
from stack.errors import StackError
from stack.host import cells, locking, resolving
from stack.host.cells import Cell
from stack.host.library import Library, shipped
from stack.host.solving import Solved
from stack.lock import Lock
from tests.conftest import RECORDED

SITE = RECORDED / "spack/site"
TEXT = (RECORDED / "spack/rocky8-zen3.spack.lock").read_text()
KEPT = (RECORDED / "spack/rocky8-zen3.stack.lock.json").read_text()


def quiet(_line: str) -> None:
    """A sink for what nobody reads."""


def open_tiny(folder: Path, root: Path | None = None) -> Cell:
    """A cell of one package that Spack builds, for an OS whose packages cannot be had: no mirror is asked."""
    return cells.open_cell(Library((root or SITE, SITE, shipped())), "old", "tiny", None, folder / "build")


def keep(cell: Cell) -> Lock:
    """The cell's lock in its folder, with the recorded answer to the question of today."""
    recorded = locks.parse(KEPT, "recorded").spack
    assert recorded
    made = resolving.resolve(cell, None, quiet)
    graph = recorded.model_copy(update={"key": resolving.question(cell, made).key})
    whole = locks.solved(made, cell.plan, graph)
    locking.keep(cell, whole, resolving.fingerprint(cell, None), Solved(TEXT, graph))
    return whole


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return open_tiny(tmp_path)


def test_a_lock_that_was_just_made_is_current(cell: Cell) -> None:
    assert locking.stale(cell) == (f"{cell.lock_path} does not exist",)
    assert locking.adopt(cell) is None
    made = keep(cell)
    assert locking.stale(cell) == ()
    assert locking.adopt(cell) == made == locking.strict(cell) == locking.read(cell)
    assert locking.digest_of(cell, made) == made.digest


def test_a_lock_written_otherwise_has_the_same_digest(cell: Cell) -> None:
    made = keep(cell)
    cell.lock_path.write_text(json.dumps(json.loads(cell.lock_path.read_text())))
    assert locking.digest_of(cell, made) == made.digest
    assert locking.adopt(cell) == made


def test_what_changed_is_named(cell: Cell) -> None:
    keep(cell)
    other = replace(cell, documents={**cell.documents, "profile": "0" * 64, "overlay": "1" * 64})
    assert locking.stale(other) == (
        "the overlay changed since the lock was made",
        "the profile changed since the lock was made",
    )
    assert locking.adopt(other) is None
    with pytest.raises(StackError, match=r"the profile changed .*lock again"):
        locking.strict(other)


@pytest.mark.parametrize("text", [None, "", TEXT[:-10], TEXT + "\n"])
def test_spacks_own_lock_must_be_the_one_that_was_answered(cell: Cell, text: str | None) -> None:
    keep(cell)
    beside = cell.folder / "spack.lock"
    beside.unlink()
    if text is not None:
        beside.write_text(text)
    assert locking.stale(cell) == (f"{beside} is not the one that stack.lock.json was made with",)
    assert locking.adopt(cell) is None
    assert locking.reusable(cell, resolving.fingerprint(cell, None)) is None
    with pytest.raises(StackError, match="is not the one"):
        locking.strict(cell)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON: the lock is damaged"),
        (KEPT[:500], "not valid JSON: the lock is damaged"),
        ("[]", "lock: Input should be an object"),
        (KEPT.replace('"schema": 1', '"schema": 2'), "lock of schema 2; this program reads 1"),
        (KEPT.replace('"hashes": "unverified"', '"hashes": "certain"'), r"spack\.hashes: Input should be 'native'"),
        (TEXT, "Field required"),
    ],
)
def test_a_damaged_lock_is_an_error_where_it_is_relied_on_and_none_where_it_is_made(
    cell: Cell, text: str, message: str
) -> None:
    keep(cell)
    cell.lock_path.write_text(text)
    for look in (locking.stale, locking.strict, locking.read):
        with pytest.raises(StackError, match=message) as caught:
            look(cell)
        assert all(str(f).startswith(str(cell.lock_path)) for f in caught.value.faults)
    assert locking.adopt(cell) is None and locking.former(cell) is None


def test_the_lock_of_another_cell_is_not_taken(cell: Cell) -> None:
    made = keep(cell)
    cell.lock_path.write_text(made.model_copy(update={"target": "rocky8-zen4"}).text())
    assert locking.stale(cell) == (f"{cell.lock_path} is the lock of tiny/old/rocky8-zen4",)


def test_a_lock_handed_on_with_the_documents_is_taken(cell: Cell, tmp_path: Path) -> None:
    made = keep(cell)
    site = tmp_path / "site"
    handed = site / cells.RELEASED / cell.plan.cell
    handed.parent.mkdir(parents=True)
    cell.folder.rename(handed)
    other = open_tiny(tmp_path / "elsewhere", site)
    assert locking.stale(other) == ()
    assert locking.adopt(other) == made
    assert (other.folder / "spack.lock").read_text() == TEXT  # whatever reads the cell's folder finds it whole
    assert other.lock_path.read_text() == made.text()


def test_a_damaged_lock_here_does_not_hide_the_one_handed_on(cell: Cell, tmp_path: Path) -> None:
    made = keep(cell)
    site = tmp_path / "site"
    handed = site / cells.RELEASED / cell.plan.cell
    handed.parent.mkdir(parents=True)
    cell.folder.rename(handed)
    other = open_tiny(tmp_path / "elsewhere", site)
    other.folder.mkdir(parents=True)
    other.lock_path.write_text("{")
    assert locking.adopt(other) == made
    assert other.lock_path.read_text() == made.text()


def test_a_build_folder_that_is_none_holds_no_lock(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("")
    made = open_tiny(tmp_path)
    assert locking.stale(made) == (f"{made.lock_path} does not exist",)
    with pytest.raises(StackError, match="--build-dir"):
        keep(made)


def test_a_lock_that_is_parted_from_its_spack_lock_is_not_the_one_that_is_used(cell: Cell, tmp_path: Path) -> None:
    made = keep(cell)
    released = tmp_path / "site" / cells.RELEASED / cell.plan.cell
    released.mkdir(parents=True)
    other = open_tiny(tmp_path, tmp_path / "site")
    (released / "spack.lock").write_text(TEXT)
    (released / "stack.lock.json").write_text(made.model_copy(update={"tools": None}).text())
    (cell.folder / "spack.lock").write_text("{}")
    assert next(locking.current(other))[0].parent == released
    assert locking.stale(other) == () and locking.strict(other) == made


def test_nothing_is_left_of_what_a_cell_no_longer_builds(cell: Cell) -> None:
    made = keep(cell)
    locking.keep(cell, made.model_copy(update={"spack": None}), "")
    assert not (cell.folder / "spack.lock").exists()

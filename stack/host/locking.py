"""The lock of one cell on disk: where it may be, whether it is current and whole, how it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stack import lock as locks
from stack.artifact import canonical_json, digest
from stack.errors import StackError, bad_input
from stack.host import files, solving
from stack.host.cells import Cell
from stack.host.solving import Solved
from stack.lock import Lock

MAX_LOCK_BYTES = 16 << 20  # a cell of some hundred packages has 1
SPACK_LOCK = "spack.lock"


def places(cell: Cell) -> tuple[Path, ...]:
    """Where the cell's lock may be: as it was made here, then as it was handed on with the documents."""
    found = (cell.lock_path, cell.released / cell.lock_path.name) if cell.roots else (cell.lock_path,)
    with files.disk_errors(cell.lock_path):
        return tuple(path for path in found if path.exists())


def read(cell: Cell) -> Lock | None:
    """The cell's lock, if there is one: the first that is current, else the first; raises when it is damaged."""
    found = []
    for path in places(cell):
        lock = locks.parse(_text(path), str(path))
        if not _stale(cell, lock, path):
            return lock
        found.append(lock)
    return found[0] if found else None


def _text(path: Path) -> str:
    return files.read_text(path, MAX_LOCK_BYTES, "delete it and lock again")


def inputs(cell: Cell) -> dict[str, str]:
    """Digests of what decides the cell's lock, as they are now."""
    return locks.inputs(cell.plan, cell.catalogue, cell.documents)


def stale(cell: Cell) -> tuple[str, ...]:
    """What changed since the lock was made; empty when it is current. Fetches nothing."""
    reasons: tuple[str, ...] = ()
    for path in places(cell):
        lock = locks.parse(_text(path), str(path))
        found = _stale(cell, lock, path) or _parted(lock, path)
        if not found:
            return ()
        reasons = reasons or found
    return reasons or (f"{cell.lock_path} does not exist",)


def _parted(lock: Lock, path: Path) -> tuple[str, ...]:
    """A lock with Spack's part is of use beside that very `spack.lock` alone."""
    beside = path.with_name(SPACK_LOCK)
    if lock.spack is None or solving.whole(beside, lock.spack):
        return ()
    return (f"{beside} is not the one that {path.name} was made with",)


def _stale(cell: Cell, lock: Lock, path: Path) -> tuple[str, ...]:
    if lock.cell != cell.plan.cell:
        return (f"{path} is the lock of {lock.cell}",)
    if lock.os.architecture != cell.plan.target.architecture:
        return (f"{path} is for {lock.os.architecture}, not {cell.plan.target.architecture}",)
    now = inputs(cell)
    changed = sorted(k for k in {*now, *lock.inputs} if now.get(k) != lock.inputs.get(k))
    return tuple(f"the {name} changed since the lock was made" for name in changed)


def strict(cell: Cell) -> Lock:
    """The lock as it is; raises when there is none or when the documents have moved on."""
    lock, again = read(cell), f"`sovstack lock {cell.said}`"
    if lock is None:
        raise bad_input(f"{cell.lock_path} does not exist", remedy=f"{again} makes it")
    found = next((lock for _path, lock in current(cell)), None)
    if found is None:
        raise bad_input("; ".join(stale(cell)), remedy=f"lock again: {again}")
    return found


def reusable(cell: Cell, mark: str) -> Lock | None:
    """The lock of an earlier run that had the same fingerprint."""
    state, lock = files.read_record(_state(cell)), readable(cell.lock_path)
    known = lock and state == {"fingerprint": mark, "lock": lock.digest}
    return lock if lock and known and not _parted(lock, cell.lock_path) else None


def digest_of(cell: Cell, lock: Lock) -> str:
    """The digest of the cell's lock: the file's, where that is as we wrote it, since writing it again takes longer."""
    found, state = digest(files.read_text(cell.lock_path, MAX_LOCK_BYTES)), files.read_record(_state(cell))
    return found if isinstance(state, dict) and state.get("lock") == found else lock.digest


def _state(cell: Cell) -> Path:
    return cell.folder / "lock.state.json"


def former(cell: Cell) -> Lock | None:
    """The lock that a new one replaces; a damaged one counts as none."""
    return next((found for path in places(cell) if (found := readable(path))), None)


def readable(path: Path) -> Lock | None:
    """The lock in a file; None where it is damaged or not there."""
    try:
        return locks.parse(_text(path), str(path))
    except StackError:
        return None


def adopt(cell: Cell) -> Lock | None:
    """The lock that is current already, also in the cell's folder then; None when there is none. Nothing is fetched."""
    found = next(current(cell), None)
    if found is None:
        return None
    path, lock = found
    if path != cell.lock_path:
        answer = solving.whole(path.with_name(SPACK_LOCK), lock.spack) if lock.spack else None
        keep(cell, lock, "", Solved(answer, lock.spack) if answer and lock.spack else None)
    return lock


def current(cell: Cell) -> Iterator[tuple[Path, Lock]]:
    """Locks of the cell that are current and whole, and where they are."""
    for path in places(cell):
        lock = readable(path)
        if lock and not _stale(cell, lock, path) and not _parted(lock, path):
            yield path, lock


def keep(cell: Cell, lock: Lock, mark: str, answer: Solved | None = None) -> None:
    """Write the lock, then the note that it belongs to this fingerprint."""
    if answer:
        files.write_text(cell.folder / SPACK_LOCK, answer.text)
    elif lock.spack is None:  # it is of the cell when that still had something to build
        (cell.folder / SPACK_LOCK).unlink(missing_ok=True)
    files.write_text(cell.lock_path, lock.text())
    files.write_text(_state(cell), canonical_json({"fingerprint": mark, "lock": lock.digest}))

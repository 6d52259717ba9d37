"""Locking one cell: ask apt and pip, keep the answer, and know when it is still current."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stack import closure
from stack import lock as locks
from stack.artifact import Command, canonical_json, digest
from stack.errors import StackError, bad_input, host_lacks
from stack.host import apt, files, packages, pip
from stack.host.apt import PrivateApt
from stack.host.cells import Cell
from stack.host.run import Sink
from stack.lock import Lock, OsLock, WheelLock

MAX_LOCK_BYTES = 8 << 20  # a cell of some hundred packages has 0.3


def read(cell: Cell) -> Lock | None:
    """The cell's lock, if there is one; raises when it is damaged."""
    with files.disk_errors(cell.lock_path):
        if not cell.lock_path.exists():
            return None
    return locks.parse(files.read_text(cell.lock_path, MAX_LOCK_BYTES), str(cell.lock_path))


def inputs(cell: Cell) -> dict[str, str]:
    """Digests of what decides the cell's lock, as they are now."""
    return locks.inputs(cell.plan, cell.catalogue, cell.documents)


def stale(cell: Cell) -> tuple[str, ...]:
    """What changed since the lock was made; empty when it is current. Fetches nothing."""
    lock = read(cell)
    if lock is None:
        return (f"{cell.lock_path} does not exist",)
    if lock.cell != cell.plan.cell:
        return (f"{cell.lock_path} is the lock of {lock.cell}",)
    if lock.os.architecture != cell.plan.target.architecture:
        return (f"{cell.lock_path} is for {lock.os.architecture}, not {cell.plan.target.architecture}",)
    now = inputs(cell)
    changed = sorted(k for k in {*now, *lock.inputs} if now.get(k) != lock.inputs.get(k))
    return tuple(f"the {name} changed since the lock was made" for name in changed)


def strict(cell: Cell) -> Lock:
    """The lock as it is; raises when there is none or when the documents have moved on."""
    lock = read(cell)
    if lock is None:
        raise bad_input(f"{cell.lock_path} does not exist", remedy="run once without --locked")
    found = stale(cell)
    if found:
        raise bad_input("; ".join(found), remedy="run without --locked to lock again")
    return lock


def open_apt(cell: Cell, sink: Sink) -> PrivateApt:
    """apt for the cell's target, from the profile's mirrors or the machine's own."""
    system = cell.plan.target.os
    urls = apt.mirrors(system, cell.plan.profile.mirrors, sink)
    chosen = apt.sources(system, urls, closure.archive_components(cell.plan))
    return apt.open_apt(cell.plan.target.architecture, chosen, system.keyring)


def fingerprint(cell: Cell, private: PrivateApt) -> str:
    """Equal fingerprints, equal locks: the inputs and the state of the package indexes."""
    return digest([inputs(cell), private.index_digest(), cell.plan.target.name])


def reusable(cell: Cell, mark: str) -> Lock | None:
    """The lock of an earlier run that had the same fingerprint."""
    state, lock = files.read_record(cell.folder / "lock.state.json"), former(cell)
    return lock if lock and state == {"fingerprint": mark, "lock": lock.digest} else None


def former(cell: Cell) -> Lock | None:
    """The lock that a new one replaces; a damaged one counts as none."""
    try:
        return read(cell)
    except StackError:
        return None


def commands(cell: Cell) -> tuple[Command, ...]:
    """What locking runs."""
    private = open_apt(cell, lambda _line: None)
    return (private.update_command, private.simulate_command(closure.requested(cell.plan)))


def resolve(cell: Cell, private: PrivateApt, sink: Sink) -> Lock:
    """Ask for the closure. The indexes must be up to date."""
    plan, system = cell.plan, cell.plan.target.os
    wanted = closure.requested(plan)
    sink(f"finding what {len(wanted)} packages need")
    found = closure.installed(private.simulate(wanted))
    if not found:
        raise host_lacks("apt found nothing to install", "see `sovstack doctor`")
    stanzas = private.show([f"{name}={version}" for name, version, _ in found])
    sink(f"locking {len(found)} packages")
    os_lock = OsLock(
        system=system.name,
        architecture=plan.target.architecture,
        suites=tuple(s for archive in system.archives.values() for s in archive.suites),
        requested=wanted,
        packages=closure.packages(stanzas, found),
    )
    return locks.make(plan, os_lock, _wheels(cell, sink), inputs(cell))


def _wheels(cell: Cell, sink: Sink) -> WheelLock | None:
    wanted = closure.projects(cell.plan)
    if not wanted:
        return None
    target = cell.plan.target
    sink(f"resolving wheels: {', '.join(wanted)}")
    report = pip.resolve(wanted, target.os, target.family, cache(), cell.folder, sink)
    return WheelLock(
        python=target.os.python,
        platforms=pip.platforms(target.os, target.family),
        requested=wanted,
        files=closure.wheels(report, cell.plan, cell.catalogue),
    )


def keep(cell: Cell, lock: Lock, mark: str) -> None:
    """Write the lock, then the note that it belongs to this fingerprint."""
    files.write_text(cell.lock_path, lock.text())
    files.write_text(cell.folder / "lock.state.json", canonical_json({"fingerprint": mark, "lock": lock.digest}))


def fetch(cell: Cell, lock: Lock, sink: Sink) -> Mapping[str, Path]:
    """SHA-256 -> path of every locked package file: cached ones as they are, the others from the mirror."""
    private, store = open_apt(cell, sink), cache() / "archives" / "sha256"
    if not all(packages.place(store, p.sha256).is_file() for p in lock.os.packages):
        private.update(sink)
    return private.download_files(lock.os.packages, cache(), sink)


def cache() -> Path:
    """Where package files are kept."""
    return apt.cache_folder()

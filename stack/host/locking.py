"""Locking one cell: ask apt and pip, keep the answer, and know when it is still current."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stack import closure
from stack import lock as locks
from stack.artifact import Command, canonical_json, digest
from stack.errors import StackError, bad_input, host_lacks
from stack.host import apt, files, packages, pip, solving, spack
from stack.host.apt import PrivateApt
from stack.host.cells import Cell
from stack.host.run import Sink
from stack.host.solving import Solved
from stack.host.spack import Spack
from stack.lock import Lock, OsLock, OsPackage, WheelLock
from stack.render import spack as render_spack
from stack.render.spack import Solve

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
        lock = locks.parse(files.read_text(path, MAX_LOCK_BYTES), str(path))
        if not _stale(cell, lock, path):
            return lock
        found.append(lock)
    return found[0] if found else None


def inputs(cell: Cell) -> dict[str, str]:
    """Digests of what decides the cell's lock, as they are now."""
    return locks.inputs(cell.plan, cell.catalogue, cell.documents)


def stale(cell: Cell) -> tuple[str, ...]:
    """What changed since the lock was made; empty when it is current. Fetches nothing."""
    lock = read(cell)
    if lock is None:
        return (f"{cell.lock_path} does not exist",)
    return _stale(cell, lock, next(iter(places(cell))))


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
    return apt.open_apt(cell.plan.target.architecture, chosen, system.keys)


def fresh_apt(cell: Cell, sink: Sink) -> PrivateApt | None:
    """apt with up-to-date indexes; None for a distribution whose packages cannot be had."""
    if not cell.plan.target.os.archives:
        return None
    private = open_apt(cell, sink)
    private.update(sink)
    return private


def fingerprint(cell: Cell, private: PrivateApt | None) -> str:
    """Equal fingerprints, equal locks: the inputs and the state of the package indexes."""
    return digest([inputs(cell), private.index_digest() if private else "", cell.plan.target.name])


def reusable(cell: Cell, mark: str) -> Lock | None:
    """The lock of an earlier run that had the same fingerprint."""
    state, lock = files.read_record(cell.folder / "lock.state.json"), _former(cell.lock_path)
    return lock if lock and state == {"fingerprint": mark, "lock": lock.digest} else None


def former(cell: Cell) -> Lock | None:
    """The lock that a new one replaces; a damaged one counts as none."""
    return next((found for path in places(cell) if (found := _former(path))), None)


def _former(path: Path) -> Lock | None:
    try:
        return locks.parse(files.read_text(path, MAX_LOCK_BYTES), str(path))
    except StackError:
        return None


def commands(cell: Cell) -> tuple[Command, ...]:
    """What locking runs."""
    made: tuple[Command, ...] = ()
    if cell.plan.target.os.archives:
        private = open_apt(cell, lambda _line: None)
        made = (private.update_command, private.simulate_command(closure.requested(cell.plan)))
    if not cell.plan.built:
        return made
    pinned = cell.catalogue.upstream
    found = spack.find(pinned, cell.roots)
    urls = spack.origins(pinned, cell.plan.profile.mirrors, {})
    fetched = () if found else spack.commands(pinned, urls)
    installed = found or Spack(pinned, spack.home(pinned), ())
    return (*made, *fetched, *solving.commands(installed, cell.folder / "solve"))


def resolve(cell: Cell, private: PrivateApt | None, sink: Sink) -> Lock:
    """Ask for the closure, all but what Spack solves. The indexes must be up to date; `private` is None for a
    distribution whose packages cannot be had."""
    wanted = closure.requested(cell.plan)
    if private is None:
        return locks.make(cell.plan, _os_lock(cell, wanted), None, inputs(cell))
    os_lock, tools = _closure(cell, private, wanted, sink), None
    if cell.plan.built:
        more = (*wanted, *closure.tools(cell.plan))
        known = {(p.name, p.architecture) for p in os_lock.packages}
        root = _closure(cell, private, more, sink)
        extra = tuple(p for p in root.packages if (p.name, p.architecture) not in known)
        tools = root.model_copy(update={"requested": closure.tools(cell.plan), "packages": extra})
    return locks.make(cell.plan, os_lock, _wheels(cell, sink), inputs(cell), tools)


def _closure(cell: Cell, private: PrivateApt, wanted: tuple[str, ...], sink: Sink) -> OsLock:
    sink(f"finding what {len(wanted)} packages need")
    found = closure.installed(private.simulate(wanted))
    if not found:
        raise host_lacks("apt found nothing to install", "see `sovstack doctor`")
    stanzas = private.show([f"{name}={version}" for name, version, _ in found])
    sink(f"locking {len(found)} packages")
    return _os_lock(cell, wanted, closure.packages(stanzas, found))


def _os_lock(cell: Cell, wanted: tuple[str, ...], packages: tuple[OsPackage, ...] = ()) -> OsLock:
    system = cell.plan.target.os
    suites = tuple(s for archive in system.archives.values() for s in archive.suites)
    architecture = cell.plan.target.architecture
    return OsLock(system=system.name, architecture=architecture, suites=suites, requested=wanted, packages=packages)


def question(cell: Cell, lock: Lock) -> Solve:
    """What Spack is asked for the cell, once its OS packages are known."""
    return render_spack.solve(cell.plan, lock, cell.catalogue.upstream, cell.documents["overlay"])


def solve(cell: Cell, lock: Lock, sink: Sink) -> tuple[Lock, Solved]:
    """The lock with Spack's graph; an earlier answer to the same question is taken without starting Spack."""
    asked = question(cell, lock)
    earlier = {p.with_name(SPACK_LOCK): found.spack for p in places(cell) if (found := _former(p))}
    answer = solving.reusable(asked, earlier)
    if answer is None:
        answer = solving.solve(_spack(cell, sink), asked, cell.plan, cell.folder / "solve", solve_log(cell), sink)
    return locks.solved(lock, cell.plan, answer.graph), answer


def solve_log(cell: Cell) -> Path:
    """What the solver printed."""
    return cell.folder / "solve.log"


def _spack(cell: Cell, sink: Sink) -> Spack:
    pinned = cell.catalogue.upstream
    found = spack.find(pinned, cell.roots)
    return found or spack.install(pinned, spack.origins(pinned, cell.plan.profile.mirrors, {}), sink, cell.roots)


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


def keep(cell: Cell, lock: Lock, mark: str, answer: Solved | None = None) -> None:
    """Write the lock, then the note that it belongs to this fingerprint."""
    if answer:
        files.write_text(cell.folder / SPACK_LOCK, answer.text)
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

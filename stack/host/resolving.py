"""Locking one cell: ask apt, pip and Spack, and put their answers together."""

from __future__ import annotations

import re
import threading
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from stack import assertions, closure
from stack import lock as locks
from stack.artifact import Command, digest
from stack.changes import Change, between
from stack.errors import StackError, host_lacks
from stack.host import apt, locking, packages, pip, solving, spack
from stack.host.apt import PrivateApt
from stack.host.cells import Cell
from stack.host.run import Sink
from stack.host.solving import Solved
from stack.host.spack import Spack
from stack.lock import Lock, OsLock, OsPackage, WheelLock
from stack.render import spack as render_spack
from stack.render.spack import Solve


def open_apt(cell: Cell, sink: Sink, suites: Container[str] | None = None) -> PrivateApt:
    """apt for the cell's target, from the profile's mirrors or the machine's own; of all suites, or of some."""
    system = cell.plan.target.os
    urls = apt.mirrors(system, cell.plan.profile.mirrors, sink)
    chosen = apt.sources(system, urls, closure.archive_components(cell.plan))
    if suites is not None:
        chosen = tuple(replace(s, suites=tuple(n for n in s.suites if n in suites)) for s in chosen)
    return apt.open_apt(cell.plan.target.architecture, [s for s in chosen if s.suites], system.keys)


def fingerprint(cell: Cell, private: PrivateApt | None) -> str:
    """Equal fingerprints, equal locks: the inputs and the state of the package indexes."""
    return digest([locking.inputs(cell), private.index_digest() if private else "", cell.plan.target.name])


def commands(cell: Cell) -> tuple[Command, ...]:
    """What locking runs."""
    made: tuple[Command, ...] = ()
    if cell.plan.target.os.archives:
        private = open_apt(cell, lambda _line: None)
        wanted = closure.requested(cell.plan)
        more = ((*wanted, *closure.tools(cell.plan)),) if cell.plan.built else ()
        made = (private.update_command, *(private.closure_command(w) for w in (wanted, *more)))
    if projects := closure.projects(cell.plan):
        target, report = cell.plan.target, cell.folder / "pip-report.json"
        made = (*made, pip.resolve_command(projects, target.os, target.family, cache(), report))
    if not cell.plan.built:
        return made
    pinned = cell.catalogue.upstream
    found = spack.find(pinned, cell.roots)
    urls = spack.origins(pinned, cell.plan.profile.mirrors, {})
    fetched = () if found else spack.commands(pinned, urls)
    installed = found or Spack(pinned, spack.home(pinned), ())
    return (*made, *fetched, *solving.commands(installed, cell.folder / "solve"))


def resolve(cell: Cell, market: Market | None, sink: Sink) -> Lock:
    """Ask for the closure, all but what Spack solves; `market` is None where no packages can be had."""
    wanted = closure.requested(cell.plan)
    if market is None:
        return locks.make(cell.plan, _os_lock(cell, wanted), None, locking.inputs(cell))
    os_lock, tools = _closure(cell, market, wanted, sink), None
    if cell.plan.built:
        more = (*wanted, *closure.tools(cell.plan))
        known = {(p.name, p.architecture) for p in os_lock.packages}
        root = _closure(cell, market, more, sink)
        extra = tuple(p for p in root.packages if (p.name, p.architecture) not in known)
        tools = root.model_copy(update={"requested": closure.tools(cell.plan), "packages": extra})
    return locks.make(cell.plan, os_lock, _wheels(cell, sink), locking.inputs(cell), tools)


def _closure(cell: Cell, market: Market, wanted: tuple[str, ...], sink: Sink) -> OsLock:
    if wanted not in market.closures:
        market.closures[wanted] = _packages(market.apt, wanted, sink)
    return _os_lock(cell, wanted, market.closures[wanted], market.suites)


def _packages(private: PrivateApt, wanted: tuple[str, ...], sink: Sink) -> tuple[OsPackage, ...]:
    sink(f"finding what {len(wanted)} packages need")
    found = closure.installed(private.closure(wanted))
    if not found:
        raise host_lacks("apt found nothing to install", "see `sovstack doctor`")
    sink(f"locking {len(found)} packages")
    return closure.packages(private.show([f"{name}={version}" for name, version, _ in found]), found)


def _os_lock(
    cell: Cell, wanted: tuple[str, ...], packages: tuple[OsPackage, ...] = (), suites: tuple[str, ...] = ()
) -> OsLock:
    system = cell.plan.target.os
    architecture = cell.plan.target.architecture
    return OsLock(system=system.name, architecture=architecture, suites=suites, requested=wanted, packages=packages)


def question(cell: Cell, lock: Lock) -> Solve:
    """What Spack is asked for the cell, once its OS packages are known."""
    return render_spack.solve(cell.plan, lock, cell.catalogue.upstream, cell.documents["overlay"])


def solve(cell: Cell, lock: Lock, sink: Sink, markets: Markets | None = None) -> tuple[Lock, Solved]:
    """The lock with Spack's graph; an earlier answer to the same question is taken without starting Spack."""
    markets = markets or Markets()
    asked = question(cell, lock)
    earlier = {
        p.with_name(locking.SPACK_LOCK): found.spack for p in locking.places(cell) if (found := locking.readable(p))
    }
    answer = solving.reusable(asked, earlier)
    if answer is None:
        answer = solving.solve(
            markets.spack(cell, sink), asked, cell.plan, cell.folder / "solve", solve_log(cell), sink, cell.texts,
            minutes=markets.minutes,
        )  # fmt: skip
    return locks.solved(lock, cell.plan, answer.graph), answer


def solve_log(cell: Cell) -> Path:
    """What the solver printed."""
    return cell.folder / "solve.log"


def installed(cell: Cell, sink: Sink) -> Spack:
    """Spack, fetched first where it is not there yet."""
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


@dataclass(frozen=True)
class Relocked:
    """What locking gave: `reused` when nothing had changed."""

    lock: Lock
    changes: tuple[Change, ...] = ()
    reused: bool = False


@dataclass(frozen=True)
class Market:
    """apt with up-to-date indexes of these suites. `closures`: what it was asked for -> its answer."""

    apt: PrivateApt
    suites: tuple[str, ...]
    closures: dict[tuple[str, ...], tuple[OsPackage, ...]] = field(default_factory=dict)


_SUITE = re.compile(r"/dists/([a-z-]+)/")


class Markets:
    """apt and Spack for several cells at once: each index is brought up to date once, and one thread at a time asks it.

    `lenient`: a suite whose index the mirror has damaged is left out, which the lock then shows. `minutes`: how long
    one solve may take.
    """

    def __init__(self, *, lenient: bool = False, minutes: float | None = None) -> None:
        self.guard = threading.Lock()
        self.lenient, self.minutes = lenient, minutes
        self._fresh: dict[str, Market] = {}
        self._stale: dict[str, StackError] = {}
        self._fetching = threading.Lock()
        self._no_spack: StackError | None = None

    def spack(self, cell: Cell, sink: Sink) -> Spack:
        """Spack, fetched by the first who needs it; where that fails, it fails for everyone at once."""
        with self._fetching:
            if self._no_spack:
                raise self._no_spack
            try:
                return installed(cell, sink)
            except StackError as error:
                self._no_spack = error
                raise

    def fresh(self, cell: Cell, sink: Sink) -> Market | None:
        """apt with up-to-date indexes; None for a distribution whose packages cannot be had. Hold the guard."""
        if not cell.plan.target.os.archives:
            return None
        private = open_apt(cell, sink)
        name = str(private.folder)
        if name in self._stale:
            raise self._stale[name]
        try:
            if name not in self._fresh:
                self._fresh[name] = self._updated(cell, private, sink)
            return self._fresh[name]
        except StackError as error:
            self._stale[name] = error
            raise

    def _updated(self, cell: Cell, private: PrivateApt, sink: Sink) -> Market:
        suites = tuple(s for archive in cell.plan.target.os.archives.values() for s in archive.suites)
        try:
            private.update(sink)
        except StackError as error:
            damaged = set(_SUITE.findall(str(error))) & set(suites[1:])
            if not self.lenient or not damaged:
                raise
            sink(f"left out, because the mirror has damaged their indexes: {', '.join(sorted(damaged))}")
            suites = tuple(s for s in suites if s not in damaged)
            private = open_apt(cell, sink, suites)
            private.update(sink)
        return Market(private, suites)


def relock(cell: Cell, markets: Markets, sink: Sink) -> Relocked:
    """Lock the cell, unless neither an input nor the mirror changed. Hold the cell's folder."""
    with markets.guard:
        market = markets.fresh(cell, sink)
        mark = fingerprint(cell, market.apt if market else None)
        lock = locking.reusable(cell, mark)
        if lock:
            return Relocked(lock, reused=True)
        earlier, answer = locking.former(cell), None
        made = resolve(cell, market, sink)
    if cell.plan.built:
        made, answer = solve(cell, made, sink, markets)
        assertions.check(cell.plan, answer.graph)
    locking.keep(cell, made, mark, answer)
    return Relocked(made, between(earlier, made) if earlier else ())


def fetch(cell: Cell, wanted: OsLock, sink: Sink) -> Mapping[str, Path]:
    """SHA-256 -> path of every package file; raises with all that the mirror lacks."""
    private, store = open_apt(cell, sink, wanted.suites), cache() / "archives" / "sha256"
    if not all(packages.place(store, p.sha256).is_file() for p in wanted.packages):
        private.update(sink)
    return private.download_files(wanted.packages, cache(), sink)


def cache() -> Path:
    """Where package files are kept."""
    return apt.cache_folder()

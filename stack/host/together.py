"""Locking many cells at once, over the cores: what is current stays, what fails does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from stack import assertions
from stack.changes import Change
from stack.errors import Fault, StackError
from stack.host import cells, files, locking, resolving
from stack.host import run as running
from stack.host.board import Board, Row
from stack.host.cells import Cell
from stack.host.library import Library
from stack.lock import Lock

GIB_A_SOLVE = 2.5  # the largest seen, PyTorch for ROCm, took 1.9


@dataclass(frozen=True)
class Outcome:
    """One cell: its lock, or why there is none. `state`: current, locked, failed, or stale where only asked."""

    cell: Cell
    state: str
    lock: Lock | None = None
    changes: tuple[Change, ...] = ()
    faults: tuple[Fault, ...] = ()
    error: StackError | None = None

    @property
    def digest(self) -> str:
        """The lock's."""
        return locking.digest_of(self.cell, self.lock) if self.lock else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the solved graph is not as it should be, and is accepted."""
        return assertions.notes(self.cell.plan, self.lock.spack) if self.lock and self.lock.spack else ()


@dataclass(frozen=True)
class Refused:
    """What cannot even be planned: a document, or environment, profile and partition."""

    name: str
    error: StackError

    @property
    def state(self) -> str:
        """`failed` where a document is wrong; `left out` where sound ones do not go together."""
        return "failed" if any(fault.where for fault in self.error.faults) else "left out"


def every(
    library: Library, profile: str | None, environment: str | None, build_dir: Path
) -> tuple[tuple[Cell, ...], tuple[Refused, ...]]:
    """Cells of all profiles, partitions and environments, or of the named ones; and what stops some of them.

    A profile that says `host` is another cell on every machine, and takes part only when it is named.
    """
    refused: list[Refused] = []
    if environment:
        library.environment(environment)  # raises: what is named has to be there and sound
    environments = [environment] if environment else _sound(library, "environments", library.environment, refused)
    profiles = [profile] if profile else _sound(library, "profiles", library.profile, refused)
    found: dict[str, Cell] = {}
    for wanted in environments:
        for name in profiles if profile else [n for n in profiles if _fixed(library, n)]:
            for partition in library.profile(name)[1].partitions:
                try:
                    cell = cells.open_cell(library, name, wanted, partition, build_dir)
                except StackError as error:
                    refused.append(Refused(f"{wanted}/{name}/{partition}", error))
                else:
                    found.setdefault(cell.plan.cell, cell)  # partitions that are alike are one cell
    return tuple(found.values()), tuple(refused)


def _sound(library: Library, folder: str, read: Callable[[str], object], refused: list[Refused]) -> list[str]:
    """Names of the documents of a folder that can be read."""
    sound = []
    for name in library.files(folder):
        try:
            read(name)
        except StackError as error:
            refused.append(Refused(name, error))
        else:
            sound.append(name)
    return sound


def _fixed(library: Library, name: str) -> bool:
    site = library.profile(name)[1]
    parts = site.partitions.values()
    found = [site.os if site.build_for == "machine" else "", *(p.cpu.microarchitecture for p in parts)]
    return not any(word in ("host", "host-level") for word in found) and all(p.accelerators != "host" for p in parts)


def jobs(facts_gib: float) -> int:
    """How many solves this machine takes at once."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(facts_gib / GIB_A_SOLVE)))


def check_all(wanted: Sequence[Cell]) -> tuple[Outcome, ...]:
    """Whether every cell's lock is current; nothing is fetched, and Spack is not started."""
    return tuple(_checked(cell) for cell in wanted)


def _checked(cell: Cell) -> Outcome:
    try:
        found = locking.stale(cell)
    except StackError as error:
        return Outcome(cell, "failed", faults=error.faults, error=error)
    return Outcome(cell, "stale" if found else "current", faults=tuple(Fault(f"{cell.plan.cell}: {f}") for f in found))


def release(done: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Put the locks beside the documents, to be handed on with them; a cell for which that fails has failed."""
    return tuple(_released(outcome) if outcome.lock else outcome for outcome in done)


def _released(outcome: Outcome) -> Outcome:
    cell = outcome.cell
    try:
        for name in (cell.lock_path.name, locking.SPACK_LOCK):
            source = cell.folder / name
            if source.exists():
                files.write_text(cell.release_folder / name, files.read_text(source, locking.MAX_LOCK_BYTES))
    except StackError as error:
        return replace(outcome, state="failed", faults=error.faults, error=error)
    return outcome


def lock_all(
    wanted: Sequence[Cell], workers: int, *, upgrade: bool, quiet: bool, wait: bool = True, lenient: bool = False
) -> tuple[Outcome, ...]:
    """Lock every cell; those that are current are left alone, unless `upgrade` asks the mirrors anew."""
    found = () if upgrade else tuple(Outcome(c, "current", lock) for c in wanted if (lock := _adopted(c)))
    done = {o.cell.plan.cell: o for o in found}
    todo = [c for c in wanted if c.plan.cell not in done]
    if todo:
        done |= {
            o.cell.plan.cell: o
            for o in _lock(todo, workers, resolving.Markets(lenient=lenient), upgrade=upgrade, quiet=quiet, wait=wait)
        }
    return tuple(done[c.plan.cell] for c in wanted)


def _adopted(cell: Cell) -> Lock | None:
    """The lock that is current; what hinders us, such as another process, is told by the cell's own row."""
    try:
        path, lock = next(locking.current(cell), (None, None))
        if path is None or path == cell.lock_path:
            return lock
        with files.exclusive(cell.folder, lambda _holder: None, wait=False):
            return locking.adopt(cell)
    except StackError:
        return None


def _lock(
    todo: Sequence[Cell], workers: int, markets: resolving.Markets, *, upgrade: bool, quiet: bool, wait: bool
) -> Iterable[Outcome]:
    try:
        with Board(len(todo), quiet=quiet) as board, ThreadPoolExecutor(workers) as pool:
            tasks = [pool.submit(_one, cell, markets, board, upgrade, wait) for cell in todo]
            try:
                return [task.result() for task in as_completed(tasks)]
            except BaseException:
                board.quiet = True  # what we end ourselves has not failed
                pool.shutdown(wait=False, cancel_futures=True)
                running.end_all()
                raise
    finally:
        running.go_on()


def _one(cell: Cell, markets: resolving.Markets, board: Board, upgrade: bool, wait: bool) -> Outcome:
    try:
        with board.row(cell.plan.cell) as row:
            return _locked(cell, markets, row, upgrade, wait)
    except StackError as error:
        return Outcome(cell, "failed", faults=error.faults, error=error)


def _locked(cell: Cell, markets: resolving.Markets, row: Row, upgrade: bool, wait: bool) -> Outcome:
    with files.exclusive(cell.folder, lambda holder: row.line(f"waiting for {holder}"), wait=wait):
        there = None if upgrade else locking.adopt(cell)  # by the process that we have waited for
        made = resolving.Relocked(there, reused=True) if there else resolving.relock(cell, markets, row.line)
    nodes = f", {len(made.lock.spack.nodes)} nodes" if made.lock.spack else ""
    row.ended("reused" if made.reused else "done", f"{len(made.lock.os.packages)} OS packages{nodes}")
    return Outcome(cell, "current" if made.reused else "locked", made.lock, made.changes)

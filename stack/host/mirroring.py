"""`sovstack mirror`: what a cell's lock needs, and where this site gets it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stack import independence
from stack.errors import bad_input
from stack.host import files, locking, resolving, source_mirror, source_places, wanted_sources
from stack.host.cells import Cell
from stack.host.library import Library
from stack.host.progress import Progress
from stack.host.source_places import Places
from stack.independence import Finding, Row
from stack.lock import Lock
from stack.sources import Archives, Wanted

Mode = Literal["fill", "survey", "look"]


@dataclass(frozen=True)
class Job:
    """What is wanted, from where, into which folder."""

    wanted: Wanted
    places: Places
    archives: Archives
    folder: Path


def environment(cell: Cell, lock: Lock) -> Path:
    """The cell's folder `spack/` as an environment that Spack takes: the lock, and what it is the answer to."""
    source = next(path for path, _lock in locking.current(cell)).with_name(locking.SPACK_LOCK)
    folder = cell.folder / "spack"
    files.write_text(folder / "spack.yaml", resolving.question(cell, lock).environment)
    files.write_text(folder / "spack.lock", files.read_text(source, locking.MAX_LOCK_BYTES))
    return folder


def prepare(library: Library, cell: Cell, folder: Path, progress: Progress) -> Job:
    """Ask Spack what the lock needs; raises where there is no current lock, or nothing that is built."""
    remedy = f"`sovstack lock {cell.plan.profile.name} {cell.plan.environment.name}` makes one"
    lock = locking.strict(cell)
    if lock.spack is None or not list(locking.current(cell)):
        why = "has no packages that are built from source" if lock.spack is None else "has no whole spack.lock"
        raise bad_input(f"the lock of {cell.plan.cell} {why}", remedy="" if lock.spack is None else remedy)
    known = source_places.archives(library)
    asked = cell.plan.profile.sources
    with progress.stage("sources wanted"):
        env = environment(cell, lock)
        work = cell.folder / "wanted"
        installed = resolving.installed(cell, progress.line)
        try:
            wanted = wanted_sources.wanted(installed, env, work, progress.line)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    site = source_places.places(
        known,
        cell.catalogue.systems,
        order=asked.order,
        mirrors=asked.mirrors,
        git=asked.git,
        packages=cell.plan.profile.mirrors,
    )
    return Job(wanted, site, known, folder)


def planned(job: Job) -> str:
    """What would be asked of whom."""
    return source_places.planned(job.wanted, job.places)


def fill(job: Job, progress: Progress, *, jobs: int, mode: Mode) -> tuple[Sequence[Row], Sequence[Finding]]:
    """Fill the mirror; a row for every source, and what is to be said about them."""
    with progress.stage("sources"):
        rows = source_mirror.fill(job.wanted, job.places, job.folder, progress.line, jobs=jobs, mode=mode)
    return rows, independence.findings(rows, job.wanted, job.archives, fetched=mode != "look")

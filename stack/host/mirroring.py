"""`sovstack mirror`: what a cell's lock needs, and where this site gets it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stack import independence
from stack.artifact import canonical_json
from stack.errors import bad_input, host_lacks
from stack.host import clock, files, locking, resolving, source_mirror, source_places, spack, wanted_sources
from stack.host.cells import Cell
from stack.host.library import Library
from stack.host.progress import Progress
from stack.host.source_places import Places
from stack.independence import Finding, Row
from stack.lock import Lock
from stack.sources import Archives, Wanted, unhashed

Mode = Literal["fill", "survey", "look"]
SURVEY = "survey.json"


@dataclass(frozen=True)
class Job:
    """What is wanted, from where, into which folder."""

    wanted: Wanted
    places: Places
    archives: Archives
    folder: Path


def _whole(cell: Cell) -> tuple[Path, Lock]:
    """The lock with its `spack.lock`: both of one place. Raises where none is current, or nothing is built."""
    locking.strict(cell)
    found = next(locking.current(cell), None)
    if found is None:
        remedy = f"`sovstack lock {cell.said}` makes one"
        raise bad_input(f"the lock of {cell.plan.cell} has no whole spack.lock", remedy=remedy)
    path, lock = found
    if lock.spack is None:
        raise bad_input(f"the lock of {cell.plan.cell} has no packages that are built from source")
    return path.with_name(locking.SPACK_LOCK), lock


def environment(cell: Cell, folder: Path) -> Path:
    """A folder as an environment that Spack takes: the cell's lock, and what it is the answer to."""
    answer, lock = _whole(cell)
    files.write_text(folder / "spack.yaml", resolving.question(cell, lock).environment)
    files.write_text(folder / "spack.lock", files.read_text(answer, locking.MAX_LOCK_BYTES))
    return folder


def _asked(cell: Cell, progress: Progress, *, dry: bool) -> Wanted:
    """What the lock needs, by Spack. A dry run writes into a folder of its own, and does not fetch Spack."""
    _whole(cell)
    if dry and spack.find(cell.catalogue.upstream, cell.roots) is None:
        raise host_lacks("Spack is not there, which knows what the lock needs", "`sovstack bootstrap` fetches it")
    with contextlib.ExitStack() as stack, progress.stage("sources wanted"):
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sovstack-"))) if dry else cell.folder
        env, work = environment(cell, base / "spack"), base / "wanted"
        installed = resolving.installed(cell, progress.line)
        shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
        try:
            return wanted_sources.wanted(installed, env, work, progress.line)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def prepare(library: Library, cell: Cell, folder: Path, progress: Progress, *, dry: bool = False) -> Job:
    """Ask Spack what the lock needs; raises where there is no current lock, or nothing that is built.

    Hold the cell's folder, except for a dry run, which writes nothing there.
    """
    known = source_places.archives(library)
    asked = cell.plan.profile.sources
    wanted = _asked(cell, progress, dry=dry)
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
        line, note = progress.line, progress.note
        rows = source_mirror.fill(job.wanted, job.places, job.folder, line, jobs=jobs, mode=mode, note=note)
    return rows, independence.findings(rows, job.wanted, job.archives, fetched=mode != "look")


def keep(cell: Cell, job: Job, rows: Sequence[Row]) -> None:
    """Note beside the lock what was seen of its sources, for an audit: who holds each, and whether it is here."""
    _path, lock = _whole(cell)
    note = {
        "lock": lock.digest,
        "date": clock.now(),
        "folder": str(job.folder),
        "sources": [
            {"packages": r.source.packages, "kind": r.source.kind, "sha256": r.source.sha256, "holders": r.holders,
             "had": r.had} for r in rows
        ],
        "unhashed": [list(pair) for pair in unhashed(job.wanted)],
    }  # fmt: skip
    files.write_text(cell.folder / SURVEY, canonical_json(note))

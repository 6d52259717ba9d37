"""The built part of a cell: sources into the mirror, Spack in the build root, and the tree that goes into the image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stack.build import Tools
from stack.errors import ExitCode, Fault, StackError, bad_input
from stack.host import files, locking, mirroring, packages, resolving, source_build
from stack.host.cells import Cell
from stack.host.library import Library
from stack.host.progress import Progress
from stack.host.source_build import Built, SourceJob, Spread
from stack.lock import Lock, OsLock
from stack.render.apptainer import software_prefix


@dataclass(frozen=True)
class Options:
    """How a build is done. `offline`: nothing is fetched, and everything runs without a network.

    `mirror`: a Spack source mirror; `cache`: a Spack build cache; `prefix`: where the software is to stand.
    """

    offline: bool = False
    mirror: Path | None = None
    cache: Path | None = None
    prefix: str | None = None
    jobs: int | None = None
    spread: Spread | None = None


def job(cell: Cell, lock: Lock, tools: Tools, options: Options, progress: Progress) -> SourceJob:
    """What the build is made of. The lock must be the cell's current one."""
    together = build_root(lock)
    path = next(p for p, found in locking.current(cell) if found.digest == lock.digest)
    made = SourceJob(
        spack=resolving.installed(cell, progress.line),
        name=cell.name,
        environment=resolving.question(cell, lock).environment,
        lock=files.read_text(path.with_name(locking.SPACK_LOCK), locking.MAX_LOCK_BYTES),
        container=cell.plan.container,
        architecture=lock.os.architecture,
        packages=together.packages,
        fetch=lambda: fetch(cell, together, options, progress),
        mmdebstrap=tools.mmdebstrap,
        namespace=tools.namespace,
        mirror=mirror(cell, options),
        cache=cell.folder / "buildcache",
        folder=cell.folder / "source",
        prefix=options.prefix or software_prefix(cell.plan),
        epoch=cell.catalogue.defaults.source_date_epoch,
        jobs=options.jobs or len(os.sched_getaffinity(0)),
        spread=options.spread,
    )
    shared = resolving.cache() / "buildcache" / made.root_key[:16]
    return replace(made, cache=options.cache or shared)


def spread(cell: Cell, kind: str, nodes: int) -> Spread:
    """Over which nodes a build is spread: account and queue are the profile's. Raises for an unknown scheduler."""
    if kind != "slurm":
        raise bad_input(f"builds cannot be spread by {kind!r}", remedy="known: slurm")
    return Spread(cell.plan.profile.scheduler.model_copy(update={"kind": kind}), nodes)


def mirror(cell: Cell, options: Options) -> Path:
    """The source mirror's folder."""
    return (options.mirror or cell.build_dir / "mirror").resolve()


def without_network(namespace: tuple[str, ...]) -> tuple[str, ...]:
    """A prefix whose commands have no network but a loopback that is down."""
    return (*namespace, "unshare", "--net")


def build_root(lock: Lock) -> OsLock:
    """Packages of the build root: the image's, and the build tools."""
    more = lock.tools.packages if lock.tools else ()
    return lock.os.model_copy(update={"packages": (*lock.os.packages, *more)})


def fetch(cell: Cell, wanted: OsLock, options: Options, progress: Progress) -> Mapping[str, Path]:
    """SHA-256 -> path of every package file; offline, the cache has to have them."""
    if not options.offline:
        return resolving.fetch(cell, wanted, progress.line)
    store = resolving.cache() / "archives/sha256"
    missing = [f"{p.name} {p.version}" for p in wanted.packages if not packages.cached(store, p.sha256)]
    if missing:
        what = f"not in the cache, and --offline fetches nothing: {', '.join(missing[:5])}"
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise StackError([Fault(what + more, None, "build once with a network, or copy the cache")], ExitCode.HOST)
    return {p.sha256: packages.place(store, p.sha256) for p in wanted.packages}


def sources(cell: Cell, options: Options, progress: Progress) -> None:
    """Fill the source mirror; raises with every source that nobody has."""
    wanted = mirroring.prepare(Library(cell.roots), cell, mirror(cell, options), progress)
    rows, _found = mirroring.fill(wanted, progress, jobs=4, mode="fill")
    lost = [row for row in rows if not row.had]
    if lost:
        remedy = "name a copy: sources: {git: ...} or {mirrors: ...} in the profile; see docs/reference/sources.md"
        raise StackError(
            [Fault(f"nobody has the source of {row.source.label}", None, remedy) for row in lost], ExitCode.HOST
        )


def build(made: SourceJob, progress: Progress) -> Built:
    """Build from source, or take up what an earlier run left."""
    with progress.stage("build from source") as running:
        standing = source_build.finished(made)
        if standing:
            running.reused(standing.sha256[:12])
            return standing
        return source_build.make(made, progress.line)

"""The built part of a cell: sources into the mirror, Spack in the build root, and the tree that goes into the image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stack.build import Tools
from stack.errors import ExitCode, Fault, StackError, bad_input, host_lacks
from stack.host import files, keys, locking, mirroring, packages, resolving, source_build, spack
from stack.host.cells import Cell
from stack.host.keys import PrivateKey, PublicKey
from stack.host.library import Library
from stack.host.progress import Progress
from stack.host.source_build import Built
from stack.host.source_job import SourceJob, Spread
from stack.host.spack import Spack
from stack.lock import Lock, OsLock
from stack.render.apptainer import software_prefix
from stack.source import unusable


@dataclass(frozen=True)
class Options:
    """How a build is done. `offline`: nothing is fetched, and everything runs without a network.

    `fresh`: what stands there is built again; `mirror`: a Spack source mirror; `cache`: a Spack build cache, in which
    `signer` signs what is new; `prefix`: where the software is to stand; `lenient`: as `Markets` has it.
    """

    offline: bool = False
    mirror: Path | None = None
    cache: Path | None = None
    prefix: str | None = None
    jobs: int | None = None
    spread: Spread | None = None
    fresh: bool = False
    signer: PrivateKey | None = None
    lenient: bool = False


def usable(cell: Cell, options: Options) -> None:
    """Raise for options that cannot be meant: of a cell that has nothing to build, or a folder that is not free."""
    asked = {"--mirror": options.mirror, "--build-cache": options.cache, "--prefix": options.prefix}
    given = [name for name, value in {**asked, "--jobs": options.jobs, "--scheduler": options.spread}.items() if value]
    if given and not cell.plan.built:
        what = f"nothing of {cell.plan.cell} is built from source, so {', '.join(given)} would do nothing"
        raise bad_input(what, remedy=f"see `sovstack plan {cell.said}`")
    for name, folder in (("--mirror", options.mirror), ("--build-cache", options.cache)):
        if folder and folder.exists() and not folder.is_dir():
            raise bad_input(f"{name} {folder} is not a folder", remedy="name a folder")
    if options.offline and options.mirror and not options.mirror.exists():
        fill = f"`sovstack mirror {cell.said} --into` it, with a network"
        raise bad_input(f"--mirror {options.mirror} does not exist, and --offline fetches nothing", remedy=fill)
    if options.prefix is not None and (why := unusable(options.prefix)):
        raise bad_input(
            f"--prefix {options.prefix!r}: {why}", remedy="name a folder of its own, /apps/NAME for example"
        )


def engine(cell: Cell, options: Options, progress: Progress, *, dry: bool) -> Spack:
    """Spack, fetched where it is not there; a dry run does without, and offline it has to be there."""
    pinned = cell.catalogue.upstream
    found = spack.find(pinned, cell.roots)
    if found or not (dry or options.offline):
        return found or resolving.installed(cell, progress.line)
    if not dry:
        raise host_lacks(
            "Spack is not installed, and --offline fetches nothing", "once with a network: sovstack bootstrap"
        )
    return Spack(pinned, spack.home(pinned), spack.overlays(cell.roots))


def job(
    cell: Cell, lock: Lock, tools: Tools, options: Options, progress: Progress, *, dry: bool = False
) -> SourceJob:  # fmt: skip
    """What the build is made of. Raises where the cell has no current lock with its `spack.lock`."""
    together = build_root(lock)
    path = next((p for p, found in locking.current(cell) if found.digest == lock.digest), None)
    if path is None:
        again = f"`sovstack lock {cell.said}`"
        raise bad_input(f"the lock of {cell.plan.cell} is stale, so that no build can be made of it", remedy=again)
    made = SourceJob(
        spack=engine(cell, options, progress, dry=dry),
        name=cell.name,
        environment=resolving.question(cell, lock).environment,
        lock=files.read_text(path.with_name(locking.SPACK_LOCK), locking.MAX_LOCK_BYTES),
        container=cell.plan.container,
        architecture=lock.os.architecture,
        packages=together.packages,
        fetch=lambda: fetch(cell, together, options, progress),
        mmdebstrap=tools.mmdebstrap,
        namespace=tools.namespace,
        emulated=tools.emulated,
        mirror=mirror(cell, options),
        cache=cell.folder / "buildcache",
        folder=cell.folder / "source",
        prefix=options.prefix or software_prefix(cell.plan),
        epoch=cell.catalogue.defaults.source_date_epoch,
        jobs=options.jobs or _cores(cell, options),
        spread=options.spread,
        signer=options.signer,
        trusted=() if dry else _trusted(options.signer),
    )
    # What another build root has made has the same Spack hashes, and may have other bytes.
    caches = options.cache.resolve() if options.cache else resolving.cache() / "buildcache"
    return replace(made, cache=caches / made.root_key[:16])


def _trusted(signer: PrivateKey | None) -> tuple[PublicKey, ...]:
    """Keys that may have signed a build cache: those that are trusted here, and the one that signs now."""
    found = {key.id: key for key in (*keys.trusted(), *((signer.public,) if signer else ()))}
    return tuple(found.values())


def _cores(cell: Cell, options: Options) -> int:
    """Of one of the nodes that a build is spread over, where the profile knows them; else of this machine."""
    cores = cell.plan.profile.partitions[cell.plan.target.partition].cpu.cores
    return cores if options.spread and cores != "host" else len(os.sched_getaffinity(0))


def spread(cell: Cell, kind: str, nodes: int) -> Spread:
    """Over which nodes a build is spread: account, queue and time are the profile's. Raises for another scheduler."""
    if kind != "slurm":
        raise bad_input(f"builds cannot be spread by {kind!r}", remedy="known: slurm")
    scheduler = cell.plan.profile.scheduler.model_copy(update={"kind": kind})
    return Spread(scheduler, nodes, scheduler.minutes or Spread.minutes)


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


def build(made: SourceJob, cell: Cell, options: Options, progress: Progress) -> Built:
    """Build from source, or take up what an earlier run left; fetches the sources first, unless offline."""
    standing = source_build.finished(made)
    if standing and not options.fresh:
        progress.reused("build from source", standing.sha256[:12])
        return standing
    if options.fresh:
        source_build.discard(made, made.folder / "tree", made.folder / "software.json")
    if not options.offline:
        sources(cell, options, progress)
    with progress.stage("build from source"):
        return source_build.make(made, progress.line, progress.note)

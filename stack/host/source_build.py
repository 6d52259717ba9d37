"""A build from source: the build root, Spack inside it, the build cache, and the tree that goes into an image.

Each step can be taken up again. Spack's own database and locks know which packages of the tree are whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import buildroot, source, source_output
from stack.artifact import Command, canonical_json
from stack.errors import ExitCode, Fault, StackError
from stack.host import cache_reading, cache_signing, files, packing, repository, slurm, spack
from stack.host.run import Result, Sink, appending, failed, run
from stack.host.source_job import SourceJob, Spread, room
from stack.render.jobs import Job, send


@dataclass(frozen=True)
class Built:
    """A finished build. `tar`: the runtime tree with its paths from `/`; `seconds`: per package, of this run."""

    tar: Path
    sha256: str
    seconds: Mapping[str, int]


def make(job: SourceJob, sink: Sink, note: Sink | None = None) -> Built:
    """Build, fill the build cache, unpack from it and pack for the image. Call while holding the folder's lock.

    `note`: gets what the user should read, where that is to stay on the screen.
    """
    standing = finished(job)
    if standing:
        return standing
    seconds = install(job, sink, note)
    push(job, sink, note)
    place = unpack(job, sink)
    tar = job.folder / "software.tar"
    with files.beside(tar) as partial:
        packing.pack(place, job.prefix, job.epoch, partial)
    built = Built(tar, files.sha256(tar), seconds)
    record = {"key": job.key, "sha256": built.sha256, "seconds": dict(seconds)}
    files.write_text(job.folder / "software.json", canonical_json(record))
    return built


def finished(job: SourceJob) -> Built | None:
    """What an earlier run built of the same inputs, when it is whole."""
    tar, note = job.folder / "software.tar", files.read_record(job.folder / "software.json")
    if not isinstance(note, dict) or note.get("key") != job.key or not tar.is_file():
        return None
    return Built(tar, note["sha256"], note["seconds"]) if files.sha256(tar) == note.get("sha256") else None


def commands(job: SourceJob) -> tuple[Command, ...]:
    """Everything that is run, in order."""
    inside = room(job)
    install = source.spack(inside, "build", source.installing(job.jobs), "build from source")
    return (
        _root_command(job, job.folder / "work", job.folder / "root"),
        install,
        *((send(_spreading(job, job.spread, install)),) if job.spread else ()),
        source.spack(inside, "build", source.LISTING, "list what was built"),
        source.spack(inside, "build", source.pushing(job.jobs, ("HASH",)), "fill the build cache"),
        _indexing(job),
        source.spack(inside, "unpack", source.unpacking(job.jobs), "unpack from the build cache"),
        source.spack(inside, "unpack", source.REFRESH, "write modules"),
    )


def make_root(job: SourceJob, sink: Sink) -> Path:
    """The build root: the target's OS with compilers and build tools. Never shipped."""
    root, note = job.folder / "root", job.folder / "root.json"
    if root.is_dir() and files.read_record(note) == {"key": job.root_key}:
        return root
    note.unlink(missing_ok=True)
    discard(job, root, job.folder / "tree", job.folder / "work")
    sink("fetching packages")
    work = job.folder / "work"
    repository.fill(work / "repo", job.packages, job.fetch(), plain=job.emulated)
    (work / "tmp").mkdir()
    run(_root_command(job, work, root), sink, log=job.log)
    discard(job, work)
    files.write_text(note, canonical_json({"key": job.root_key}))
    return root


def _root_command(job: SourceJob, work: Path, root: Path) -> Command:
    names = [f"{p.name}={p.version}" for p in job.packages if "Essential" not in p.control]
    return buildroot.rootfs(
        job.mmdebstrap, job.namespace, job.container, names, job.architecture, job.epoch, str(work), str(root),
        emulated=job.emulated,
    )  # fmt: skip


def discard(job: SourceJob, *folders: Path) -> None:
    """Remove folders; what is in them may belong to others of our user ids, so the namespace removes it."""
    there = [str(f) for f in folders if f.exists()]
    if there:
        run(Command((*job.namespace, "rm", "-rf", "--", *there), "clear a folder"))


def install(job: SourceJob, sink: Sink, note: Sink | None = None) -> dict[str, int]:
    """Install the lock into the padded tree; what stands there, or in the build cache, is not built again.

    Returns the seconds of every package that was installed now.
    """
    make_root(job, sink)
    discard(job, job.folder / "spack/stage")  # a killed build leaves what it had unpacked
    cache_reading.prepare(job.shelf, job.folder / "tree", lambda folder: discard(job, folder), note or sink)
    _prepare(job)
    words = source.installing(job.jobs)
    if job.spread:
        result = _spread(job, job.spread, words, sink)
    else:
        result = _spack(job, "build", words, "build from source", sink, len(source.own(job.lock)))
    source.same(job.lock, files.read_text(job.folder / "spack/build/env/spack.lock", 64 << 20))
    return source_output.times(result)


def push(job: SourceJob, sink: Sink, note: Sink | None = None) -> None:
    """Put everything that was built into the build cache, signed where there is a key."""
    there = source.installed(_spack(job, "build", source.LISTING, "list what was built", sink), job.lock)
    if there:  # what came from the cache has brought no build tools along
        _spack(job, "build", source.pushing(job.jobs, there), "fill the build cache", sink)
    cache_signing.publish(job.shelf, lambda: _index(job, sink), note or sink)


def _index(job: SourceJob, sink: Sink) -> None:
    _ran(job, _indexing(job), sink)


def _indexing(job: SourceJob) -> Command:
    """Write the index of the whole cache anew: the one call of Spack's that sees the folder itself."""
    return source.spack(room(job, shared=True), "build", source.INDEXING, "write the build cache's index")


def unpack(job: SourceJob, sink: Sink) -> Path:
    """Unpack roots and what they need to run from the build cache, with a view and modules; returns the folder."""
    place = job.folder / "software"
    discard(job, place)
    _prepare(job)
    _spack(job, "unpack", source.unpacking(job.jobs), "unpack from the build cache", sink)
    _spack(job, "unpack", source.REFRESH, "write modules", sink)
    for path in sorted((place / "modules").rglob("*.lua")):
        files.write_text(path, source.undated(files.read_text(path, 1 << 20)))
    files.write_tree(place, source.module(job.name, job.prefix))
    source.same(job.lock, files.read_text(job.folder / "spack/unpack/env/spack.lock", 64 << 20))
    return place


def _prepare(job: SourceJob) -> None:
    work = job.folder / "spack"
    shown = (job.mirror, job.cache, job.folder / "cache", job.folder / "tree", job.folder / "software")
    for folder in (work / "home", work / "tmp", *shown):
        folder.mkdir(parents=True, exist_ok=True)
    files.write_tree(work, source.settings(job.wanted))
    if not (work / "misc").exists():
        with files.beside(work / "misc") as partial:
            shutil.copytree(spack.ready(job.spack, lambda _line: None), partial)


def _spack(job: SourceJob, stage: str, arguments: tuple[str, ...], purpose: str, sink: Sink, of: int = 0) -> str:
    """Call Spack on what this build is shown."""
    return _ran(job, source.spack(room(job), stage, arguments, purpose), sink, of)


def _ran(job: SourceJob, command: Command, sink: Sink, of: int = 0) -> str:
    """Run Spack; its lines about packages (`of` how many) reach the user, everything reaches the log."""
    result = run(command, _telling(sink, of), check=False, log=job.log)
    if result.returncode:
        raise _failed(job, command, result)
    return result.stdout


def _spreading(job: SourceJob, spread: Spread, command: Command) -> Job:
    """The same call on every node: Spack's own locks let each package be built by one of them."""
    return Job(
        name=f"sovstack-{job.name}",
        argv=command.argv,
        folder=str(job.folder),
        scheduler=spread.scheduler,
        nodes=spread.nodes,
        cpus_per_task=job.jobs,
        minutes=spread.minutes,
    )


def _spread(job: SourceJob, spread: Spread, arguments: tuple[str, ...], sink: Sink) -> str:
    command = source.spack(room(job), "build", arguments, "build from source")
    work = _spreading(job, spread, command)
    status, output = slurm.perform(work, _telling(sink, len(source.own(job.lock))), job.log)
    with appending(job.log) as write:
        write(output)
    if status:
        raise _failed(job, command, Result(status, output, output[-4000:]))
    return output


def _telling(sink: Sink, of: int = 0) -> Sink:
    """Tells of every package once that it is done: of several nodes, each finds what another has built."""
    done: set[str] = set()

    def told(line: str) -> None:
        step = source_output.step(line)
        if line.startswith("job "):
            sink(line)
        elif step and step.phase:
            sink(str(step))
        elif step and step.package not in done:
            done.add(step.package)
            sink(f"{step} ({len(done)} of {of})" if of else str(step))

    return told


def _failed(job: SourceJob, command: Command, result: Result) -> StackError:
    found = source_output.failures(result.stdout)
    if not found:
        return failed(command, result, job.log)
    remedy = f"the whole output is in {job.log}; what was built stays, run the same again"
    return StackError((Fault(f"{p}: {why}", None, remedy) for p, why in found.items()), ExitCode.HOST)

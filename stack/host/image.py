"""The build of one image: download what the lock names, make the file system, the squashfs and the SIF. Resumable."""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from stack import build, sif
from stack.artifact import Command, Tree, canonical_json, digest
from stack.build import Tools
from stack.catalogue import Container
from stack.errors import StackError, host_lacks
from stack.host import files, marks, repository, sif_file
from stack.host.run import Sink, run
from stack.lock import Lock

MIB = 1 << 20
TAR, SQUASH = "rootfs.tar", "rootfs.squashfs"


@dataclass(frozen=True)
class Sealed:
    """The image's file with evidence in it, and its signed statement beside it, whose SHA-256 is `statement`.

    `key`: id of the key that signed, empty where none did; `content`: digest of the evidence before it was signed;
    `objects`: SHA-256 of every object by its name.
    """

    sha256: str
    sha512: str
    size: int
    key: str
    content: str
    statement: str
    objects: Mapping[str, str]


@dataclass(frozen=True)
class Image:
    """A finished SIF. `sha256` and `size` are those of what was built, before evidence; the file's are in `sealed`.

    `squashfs`: SHA-256 of its file system; `key` names what it was built from.
    """

    path: Path
    key: str
    sha256: str
    squashfs: str
    size: int
    lock: str
    tools: Mapping[str, str]
    sealed: Sealed | None = None

    @property
    def file_sha256(self) -> str:
        """SHA-256 of the file as it stands there."""
        return self.sealed.sha256 if self.sealed else self.sha256

    @property
    def signed_by(self) -> str:
        """The id of the key that signed the file; empty where none did."""
        return self.sealed.key if self.sealed else ""

    @property
    def file_size(self) -> int:
        """Size of the file as it stands there, in bytes."""
        return self.sealed.size if self.sealed else self.size


@dataclass(frozen=True)
class Job:
    """What a build needs: inputs, tools and where to write."""

    lock: Lock
    container: Container
    overlay: Tree
    definition: str
    inspection: str
    tools: Tools
    versions: Mapping[str, str]
    epoch: int
    folder: Path
    name: str
    fetch: Callable[[], Mapping[str, Path]]  # SHA-256 -> path of every locked package file
    wheels: Callable[[Path], None] | None = None  # unpacks the locked wheels into a folder
    software: Path | None = None  # tar of what was built from source, with paths from /
    software_sha256: str = ""

    @property
    def key(self) -> str:
        """Digest of everything that decides the image's bytes."""
        ours = [self.overlay.digest, self.definition, self.inspection, *filter(None, (self.software_sha256,))]
        return build.key(self.lock, self.container, digest(ours), self.epoch)

    @property
    def sif(self) -> Path:
        """Where the image is put."""
        return self.folder / f"{self.name}.sif"

    @property
    def parts(self) -> build.Parts:
        """What goes into the SIF."""
        work = self.folder / "work"
        definition, lock, inspection = (str(work / name) for name in ("definition", "lock", "inspection"))
        return build.Parts(definition, lock, inspection, str(self.folder / SQUASH))

    @property
    def log(self) -> Path:
        """Everything the tools printed."""
        return self.folder / "build.log"


def finished(job: Job) -> Image | None:
    """The image of an earlier run, when it was built from the same inputs and is whole."""
    found = present(job.folder, job.name)
    return found if found and found.key == job.key else None


def present(folder: Path, name: str) -> Image | None:
    """The image that stands in a cell's folder, whatever it was built from, when it is whole.

    Where the evidence in it is not that of the record, what was built is whole nevertheless: it is to be sealed again.
    """
    path = folder / f"{name}.sif"
    image = _read(files.read_record(folder / "image.json"), path)
    if image is None or not path.is_file():
        return None
    found = (path.stat().st_size, files.sha256(path))
    if image.sealed and found == (image.sealed.size, image.sealed.sha256):
        return image
    with contextlib.suppress(StackError):
        if found == (image.size, image.sha256) or sif_file.base_sha256(path) == image.sha256:
            return replace(image, sealed=None)
    return None


def _read(record: Any, path: Path) -> Image | None:
    """The image of a record; None for a record of another version, or a damaged one."""
    if not isinstance(record, dict) or not isinstance(record.get("tools"), dict):
        return None
    with contextlib.suppress(TypeError):
        sealed = record.get("sealed")
        return Image(**{**record, "path": path, "sealed": Sealed(**sealed) if sealed else None})
    return None


def write_record(image: Image) -> None:
    """Note what the image is of, so that a later run knows it again."""
    record = {k: v for k, v in asdict(image).items() if k != "path" and (k, v) != ("sealed", None)}
    files.write_text(image.path.with_name("image.json"), canonical_json(record))


def commands(job: Job) -> tuple[Command, ...]:
    """Everything that is run, in order."""
    work = job.folder / "work"
    tar, squash = job.folder / TAR, job.folder / SQUASH
    return (
        _rootfs(job, work, tar),
        build.squashfs(job.container, job.tools, job.epoch, str(tar), str(squash)),
        *build.sif(job.lock, job.tools, job.parts, str(job.sif)),
    )


def make_rootfs(job: Job, sink: Sink) -> bool:
    """Make `rootfs.tar`; False when an interrupted run had already made it. Call while holding the folder's lock."""
    tar, squash = job.folder / TAR, job.folder / SQUASH
    if marks.has(squash, job.key) or marks.has(tar, job.key):
        return False
    work = _workplace(job)
    _room(job)
    sink("fetching packages")
    repository.fill(work / "repo", job.lock.os.packages, job.fetch(), plain=job.tools.emulated)
    (work / "tmp").mkdir()
    write_tar(work / "overlay.tar", build.base_files(job.container) | job.overlay, job.epoch, _unpacked(job, work))
    if job.software:
        (work / "software.tar").symlink_to(job.software.resolve())
    with files.beside(tar) as partial:
        run(_rootfs(job, work, partial), sink, log=job.log)
    marks.mark(tar, job.key)
    return True


def _rootfs(job: Job, work: Path, output: Path) -> Command:
    software = job.software is not None
    return build.rootfs(job.lock, job.container, job.tools, job.epoch, str(work), str(output), software=software)


def _unpacked(job: Job, work: Path) -> Path | None:
    if job.wheels is None:
        return None
    folder = _fresh(work / "wheels")
    job.wheels(folder)
    return folder


def make_squashfs(job: Job, sink: Sink) -> bool:
    """Compress the tar; False when an interrupted run had already done it."""
    tar, squash = job.folder / TAR, job.folder / SQUASH
    if marks.has(squash, job.key):
        return False
    with files.beside(squash) as partial:
        run(build.squashfs(job.container, job.tools, job.epoch, str(tar), str(partial)), sink, log=job.log)
    marks.mark(squash, job.key)
    marks.drop(tar)
    return True


def make_sif(job: Job, sink: Sink) -> Image:
    """Put the SIF together and record it."""
    squash = job.folder / SQUASH
    work = _workplace(job)
    files.write_text(work / "definition", job.definition)
    files.write_text(work / "lock", job.lock.text())
    files.write_text(work / "inspection", job.inspection)
    squash_digest = files.sha256(squash)
    with files.beside(job.sif) as partial:
        for command in build.sif(job.lock, job.tools, job.parts, str(partial)):
            run(command, sink, log=job.log)
        with partial.open("r+b") as handle:
            head = handle.read(sif.HEAD_BYTES)
            handle.seek(0)
            handle.write(sif.steady(head, job.epoch, job.key + squash_digest))
        partial.chmod(0o755)
        sha256, size = files.sha256(partial), partial.stat().st_size
    image = Image(job.sif, job.key, sha256, squash_digest, size, job.lock.digest, dict(job.versions))
    write_record(image)
    marks.drop(squash)
    shutil.rmtree(work)
    return image


def write_tar(path: Path, tree: Tree, epoch: int, folder: Path | None = None) -> None:
    """A tar of a tree (and of a folder's content), owned by root, with constant times, in sorted order."""
    texts = {name: (file.text.encode(), file.executable) for name, file in tree}
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()} if folder else {}
    parents = {str(parent) for name in (*texts, *found) for parent in PurePosixPath(name).parents}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted({*texts, *found, *parents} - {"."}):
            if name in texts:
                data, executable = texts[name]
                tar.addfile(_info(name, epoch, 0o755 if executable else 0o644, len(data)), io.BytesIO(data))
            elif name in found:
                _add_file(tar, name, found[name], epoch)
            else:
                tar.addfile(_info(name, epoch, 0o755, kind=tarfile.DIRTYPE))


def _add_file(tar: tarfile.TarFile, name: str, path: Path, epoch: int) -> None:
    status = path.stat()
    with path.open("rb") as handle:
        tar.addfile(_info(name, epoch, 0o755 if status.st_mode & 0o100 else 0o644, status.st_size), handle)


def _info(name: str, epoch: int, mode: int, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.uname, info.gname, info.mtime, info.size, info.type = mode, "root", "root", epoch, size, kind
    return info


def _room(job: Job) -> None:
    """Stop before the work when the disk cannot hold it: the tree, its tar, the squashfs and the SIF."""
    installed = sum(int(p.control.get("Installed-Size", "0")) for p in job.lock.os.packages) * 1024
    fetched = sum(p.size for p in job.lock.os.packages)
    plain = installed if job.tools.emulated else 0  # packages that are not compressed
    need, free = 2 * installed + plain + 3 * fetched, shutil.disk_usage(job.folder).free
    if free < need:
        remedy = "free some space, or choose another folder with --build-dir"
        raise host_lacks(f"{job.folder}: the build needs {need // MIB} MiB and {free // MIB} MiB are free", remedy)


def _workplace(job: Job) -> Path:
    """The empty work folder. What a killed build left may belong to others of its ids, so its namespace removes it."""
    work = job.folder / "work"
    if work.exists():
        run(Command((*job.tools.namespace, "rm", "-rf", "--", str(work)), "clear what a stopped build left"))
    return _fresh(work)


def _fresh(folder: Path) -> Path:
    with files.disk_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    return folder

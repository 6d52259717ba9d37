"""A tree of software as a tar: the same bytes for the same tree, whoever built it and wherever."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stack import source
from stack.errors import bad_input, host_lacks

LINK = 100  # the longest target of a link that every reader of a tar takes as it is


def pack(folder: Path, prefix: str, epoch: int, output: Path) -> None:
    """A tar of a folder as it stands at `prefix`: links as links, owned by root, constant times, in sorted order."""
    if not any(folder.iterdir()):
        raise host_lacks(f"{folder} is empty", "build again")
    inside = prefix.strip("/")
    parents = [inside.rsplit("/", n)[0] for n in range(inside.count("/"), 0, -1)]
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in (*parents, inside):
            tar.addfile(_plain(tar.gettarinfo(folder, name), epoch))
        for path in _members(folder):
            info = _plain(tar.gettarinfo(path, f"{inside}/{path.relative_to(folder)}"), epoch)
            if info.issym():
                info.linkname = _relative(info.linkname, prefix, path.relative_to(folder).parent)
            if info.isreg():
                info.size = path.stat().st_size
                with path.open("rb") as handle:
                    tar.addfile(info, handle)
            else:
                tar.addfile(info)


def _relative(target: str, prefix: str, parent: Path) -> str:
    """A link inside the tree without the tree's own place, so that it holds wherever the tree is.

    From a target of more than 100 characters, mksquashfs 4.5 takes the `/` or the `../` at its beginning away.
    """
    inside = target.startswith(f"{prefix}/")
    made = os.path.relpath(target, Path(prefix) / parent) if inside else target
    if len(made) > LINK:
        raise bad_input(f"a link's target is longer than {LINK} characters: {made}", remedy="choose a shorter --prefix")
    return made


def _members(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if source.shipped(PurePosixPath(p.relative_to(folder))))


def _plain(info: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    """No owner, no time, no number of the file system; a second name of a file is a file of its own."""
    if info.islnk():
        info.type, info.linkname = tarfile.REGTYPE, ""
    executable = info.isdir() or info.mode & 0o100
    info.mode = 0o777 if info.issym() else 0o755 if executable else 0o644
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = epoch
    return info

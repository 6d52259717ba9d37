"""A folder of package files with their index, from which apt installs: what a root file system is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stack import build
from stack.host import deb_file, files
from stack.lock import OsPackage


def fill(folder: Path, packages: Iterable[OsPackage], found: Mapping[str, Path], *, plain: bool = False) -> None:
    """Put files (SHA-256 -> path) and index into the folder.

    `plain`: packages whose content is not compressed, since an emulated dpkg takes most of its time to undo that. What
    is installed is the same.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def put(package: OsPackage) -> OsPackage:
        source = found[package.sha256]
        made = deb_file.plain(source, folder / f"{package.sha256}.part") if plain else None
        if made is None:
            (folder / f"{package.sha256}.deb").symlink_to(source)
            return package
        sha256, size = files.sha256(made), made.stat().st_size
        made.rename(folder / f"{sha256}.deb")
        return package.model_copy(update={"sha256": sha256, "size": size})

    with files.disk_errors(folder), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        kept = tuple(pool.map(put, packages))
    files.write_text(folder / "Packages", build.packages_index(kept))

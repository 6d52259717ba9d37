"""The cache of package files, by content: what lies at a hash has that hash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stack.host import files


class PackageFile(Protocol):
    """What identifies a package file; `stack.lock.OsPackage` does."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def sha256(self) -> str: ...


def place(store: Path, sha256: str) -> Path:
    """Where the cache keeps a file of that hash."""
    return store / sha256[:2] / f"{sha256}.deb"


def cached(store: Path, sha256: str) -> bool:
    """Whether the cache has the file, whole; a damaged one is removed."""
    path = place(store, sha256)
    if not path.is_file():
        return False
    if files.sha256(path) == sha256:
        return True
    path.unlink()
    return False


def take(incoming: Path, store: Path, wanted: Sequence[PackageFile]) -> None:
    """Move every file whose hash is wanted into the cache."""
    hashes = {p.sha256 for p in wanted}
    for path in sorted(incoming.glob("*.deb")):
        found = files.sha256(path)
        if found in hashes:
            target = place(store, found)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        else:
            path.unlink()

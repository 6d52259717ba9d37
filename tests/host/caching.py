"""Small build caches with the files that Spack gives one, made without Spack."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from stack import buildcache
from stack.host import cache_reading, cache_signing
from stack.host.cache_reading import Shelf
from stack.host.keys import PrivateKey, PublicKey
from stack.statements import Repository

ROOT = "0123456789abcdef"
PINNED = (Repository("spack", "https://git.example/spack.git", "a" * 40),)


def spec_hash(name: str) -> str:
    """A hash as Spack writes them, for a package of that name."""
    return (hashlib.sha256(name.encode()).hexdigest().translate(str.maketrans("0189", "ghij")) * 2)[:32]


def manifest_path(name: str) -> str:
    return f"{buildcache.SPECS}/{name}/{name}-1.0-{spec_hash(name)}.spec.manifest.json"


def _blob(folder: Path, data: bytes) -> dict[str, object]:
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / buildcache.BLOBS / sha256[:2] / sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"contentLength": len(data), "checksumAlgorithm": "sha256", "checksum": sha256}


def _manifest(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 3, "data": rows}, indent=0, separators=(",", ":")))


def push(folder: Path, *names: str, content: str = "") -> None:
    """Put packages into a folder as `spack buildcache push` does; what is there already stays."""
    for name in names:
        path = folder / manifest_path(name)
        if not path.exists():
            tar = _blob(folder, f"the tar of {name} {content}".encode() * 3)
            _manifest(path, [tar, _blob(folder, f"the spec of {name} {content}".encode())])


def index(folder: Path) -> None:
    """Write the index of all that is there, as `spack buildcache update-index` does."""
    names = ",".join(cache_reading.packages(folder))
    _manifest(folder / buildcache.INDEX / "index.manifest.json", [_blob(folder, names.encode())])
    (folder / buildcache.LAYOUT).write_text('{"signing": "gpg"}')


@dataclass
class Build:
    """Builds of one cell, with what they were told; Spack is played by `push` and `index`."""

    folder: Path
    cache: Path
    signer: PrivateKey | None = None
    trusted: tuple[PublicKey, ...] = ()
    wanted: tuple[str, ...] = ("blis", "zlib")

    def __post_init__(self) -> None:
        self.notes: list[str] = []

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def shelf(self) -> Shelf:
        known = (*self.trusted, *((self.signer.public,) if self.signer else ()))
        hashes = frozenset(map(spec_hash, self.wanted))
        return Shelf(self.cache, self.folder / "cache", str(self.cache), ROOT, PINNED, hashes, self.signer, known)

    def shown(self) -> list[str]:
        """What Spack sees of the cache, by the packages' names."""
        cache_reading.prepare(self.shelf, self.tree, lambda path: shutil.rmtree(path, True), self.notes.append)
        view = self.shelf.view
        found = cache_reading.packages(view)
        assert all(cache_reading.is_whole(view, (view / path).read_bytes()) for path in found)
        return [buildcache.title(path).partition("-")[0] for path in found]

    def run(self, content: str = "") -> list[str]:
        """A whole build: what is not shown is built and put into the view; returns what was built."""
        shown = self.shown()
        built = [name for name in self.wanted if not (self.tree / name).exists() and name not in shown]
        for name in self.wanted:
            (self.tree / name).mkdir(parents=True, exist_ok=True)
        push(self.shelf.view, *self.wanted, content=content)
        cache_signing.publish(self.shelf, lambda: index(self.cache), self.notes.append)
        return built

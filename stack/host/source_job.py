"""What a build from source is made of, and the build root as the programs of that build see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import buildroot, source
from stack.artifact import digest, public
from stack.buildroot import Bind, Room
from stack.catalogue import Container
from stack.host.cache_reading import Shelf
from stack.host.keys import PrivateKey, PublicKey
from stack.host.spack import Spack
from stack.lock import OsPackage
from stack.profile import Scheduler
from stack.source import Wanted
from stack.statements import Repository

PACKING = 4  # raised when the same tree is packed otherwise


@dataclass(frozen=True)
class Spread:
    """Over how many nodes of which scheduler the packages are built; all of them share the job's folder."""

    scheduler: Scheduler
    nodes: int
    minutes: int = 24 * 60


@dataclass(frozen=True)
class SourceJob:
    """What a build from source needs: inputs, tools and where to write.

    `packages`: of the build root, the image's own among them; `cache`: the build cache's folder, which may be shared;
    `prefix`: where the software stands in the image; `signer`: signs what is put into the cache, and `trusted` are the
    keys that may have signed what is there.
    """

    spack: Spack
    name: str
    environment: str  # text of spack.yaml
    lock: str  # text of spack.lock
    container: Container
    architecture: str
    packages: tuple[OsPackage, ...]
    fetch: Callable[[], Mapping[str, Path]]  # SHA-256 -> path of every package file
    mmdebstrap: str
    namespace: tuple[str, ...]
    mirror: Path
    cache: Path
    folder: Path
    prefix: str
    epoch: int
    jobs: int
    spread: Spread | None = None
    signer: PrivateKey | None = None
    trusted: tuple[PublicKey, ...] = ()
    emulated: bool = False

    @property
    def wanted(self) -> Wanted:
        """What Spack is told."""
        return Wanted(self.environment, self.lock, tuple(p.name for p in self.spack.overlays), self.prefix)

    @property
    def root_key(self) -> str:
        """Names the build root and the way in. What is built in another may differ under the same Spack hash."""
        hashes = sorted(p.sha256 for p in self.packages)
        return digest([hashes, self.container.name, source.way(self.epoch), self.spack.upstream.spack.commit])

    @property
    def key(self) -> str:
        """Digest of all that decides what is built."""
        upstream = self.spack.upstream
        commits = [upstream.spack.commit, upstream.packages.commit, self.spack.overlay]
        told = [[path, file.text] for path, file in source.settings(self.wanted)]
        return digest([self.root_key, commits, told, PACKING])

    @property
    def log(self) -> Path:
        """Everything the tools printed."""
        return self.folder / "source.log"

    @property
    def shelf(self) -> Shelf:
        """The build cache as this build uses it."""
        pinned = self.spack.upstream
        commits = {"spack": pinned.spack, "spack-packages": pinned.packages}
        return Shelf(
            cache=self.cache,
            view=self.folder / "cache",
            inside=source.SHARED,
            root=self.root_key[:16],
            repositories=tuple(Repository(name, public(r.git), r.commit) for name, r in commits.items()),
            hashes=source.own(self.lock),
            signer=self.signer,
            trusted=self.trusted,
        )


def room(job: SourceJob, *, shared: bool = False) -> Room:
    """The build root as programs in it see it; `shared`: with the build cache's folder, and not with its view."""
    home = job.spack
    cache = Bind(str(job.cache if shared else job.shelf.view), source.CACHE, writable=True)
    shown = (
        Bind(str(home.home / "spack"), source.SPACK),
        Bind(str(home.packages), source.PACKAGES),
        *(Bind(str(p), f"{source.OVERLAYS}/{p.name}") for p in home.overlays),
        Bind(str(job.mirror), source.MIRROR),
        cache,
        Bind(str(job.cache), source.SHARED),
        Bind(str(job.folder / "spack"), buildroot.WORK, writable=True),
        Bind(str(job.folder / "tree"), source.TREE, writable=True),
        Bind(str(job.folder / "software"), job.prefix, writable=True),
    )
    return Room(job.namespace, str(job.folder / "root"), shown, job.epoch)

"""A build cache that may be shared: what a build is shown of it, and the signed statement about what is in it.

Spack never sees the folder itself. It gets a folder of its own with those packages alone that the lock has and that
may be used: their manifests, copied, and links to their blobs, which Spack checks against the manifests once more when
it reads them. What it puts there goes into the shared folder after the build, and with a key into the statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from stack import buildcache
from stack.artifact import canonical_json
from stack.buildcache import Filled
from stack.errors import ExitCode, Fault, Position, StackError, bad_input
from stack.host import files, signing
from stack.host.keys import PrivateKey, PublicKey
from stack.host.run import Sink
from stack.statements import Repository

_MANIFEST_LIMIT = 1 << 20
TRUST = "put its public half into ~/.config/sovstack/trusted/, as NAME.pub; `inspect` also takes --key PUB"
AGAIN = "remove it, and it is built again; or get it again from whoever filled the cache"


@dataclass(frozen=True)
class Shelf:
    """A build cache as one build uses it. `cache`: its folder; `view`: what Spack sees of it; `inside`: where
    Spack's links find the folder; `hashes`: the packages that are wanted of it."""

    cache: Path
    view: Path
    inside: str
    root: str
    repositories: tuple[Repository, ...]
    hashes: frozenset[str]
    signer: PrivateKey | None
    trusted: tuple[PublicKey, ...]

    @property
    def statement(self) -> Path:
        """The signed statement about what is in the cache."""
        return self.cache / buildcache.STATEMENT

    @property
    def note(self) -> Path:
        """What was put into the view, and which packages were ever taken without a statement."""
        return self.view.with_name("cache.json")


@dataclass(frozen=True)
class Usable:
    """Manifests that may be used, by their paths. `verified`: a trusted key's statement has all of them."""

    manifests: Mapping[str, bytes]
    verified: bool


def prepare(shelf: Shelf, tree: Path, clear: Callable[[Path], None], note: Sink) -> None:
    """Show a build what it may use of the cache; raises where something of that is not what was signed.

    A tree with packages that were taken without a statement is not gone on with where there is one: it is cleared.
    """
    usable = look(shelf, note)
    taken = on_trust(shelf) if tree.exists() else frozenset()
    if usable.verified and taken:
        note("the tree has packages that were taken from the build cache before it was signed; it is filled again")
        clear(tree)
        taken = frozenset()
    clear(shelf.view)
    if not usable.verified:
        taken |= frozenset(filter(None, map(buildcache.package, usable.manifests)))
    record = {"shown": sorted(usable.manifests), "taken": sorted(taken)}
    files.write_text(shelf.note, canonical_json(record))
    with files.disk_errors(shelf.view):
        for path, data in usable.manifests.items():
            _put(shelf.view / path, data)
            for blob in buildcache.blobs(data) or ():
                link(shelf, blob)


def on_trust(shelf: Shelf) -> frozenset[str]:
    """Hashes of the packages in the tree that were ever taken from a cache while no statement had them."""
    record = files.read_record(shelf.note, 1 << 24)
    return frozenset(record.get("taken", ())) if isinstance(record, dict) else frozenset()


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def link(shelf: Shelf, blob: str) -> None:
    """Have the view show a blob of the cache."""
    path = shelf.view / blob
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(f"{shelf.inside}/{blob}")


def locked(cache: Path, note: Sink) -> AbstractContextManager[None]:
    """Hold the lock of the folder of caches, so that manifests and statement are of one moment."""
    return files.exclusive(cache.parent, lambda holder: note(f"waiting for {holder}, which uses {cache.parent}"))


def look(shelf: Shelf, note: Sink) -> Usable:
    """What may be used of the cache. What no statement has is built anew where there is one, and else is taken on the
    word of its folder; raises where a file is not the one that was signed."""
    with locked(shelf.cache, note):
        envelope = envelope_of(shelf.statement)
        found = {path: read_manifest(shelf.cache / path) for path in packages(shelf.cache, shelf.hashes)}
    if envelope is None or not shelf.trusted:
        whole = {p: d for p, d in found.items() if is_whole(shelf.cache, d)}
        if whole and (envelope or shelf.trusted):
            note(_on_its_word(shelf, whole, signed=envelope is not None))
        return Usable(whole, False)
    return Usable(_verified(shelf, signed(shelf, envelope), found, note), True)


def _on_its_word(shelf: Shelf, found: Iterable[str], *, signed: bool) -> str:
    why = "is signed, and no key is trusted here that could check it" if signed else "is not signed"
    remedy = "put the public key of whoever signed it into `trusted/`" if signed else vouching(shelf.cache)
    return f"the build cache {why}: {buildcache.titles(found)} are taken on the word of {shelf.cache} ({remedy})"


def _verified(shelf: Shelf, said: Filled, found: Mapping[str, bytes], note: Sink) -> Mapping[str, bytes]:
    changed: dict[str, str] = {}
    usable: dict[str, bytes] = {}
    strange: list[str] = []
    for path, data in found.items():
        if path not in said.files:
            strange.append(path)
        elif hashlib.sha256(data).hexdigest() != said.files[path]:
            changed[path] = path
        elif is_whole(shelf.cache, data):  # where a blob is gone, the package is built again
            blobs = buildcache.blobs(data) or ()
            wrong = [b for b in blobs if {files.sha256(shelf.cache / b), said.files.get(b)} != {buildcache.blob(b)}]
            changed |= dict.fromkeys(wrong, path)
            usable |= {} if wrong else {path: data}
    if changed:
        rows = ((f"{buildcache.title(of)} is not what was signed", shelf.cache / at) for at, of in changed.items())
        raise StackError([Fault(what, Position(str(at)), AGAIN) for what, at in rows], ExitCode.CHECK_FAILED)
    if strange:
        what = f"no statement has {buildcache.titles(strange)} of {shelf.cache}: not used, and built again"
        note(f"{what} ({vouching(shelf.cache)})")
    return usable


def vouching(cache: Path) -> str:
    """How everything that is in a cache is signed."""
    return f"`sovstack key vouch {quote(str(cache))}` signs what is there, where you know who built it"


def known(cache: Path) -> None:
    """Raise for a folder that is no build cache."""
    if not any((cache / name).exists() for name in (buildcache.STATEMENT, buildcache.LAYOUT, buildcache.SPECS)):
        remedy = "each folder in a folder of build caches is one" if cache.is_dir() else "name the folder of one"
        raise bad_input("no build cache", Position(str(cache)), remedy)


def packages(cache: Path, hashes: frozenset[str] | None = None) -> tuple[str, ...]:
    """Paths of the manifests of these packages, or of all."""
    found = (p.relative_to(cache).as_posix() for p in sorted((cache / buildcache.SPECS).glob("*/*")))
    named = ((path, buildcache.package(path)) for path in found)
    return tuple(path for path, name in named if name and (hashes is None or name in hashes))


def read_manifest(path: Path) -> bytes:
    """A manifest's bytes; none of what cannot be one."""
    try:
        return files.read_text(path, _MANIFEST_LIMIT).encode()
    except StackError:  # not a manifest, and never one that was signed
        return b""


def is_whole(cache: Path, manifest: bytes) -> bool:
    """Whether all that a manifest names is there."""
    blobs = buildcache.blobs(manifest)
    return blobs is not None and all((cache / blob).is_file() for blob in blobs)


def envelope_of(path: Path) -> bytes | None:
    """A cache's statement as it stands there; None where there is none."""
    return files.read_text(path, signing.LIMIT, "a statement is a .dsse.json file").encode() if path.exists() else None


def signed(shelf: Shelf, envelope: bytes) -> Filled:
    """What a trusted key signed of this very cache; raises for everything else."""
    found = opened(envelope, shelf.trusted, shelf.statement)
    if found.root != shelf.root:
        what = f"a statement about the cache of another build root, {found.root[:80]}; this one is {shelf.root}"
        raise signing.refused(what, str(shelf.statement), "each build root has a folder of its own")
    return found


def opened(envelope: bytes, trusted: Iterable[PublicKey], path: Path) -> Filled:
    """What a trusted key signed of a cache; raises for everything else, with what to do."""
    remedy = "get it again from whoever filled the cache; or remove it, and nobody answers for what is there"
    try:
        found = buildcache.read(signing.verify(envelope, trusted, str(path)).statement)
    except StackError as error:
        fault = error.faults[0]
        said = TRUST if fault.remedy == signing.UNTRUSTED else remedy
        raise StackError([replace(fault, remedy=said)], error.exit_code) from None
    if found is None:
        raise bad_input("not a statement about a build cache", Position(str(path)), remedy)
    if not signing.exact(envelope, str(path)):
        raise signing.refused("signed, and yet not the bytes that were written: it was changed", str(path), remedy)
    return found

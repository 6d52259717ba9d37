"""What a build adds to a build cache, copied there and signed; and a whole cache signed by who answers for it.

The statement is written whole, under the lock of the folder of caches. It has what this build itself built, and what a
trusted key signed before: never what was in the folder already and nobody answers for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from stack import buildcache
from stack.buildcache import Filled
from stack.errors import ExitCode, Fault, Position, StackError, bad_input
from stack.host import cache_reading, files, signing
from stack.host.cache_reading import Shelf
from stack.host.keys import PrivateKey, PublicKey
from stack.host.run import Sink


def publish(shelf: Shelf, index: Callable[[], None], note: Sink) -> None:
    """Put what the build added to its view into the cache, and sign it where there is a key.

    `index`: has Spack write the cache's index anew. What another build has put there meanwhile, signed, stays.
    """
    record = files.read_record(shelf.note, 1 << 24) or {}
    fresh = [path for path in cache_reading.packages(shelf.view) if path not in record.get("shown", ())]
    if not fresh:
        return
    with cache_reading.locked(shelf.cache, note):
        envelope = cache_reading.envelope_of(shelf.statement)
        said = cache_reading.signed(shelf, envelope) if envelope and shelf.trusted else None
        put: dict[str, str] = {}
        for path in fresh:
            data = cache_reading.read_manifest(shelf.view / path)
            if not _stands(shelf, path, said):
                put |= _published(shelf, path, data, own=buildcache.package(path) not in cache_reading.on_trust(shelf))
        index()
        if shelf.signer is not None:
            _sign(shelf, shelf.signer, said, {**put, **dict(_about(shelf.cache))})
        elif envelope:
            names = buildcache.titles(fresh)
            note(f"{names} are new in {shelf.cache}, and in no statement: there is no key to sign with")


def _stands(shelf: Shelf, path: str, said: Filled | None) -> bool:
    """Whether the cache has the package by now from somebody whose word counts as much as ours."""
    data = cache_reading.read_manifest(shelf.cache / path)
    known = said is not None and said.files.get(path) == hashlib.sha256(data).hexdigest()
    return (known or shelf.signer is None) and cache_reading.is_whole(shelf.cache, data)


def _published(shelf: Shelf, path: str, manifest: bytes, *, own: bool) -> dict[str, str]:
    """Copy a package from the view; returns what may be signed of it: nothing where it came from the cache once."""
    blobs = buildcache.blobs(manifest)
    if blobs is None:
        raise bad_input("not a manifest of a build cache", Position(str(shelf.view / path)), "build again")
    for blob in blobs:
        source = shelf.view / blob
        if not source.is_symlink():
            _copy(source, shelf.cache / blob, buildcache.blob(blob) or "")
            cache_reading.link(shelf, blob)
    with files.beside(shelf.cache / path) as partial:
        partial.write_bytes(manifest)
    named = {blob: buildcache.blob(blob) or "" for blob in blobs}
    return {path: hashlib.sha256(manifest).hexdigest(), **named} if own else {}


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Copy a file whose SHA-256 is known; raises where it is another."""
    state = hashlib.sha256()
    with files.beside(target) as partial, partial.open("wb") as out:
        with source.open("rb") as handle:
            while block := handle.read(1 << 22):
                state.update(block)
                out.write(block)
        if state.hexdigest() != sha256:
            raise signing.refused("not the file that its name says", str(source), "build again")


def _about(cache: Path) -> Iterator[tuple[str, str]]:
    """The files that Spack wrote about the whole cache."""
    index = sorted((cache / buildcache.INDEX).glob("*"))
    blobs = {blob for path in index for blob in buildcache.blobs(cache_reading.read_manifest(path)) or ()}
    for path in (cache / buildcache.LAYOUT, *index, *(cache / blob for blob in sorted(blobs))):
        if path.is_file():
            yield path.relative_to(cache).as_posix(), files.sha256(path)


def _sign(shelf: Shelf, key: PrivateKey, said: Filled | None, added: Mapping[str, str]) -> None:
    filled = Filled(shelf.root, added, shelf.repositories, tuple(cache_reading.on_trust(shelf)))
    _write(shelf.cache, buildcache.together(said, filled), key)


def _write(cache: Path, filled: Filled, key: PrivateKey) -> None:
    there = {path: sha256 for path, sha256 in filled.files.items() if (cache / path).is_file()}
    said = buildcache.statement(replace(filled, files=there))
    files.write_text(cache / buildcache.STATEMENT, signing.sign(said, key).decode())


def vouch(cache: Path, key: PrivateKey, trusted: Iterable[PublicKey], note: Sink) -> Filled:
    """Sign everything that is in a cache: whoever does it answers for it. Raises where a file is not what its name, or
    the statement that is there, says."""
    cache_reading.known(cache)
    with cache_reading.locked(cache, note):
        path = cache / buildcache.STATEMENT
        envelope = cache_reading.envelope_of(path)
        said = cache_reading.opened(envelope, trusted, path) if envelope else None
        digests = {path: files.sha256(cache / path) for path, whole in walk(cache) if whole}
        wrong = [
            Fault(why, Position(str(cache / path)), cache_reading.AGAIN)
            for path, sha256 in digests.items()
            if (why := wrongly(cache, path, sha256, said))
        ]
        if wrong:
            raise StackError(wrong, ExitCode.CHECK_FAILED)
        now = Filled(said.root if said else cache.resolve().name, digests)
        filled = replace(buildcache.together(said, now), unsigned=())
        _write(cache, filled, key)
    return filled


def wrongly(cache: Path, path: str, sha256: str, said: Filled | None) -> str:
    """What is wrong with a file of a cache; empty where nothing is."""
    if said and sha256 != said.files.get(path, sha256):
        return "is not the file that was signed"
    if sha256 != (buildcache.blob(path) or sha256):
        return "is not the file that its name says"
    manifest = cache_reading.read_manifest(cache / path) if path.startswith(buildcache.MANIFESTS) else None
    if manifest is not None and not cache_reading.is_whole(cache, manifest):
        return "is no manifest of files that are here"
    return ""


def walk(cache: Path) -> Iterator[tuple[str, bool]]:
    """Every file below a cache's folder but its statement, in order; False beside what is no ordinary file."""
    for folder, names, below in os.walk(cache):
        names.sort()
        links = [name for name in names if Path(folder, name).is_symlink()]
        for name in sorted([*below, *links]):
            path = Path(folder, name)
            if path != cache / buildcache.STATEMENT:
                yield path.relative_to(cache).as_posix(), path.is_file() and not path.is_symlink()

"""A SIF on the disk: its objects, their digests, and the bytes that it had before evidence was put into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from stack import sif
from stack.errors import Position, bad_input
from stack.sif import Object

_BLOCK = 1 << 22


def objects(path: Path) -> tuple[Object, ...]:
    """What is in the file; raises where it is no SIF, or not a whole one."""
    return sif.read(head(path), path.stat().st_size, str(path))


def head(path: Path) -> bytes:
    """The first bytes, with the header and all descriptors; raises where it is no SIF."""
    try:
        if not path.is_file():
            what = "no such file" if not path.exists() else "not a file"
            raise bad_input(what, Position(str(path)), "name an image, a .sif file")
        with path.open("rb") as handle:
            start = handle.read(sif.HEAD_BYTES)
            return start + handle.read(max(0, sif.head_size(start, str(path)) - len(start)))
    except OSError as error:
        raise bad_input(f"cannot be read: {error.strerror}", Position(str(path))) from None


def blocks(path: Path, offset: int, size: int) -> Iterator[bytes]:
    """A part of a file, in pieces."""
    with path.open("rb") as handle:
        handle.seek(offset)
        while size > 0 and (block := handle.read(min(size, _BLOCK))):
            size -= len(block)
            yield block


def content(path: Path, item: Object, limit: int) -> bytes:
    """An object's bytes; raises where it has more than `limit`."""
    if item.size > limit:
        raise bad_input(f"object {item.file_name} has {item.size} bytes, more than can be read", Position(str(path)))
    return b"".join(blocks(path, item.offset, item.size))


def sha256(path: Path, item: Object) -> str:
    """SHA-256 (hex) of an object."""
    state = hashlib.sha256()
    for block in blocks(path, item.offset, item.size):
        state.update(block)
    return state.hexdigest()


def digests(path: Path) -> tuple[str, str]:
    """SHA-256 and SHA-512 (hex) of the whole file."""
    short, long = hashlib.sha256(), hashlib.sha512()
    for block in blocks(path, 0, path.stat().st_size):
        short.update(block)
        long.update(block)
    return short.hexdigest(), long.hexdigest()


def base(path: Path) -> Iterator[bytes]:
    """The image as it was before evidence was put into it, in pieces."""
    first, end = sif.base(head(path), path.stat().st_size, str(path))
    yield first[:end]
    yield from blocks(path, len(first), end - len(first))


def base_sha256(path: Path) -> str:
    """SHA-256 (hex) of the image as it was before evidence was put into it."""
    state = hashlib.sha256()
    for block in base(path):
        state.update(block)
    return state.hexdigest()

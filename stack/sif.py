"""Ring 4. A SIF's header and descriptors: read from bytes, made steady, and taken back to the image before evidence.

Layout: https://github.com/apptainer/sif (pkg/sif: `header` and `rawDescriptor`), little-endian, packed.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from typing import NamedTuple

from stack.errors import Position, StackError, bad_input

_HEADER = struct.Struct("<32s10s3s3s16sqqqqqqqq")
_DESCRIPTOR = struct.Struct("<i?IIIqqqqqqq128s384s")
_USED, _TIMES = 4, slice(8, 12)  # where a descriptor says that it is one; fields: created, modified, user, group
_LAUNCH = b"#!/usr/bin/env run-singularity\n"  # makes the file executable, as `apptainer build` does
_GROUP = 0xF0000000  # set in every group's number, and in a link to a group
_MOST = 4096  # descriptors that are read; `sif new` makes 48
HEAD_BYTES = 32768

DEFINITION, PARTITION, SIGNATURE, JSON, SBOM = 0x4001, 0x4004, 0x4005, 0x4006, 0x4009
_TYPES = {
    DEFINITION: "definition", 0x4002: "environment", 0x4003: "labels", PARTITION: "file system",
    SIGNATURE: "signature", JSON: "JSON", 0x4007: "data", 0x4008: "message", SBOM: "SBOM",
    0x400A: "OCI index", 0x400B: "OCI blob",
}  # fmt: skip


class _Header(NamedTuple):
    launch: bytes
    magic: bytes
    version: bytes
    architecture: bytes
    identity: bytes
    created: int
    modified: int
    free: int
    total: int
    offset: int
    bytes: int
    data: int  # where objects begin
    data_bytes: int


@dataclass(frozen=True)
class Object:
    """One object of a SIF. `kind`: as the format numbers it; `link`: an object's number, or 0."""

    id: int
    kind: int
    group: int
    link: int
    offset: int
    size: int
    name: str

    @property
    def type(self) -> str:
        """The kind in words."""
        return _TYPES.get(self.kind, f"type {self.kind:#x}")

    @property
    def end(self) -> int:
        """Where its bytes end in the file."""
        return self.offset + self.size

    @property
    def file_name(self) -> str:
        """Its name where a file may safely be called so, else one made of its number."""
        return self.name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", self.name) else f"object-{self.id}"


# https://github.com/sylabs/sif: the header says an architecture by a number; names as Go has them.
_ARCHITECTURES = {b"02": "amd64", b"04": "arm64", b"06": "ppc64le", b"12": "riscv64"}


def architecture(start: bytes, where: str) -> str:
    """The architecture that a SIF's header names, `amd64` for example; empty for one that is not known here."""
    head_size(start, where)
    return _ARCHITECTURES.get(_header(start).architecture[:2], "")


def head_size(start: bytes, where: str) -> int:
    """How many of a SIF's first bytes `read` needs, told by some of them; raises for what is no SIF."""
    if len(start) < _HEADER.size or start[32:42] != b"SIF_MAGIC\0":
        raise bad_input("not a SIF file", Position(where), "name an image that `sovstack build` or Apptainer made")
    header = _header(start)
    if header.version != b"01\0":
        version = header.version.rstrip(b"\0").decode("ascii", "replace")
        raise bad_input(f"a SIF of version {version!r}; this program reads 01", Position(where))
    if not 0 <= header.total <= _MOST or not _HEADER.size <= header.offset <= 1 << 20:
        raise _damaged(where, "its header has impossible numbers")
    return max(HEAD_BYTES, header.offset + header.total * _DESCRIPTOR.size)


def read(head: bytes, size: int, where: str) -> tuple[Object, ...]:
    """The objects of a SIF file of `size` bytes, in the order in which they stand; raises for a cut-off file."""
    if size < head_size(head, where) or len(head) < head_size(head, where):
        raise _damaged(where, "it is cut off inside its header")
    found = tuple(_object(head, start, size, where) for start in _used(head))
    if len({o.id for o in found}) < len(found):
        raise _damaged(where, "two objects have one number")
    return tuple(sorted(found, key=lambda o: (o.offset, o.id)))


def steady(head: bytes, epoch: int, identity: str = "") -> bytes:
    """The first bytes of a SIF with its times and owners made constant, and its random id taken from `identity`.

    Without an `identity` it keeps the id that it has.
    """
    if len(head) < head_size(head, "image"):
        raise bad_input("not a SIF file")
    made = hashlib.sha256(identity.encode()).digest()[:16] if identity else _header(head).identity
    header = _header(head)._replace(launch=_LAUNCH, identity=made, created=epoch, modified=epoch)
    out = bytearray(head)
    _HEADER.pack_into(out, 0, *header)
    for start in _used(head):
        row = list(_DESCRIPTOR.unpack_from(out, start))
        row[_TIMES] = [epoch, epoch, 0, 0]
        _DESCRIPTOR.pack_into(out, start, *row)
    return bytes(out)


def base(head: bytes, size: int, where: str) -> tuple[bytes, int]:
    """The first bytes, and the length, of the image as it was before evidence: all up to its file system.

    Evidence and signatures are put behind the file system, so they are taken away by forgetting them.
    """
    objects = read(head, size, where)
    systems = [o for o in objects if o.kind == PARTITION]
    if len(systems) != 1:  # a second one would be laid over the first
        raise bad_input(f"a SIF with {len(systems)} file systems, and not one", Position(where))
    last = systems[0]
    kept = {o.id for o in objects if o.offset <= last.offset}
    out = bytearray(head)
    for start in _used(head):
        if _DESCRIPTOR.unpack_from(out, start)[2] not in kept:
            out[start : start + _DESCRIPTOR.size] = bytes(_DESCRIPTOR.size)
    header = _header(head)
    _HEADER.pack_into(out, 0, *header._replace(free=header.total - len(kept), data_bytes=last.end - header.data))
    return bytes(out), last.end


def _header(head: bytes) -> _Header:
    return _Header(*_HEADER.unpack_from(head))


def _used(head: bytes) -> list[int]:
    """Where the descriptors are that describe something."""
    header = _header(head)
    starts = range(header.offset, header.offset + header.total * _DESCRIPTOR.size, _DESCRIPTOR.size)
    return [start for start in starts if head[start + _USED]]


def _object(head: bytes, start: int, size: int, where: str) -> Object:
    kind, _used, ident, group, link, offset, length, *_rest, name, _extra = _DESCRIPTOR.unpack_from(head, start)
    if offset < _header(head).data or length < 0 or not ident:
        raise _damaged(where, f"object {ident} has impossible numbers")
    if offset + length > size:
        raise _damaged(where, f"it is cut off: object {ident} ends at byte {offset + length}, the file at {size}")
    title = name.partition(b"\0")[0].decode("utf-8", "replace")
    return Object(ident, kind, group & ~_GROUP, link & ~_GROUP, offset, length, title)


def _damaged(where: str, why: str) -> StackError:
    return bad_input(f"a damaged SIF: {why}", Position(where), "fetch it again, or build it again")

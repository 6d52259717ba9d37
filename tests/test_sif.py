from __future__ import annotations

import struct

import pytest

from stack import sif
from stack.errors import ExitCode, StackError
from stack.sif import Object

EPOCH = 1767225600
HEADER = struct.Struct("<32s10s3s3s16sqqqqqqqq")
DESCRIPTOR = struct.Struct("<i?IIIqqqqqqq128s384s")
GROUP = 0xF0000000


def row(kind: int, ident: int, offset: int, data: bytes, name: str, group: int = 1, link: int = 0) -> bytes:
    size = len(data)
    return DESCRIPTOR.pack(
        kind, True, ident, GROUP | group, link, offset, size, size, 7, 8, 1000, 100, name.encode(), b""
    )


def file(*extra: tuple[int, bytes, str], free: int = 2) -> bytes:
    """A SIF of a definition, a file system, and what is named."""
    start, rows, body = 32768, [], b""
    for ident, (kind, data, name) in enumerate(
        ((sif.DEFINITION, b"def", "definition"), (sif.PARTITION, b"fs" * 9, "rootfs"), *extra), 1
    ):
        rows.append(row(kind, ident, start + len(body), data, name))
        body += data
    total = 4 + free
    header = HEADER.pack(b"launch", b"SIF_MAGIC\0", b"01\0", b"02\0", b"i" * 16, 5, 6, total - len(rows), total, 4096,
                         total * DESCRIPTOR.size, start, len(body))  # fmt: skip
    return (header.ljust(4096, b"\0") + b"".join(rows)).ljust(start, b"\0") + body


SBOM = (sif.SBOM, b"{}", "sbom.cdx.json")


def objects(data: bytes) -> tuple[Object, ...]:
    return sif.read(data[: sif.HEAD_BYTES], len(data), "x.sif")


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def test_the_objects_come_in_the_order_of_the_file() -> None:
    found = objects(file(SBOM))
    assert [(o.id, o.type, o.name, o.group, o.offset, o.size) for o in found] == [
        (1, "definition", "definition", 1, 32768, 3),
        (2, "file system", "rootfs", 1, 32771, 18),
        (3, "SBOM", "sbom.cdx.json", 1, 32789, 2),
    ]


def test_a_kind_that_is_not_known_is_told_by_its_number() -> None:
    assert objects(file((0x4077, b"x", "new")))[-1].type == "type 0x4077"


@pytest.mark.parametrize("name", ["../../etc/passwd", ".hidden", "a b", "", "-rf", "x" * 128, "a/b"])
def test_no_name_in_the_file_becomes_one_that_no_file_should_have(name: str) -> None:
    assert objects(file((sif.JSON, b"x", name)))[-1].file_name == "object-3"


def test_a_plain_name_is_kept() -> None:
    assert objects(file(SBOM))[-1].file_name == "sbom.cdx.json"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a SIF file"),
        (b"short", "not a SIF file"),
        (bytes(40000), "not a SIF file"),
        (patched(file(), 42, b"99\0"), "a SIF of version '99'; this program reads 01"),
        (file()[:20000], "cut off inside its header"),
        (file()[:-1], r"cut off: object 2 ends at byte 32789, the file at 32788"),
        (patched(file(), 88, b"\xff" * 8), "impossible numbers"),
        (patched(file(), 88, struct.pack("<q", 1 << 40)), "impossible numbers"),
        (patched(file(), 96, struct.pack("<q", -5)), "impossible numbers"),
        (patched(file(), 4096 + 17, struct.pack("<q", 3)), "object 1 has impossible numbers"),
        (patched(file(), 4096 + 25, struct.pack("<q", -3)), "object 1 has impossible numbers"),
        (patched(file(), 4096 + 25, struct.pack("<q", 1 << 62)), "cut off: object 1"),
        (patched(file(), 4096 + 5, struct.pack("<I", 2)), "two objects have one number"),
    ],
)  # fmt: skip
def test_what_is_no_whole_sif_is_refused_with_its_name(data: bytes, said: str) -> None:
    with pytest.raises(StackError, match=said) as caught:
        objects(data)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert str(caught.value).startswith("x.sif: ")


def test_a_cut_anywhere_is_seen() -> None:
    whole = file(SBOM)
    for size in range(0, len(whole), 97):
        with pytest.raises(StackError):
            objects(whole[:size])


def test_steady_takes_away_clock_owner_and_chance() -> None:
    head = file()[: sif.HEAD_BYTES]
    made = sif.steady(head, EPOCH, "identity")
    assert HEADER.unpack_from(made)[4:7] == (sif.steady(head, 0, "identity")[48:64], EPOCH, EPOCH)
    assert made[48:64] not in (b"i" * 16, sif.steady(head, EPOCH, "another")[48:64])
    assert DESCRIPTOR.unpack_from(made, 4096)[8:12] == (EPOCH, EPOCH, 0, 0)
    assert made[:31] == b"#!/usr/bin/env run-singularity\n"
    assert sif.steady(made, EPOCH) == made  # without another identity it keeps its own


def test_steady_refuses_what_is_no_sif() -> None:
    for data in (bytes(sif.HEAD_BYTES), b"short", file()[:100], file()[:20000]):
        with pytest.raises(StackError, match=r"not a SIF file|cut off"):
            sif.steady(data, EPOCH, "0")


def test_the_base_is_the_image_without_what_stands_behind_its_file_system() -> None:
    plain, more = file(), file(SBOM, (sif.SIGNATURE, b"sig", ""))
    head, end = sif.base(more[: sif.HEAD_BYTES], len(more), "x.sif")
    assert head[:end] + more[len(head) : end] == plain
    assert sif.base(plain[: sif.HEAD_BYTES], len(plain), "x.sif") == (plain[: sif.HEAD_BYTES], len(plain))


def test_a_second_file_system_is_no_evidence() -> None:
    for data, count in ((file((sif.PARTITION, b"overlay", "overlay")), 2), (patched(file(), 4096 + 585, b"\x06"), 0)):
        with pytest.raises(StackError, match=f"a SIF with {count} file systems"):
            sif.base(data[: sif.HEAD_BYTES], len(data), "x.sif")


def test_the_header_names_the_architecture() -> None:
    assert sif.architecture(file(), "x.sif") == "amd64"
    riscv = HEADER.size - 8 * 8 - 16 - 3
    assert sif.architecture(patched(file(), riscv, b"12\0"), "x.sif") == "riscv64"
    assert sif.architecture(patched(file(), riscv, b"99\0"), "x.sif") == ""
    with pytest.raises(StackError, match="not a SIF file"):
        sif.architecture(b"x" * 200, "x.sif")

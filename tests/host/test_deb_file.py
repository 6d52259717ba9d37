"""One file out of a Debian package: made here byte by byte, so that each fault can be made too."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import deb_file

MEMBER = "usr/share/doc/x/copyright"


def tar(text: str, packed: str = "xz", *, kind: bytes = tarfile.REGTYPE, name: str = f"./{MEMBER}") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{packed}") as made:  # type: ignore[call-overload]
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(text) if kind == tarfile.REGTYPE else 0
        made.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def deb(*members: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def written(folder: Path, data: bytes) -> Path:
    path = folder / "x.deb"
    path.write_bytes(data)
    return path


CONTROL = ("control.tar.xz", b"odd")


@pytest.mark.parametrize("packed", ["xz", "gz", "bz2", ""])
def test_a_file_is_read_however_it_is_packed(packed: str, tmp_path: Path) -> None:
    data = ("data.tar" + (packed and f".{packed}"), tar("words", packed))
    path = written(tmp_path, deb(("debian-binary", b"2.0\n"), CONTROL, data))
    assert deb_file.text(path, MEMBER) == "words"
    assert deb_file.text(path, "usr/share/doc/y/copyright") is None


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_what_is_no_ordinary_file_is_not_read(kind: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, deb(CONTROL, ("data.tar.xz", tar("words", kind=kind))))
    assert deb_file.text(path, MEMBER) is None


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, deb(CONTROL, ("data.tar.xz", tar("x" * (deb_file.MAX_BYTES + 1)))))
    assert deb_file.text(path, MEMBER) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        deb(CONTROL),
        deb(CONTROL)[:30],
        deb(("data.tar.zst", b"\x28\xb5\x2f\xfd")),
        deb(("data.tar.xz", tar("words")[:70])),
        deb(("data.tar.xz", b"\xfd7zXZ\x00" + b"\x11" * 90)),
        deb(("x", b"")).replace(b"0         `", b"many      `"),
    ],
    ids=["empty", "other", "no-files", "cut", "zstd", "cut-data", "broken-data", "no-size"],
)
def test_another_file_is_an_error_that_names_it(data: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    with pytest.raises(StackError, match=f"{path}: not a Debian package that can be read") as caught:
        deb_file.text(path, MEMBER)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("text", ["words", "odd one"])
def test_a_package_without_its_compression_holds_the_same(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, deb(("debian-binary", b"2.0\n"), CONTROL, ("data.tar.xz", tar(text))))
    made = deb_file.plain(path, tmp_path / "plain.deb")
    assert made is not None
    content = lzma.decompress(tar(text))
    assert made.read_bytes() == deb(("debian-binary", b"2.0\n"), CONTROL, ("data.tar", content))
    assert deb_file.text(made, MEMBER) == text


@pytest.mark.parametrize("packed", ["gz", "bz2", ""])
def test_what_is_packed_otherwise_is_left_as_it_is(packed: str, tmp_path: Path) -> None:
    data = ("data.tar" + (packed and f".{packed}"), tar("words", packed))
    assert deb_file.plain(written(tmp_path, deb(CONTROL, data)), tmp_path / "plain.deb") is None
    assert not (tmp_path / "plain.deb").exists()


@pytest.mark.parametrize(
    "data", [b"", b"!<arch>\n", deb(("data.tar.xz", b"no xz")), deb(("data.tar.xz", tar("words")))[:-40]]
)
def test_a_damaged_package_is_not_made_plain(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="not a Debian package that can be read") as caught:
        deb_file.plain(written(tmp_path, data), tmp_path / "plain.deb")
    assert caught.value.exit_code is ExitCode.BAD_INPUT

"""One file out of a Debian package, or the package without its compression: without unpacking it, and without dpkg."""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
from pathlib import Path

from stack.errors import Position, bad_input

MAX_BYTES = 4 << 20  # of a text in a package
_MAGIC = b"!<arch>\n"
_HEADER = 60


def text(path: Path, member: str) -> str | None:
    """Text of an ordinary file in the package, by its path without a slash before it; None where there is none.

    Raises `StackError` for what is no package, or is packed in a way that this Python cannot read.
    """
    try:
        with path.open("rb") as handle:
            _find_data(handle)
            with tarfile.open(fileobj=handle, mode="r|*") as tar:
                return _member(tar, member)
    except (OSError, ValueError, EOFError, tarfile.TarError) as error:
        raise bad_input(f"not a Debian package that can be read: {error}", Position(str(path))) from None


def plain(path: Path, into: Path) -> Path | None:
    """Write the same package with its files not compressed; None where they are not, or in a way unknown here.

    Raises `StackError` for what is no package.
    """
    try:
        with path.open("rb") as handle:
            header = _find_data(handle)
            start, name = handle.tell(), header[:16].rstrip(b" /")
            if name != b"data.tar.xz":
                return None
            with lzma.open(handle) as data, into.open("wb") as out:
                handle.seek(0)
                out.write(handle.read(start - _HEADER))
                handle.seek(start)
                out.write(header)
                shutil.copyfileobj(data, out, 1 << 20)
                size = out.tell() - start
                out.write(b"\n" * (size % 2))
                out.seek(start - _HEADER)
                out.write(b"data.tar".ljust(16) + header[16:48] + b"%-10d" % size + header[58:])
    except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise bad_input(f"not a Debian package that can be read: {error}", Position(str(path))) from None
    return into


def _find_data(handle: io.BufferedReader) -> bytes:
    """Go to where the archive of the package's files begins; its header."""
    if handle.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as one")
    while header := handle.read(_HEADER):
        if header.startswith(b"data.tar"):
            return header
        size = int(header[48:58])
        handle.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it holds no files")


def _member(tar: tarfile.TarFile, member: str) -> str | None:
    for found in tar:
        if found.name.removeprefix("./") == member:
            if not found.isreg() or found.size > MAX_BYTES:
                return None
            handle = tar.extractfile(found)
            return handle.read().decode("utf-8", "replace") if handle else None
    return None

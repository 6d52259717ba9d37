"""One file out of a Debian package, without unpacking it and without dpkg."""

from __future__ import annotations

import io
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


def _find_data(handle: io.BufferedReader) -> None:
    """Go to where the archive of the package's files begins."""
    if handle.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as one")
    while header := handle.read(_HEADER):
        if header.startswith(b"data.tar"):
            return
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

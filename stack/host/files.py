"""Files: bounded reads, whole writes (beside, then moved into place), and one lock per build folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from stack.artifact import Tree
from stack.errors import ExitCode, Fault, Position, StackError, bad_input, host_lacks


def read_text(path: Path, limit: int, remedy: str = "") -> str:
    """Text of a file of at most `limit` bytes, UTF-8; raises `StackError` naming the file otherwise, with the remedy
    where it is not one that people write."""
    try:
        raw = _bounded(path, limit + 1)
    except OSError as error:
        raise bad_input(f"cannot be read: {error.strerror}", Position(str(path)), remedy) from None
    if len(raw) > limit:
        usual = "a document is a short text written by hand"
        raise bad_input(f"larger than {limit >> 10} KiB", Position(str(path), 1, 1), remedy or usual)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").split("\n")
        where = Position(str(path), len(before), len(before[-1]) + 1)
        raise bad_input("not UTF-8 text", where, remedy or "save it as UTF-8") from None


def user_folder(variable: str, usual: str) -> Path:
    """This program's folder below one of the user's base folders: what the XDG variable names, or `usual` at home."""
    base = os.environ.get(variable, "")
    if base.startswith("/"):
        return Path(base) / "sovstack"
    try:
        home = Path.home()
    except RuntimeError:
        raise host_lacks("this user has no home folder", f"set HOME, or {variable}") from None
    if not home.is_absolute():
        raise host_lacks(f"HOME is no absolute path: {str(home)!r}", f"set HOME, or {variable}")
    return home / usual / "sovstack"


def _bounded(path: Path, limit: int) -> bytes:
    """The first bytes of an ordinary file. A pipe would make us wait for its writer, a device has no end."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as handle:
        mode = os.fstat(handle.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not an ordinary file")
        return handle.read(limit)


def read_record(path: Path, limit: int = 1 << 20) -> Any:
    """JSON that a former run left; None when there is none, or none that can be used."""
    try:
        text = read_text(path, limit)
        found = json.loads(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # half a character can be read, and not written
    except (StackError, ValueError, RecursionError):
        return None
    return found


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what a file system refuses (a full disk, a forbidden folder) into a clear error."""
    try:
        yield
    except OSError as error:
        path = _nearer(path, error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(_existing(path)).free
            raise host_lacks(
                f"{path}: the disk is full ({free >> 20} MiB free)", "free some space and run the same command again"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise host_lacks(f"{path}: {error.strerror}", _elsewhere(path, "a folder you may write")) from None
        said = error.strerror or str(error)
        raise host_lacks(f"{path}: {said}", _elsewhere(path, "another folder")) from None


def _nearer(path: Path, error: OSError) -> Path:
    """The very file that the error is about, where that is below the path."""
    named = error.filename
    return Path(named) if isinstance(named, str) and named.startswith(f"{path}/") else path


def _elsewhere(path: Path, what: str) -> str:
    """How the user chooses another place: below a folder of the user's own, no option does."""
    for variable, usual in (("XDG_DATA_HOME", ".local/share"), ("XDG_CACHE_HOME", ".cache")):
        with contextlib.suppress(StackError):
            if path.is_relative_to(user_folder(variable, usual)):
                return f"set HOME, or {variable}, to {what}"
    return f"choose {what}: with --build-dir, or the option that names it"


def _existing(path: Path) -> Path:
    while not os.path.exists(path):  # noqa: PTH110 - `Path.exists` raises where it may not look
        path = path.parent
    return path


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed when it does not."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_special(path):
            raise bad_input(f"{path} is no file, and would be replaced by one", remedy="name a file")
        partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
        _remove(partial)
        try:
            yield partial
            _sync(partial)
            if partial.is_dir() and path.exists():
                _remove(path)
            partial.replace(path)
        finally:
            _remove(partial)


def _is_special(path: Path) -> bool:
    """Whether there is a device, a pipe or a socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _sync(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as handle:
            os.fsync(handle.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, executable: bool = False) -> None:
    """Write a whole file or nothing; an equal file is left alone."""
    data = text.encode("utf-8", "surrogateescape")  # a path in it may have bytes that are no text
    with disk_errors(path):
        if _holds(path, data) and os.access(path, os.X_OK) == executable:
            return
    with beside(path) as partial:
        partial.write_bytes(data)
        partial.chmod(0o755 if executable else 0o644)


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def write_tree(folder: Path, tree: Tree) -> None:
    """Write every file of a tree under a folder."""
    for path, file in tree:
        write_text(folder / path, file.text, executable=file.executable)


def sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 (hex) of a file."""
    state = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 22):
            state.update(block)
            if progress:
                progress(len(block))
    return state.hexdigest()


def clean_partials(folder: Path) -> None:
    """Remove what a killed run left beside its outputs (call it only while holding the folder's lock)."""
    for partial in folder.glob(".*.partial-*"):
        _remove(partial)


def _lock_file(path: Path) -> TextIO:
    """Opened to read and write, and made where it is not there; a link would have us write elsewhere."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        number = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise host_lacks(f"{path} is not an ordinary file", "remove it") from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise host_lacks(f"{path} is not an ordinary file", "remove it")
    return os.fdopen(number, "r+", encoding="utf-8", errors="replace")


@contextlib.contextmanager
def exclusive(folder: Path, waiting: Callable[[str], None], *, wait: bool = True) -> Iterator[None]:
    """Hold the folder's lock. A second process says whom it waits for, or stops when `wait` is false."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock_file(folder / ".lock")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read(100).strip() or "another process"
            if not wait:
                raise StackError(
                    [Fault(f"{folder} is in use by {holder}", None, "wait for it to end")], ExitCode.HOST
                ) from None
            waiting(holder)
            fcntl.flock(handle, fcntl.LOCK_EX)
        with disk_errors(folder):
            handle.seek(0)
            handle.truncate()
            handle.write(f"process {os.getpid()}")
            handle.flush()
        yield

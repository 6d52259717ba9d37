"""Processes: run a `Command`, stream its output line by line, and end everything it started when we stop."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stack.artifact import Command
from stack.errors import ExitCode, Fault, StackError, host_lacks
from stack.host import ending, files
from stack.visible import one_line

Sink = Callable[[str], None]
TAIL_LINES = 40
_FULL = re.compile(r"^.*(No space left on device|Disk quota exceeded).*$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """Exit status and output (standard output whole, the merged tail for messages)."""

    returncode: int
    stdout: str
    tail: str

    @property
    def full(self) -> str:
        """The line that says that a disk is full, empty without one: dpkg goes on for hundreds of lines after it."""
        found = _FULL.search(self.stdout)
        return one_line(found[0].strip()) if found else ""


def run(command: Command, sink: Sink | None = None, *, check: bool = True, log: Path | None = None) -> Result:
    """Run to the end. Standard output and error are merged line by line into `sink` and `log`.

    With `check`, a non-zero status raises `StackError` with the purpose, the last lines and the log's place.
    """
    lines: list[str] = []
    with contextlib.ExitStack() as stack:
        stdin = stack.enter_context(Path(command.stdin).open("rb")) if command.stdin else subprocess.DEVNULL
        write = stack.enter_context(appending(log)) if log else None
        if write:
            write(f"$ {command}\n")
        child = None
        try:
            # A child that `end_all`, or we, do not know of yet when Ctrl-C comes would outlive it.
            with _undisturbed(), _GUARD:
                if _STOPPED.is_set():
                    raise KeyboardInterrupt
                child = _start(command, stdin)
                _LIVE.add(child)
            for line in stack.enter_context(_output(child)):
                lines.append(line)
                if write:
                    write(line)
                if sink and line.strip():
                    sink(line.rstrip())
            returncode = child.wait()
        except BaseException:
            if child:
                ending.end(child)
            raise
        finally:
            with _GUARD:
                if child:
                    _LIVE.discard(child)
    result = Result(returncode, "".join(lines), "".join(lines[-TAIL_LINES:]))
    if check and returncode != 0:
        raise failed(command, result, log)
    return result


@contextlib.contextmanager
def appending(path: Path) -> Iterator[Sink]:
    """Writes to the end of a log. Unbuffered: on a full disk the very line fails, with the log's name."""
    with files.disk_errors(path):
        handle = path.open("ab", buffering=0)

    def write(text: str) -> None:
        rest = text.encode(errors="backslashreplace")
        with files.disk_errors(path):
            while rest:
                rest = rest[handle.write(rest) :]

    try:
        yield write
    finally:
        with files.disk_errors(path):
            handle.close()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C, and what else ends us, waits until the block is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(command: Command, stdin: IO[bytes] | int) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env={**os.environ, **command.env},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls one function of the C library, loaded before
        )
    except FileNotFoundError:
        what = f"{command.argv[0]} is not installed (needed to {command.purpose})"
        raise host_lacks(what, "see `sovstack doctor`") from None
    except PermissionError as error:
        raise host_lacks(f"{command.argv[0]} may not be run: {error.strerror}", "see `sovstack doctor`") from None


def _output(child: subprocess.Popen[str]) -> IO[str]:
    assert child.stdout is not None  # noqa: S101 - PIPE
    return child.stdout


_PR_SET_PDEATHSIG = 1
_ENDS = frozenset((signal.SIGINT, *ending.SIGNALS))
_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec no lock of another thread may be wanted
_LIVE: set[subprocess.Popen[str]] = set()
_GUARD = threading.Lock()
_STOPPED = threading.Event()


def end_all() -> None:
    """End every process that is running, whichever thread waits for it; none is started until `go_on`."""
    with _GUARD:
        _STOPPED.set()
        running = tuple(_LIVE)
    for child in running:
        ending.end(child)


def go_on() -> None:
    """Let processes be started again, once the threads that were to stop have ended."""
    _STOPPED.clear()


def _die_with_parent() -> None:
    """Ask Linux to end this child when we are killed, so that nothing goes on writing behind a later run's back."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)


def failed(command: Command, result: Result, log: Path | None = None) -> StackError:
    """The error for a command that did not succeed."""
    place = f"the whole output is in {log}" if log else ""
    if result.full:
        remedy = "; ".join(filter(None, ("free some space and run the same again", place)))
        return host_lacks(f"could not {command.purpose}: the disk is full: {result.full[:300]}", remedy)
    last = "\n".join("    " + line for line in result.tail.splitlines()[-12:])
    what = f"could not {command.purpose}: {_program(command)} ended with status {result.returncode}\n{last}"
    return StackError([Fault(what, None, place)], ExitCode.HOST)


def _program(command: Command) -> str:
    """Name of what runs, behind an `env` that takes variables away."""
    words = list(command.argv)
    while words[0] == "env" and words[1:2] == ["-u"]:
        words[1:3] = []
    return Path(words[1] if words[0] == "env" and len(words) > 1 else words[0]).name


def which(name: str) -> str | None:
    """Absolute path of a program on PATH, /usr/sbin and /sbin included."""
    import shutil

    path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
    return shutil.which(name, path=path)

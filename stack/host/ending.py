"""Ends what we started: whole families of processes, and ourselves where a signal asks for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""What ends us as Ctrl-C does, which is told apart by Python itself."""
PATIENCE = 5.0  # seconds that each signal has
_PAUSE = 0.02
_AFTER_NAME = 2  # fields of /proc/PID/stat that stand before the state, which comes after the program's name
_STATE, _PARENT, _SESSION, _STARTED = (n - _AFTER_NAME for n in (2, 3, 5, 21))
_told: list[int] = []


def listen() -> None:
    """From now on SIGTERM and SIGHUP end us in order. One that somebody chose to ignore (nohup) stays ignored."""
    _told.clear()
    for number in SIGNALS:
        main = threading.current_thread() is threading.main_thread()  # no other may listen
        if main and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _heard)


def told(code: int) -> tuple[int, str]:
    """Exit code and words for an end that somebody asked for; `code`: that of Ctrl-C."""
    return (128 + _told[0], f"ended by {signal.Signals(_told[0]).name}") if _told else (code, "interrupted")


def _heard(number: int, _frame: FrameType | None) -> None:
    if not _told:  # what is being ended already is not to be disturbed
        _told.append(number)
        raise KeyboardInterrupt


def end(child: subprocess.Popen[str]) -> None:
    """End a process that leads a session of its own and all that came of it, politely and then not.

    A session is not enough: what a child starts in sessions of their own, as ReFrame does its jobs, would go on. Nor
    are descendants enough: whose parent has ended is nobody's.
    """
    with _deaf():
        family = dict[int, int]()
        for number in (signal.SIGTERM, signal.SIGKILL):
            family |= _family(child.pid)
            _send(family, number)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                gone = child.poll() is not None
                family = {pid: started for pid, started in family.items() if _started(pid) == started}
                if gone and not family:
                    return
                time.sleep(_PAUSE)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Who asks for our end again while it is being made would leave the rest of it undone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *SIGNALS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _send(family: dict[int, int], number: signal.Signals) -> None:
    for pid, started in family.items():
        if _started(pid) == started:  # a number may have become another process's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _family(pid: int) -> dict[int, int]:
    """A process, its session and all their descendants -> when each was started, in ticks."""
    found = dict(_processes())
    newest = {number for number, fields in found.items() if pid in (number, int(fields[_SESSION]))}
    family = set[int]()
    while newest:
        family |= newest
        newest = {number for number, fields in found.items() if int(fields[_PARENT]) in newest} - family
    return {number: int(found[number][_STARTED]) for number in family}


def _processes() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and (fields := _fields(int(path.name))):
            yield int(path.name), fields


def _fields(pid: int) -> list[str]:
    """What Linux says of a process, from its state on; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> int | None:
    """When a process that still runs was started; None where it has ended."""
    fields = _fields(pid)
    return int(fields[_STARTED]) if fields and fields[_STATE] not in "ZX" else None

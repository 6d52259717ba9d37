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
_STATE, _PARENT, _STARTED = (n - _AFTER_NAME for n in (2, 3, 21))
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
    """End a process that leads a group of its own and all that came of it, politely and then not.

    A group is not enough: what a child starts in groups of its own, as ReFrame does its jobs, would go on.
    """
    family = _family(child.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        family |= _family(child.pid)
        _send(child, family, number)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            gone = child.poll() is not None
            family = {pid: started for pid, started in family.items() if _started(pid) == started}
            if gone and not family:
                return
            time.sleep(_PAUSE)


def _send(child: subprocess.Popen[str], family: dict[int, int], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if child.poll() is None:
            os.killpg(child.pid, number)
    for pid, started in family.items():
        if _started(pid) == started:  # a number may have become another process's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _family(pid: int) -> dict[int, int]:
    """Every descendant of a process -> when it was started, in ticks."""
    found = {number: (int(fields[_PARENT]), int(fields[_STARTED])) for number, fields in _processes()}
    below, newest = dict[int, int](), {pid}
    while newest:
        newest = {number for number, (parent, _started) in found.items() if parent in newest and number not in below}
        below |= {number: found[number][1] for number in newest}
    return below


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

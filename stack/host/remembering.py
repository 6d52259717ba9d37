"""What ReFrame keeps of runs: its own results database beside them, read with its own command.

`folder` is that of a cell, or of another subject of the suite.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from stack import __version__, history, outcome, verify
from stack.artifact import Command, canonical_json
from stack.errors import StackError, host_lacks
from stack.history import Kept, Series, Session
from stack.host import files
from stack.host.run import Result, run
from stack.verdict import Verdict
from stack.visible import one_line

ALL = "19700101T0000+0000:now"
_STORED = "Current session stored with UUID: "
_MOST = 1 << 28  # bytes of the excerpt that is kept of the store
_FIELDS = [f.name for made in (Session, Series) for f in fields(made)]


def store(folder: Path) -> Path:
    """The database: outside the folder of the runs, which is made anew each time."""
    return folder / "reframe" / "history" / "results.db"


def kept(folder: Path, kind: str, subject: outcome.Subject, repeat: int) -> Kept:
    """What ReFrame is to keep of a run."""
    emulator = subject.machine.emulator if subject.machine else ""
    said = {"cell": subject.cell, "subject": kind, "image": subject.image, "lock": subject.lock,
            "suite": subject.suite, "host": subject.host, "emulator": emulator}  # fmt: skip
    return Kept(repeat, str(store(folder)), history.extras(said))


def ready(folder: Path) -> None:
    """Remove an empty file, as a killed run can leave it: ReFrame makes its tables only in a new one."""
    path = store(folder)
    with files.disk_errors(path):
        if path.is_file() and path.stat().st_size == 0:
            path.unlink()


def unkept(folder: Path, ran: Result) -> str:
    """Why a run is not in the history, in words; empty when it is. The verdict stands either way."""
    if _STORED in ran.stdout:
        return ""
    said = [line for line in ran.stdout.splitlines() if "failed to store results" in line]
    why = one_line(said[-1]) if said else "ReFrame did not say that it kept it"
    return f"this run is not in the history ({why}); {_remedy(store(folder))}"


def _remedy(path: Path) -> str:
    return f"move {path} away, and a new one is begun; verdicts and reports stand without it"


def sessions(folder: Path) -> tuple[Session, ...]:
    """Every run that was kept, oldest first; none where nothing was run. Raises where the database cannot be read."""
    path = store(folder)
    if os.path.lexists(path) and not path.is_file():
        raise _unreadable(path, "it is no file")
    if not path.is_file() or path.stat().st_size == 0:
        return ()
    state = path.stat()
    key = [__version__, _FIELDS, state.st_size, state.st_mtime_ns]
    excerpt = path.with_name("sessions.json")
    found = _excerpt(excerpt, key)
    if found is None:
        try:
            found = history.read(_described(path))
        except ValueError as error:
            raise _unreadable(path, str(error)) from None
        rows = [asdict(session) for session in found]
        with contextlib.suppress(StackError):  # a folder that may only be read
            files.write_text(excerpt, canonical_json({"key": key, "sessions": rows}))
    return found


def _excerpt(path: Path, key: list[Any]) -> tuple[Session, ...] | None:
    """What was read of the database before, while it is the same: reading it takes ReFrame seconds."""
    kept = files.read_record(path, _MOST)
    if not isinstance(kept, Mapping) or kept.get("key") != key:
        return None
    try:
        return tuple(_session(row) for row in kept["sessions"])
    except (KeyError, TypeError, ValueError):
        return None


def _session(row: Mapping[str, Any]) -> Session:
    series = tuple(Series(**{**s, "values": tuple(map(float, s["values"]))}) for s in row["series"])
    return Session(**{**row, "series": series})


def _described(path: Path) -> str:
    """JSON of every session, as ReFrame prints it; its own files go to a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="sovstack-history-") as scratch:
        if not os.access(path.parent, os.W_OK):  # ReFrame locks what it reads, by a file beside it
            with files.disk_errors(path):
                path = Path(shutil.copy(path, scratch))
        asked = Command(
            (sys.executable, "-c", verify.START, "--nocolor", "--describe-stored-sessions", ALL),
            "read the history of earlier runs",
            cwd=scratch,
            env={**Kept(database=str(path)).variables, "TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        said = run(asked, check=False)
    lines = [line for line in said.stdout.splitlines() if line.startswith(("[{", "[]"))]
    if said.returncode or not lines:
        raise _unreadable(path, one_line(said.tail) or "ReFrame says nothing of it")
    return lines[-1]


def _unreadable(path: Path, why: str) -> StackError:
    return host_lacks(f"the history in {path} cannot be read: {why}", _remedy(path))


def ran(folder: Path, found: tuple[Session, ...], verdict: Verdict) -> Session:
    """The session that a verdict is of; raises where it was not kept."""
    session = next((s for s in found if s.id == verdict.session), None)
    if session is None:
        raise host_lacks("this run is not in the history, so it cannot be compared", _remedy(store(folder)))
    return session

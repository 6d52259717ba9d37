"""Standard output and error as the caller gave them: perhaps closed, full, or unable to write every character."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable

from stack.visible import visible

UNWRITTEN = "error: the answer could not be written"


def prepare() -> None:
    """From here on a character that a stream cannot write is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def complain(lines: Iterable[str]) -> None:
    """Lines on standard error; where nobody can read them, the exit code has to do."""
    if sys.stderr is not None:  # Python has none where it was closed
        with contextlib.suppress(OSError):
            for line in lines:
                print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - this is where errors are told
    finish()


def answer(text: str) -> bool:
    """One line on standard output; False when it could not be written, which is said."""
    with contextlib.suppress(OSError):
        print(text, flush=True)  # noqa: T201 - the answer
        return True
    complain([UNWRITTEN])
    return False


def finish() -> bool:
    """Write out what is buffered, so that Python leaves quietly. False when the answer could not be written."""
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            written = written and stream is not sys.stdout
            _discard(stream.fileno())
    return written


def _discard(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)

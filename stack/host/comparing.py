"""Comparing a run with earlier ones, and writing the page of them."""

from __future__ import annotations

from pathlib import Path

from stack import __version__, history, history_page, regression
from stack.history import Session
from stack.history_page import History
from stack.host import checks, clock, files
from stack.regression import Comparison


def compared(found: tuple[Session, ...], wanted: str, now: Session | None = None) -> Comparison:
    """The newest session, or the one that is named, against those that a word means."""
    now = now or history.newest(found)
    earlier = [s for s in found if (s.date, s.id) < (now.date, now.id)]
    before = history.chosen(found, wanted, now)
    path = checks.suite() / regression.RULE
    rule = regression.rule(files.read_text(path, 1 << 16), str(path))
    return regression.compare(before, now, earlier, regression.directions(checks.limits()), rule)


def told(name: str, found: tuple[Session, ...], made: Comparison | None = None) -> History:
    """What the page and the JSON of a history are made of. `name`: of the cell, or of another subject."""
    directions = regression.directions(checks.limits())
    return History(name, found, directions, __version__, clock.now(), made)


def write(folder: Path, told: History) -> Path:
    """Write the page of plots into the folder of what was measured."""
    path = folder / "history.html"
    files.write_text(path, history_page.as_html(history_page.content(told)))
    return path

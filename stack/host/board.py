"""Live progress of many things at once, on standard error: what runs now, what is done, what is left.

On a terminal: one line for each that runs, under those that ended. Elsewhere: a line at each beginning and end.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from stack import quantity
from stack.host.progress import SIGNS, terminal
from stack.visible import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text


@dataclass
class Row:
    """One of the things: its newest line of detail, and how it ended."""

    name: str
    started: float
    detail: str = ""
    state: str = "done"

    def line(self, text: str) -> None:
        """The newest detail."""
        self.detail = one_line(text) or self.detail

    def ended(self, state: str, detail: str = "") -> None:
        """How it ends: `done`, `reused` or `failed`."""
        self.state, self.detail = state, one_line(detail)


class Board:
    """`total` things, several at a time, from several threads."""

    def __init__(self, total: int, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.quiet = quiet or self._stream is None
        self._total, self._ended = total, 0
        self._rows: list[Row] = []
        self._guard = threading.Lock()
        self._console: Console | None = None if self.quiet else terminal(self._stream)
        self._live: Live | None = None

    def __enter__(self) -> Board:
        if self._console is not None:
            from rich.live import Live

            self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    @contextlib.contextmanager
    def row(self, name: str) -> Iterator[Row]:
        """One of the things while it runs; an exception ends it as failed, and goes on."""
        row = Row(name, time.monotonic())
        with self._guard:
            self._rows.append(row)
            self._say(f"==> {name}")
        try:
            yield row
        except BaseException as error:
            row.ended("failed", str(error).partition("\n")[0])
            raise
        finally:
            took = time.monotonic() - row.started
            with self._guard:
                self._rows.remove(row)
                self._ended += 1
                self._end(row, took)
            # Without our guard: the display holds its own while it asks for the table, which needs ours.
            if self._console is not None and not self.quiet:
                self._console.print(_mark(row, took), highlight=False)

    def _end(self, row: Row, took: float) -> None:
        text = f"[{self._ended}/{self._total}] {row.name} {row.state} in {quantity.duration(took)}"
        self._say(text + (f": {row.detail}" if row.detail else ""))

    def _say(self, text: str) -> None:
        """A line for where there is no terminal."""
        if not self.quiet and self._console is None:
            with contextlib.suppress(OSError):
                print(text, file=self._stream, flush=True)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        with self._guard:
            for row in self._rows:
                cells = (f"{now - row.started:4.0f} s", row.name, row.detail)
                table.add_row(
                    *(Text(c, style=s, no_wrap=True) for c, s in zip(cells, ("", "bold", "dim"), strict=True))
                )
            table.add_row("", Text(f"{self._ended} of {self._total} done", style="dim"))
        return table


def _mark(row: Row, took: float) -> Text:
    from rich.text import Text

    sign, colour = SIGNS.get(row.state, SIGNS["skipped"])
    word = "" if row.state == "done" else f" {row.state}"
    parts = ((sign, colour), " ", (row.name, "bold"), (word, colour), f"  {quantity.duration(took)}")
    return Text.assemble(*parts, (f"  {row.detail}" if row.detail else "", "dim"))

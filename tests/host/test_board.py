"""Live progress of many things: lines where there is no terminal, a table where there is one, nothing when quiet."""

from __future__ import annotations

import io
import re
import threading
import time

import pytest

from stack.host.board import Board


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(board: Board) -> None:
    with board:
        with board.row("one") as row:
            row.line("looking")
            row.ended("reused", "3 packages")
        with pytest.raises(ValueError, match="broken"), board.row("two"):
            raise ValueError("broken\nand more")


def test_lines_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    run(Board(2, stream=out))
    told = re.sub(r"in [\d.]+ ?\w+", "in TIME", out.getvalue())
    assert told.splitlines() == [
        "==> one", "[1/2] one reused in TIME: 3 packages", "==> two", "[2/2] two failed in TIME: broken"
    ]  # fmt: skip


def test_quiet_is_quiet() -> None:
    out = io.StringIO()
    run(Board(2, quiet=True, stream=out))
    assert out.getvalue() == ""


def test_a_terminal_shows_what_runs_under_what_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    with Board(2, stream=out) as board:
        with board.row("first") as row:
            row.ended("done", "1 package")
        with board.row("second") as row:
            row.line("solving\x1b]0;title\x07")
            assert board._live
            board._live.refresh()
    told = out.getvalue()
    assert "first" in told and "1 package" in told
    assert "solving" in told and "1 of 2 done" in told
    assert "\x1b]0;title" not in told  # what a tool prints does not reach the terminal as it is


def test_rows_end_while_the_display_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The display and the rows have a lock each: neither waits for the other while it holds its own."""
    monkeypatch.setenv("TERM", "xterm")
    over = threading.Event()

    def rows(board: Board) -> None:
        for _ in range(300):
            with board.row("one"):
                pass
        over.set()

    board = Board(300, stream=Terminal())
    board.__enter__()
    threading.Thread(target=rows, args=(board,), daemon=True).start()
    until = time.monotonic() + 20
    while not over.is_set() and time.monotonic() < until:
        drawing = threading.Thread(target=board._live.refresh if board._live else None, daemon=True)
        drawing.start()
        drawing.join(1)
    assert over.is_set(), "they wait for each other"
    board.__exit__()


def test_a_line_is_one_line() -> None:
    board = Board(1, stream=io.StringIO())
    with board, board.row("one") as row:
        row.line("a\nb\x1b[2J")
        assert "\n" not in row.detail and "\x1b" not in row.detail
        before = row.detail
        row.line("")
        assert row.detail == before


def test_rows_of_several_threads_are_counted() -> None:
    out = io.StringIO()
    with Board(20, stream=out) as board:

        def work(name: str) -> None:
            with board.row(name):
                pass

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ends = [line for line in out.getvalue().splitlines() if line.startswith("[")]
    assert [line.split()[0] for line in ends] == [f"[{i}/20]" for i in range(1, 21)]


def test_a_stream_that_is_gone_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError

    run(Board(2, stream=Gone()))

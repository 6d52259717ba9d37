"""Progress: plain lines where nobody watches, a live line on a terminal, and every stage remembered."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack.host.progress import Progress
from stack.report import Stage


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made(*, quiet: bool = False) -> tuple[Progress, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return Progress(quiet=quiet, stream=stream, clock=clock), stream, clock


def test_plain_lines_and_stages() -> None:
    progress, stream, clock = made()
    with progress.stage("build") as running:
        clock.now += 12.3
        running.detail = "397 MB"
    progress.reused("verify", "the verdict of 2026-03-02")
    progress.skipped("publish")
    assert stream.getvalue().splitlines() == [
        "==> build",
        "    build done in 12.3 s: 397 MB",
        "==> verify reused: the verdict of 2026-03-02",
        "==> publish skipped",
    ]
    assert [(s.name, s.state, round(s.seconds, 6), s.detail) for s in progress.stages] == [
        ("build", "done", 12.3, "397 MB"),
        ("verify", "reused", 0.0, "the verdict of 2026-03-02"),
        ("publish", "skipped", 0.0, ""),
    ]


def test_detail_at_most_every_five_seconds() -> None:
    progress, stream, clock = made()
    with progress.stage("lock"):
        for i in range(120):
            progress.line(f"package {i}")
            clock.now += 0.125
    details = [line for line in stream.getvalue().splitlines() if line.startswith("    package")]
    assert details == ["    package 40", "    package 80"]


def test_a_stage_that_raises_is_remembered_as_failed() -> None:
    progress, stream, clock = made()
    with pytest.raises(ValueError, match="disk"), progress.stage("build"):
        clock.now += 2
        raise ValueError("the disk is full\nsecond line")
    assert progress.stages == (Stage("build", "failed", 2.0, "the disk is full"),)
    assert stream.getvalue().splitlines()[-1] == "    build failed in 2.0 s: the disk is full"
    with progress.stage("again"):
        pass
    assert progress.stages[-1].state == "done"


def test_an_interrupt_is_named() -> None:
    progress, _stream, _clock = made()
    with pytest.raises(KeyboardInterrupt), progress.stage("build"):
        raise KeyboardInterrupt
    assert progress.stages[0].detail == "interrupted"


def test_a_stage_may_find_its_work_done() -> None:
    progress, _stream, clock = made()
    with progress.stage("lock") as running:
        clock.now += 0.5
        running.reused("265 packages")
    assert progress.stages == (Stage("lock", "reused", 0.5, "265 packages"),)


def test_quiet_prints_nothing_and_remembers() -> None:
    progress, stream, _clock = made(quiet=True)
    with progress.stage("build"):
        progress.line("detail")
        progress.note("note")
    progress.reused("verify")
    progress.close()
    assert stream.getvalue() == ""
    assert [s.name for s in progress.stages] == ["build", "verify"]


def test_stages_do_not_nest() -> None:
    progress, _stream, _clock = made()
    with pytest.raises(RuntimeError, match="b begins inside stage a"), progress.stage("a"), progress.stage("b"):
        pass
    assert [(s.name, s.state) for s in progress.stages] == [("a", "failed")]


def test_control_characters_never_reach_the_terminal() -> None:
    progress, stream, clock = made()
    with progress.stage("build"):
        clock.now += 9
        progress.line("10 %\r100 % \x1b[31mred\x1b[0m\x1b]0;title\x07 \u202eend")
        progress.note("a\x1b[2Jb\x07")
    assert "    100 % red \ufffdend" in stream.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", stream.getvalue())


PROGRAM = """
import time
from stack.host.progress import Progress
progress = Progress()
with progress.stage("build") as running:
    for i in range(4):
        progress.line(f"[red]unpacking {i}[/red] " + "x" * 200)
        time.sleep(0.2)
    progress.note("[bold]a note[/bold]")
    running.detail = "[link=x]done[/link]"
progress.reused("verify", "same image")
print("the answer")
"""


def on_a_terminal(**env: str) -> tuple[str, str]:
    """(standard output, what the terminal got) of the program, with a real pseudo-terminal as standard error."""
    ours, theirs = pty.openpty()
    root = str(Path(__file__).parent.parent.parent)
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")}
    env = {**kept, "PYTHONPATH": root, "TERM": "xterm-256color", "COLUMNS": "80", **env}
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs, env=env)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 65536):
            seen += block
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    out, _err = child.communicate(timeout=30)
    assert child.returncode == 0, seen.decode()
    return out.decode(), seen.decode()


def test_on_a_terminal() -> None:
    out, seen = on_a_terminal()
    assert out == "the answer\n"
    assert "[red]unpacking" in seen, "markup in a program's output is shown, not obeyed"
    assert "[bold]a note[/bold]" in seen and "[link=x]done" in seen
    assert "\x1b[?25l" in seen and seen.rstrip().rfind("\x1b[?25h") > seen.rfind("\x1b[?25l"), "the cursor comes back"
    assert "\x1b[32m✓" in seen
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).splitlines()[-1]
    assert last == "↻ verify reused  same image"


def test_no_color_leaves_no_colour() -> None:
    _out, seen = on_a_terminal(NO_COLOR="1")
    assert "✓ " in re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", seen)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    _out, seen = on_a_terminal(TERM="dumb")
    assert seen.splitlines()[0] == "==> build"
    assert "\x1b" not in seen

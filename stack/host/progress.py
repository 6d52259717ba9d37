"""Live progress on standard error; standard output stays for answers.

On a terminal: a spinner, the elapsed time and the newest line of detail. Elsewhere: plain lines, seldom. `NO_COLOR` is
honoured in both. Every stage is remembered for the report.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from stack import quantity
from stack.report import Stage, State
from stack.visible import one_line, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.text import Text

DETAIL_EVERY = 5.0  # seconds between two lines of detail where nobody watches
SIGNS = {"done": ("✓", "green"), "reused": ("↻", "blue"), "failed": ("✗", "red"), "skipped": ("-", "dim")}


@dataclass
class Running:
    """The stage in progress. `detail` ends up in the report; `reused` says that nothing had to be done."""

    name: str
    started: float
    detail: str = ""
    state: State = "done"

    def reused(self, detail: str = "") -> None:
        """What this stage makes is already there."""
        self.state = "reused"
        self.detail = detail or self.detail


class Progress:
    """Shows one stage at a time. `quiet` shows nothing, and still remembers."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._stream = stream or sys.stderr
        self._clock = clock
        self.quiet = quiet or self._stream is None  # Python has none where standard error was closed
        self._stages: list[Stage] = []
        self._running: Running | None = None
        self._newest, self._printed = "", 0.0
        self._console = None if self.quiet else terminal(self._stream)
        self._status: Status | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage that ended, in order, as the report wants them."""
        return tuple(self._stages)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Running]:
        """One stage: shown while the block runs, remembered as failed when it raises. One at a time."""
        if self._running:
            raise RuntimeError(f"stage {name} begins inside stage {self._running.name}")
        running = self._running = Running(name, self._clock())
        self._begin()
        try:
            yield running
        except BaseException as error:
            running.state = "failed"
            running.detail = running.detail or _why(error)
            raise
        finally:
            self._running = None
            self._end(running)

    def line(self, text: str) -> None:
        """A line of detail, such as one of a program's output; only the newest is shown."""
        text = one_line(text)
        if self.quiet or not text:
            return
        if self._status and self._running:
            self._newest = text
            return
        now = self._clock()
        if self._console is None and now - self._printed >= DETAIL_EVERY:
            self._printed = now
            self._print(f"    {text}")

    def note(self, text: str) -> None:
        """Something the user should read; it stays on the screen."""
        for line in visible(text).splitlines():
            self._print(line)

    def reused(self, name: str, detail: str = "") -> None:
        """A stage that had nothing to do."""
        self._keep(Stage(name, "reused", 0.0, detail))

    def skipped(self, name: str, detail: str = "") -> None:
        """A stage that was not wanted."""
        self._keep(Stage(name, "skipped", 0.0, detail))

    def close(self) -> None:
        """Leave the terminal as it was. May be called more than once."""
        if self._status:
            with contextlib.suppress(OSError):
                self._status.stop()
            self._status = None

    def _keep(self, stage: Stage) -> None:
        self._stages.append(stage)
        if self._console is None:
            self._print(f"==> {_ended(stage)}")
        elif not self.quiet:
            self._marked(stage)

    def _begin(self) -> None:
        assert self._running  # noqa: S101 - the caller has just set it
        self._newest, self._printed = "", self._clock()
        if self._console is not None:
            from rich.status import Status

            live = _Live(self, self._running)
            self._status = Status(live, console=self._console, spinner="dots", refresh_per_second=8)
            with contextlib.suppress(OSError):
                self._status.start()
        else:
            self._print(f"==> {self._running.name}")

    def _end(self, running: Running) -> None:
        self.close()
        stage = Stage(running.name, running.state, max(0.0, self._clock() - running.started), running.detail)
        self._stages.append(stage)
        if self._console is not None:
            self._marked(stage)
        else:
            self._print(f"    {_ended(stage)}")

    def _marked(self, stage: Stage) -> None:
        with contextlib.suppress(OSError):
            if self._console is not None:
                self._console.print(_mark(stage), highlight=False)

    def _print(self, text: str) -> None:
        """One plain line; a reader or a terminal that has gone away, or a full disk there, does not stop the work."""
        if self.quiet:
            return
        with contextlib.suppress(OSError):
            if self._console is not None:
                self._console.print(text, markup=False, highlight=False, emoji=False)
            else:
                print(text, file=self._stream, flush=True)


def _why(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return one_line(str(error).partition("\n")[0]) or type(error).__name__


class _Live:
    """What stands beside the spinner, made anew at every refresh: stage, elapsed time, newest detail."""

    def __init__(self, progress: Progress, running: Running) -> None:
        self._progress, self._running = progress, running

    def __rich__(self) -> Text:
        from rich.text import Text

        seconds = self._progress._clock() - self._running.started
        text = Text.assemble(
            (visible(self._running.name), "bold"), f"  {seconds:.0f} s  ", (self._progress._newest, "dim")
        )
        text.no_wrap, text.overflow = True, "ellipsis"
        return text


def terminal(stream: TextIO) -> Console | None:
    """A console when someone watches a terminal that can move its cursor."""
    if not stream.isatty():
        return None
    from rich.console import Console

    console = Console(file=stream)
    return None if console.is_dumb_terminal else console


def _ended(stage: Stage) -> str:
    """`build done in 48.2 s`, `lock reused: 265 packages`."""
    took = f" in {quantity.duration(stage.seconds)}" if stage.seconds or stage.state in ("done", "failed") else ""
    return f"{one_line(stage.name)} {stage.state}{took}" + (f": {one_line(stage.detail)}" if stage.detail else "")


def _mark(stage: Stage) -> Text:
    """The line that stays on the terminal; a sign and a word say the same as the colour."""
    from rich.text import Text

    sign, colour = SIGNS[stage.state]
    word = "" if stage.state == "done" else f" {stage.state}"
    took = f"  {quantity.duration(stage.seconds)}" if stage.seconds else ""
    detail = f"  {one_line(stage.detail)}" if stage.detail else ""
    return Text.assemble((sign, colour), " ", (one_line(stage.name), "bold"), (word, colour), took, (detail, "dim"))

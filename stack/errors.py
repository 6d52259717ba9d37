"""Ring 0. One error type for everything a user can cause or meet, and a collector that reports all faults at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller; documented in `docs/reference/exit-codes.md`."""

    OK = 0
    CHECK_FAILED = 1  # the work was done and the answer is no: a verification, a stale lock
    BAD_INPUT = 2  # a document, an option or a lock is wrong
    HOST = 3  # the machine lacks something: a package, the network, a kernel feature, disk
    INTERRUPTED = 130


@dataclass(frozen=True, order=True)
class Position:
    """A place in a text; line and column count from 1, and 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: what, where, and what to do about it."""

    what: str
    where: Position | None = None
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.remedy})" if self.remedy else text


class StackError(Exception):
    """The only exception a verb lets out. Carries every fault found, and the exit code."""

    def __init__(self, faults: Iterable[Fault], exit_code: ExitCode = ExitCode.BAD_INPUT) -> None:
        self.faults = tuple(faults)
        self.exit_code = exit_code
        super().__init__("\n".join(map(str, self.faults)))


def bad_input(what: str, where: Position | None = None, remedy: str = "") -> StackError:
    """A single fault in what the user gave (exit code 2)."""
    return StackError([Fault(what, where, remedy)], ExitCode.BAD_INPUT)


def host_lacks(what: str, remedy: str = "") -> StackError:
    """The machine cannot do what is asked (exit code 3)."""
    return StackError([Fault(what, None, remedy)], ExitCode.HOST)


@dataclass
class Faults:
    """Collects faults so that a user sees all of them in one run."""

    found: list[Fault] = field(default_factory=list)

    def add(self, what: str, where: Position | None = None, remedy: str = "") -> None:
        """Note one fault and go on."""
        self.found.append(Fault(what, where, remedy))

    def raise_if_any(self, exit_code: ExitCode = ExitCode.BAD_INPUT) -> None:
        """Raise everything found, in document order, once each."""
        if self.found:
            unique = dict.fromkeys(self.found)
            raise StackError(sorted(unique, key=lambda f: (f.where or Position(""), f.what)), exit_code)

"""Exit tests of many cells: every vendor for every partition of every profile, two at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from stack import forbidding
from stack.errors import StackError
from stack.exit_test import ExitRecord
from stack.forbidding import Ban
from stack.host import leaving, together
from stack.host import run as running
from stack.host.board import Board
from stack.host.cells import Cell
from stack.host.leaving import Office
from stack.host.together import Refused
from stack.target import Target

WORKERS = 2


def vendors(office: Office, wanted: Sequence[Cell]) -> tuple[str, ...]:
    """Whom `--all` forbids, one after the other: every maker of hardware that these cells, or a known package, have
    anything of."""
    hardware = office.library.catalogue.hardware
    names = {*hardware.makers, *hardware.vendors, *(s.vendor for s in office.facts.stewards.values() if s.vendor)}
    targets = {c.plan.target.name: c.plan.target for c in wanted}.values()
    bans = {name: office.ban(name) for name in sorted(names)}
    return tuple(
        name for name, ban in bans.items() if any(ban.packages.values()) or any(_concerns(t, ban) for t in targets)
    )


def _concerns(target: Target, ban: Ban) -> bool:
    return bool(forbidding.unusable(target, ban)) or ban.name in forbidding.owners(target.family, ban.hardware)


def wanted(
    office: Office, profile: str | None, environment: str | None
) -> tuple[tuple[Cell, ...], tuple[Refused, ...]]:
    """The cells of `--all`, and what stops some of them."""
    return together.every(office.library, profile, environment, office.build_dir)


@dataclass(frozen=True)
class Failed:
    """An exit test that gave no answer."""

    cell: str
    forbidden: str
    error: StackError


def test_all(
    office: Office, wanted: Sequence[tuple[Cell, Ban]], *, fresh: bool, quiet: bool
) -> tuple[tuple[ExitRecord, ...], tuple[Failed, ...]]:
    """Every exit test, two at once; one that fails stops no other, and a record that still stands is taken."""
    done: list[ExitRecord] = []
    failed: list[Failed] = []

    def one(cell: Cell, ban: Ban) -> None:
        name = f"{cell.plan.cell} without {ban.name}"
        try:
            with board.row(name) as row:
                made, reused = leaving.test(office, cell, ban, row.line, fresh=fresh)
                row.ended("reused" if reused else "done", made.after.place if made.after else "no exit")
                done.append(made)
        except StackError as error:
            failed.append(Failed(cell.plan.cell, ban.name, error))

    try:
        with Board(len(wanted), quiet=quiet) as board, ThreadPoolExecutor(WORKERS) as pool:
            tasks = [pool.submit(one, cell, ban) for cell, ban in wanted]
            try:
                for task in as_completed(tasks):
                    task.result()
            except BaseException:
                board.quiet = True
                pool.shutdown(wait=False, cancel_futures=True)
                running.end_all()
                raise
    finally:
        running.go_on()
    return tuple(done), tuple(failed)

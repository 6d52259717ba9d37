"""The checks of a cell, of its image or its software, wherever they are to run; an earlier verdict may still stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stack import outcome, overhead, verify
from stack.artifact import Command
from stack.host import apptainer, checks, native, placing
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.placing import HERE, Place
from stack.host.progress import Progress
from stack.host.source_build import Built
from stack.lock import Lock
from stack.render import reframe
from stack.verdict import Verdict


@dataclass(frozen=True)
class Asked:
    """What is wanted of the checks. `fresh`: an earlier verdict does not do; `only`: names; `repeat`: how often."""

    fresh: bool = False
    preload: Path | None = None
    only: tuple[str, ...] = ()
    repeat: int = 1

    @property
    def partial(self) -> bool:
        """Whether the answer is of something else than the whole suite run once."""
        return self.fresh or bool(self.only) or self.preload is not None or self.repeat > 1


@dataclass(frozen=True)
class Subject:
    """What is checked: an image, or what was built without one, which stands in `tree`."""

    lock: Lock
    made: Image | Built
    tree: native.Tree | None = None


def examine(
    cell: Cell, subject: Subject, asked: Asked, place: Place, progress: Progress, show: Callable[[Command], None] | None
) -> tuple[Verdict | None, bool]:
    """The verdict, and whether it is an earlier one. `show`: gets the commands instead, and nothing is run."""
    found = apptainer.find()
    if found is None and not subject.tree:
        return None, False
    program = found or Path("apptainer")
    where = checks.paths(cell, program, asked.preload)
    if place.down:
        return _without_nodes(cell, subject, asked, place, where, progress, show), False
    begin = _start(cell, subject, place, program, progress)
    env = checks.environment(apptainer.environment())
    if show:
        for command in _commands(cell, subject, asked, place, where, begin, env):
            show(command)
        return None, False
    other = asked.partial or place != HERE
    standing = None if other or isinstance(subject.made, Built) else checks.standing(cell, subject.made, subject.lock)
    if standing:
        progress.reused("checks", f"verdict of {standing.date}; --fresh checks again")
        return standing, True
    with progress.stage("checks"):
        verdict = checks.check(
            cell, subject.lock, subject.made, where, begin, env, progress.line, asked.only, place, asked.repeat,
            progress.note,
        )  # fmt: skip
    return verdict, False


def _without_nodes(
    cell: Cell, subject: Subject, asked: Asked, place: Place, where: verify.Paths, progress: Progress,
    show: Callable[[Command], None] | None,
) -> Verdict | None:  # fmt: skip
    """Where the scheduler does not answer: what judges the image alone is run here, all else has failed."""
    only, features, expected = _expected(cell, asked, place)
    able = verify.anywhere(checks.limits(), expected, place.kind)
    assert place.down  # noqa: S101 - why it is asked
    failed = placing.without_nodes(place.down, able, expected, progress.note)
    failed |= verify.refused(checks.limits(), features, cell.plan.cell, only)
    verdict, _ = examine(cell, subject, replace(asked, only=able), place.here, progress, show)
    return verdict and outcome.with_failed(verdict, failed, checks.verb(cell, place, where.preload))


def _commands(
    cell: Cell, subject: Subject, asked: Asked, place: Place, where: verify.Paths, begin: verify.Start,
    env: dict[str, str],
) -> tuple[Command, ...]:  # fmt: skip
    only, _features, expected = _expected(cell, asked, place)
    about = checks.subject_of(cell, subject.lock, subject.made, (), place, begin)
    kept = checks.keeping(
        cell.folder, begin, about, asked.repeat, aside=asked.preload is not None or bool(place.instead)
    )
    return verify.commands(where, env, expected if only else (), kept)


def _expected(cell: Cell, asked: Asked, place: Place) -> tuple[Sequence[str], Collection[str], tuple[str, ...]]:
    """The checks that were asked for, what they may ask for there, and those that can run."""
    only = checks.measuring(cell, asked.only, asked.repeat, place)
    features = reframe.features(cell.plan, checks.where(cell, place))
    return only, features, verify.expected(checks.limits(), features, cell.plan.cell, only)


def _start(cell: Cell, subject: Subject, place: Place, program: Path, progress: Progress) -> verify.Start:
    if place.cluster and (why := place.cluster.lacks(checks.launching(cell))):
        progress.note(why)
    if isinstance(subject.made, Image):
        begin = checks.start(cell, subject.made.path, program, place)
    else:
        assert subject.tree  # noqa: S101 - what was built is in it
        begin = native.start(cell, subject.tree, place)
    return replace(begin, scale=place.scale)


def beside_the_image(cell: Cell, place: Place, verdict: Verdict | None) -> str:
    """What checks without an image say beside those of the image, as text; empty where they cannot be compared."""
    own = checks.read(cell.folder / "verdict.json") if place.kind == "native" else None
    if verdict is None or own is None or own.lock != verdict.lock:
        return ""
    return overhead.text(overhead.content(own, verdict))


def checkable(cell: Cell, preload: Path | None = None) -> None:
    """Raise for a folder that the checks cannot run in: asked before the work that they would judge."""
    verify.usable(checks.paths(cell, apptainer.find() or Path("apptainer"), preload))

"""The report of a run, as a page and as JSON, where people and programs find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stack import __version__, assertions, report
from stack.changes import Change
from stack.host import apptainer, clock, files
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.library import shown
from stack.lock import Lock
from stack.verdict import Verdict


@dataclass(frozen=True)
class Done:
    """What a run came to; None for what it did not get to. `reused`: the verdict is an earlier run's."""

    lock: Lock | None
    changes: tuple[Change, ...]
    image: Image | None
    verdict: Verdict | None
    reused: bool


@dataclass(frozen=True)
class Written:
    """The report as it was written. `paths`: what -> where, as a user would type it."""

    json: str
    paths: Mapping[str, str]
    reused: bool


def write(cell: Cell, done: Done, stages: tuple[report.Stage, ...]) -> Written:
    """Write the report in the build folder and in the cell's."""
    modules = cell.build_dir / "modules"
    graph = done.lock.spack if done.lock else None
    made = report.Report(
        plan=cell.plan,
        host=cell.facts,
        version=__version__,
        date=clock.now(),
        lock=done.lock,
        lock_changes=tuple(map(str, done.changes)),
        image=_shown(done.image),
        verdict=done.verdict,
        verdict_reused=done.reused,
        stages=stages,
        notices=(*cell.notices, *(assertions.notes(cell.plan, graph) if graph else ())),
        modules=shown(modules),
        apptainer=str(apptainer.find() or "apptainer"),
    )
    texts = {"report.html": report.as_html(made), "report.json": report.as_json(made)}
    for folder in (cell.build_dir, cell.folder):
        for name, text in texts.items():
            files.write_text(folder / name, text)
    paths = {
        "image": shown(done.image.path) if done.image else "",
        "report": shown(cell.build_dir / "report.html"),
        "modules": shown(modules),
    }
    return Written(texts["report.json"], paths, done.reused)


def _shown(made: Image | None) -> report.Image | None:
    return report.Image(shown(made.path), made.sha256, made.size, made.squashfs, made.tools) if made else None

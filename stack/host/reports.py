"""The report of a run, as a page and as JSON, where people and programs find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stack import __version__, assertions, card, overhead, report
from stack.changes import Change
from stack.errors import StackError
from stack.host import apptainer, checks, clock, files
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.library import Library, shown
from stack.host.placing import Place
from stack.lock import Lock
from stack.verdict import Verdict

NATIVE = Place("native").file("verdict.json")


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
    """The report as it was written. `paths`: what -> where, as a user would type it; the image's digest and key too."""

    json: str
    paths: Mapping[str, str]
    reused: bool


def write(cell: Cell, done: Done, stages: tuple[report.Stage, ...]) -> Written:
    """Write the report in the build folder and in the cell's."""
    modules = cell.build_dir / "modules"
    graph = done.lock.spack if done.lock else None
    audit, lost = _audit(cell, done.lock)
    trends, missing = _trends(cell)
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
        notices=(*cell.notices, *(assertions.notes(cell.plan, graph) if graph else ()), *lost, *missing),
        modules=shown(modules),
        apptainer=str(apptainer.find() or "apptainer"),
        audit=audit,
        trends=trends,
        native=_native(cell, done),
    )
    text, pages = report.as_json(made), _pages(cell, done)
    for folder in (cell.build_dir, cell.folder):
        beside = tuple((t, str(p.relative_to(folder))) for t, p in pages.items() if p.is_relative_to(folder))
        files.write_text(folder / "report.html", report.as_html(replace(made, pages=beside)))
        files.write_text(folder / "report.json", text)
    paths = {
        "image": shown(done.image.path) if done.image else "",
        **_seal(done.image),
        "report": shown(cell.build_dir / "report.html"),
        **({"cards": shown([*pages.values()][-1])} if pages else {}),
        "modules": shown(modules),
    }
    return Written(text, paths, done.reused)


def _native(cell: Cell, done: Done) -> dict[str, Any] | None:
    """The image beside the same software without one, where `verify --native` has checked that of this very lock."""
    other = checks.read(cell.folder / NATIVE)
    if done.verdict is None or other is None or other.lock != done.verdict.lock:
        return None
    return overhead.content(done.verdict, other)


def _pages(cell: Cell, done: Done) -> dict[str, Path]:
    """Pages about this very verdict: one that is of a part of the checks, or with a preloaded library, has none."""
    own = cell.folder / card.NAME
    made = card.text(card.make(done.verdict, done.lock)) if done.verdict else ""
    if not own.is_file() or own.read_bytes() != made.encode():
        return {}
    known = {"identity card": cell.folder / card.PAGE, "cards of all machines": cell.build_dir / card.PAGE_OF_ALL}
    return {title: page for title, page in known.items() if page.is_file()}


def _audit(cell: Cell, lock: Lock | None) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The audit of the lock or its image, kept in the cell's folder; or why there is none, which costs no report."""
    from stack.audit import answer
    from stack.host import auditing

    if lock is None:
        return None, ()
    try:
        made, texts = auditing.Auditor(Library(cell.roots), cell.build_dir).audit(cell, locked=lock)
        auditing.write(cell, made, texts)
    except (StackError, OSError) as error:
        return None, (f"The audit failed: {error}",)
    return answer.content(made), ()


def _trends(cell: Cell) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """What the checks measured over time, also as a page in the cell's folder; or why there is none of it."""
    from stack import history_page
    from stack.host import comparing, remembering

    try:
        told = comparing.told(cell.plan.cell, remembering.sessions(cell.folder))
        if told.sessions:
            comparing.write(cell.folder, told)
    except (StackError, OSError) as error:
        return (), (str(error),)
    return tuple(history_page.trends(told.sessions, told.directions)), ()


def _seal(made: Image | None) -> dict[str, str]:
    if made is None:
        return {}
    return {"digest": f"sha256:{made.file_sha256}", "signed": f"by {made.signed_by}" if made.signed_by else "by nobody"}


def _shown(made: Image | None) -> report.Image | None:
    if made is None:
        return None
    path, seal = shown(made.path), (made.file_sha256, made.signed_by)
    return report.Image(path, made.sha256, made.file_size, made.squashfs, made.tools, *seal)

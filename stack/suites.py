"""Top. `suite`: the regression suite on any software, ours or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stack import remember
from stack.answers import library_of, place_of, say
from stack.options import (
    BUILD,
    BuildOption,
    JsonOption,
    NodesOption,
    PendingOption,
    PreloadOption,
    QuietOption,
    RootOption,
    ScaleOption,
    SchedulerOption,
)
from stack.remember import CompareOption, RepeatOption, SinceOption

if TYPE_CHECKING:
    from stack.host.suiting import Subject


def suite(
    image: Annotated[Path | None, typer.Option("--image", help="A SIF, whoever made it.")] = None,
    modules: Annotated[Path | None, typer.Option("--modules", help="A folder of modulefiles.")] = None,
    load: Annotated[list[str] | None, typer.Option("--load", help="Modules of it, separated by commas.")] = None,
    python: Annotated[
        str, typer.Option("--python", help="The Python of the software, name or path; python3 by default.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="What the answers are called in the build folder.")] = "",
    only: Annotated[list[str] | None, typer.Option("--check", help="Run only this check; may be repeated.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Say what was found and which checks would run.")] = False,
    scheduler: SchedulerOption = None,
    nodes: NodesOption = None,
    pending: PendingOption = None,
    scale: ScaleOption = None,
    preload: PreloadOption = None,
    repeat: RepeatOption = 1,
    compare: CompareOption = False,
    since: SinceOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the checks on an image or modules of anybody's, or on this machine's own software.

    Exit 1 when one fails, or is proven to have become slower.
    """
    from stack.host import checks, detect, suite_checks, suiting
    from stack.host.progress import Progress

    progress, wanted = Progress(quiet=quiet), remember.meant(compare, since, preload)
    asked = suiting.Asked(
        image=image,
        modules=modules,
        load=tuple(word for words in load or () for word in words.split(",") if word),
        python=python,
        name=name,
        place=checks.sized(detect.facts().cores, place_of(None, scheduler, nodes, pending), scale),
        preload=preload,
        root=root,
        build_dir=build_dir,
    )
    with progress.stage("look"):
        subject = suiting.open_subject(asked, library_of(root).catalogue)
    if listed:
        rows = suite_checks.rows(subject, tuple(only or ()), repeat)
        text = "\n".join((*_head(subject), *subject.notes, "", *_listed(rows)))
        say({"found": _found(subject), "checks": rows}, as_json, text)
        return
    remember.sought(subject.folder, wanted, asked.place)
    for line in (*_head(subject), *subject.notes):
        progress.note(line)
    with progress.stage("checks"):
        verdict = suite_checks.check(subject, progress.line, tuple(only or ()), repeat, progress.note)
    remember.verified(subject.folder, verdict, wanted, as_json)


def _head(subject: Subject) -> tuple[str, ...]:
    from stack import probing

    if subject.found is None:
        return (f"an image of ours: {subject.system.description}, by the lock in it",)
    return (*probing.lines(subject.found), "versions are as they were told: there is no lock to hold them against")


def _found(subject: Subject) -> dict[str, object]:
    if subject.lock:
        return {"cell": subject.lock.cell, "lock": subject.lock.digest,
                "components": {c.name: c.version for c in subject.lock.components},
                "notes": list(subject.notes)}  # fmt: skip
    found = subject.found
    return {"family": found.family, "system": found.system, "components": {p.name: p.version for p in found.parts},
            "roles": dict(found.roles), "notes": [*found.notes, *subject.notes]} if found else {}  # fmt: skip


def _listed(rows: list[dict[str, str]]) -> list[str]:
    wide = max(len(row["check"]) for row in rows)
    told = [f"left out: it needs {row['left_out']}" if row["left_out"] else "runs" for row in rows]
    return [f"{row['check']:{wide}}  {said}" for row, said in zip(rows, told, strict=True)]

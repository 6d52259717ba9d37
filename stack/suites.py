"""Top. `suite`: the regression suite on any software, ours or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stack.answers import library_of, place_of, say
from stack.errors import ExitCode
from stack.options import (
    BUILD,
    BuildOption,
    JsonOption,
    NodesOption,
    PendingOption,
    QuietOption,
    RootOption,
    SchedulerOption,
)

if TYPE_CHECKING:
    from stack.host.suiting import Subject


def suite(
    image: Annotated[Path | None, typer.Option("--image", help="A SIF, whoever made it.")] = None,
    modules: Annotated[Path | None, typer.Option("--modules", help="A folder of modulefiles.")] = None,
    load: Annotated[list[str] | None, typer.Option("--load", help="Modules of it, separated by commas.")] = None,
    python: Annotated[str, typer.Option("--python", help="The Python of the software, name or path.")] = "python3",
    name: Annotated[str, typer.Option("--name", help="What the answers are called in the build folder.")] = "",
    only: Annotated[list[str] | None, typer.Option("--check", help="Run only this check; may be repeated.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Say what was found and which checks would run.")] = False,
    scheduler: SchedulerOption = None,
    nodes: NodesOption = None,
    pending: PendingOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the checks on an image or modules of anybody's, or on this machine's own software; exit 1 when one fails."""
    from stack import explain
    from stack.host import suiting
    from stack.host.progress import Progress

    progress = Progress(quiet=quiet)
    asked = suiting.Asked(
        image=image,
        modules=modules,
        load=tuple(word for words in load or () for word in words.split(",") if word),
        python=python,
        name=name,
        place=place_of(None, scheduler, nodes, pending),
        build_dir=build_dir,
    )
    with progress.stage("look"):
        subject = suiting.open_subject(asked, library_of(root).catalogue)
    if listed:
        rows = suiting.rows(subject)
        say({"found": _found(subject), "checks": rows}, as_json, "\n".join((*_head(subject), "", *_listed(rows))))
        return
    for line in (*_head(subject), *subject.notes):
        progress.note(line)
    with progress.stage("checks"):
        verdict = suiting.check(subject, progress.line, tuple(only or ()))
    say(verdict.model_dump(mode="json", by_alias=True), as_json, explain.verdict_text(verdict))
    raise typer.Exit(ExitCode.OK if verdict.passed else ExitCode.CHECK_FAILED)


def _head(subject: Subject) -> tuple[str, ...]:
    from stack import probing

    if subject.found is None:
        return (f"an image of ours: {subject.system.description}, by the lock in it",)
    return (*probing.lines(subject.found), "versions are as they were told: there is no lock to hold them against")


def _found(subject: Subject) -> dict[str, object]:
    if subject.lock:
        return {"cell": subject.lock.cell, "lock": subject.lock.digest,
                "components": {c.name: c.version for c in subject.lock.components}}  # fmt: skip
    found = subject.found
    return {"family": found.family, "system": found.system, "components": {p.name: p.version for p in found.parts},
            "roles": dict(found.roles), "notes": list(found.notes)} if found else {}  # fmt: skip


def _listed(rows: list[dict[str, str]]) -> list[str]:
    wide = max(len(row["check"]) for row in rows)
    told = [f"left out: it needs {row['left_out']}" if row["left_out"] else "runs" for row in rows]
    return [f"{row['check']:{wide}}  {said}" for row, said in zip(rows, told, strict=True)]

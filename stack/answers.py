"""Top. The verbs that only look and answer: nothing is fetched or written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stack.errors import ExitCode, StackError, bad_input
from stack.options import (
    BUILD,
    ArchOption,
    BuildOption,
    EnvironmentArg,
    JsonOption,
    PartitionOption,
    ProfileArg,
    RootOption,
    names,
)

if TYPE_CHECKING:
    from stack.host.cells import Cell
    from stack.host.library import Library
    from stack.host.placing import Place
    from stack.host.software import Options
    from stack.host.workshop import Workshop


def library_of(root: Path | None) -> Library:
    """All documents: the site's own first."""
    from stack.host.library import Library, roots

    return Library(roots(root))


def cell_of(
    root: Path | None, profile: str, environment: str | None, partition: str | None, build: Path,
    arch: str | None = None,
) -> Cell:  # fmt: skip
    """The cell that the words of a command line name."""
    from stack.host import cells

    return cells.open_cell(library_of(root), profile, environment, partition, build, arch)


def workshop_of(
    cell: Cell, *, quiet: bool = False, dry: bool = False, wait: bool = True, options: Options | None = None,
    place: Place | None = None,
) -> Workshop:  # fmt: skip
    """The stages of a cell."""
    from stack.host.placing import HERE
    from stack.host.progress import Progress
    from stack.host.software import Options
    from stack.host.workshop import Workshop

    return Workshop(cell, Progress(quiet=quiet), dry=dry, wait=wait, options=options or Options(), place=place or HERE)


def place_of(
    scheduler_of: Cell | None, scheduler: str | None, nodes: int | None, pending: int | None, *, native: bool = False
) -> Place:
    """Where checks are to run. `scheduler_of`: the cell whose profile says account and queue."""
    from stack.host import placing
    from stack.profile import Scheduler

    if scheduler is None:
        if nodes or pending:
            word = "--nodes" if nodes else "--pending"
            raise bad_input(f"{word} is for checks that a scheduler runs", remedy="add --scheduler slurm")
        return placing.Place("native" if native else "image")
    told = scheduler_of.plan.profile.scheduler if scheduler_of else Scheduler()
    return placing.Place("native" if native else "image", placing.cluster(scheduler, nodes, told, pending))


def say(value: Any, as_json: bool, text: str) -> None:
    """The answer, on standard output."""
    from stack.artifact import canonical_json

    typer.echo(canonical_json(value) if as_json else text, nl=not as_json)


def check(
    documents: Annotated[
        list[str] | None, typer.Argument(help="Paths of documents; all that are found by default.")
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check documents and report every fault as file:line:column."""
    from stack.host import checking

    library = library_of(root)
    faults, count = checking.check(library, tuple(documents or ()))
    if as_json:
        rows = [{"what": f.what, "remedy": f.remedy, "file": f.where and f.where.file,
                 "line": f.where and f.where.line, "column": f.where and f.where.column} for f in faults]  # fmt: skip
        say({"checked": count, "faults": rows}, True, "")
        if faults:
            raise typer.Exit(ExitCode.BAD_INPUT)
        return
    if faults:
        raise StackError(faults)
    typer.echo(f"{count} documents checked, no fault")


def schema(
    kind: Annotated[
        str,
        typer.Argument(help="profile, environment, recipe, container, os, hardware, defaults, lock, card, upstream"),
    ],
) -> None:
    """Print the JSON Schema of a kind of document, for editors."""
    from stack.artifact import canonical_json
    from stack.schema import json_schema

    typer.echo(canonical_json(json_schema(kind)), nl=False)


def plan(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each component, its provider and why. Nothing is fetched."""
    from stack import explain

    cell = cell_of(root, profile, environment, partition, BUILD, arch)
    say(explain.as_data(cell.plan), as_json, explain.as_text(cell.plan, cell.notices))


def why(
    profile: ProfileArg,
    environment: Annotated[str, typer.Argument(metavar="ENVIRONMENT", autocompletion=names("environments"))],
    component: Annotated[str, typer.Argument(metavar="COMPONENT", autocompletion=names("recipes"))],
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a component comes from its provider, and why not from another."""
    from stack import explain

    cell = cell_of(root, profile, environment, partition, BUILD, arch)
    choice = cell.plan.choice(component)
    say(explain.choice_data(choice), as_json, explain.choice_text(choice))


def doctor(
    profile: Annotated[str, typer.Argument(metavar="[PROFILE]", autocompletion=names("profiles"))] = "laptop",
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine has, what is missing, and the one line that gets it."""
    from stack.host import cells

    rows, text, healthy = cells.examine(library_of(root), profile, build_dir, arch)
    say(rows, as_json, text)
    raise typer.Exit(ExitCode.OK if healthy else ExitCode.HOST)

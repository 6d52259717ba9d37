"""Top. The verbs: each composes the pipeline and prints an answer; `run` is the only catch-and-exit.

Document -> Profile + Environment -> Target -> Plan -> Tree -> Lock -> Command... -> Verdict
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stack.errors import ExitCode, StackError
from stack.options import (
    BUILD,
    BuildOption,
    DryOption,
    EnvironmentArg,
    FreshOption,
    JsonOption,
    LockedOption,
    NoWaitOption,
    PartitionOption,
    PreloadOption,
    ProfileArg,
    QuietOption,
    RootOption,
    names,
)

if TYPE_CHECKING:
    from stack.host.cells import Cell
    from stack.host.library import Library
    from stack.host.workshop import Workshop

app = typer.Typer(
    name="sovstack",
    help="Build, prove and hand out your own AI-HPC software from one description.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _library(root: Path | None) -> Library:
    from stack.host.library import Library, roots

    return Library(roots(root))


def _cell(root: Path | None, profile: str, environment: str | None, partition: str | None, build: Path) -> Cell:
    from stack.host import cells

    return cells.open_cell(_library(root), profile, environment, partition, build)


def _workshop(cell: Cell, *, quiet: bool = False, dry: bool = False, wait: bool = True) -> Workshop:
    from stack.host.progress import Progress
    from stack.host.workshop import Workshop

    return Workshop(cell, Progress(quiet=quiet), dry=dry, wait=wait)


def _say(value: Any, as_json: bool, text: str) -> None:
    """The answer, on standard output."""
    from stack.artifact import canonical_json

    typer.echo(canonical_json(value) if as_json else text, nl=not as_json)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:  # pragma: no cover - answered in __main__ unless other options stand beside it
        from stack import __version__

        typer.echo(f"sovstack {__version__}")
        raise typer.Exit


@app.command()
def check(
    documents: Annotated[
        list[str] | None, typer.Argument(help="Paths of documents; all that are found by default.")
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check documents and report every fault as file:line:column."""
    from stack.host import checking

    library = _library(root)
    faults, count = checking.check(library, tuple(documents or ()))
    if as_json:
        rows = [{"what": f.what, "remedy": f.remedy, "file": f.where and f.where.file,
                 "line": f.where and f.where.line, "column": f.where and f.where.column} for f in faults]  # fmt: skip
        _say({"checked": count, "faults": rows}, True, "")
        if faults:
            raise typer.Exit(ExitCode.BAD_INPUT)
        return
    if faults:
        raise StackError(faults)
    typer.echo(f"{count} documents checked, no fault")


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="profile, environment, recipe, container, os, hardware, defaults, lock")],
) -> None:
    """Print the JSON Schema of a kind of document, for editors."""
    from stack.artifact import canonical_json
    from stack.schema import json_schema

    typer.echo(canonical_json(json_schema(kind)), nl=False)


@app.command()
def plan(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each component, its provider and why. Nothing is fetched."""
    from stack import explain

    cell = _cell(root, profile, environment, partition, BUILD)
    _say(explain.as_data(cell.plan), as_json, explain.as_text(cell.plan, cell.notices))


@app.command()
def why(
    profile: ProfileArg,
    environment: Annotated[str, typer.Argument(metavar="ENVIRONMENT", autocompletion=names("environments"))],
    component: Annotated[str, typer.Argument(metavar="COMPONENT", autocompletion=names("recipes"))],
    partition: PartitionOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a component comes from its provider, and why not from another."""
    from stack import explain

    cell = _cell(root, profile, environment, partition, BUILD)
    choice = cell.plan.choice(component)
    _say(explain.choice_data(choice), as_json, explain.choice_text(choice))


@app.command()
def render(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
) -> None:
    """Write the Spack environment, the image definition, the modules and the ReFrame settings."""
    cell = _cell(root, profile, environment, partition, build_dir)
    tree = _workshop(cell, quiet=True).rendered()
    if not dry_run:
        from stack.host.files import write_tree

        write_tree(cell.build_dir, tree)
    paths = [str(cell.build_dir / path) for path, _file in tree]
    _say({"files": paths, "written": not dry_run}, as_json, "\n".join(paths))


@app.command()
def lock(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    check_only: Annotated[
        bool, typer.Option("--check", help="Only tell whether the lock is current; exit 1 if not.")
    ] = False,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Resolve the whole closure with versions and hashes into stack.lock.json."""
    cell = _cell(root, profile, environment, partition, build_dir)
    shop = _workshop(cell, quiet=quiet, dry=dry_run, wait=not no_wait)
    if check_only:
        stale = shop.stale()
        _say({"current": not stale, "stale": list(stale)}, as_json, "\n".join(stale) or "the lock is current")
        raise typer.Exit(ExitCode.CHECK_FAILED if stale else ExitCode.OK)
    with shop:
        made, changes = shop.locked(strict=False, announce=False)
    if dry_run or made is None:
        return
    data = {"lock": str(cell.lock_path), "digest": made.digest, "packages": len(made.os.packages),
            "changes": [str(c) for c in changes]}  # fmt: skip
    text = "\n".join([*map(str, changes), f"{cell.lock_path}: {len(made.os.packages)} OS packages, {made.digest[:12]}"])
    _say(data, as_json, text)


@app.command()
def build(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    locked: LockedOption = False,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Build the image of a cell from its lock."""
    cell = _cell(root, profile, environment, partition, build_dir)
    with _workshop(cell, quiet=quiet, dry=dry_run, wait=not no_wait) as shop:
        shop.tools()
        made, _changes = shop.locked(strict=locked)
        image = shop.built(made)
    if image is not None:
        data = {"image": str(image.path), "sha256": image.sha256, "squashfs": image.squashfs, "size": image.size}
        _say(data, as_json, f"{image.path}\nsha256:{image.sha256}")


@app.command()
def verify(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    only: Annotated[list[str] | None, typer.Option("--check", help="Run only this check; may be repeated.")] = None,
    preload: PreloadOption = None,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Run the checks inside a built image; exit 1 when one fails."""
    from stack import explain

    cell = _cell(root, profile, environment, partition, build_dir)
    with _workshop(cell, quiet=quiet, dry=dry_run, wait=not no_wait) as shop:
        verdict = shop.verify(tuple(only or ()), preload)
    if verdict is not None:
        _say(verdict.model_dump(mode="json", by_alias=True), as_json, explain.verdict_text(verdict))
        raise typer.Exit(ExitCode.OK if verdict.passed else ExitCode.CHECK_FAILED)


@app.command()
def up(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    locked: LockedOption = False,
    fresh: FreshOption = False,
    preload: PreloadOption = None,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Everything: detect, plan, render, lock, build, check, and report."""
    from stack import explain

    cell = _cell(root, profile, environment, partition, build_dir)
    with _workshop(cell, quiet=quiet, dry=dry_run, wait=not no_wait) as shop:
        shop.checkable(preload)
        shop.reporting()
        shop.tools()
        made, _changes = shop.locked(strict=locked)
        shop.render()
        image = shop.built(made)
        verdict = shop.verified(image, fresh=fresh, preload=preload)
        report = shop.report()
    if report is not None and verdict is not None:
        _say(json.loads(report.json), as_json, explain.up_text(cell.plan, verdict, report.paths, reused=report.reused))
        raise typer.Exit(ExitCode.OK if verdict.passed else ExitCode.CHECK_FAILED)


@app.command()
def doctor(
    profile: Annotated[str, typer.Argument(metavar="[PROFILE]", autocompletion=names("profiles"))] = "laptop",
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine has, what is missing, and the one line that gets it."""
    from stack.host import cells

    rows, text, healthy = cells.examine(_library(root), profile, build_dir)
    _say(rows, as_json, text)
    raise typer.Exit(ExitCode.OK if healthy else ExitCode.HOST)


def run(argv: list[str]) -> int:
    """Run one command line; every error becomes text on standard error and an exit code."""
    from stack.host import output

    output.prepare()
    try:
        code = _answered(argv)
    except StackError as error:
        output.complain(str(fault) if fault.where else f"error: {fault}" for fault in error.faults)
        return int(error.exit_code)
    except OSError as error:  # nobody nearer knew what to make of it
        place = f"error: {error.filename}" if error.filename else output.UNWRITTEN
        output.complain([f"{place}: {error.strerror or error}"])
        return int(ExitCode.HOST)
    if code == ExitCode.INTERRUPTED:  # what typer makes of Ctrl-C
        output.complain(["interrupted; the same command goes on where this one stopped"])
    if not output.finish():
        output.complain([output.UNWRITTEN])
        return int(ExitCode.HOST)
    return code


def _answered(argv: list[str]) -> int:
    try:
        app(argv, prog_name="sovstack")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    return int(ExitCode.OK)

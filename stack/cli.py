"""Top. The verbs: each composes the pipeline and prints an answer; `run` is the only catch-and-exit.

Document -> Profile + Environment -> Target -> Plan -> Tree -> Lock -> Command... -> Verdict
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stack import answers, assess, cards, compare, know, leave, remember, suites, trust, verbs
from stack.answers import cell_of, place_of, say, workshop_of
from stack.errors import ExitCode, StackError, bad_input
from stack.options import (
    BUILD,
    ArchOption,
    BuildOption,
    DryOption,
    EnvironmentArg,
    FreshOption,
    JsonOption,
    LenientOption,
    LockedOption,
    NodesOption,
    NoWaitOption,
    PartitionOption,
    PendingOption,
    PreloadOption,
    ProfileArg,
    QuietOption,
    RootOption,
    ScaleOption,
    SchedulerOption,
)
from stack.remember import CompareOption, RepeatOption, SinceOption
from stack.trust import KeyOption

app = typer.Typer(
    name="sovstack",
    help="Build, prove and hand out your own AI-HPC software from one description.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:  # pragma: no cover - answered in __main__ unless other options stand beside it
        from stack import __version__

        typer.echo(f"sovstack {__version__}")
        raise typer.Exit


for _verb in (
    answers.check,
    answers.schema,
    answers.plan,
    answers.why,
    answers.doctor,
    verbs.lock,
    verbs.bootstrap,
    verbs.mirror,
    assess.audit,
    know.facts,
    compare.diff,
    remember.history,
    trust.sign,
    trust.inspect,
    leave.exit_test,
):
    app.command()(_verb)
app.command()(suites.suite)
app.add_typer(trust.key)
app.add_typer(cards.card)


@app.command()
def render(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
) -> None:
    """Write the Spack environment, the image definition, the modules and the ReFrame settings."""
    cell = cell_of(root, profile, environment, partition, build_dir, arch)
    tree = workshop_of(cell, quiet=True).rendered()
    if not dry_run:
        from stack.host.files import write_tree

        write_tree(cell.build_dir, tree)
    paths = [str(cell.build_dir / path) for path, _file in tree]
    say({"files": paths, "written": not dry_run}, as_json, "\n".join(paths))


@app.command()
def build(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    locked: LockedOption = False,
    lenient: LenientOption = False,
    again: Annotated[
        bool, typer.Option("--fresh", help="Build the image again, and say whether the bytes are the same.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing and run everything without a network; the lock as it is.")
    ] = False,
    mirror: Annotated[
        Path | None, typer.Option("--mirror", help="Spack source mirror; <build>/mirror by default.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--build-cache", help="Folder of build caches, read and written; your own by default."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="Put what is built together for this folder, and make no image.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes at once; the cores by default.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Build from source on several nodes: slurm.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, help="How many nodes, 2 by default; all share the build folder.")
    ] = None,
    key: KeyOption = None,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Build the image of a cell from its lock, and first what Spack builds from source."""
    from stack.host import keys
    from stack.host.software import Options, spread, usable

    if nodes and not scheduler:
        raise bad_input("--nodes is for a build that a scheduler spreads", remedy="add --scheduler slurm")
    signer = keys.chosen(key)
    cell = cell_of(root, profile, environment, partition, build_dir, arch)
    over = spread(cell, scheduler, nodes or 2) if scheduler is not None else None
    options = Options(
        offline=offline,
        mirror=mirror,
        cache=cache,
        prefix=prefix,
        jobs=jobs,
        spread=over,
        fresh=again,
        signer=signer,
        lenient=lenient,
    )
    usable(cell, options)
    with workshop_of(cell, quiet=quiet, dry=dry_run, wait=not no_wait, options=options) as shop:
        shop.tools()
        made, _changes = shop.locked(strict=locked or offline)
        tree = shop.tree(made) if prefix else None
        image = None if prefix else shop.sealed(shop.built(made), signer)
    if tree is not None:
        put = {"tar": str(tree.tar), "sha256": tree.sha256, "folder": str(tree.tar.with_name("software"))}
        say(put, as_json, f"{tree.tar}\nsha256:{tree.sha256}\nfor {prefix}")
    if image is not None:
        data = {"image": str(image.path), "sha256": image.file_sha256, "squashfs": image.squashfs,
                "size": image.file_size, "built": image.sha256}  # fmt: skip
        say(data, as_json, f"{image.path}\nsha256:{image.file_sha256}")


@app.command()
def verify(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    only: Annotated[list[str] | None, typer.Option("--check", help="Run only this check; may be repeated.")] = None,
    preload: PreloadOption = None,
    native: Annotated[
        bool, typer.Option("--native", help="Check the module tree that was built, without its image.")
    ] = False,
    scheduler: SchedulerOption = None,
    nodes: NodesOption = None,
    pending: PendingOption = None,
    scale: ScaleOption = None,
    repeat: RepeatOption = 1,
    compare: CompareOption = False,
    since: SinceOption = None,
    key: KeyOption = None,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Run the checks inside a built image; exit 1 when one fails, or is proven to have become slower."""
    from stack.host import checks, keys
    from stack.host.examining import Asked, beside_the_image

    signer = keys.chosen(key)
    cell = cell_of(root, profile, environment, partition, build_dir, arch)
    place = place_of(cell, scheduler, nodes, pending, native=native)
    place = checks.sized(checks.cores(cell, place), place, scale)
    wanted = remember.meant(compare, since, preload)
    remember.sought(cell.folder, wanted, place)
    with workshop_of(cell, quiet=quiet, dry=dry_run, wait=not no_wait, place=place) as shop:
        tested = shop.tested()
        verdict = shop.verified(tested, Asked(fresh=True, preload=preload, only=tuple(only or ()), repeat=repeat))
        shop.reseal(tested, signer)
        beside = beside_the_image(cell, place, verdict)
    if verdict is not None:
        remember.verified(cell.folder, verdict, wanted, as_json, beside)


@app.command()
def up(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    locked: LockedOption = False,
    lenient: LenientOption = False,
    fresh: FreshOption = False,
    preload: PreloadOption = None,
    key: KeyOption = None,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Everything: detect, plan, render, lock, build, check, seal, and report."""
    from stack import explain
    from stack.host import keys
    from stack.host.examining import Asked, checkable
    from stack.host.software import Options

    signer = keys.chosen(key)
    cell = cell_of(root, profile, environment, partition, build_dir, arch)
    with workshop_of(
        cell, quiet=quiet, dry=dry_run, wait=not no_wait, options=Options(signer=signer, lenient=lenient)
    ) as shop:
        checkable(cell, preload)
        shop.reporting()
        shop.tools()
        made, _changes = shop.locked(strict=locked)
        shop.render()
        image = shop.built(made)
        verdict = shop.verified(image, Asked(fresh=fresh, preload=preload))
        shop.sealed(image, signer)
        report = shop.report()
    if report is not None and verdict is not None:
        say(json.loads(report.json), as_json, explain.up_text(cell.plan, verdict, report.paths, reused=report.reused))
        raise typer.Exit(ExitCode.OK if verdict.passed else ExitCode.CHECK_FAILED)


def run(argv: list[str]) -> int:
    """Run one command line; every error becomes text on standard error and an exit code."""
    from stack.host import ending, output

    output.prepare()
    ending.listen()
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
        code, by = ending.told(code)
        output.complain([f"{by}; the same command goes on where this one stopped"])
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

"""Top. The verbs about Spack: `bootstrap`, `lock`, `mirror`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stack.answers import cell_of, library_of, say, workshop_of
from stack.errors import ExitCode, StackError, bad_input
from stack.options import (
    BUILD,
    ArchOption,
    BuildOption,
    DryOption,
    EnvironmentArg,
    JsonOption,
    LenientOption,
    MaybeProfileArg,
    NoWaitOption,
    PartitionOption,
    ProfileArg,
    QuietOption,
    RootOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stack.host.together import Outcome, Refused


def bootstrap(
    profile: MaybeProfileArg = None,
    spack_git: Annotated[
        str | None, typer.Option("--spack-git", help="Where Spack is fetched from; SOVSTACK_SPACK_GIT too.")
    ] = None,
    packages_git: Annotated[
        str | None, typer.Option("--packages-git", help="Where its packages are; SOVSTACK_PACKAGES_GIT too.")
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    quiet: QuietOption = False,
) -> None:
    """Put the pinned Spack, its packages and its solver into your own folder."""
    from stack.host import spack
    from stack.host.progress import Progress

    library = library_of(root)
    pinned = library.catalogue.upstream
    mirrors = library.profile(profile)[1].mirrors if profile else {}
    urls = spack.origins(pinned, mirrors, {"spack": spack_git, "packages": packages_git})
    if dry_run:
        say([str(c) for c in spack.commands(pinned, urls)], as_json, "\n".join(map(str, spack.commands(pinned, urls))))
        return
    progress = Progress(quiet=quiet)
    with progress.stage("spack") as running:
        if spack.find(pinned, library.roots):
            running.reused()
        found = spack.install(pinned, urls, progress.line, library.roots)
        spack.ready(found, progress.line)
    data = {"folder": str(found.home), "spack": pinned.spack.commit, "packages": pinned.packages.commit}
    text = f"{found.home}\nspack    {pinned.spack.commit} ({pinned.spack.version})\n"
    say(data, as_json, f"{text}packages {pinned.packages.commit} ({pinned.packages.version})")


def lock(
    profile: MaybeProfileArg = None,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every partition of every profile, every environment; or of those named.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Ask the mirrors anew, although nothing of ours changed.")
    ] = False,
    release: Annotated[
        bool, typer.Option("--release", help="Put the locks into environments/locks/ beside the documents too.")
    ] = False,
    check_only: Annotated[
        bool, typer.Option("--check", help="Only tell whether the lock is current; exit 1 if not.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Solves at once; as cores and memory allow by default.")
    ] = None,
    lenient: LenientOption = False,
    quiet: QuietOption = False,
    no_wait: NoWaitOption = False,
) -> None:
    """Resolve the whole closure with versions and hashes into stack.lock.json and spack.lock."""
    from stack.host import together

    if profile is None and not every:
        raise bad_input("name a profile, or say --all", remedy="sovstack lock PROFILE [ENVIRONMENT]")
    if every and partition:
        raise bad_input("--all is every partition, and --partition one", remedy="leave one of them out")
    if every and arch:
        raise bad_input("--all is what the profiles name, and --arch is one cell", remedy="leave one of them out")
    library = library_of(root)
    refused: tuple[Refused, ...] = ()
    if every:
        wanted, refused = together.every(library, profile, environment, build_dir)
    else:
        wanted = (cell_of(root, str(profile), environment, partition, build_dir, arch),)
    if check_only:
        _told(together.check_all(wanted), refused, as_json, single=not every)
    elif dry_run:
        for cell in wanted:
            workshop_of(cell, dry=True).locked(strict=False)
        if refused:
            _told((), refused, as_json=False, single=False)
    else:
        workers = jobs or together.jobs(wanted[0].facts.memory_gib) if wanted else 1
        done = together.lock_all(wanted, workers, upgrade=upgrade, quiet=quiet, wait=not no_wait, lenient=lenient)
        if release:
            done = together.release(done)
        _told(done, refused, as_json, single=not every)


def mirror(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    into: Annotated[Path | None, typer.Option("--into", help="The mirror's folder; <build>/mirror by default.")] = None,
    survey: Annotated[
        bool, typer.Option("--survey", help="Ask every archive for every file, to know how many hold it.")
    ] = False,
    look: Annotated[bool, typer.Option("--look", help="Read the archives' indexes alone; fetch nothing.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=32, help="Downloads at once.")] = 4,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fill a Spack source mirror from independent archives, every file accepted by its SHA-256 alone."""
    from stack import independence
    from stack.host import files, mirroring
    from stack.host.progress import Progress

    if look and survey:
        raise bad_input("--look fetches nothing, and --survey fetches everything", remedy="say one of them")
    library = library_of(root)
    cell = cell_of(root, profile, environment, partition, build_dir, arch)
    progress = Progress(quiet=quiet)
    folder = into or cell.build_dir / "mirror"
    if dry_run:
        typer.echo(mirroring.planned(mirroring.prepare(library, cell, folder, progress, dry=True)), nl=False)
        return
    # Only while the cell's folder is written: the mirror has a lock of its own, and filling it may take long.
    with files.exclusive(cell.folder, lambda who: progress.note(f"waiting for {who}, which works on {cell.plan.cell}")):
        job = mirroring.prepare(library, cell, folder, progress)
    mode: mirroring.Mode = "look" if look else "survey" if survey else "fill"
    rows, found = mirroring.fill(job, progress, jobs=jobs, mode=mode)
    data = {"folder": str(job.folder), **independence.as_data(rows, found)}
    mirroring.keep(cell, job, rows)
    say(data, as_json, independence.text(rows, found))
    if not look and any(not row.had for row in rows):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _told(done: Sequence[Outcome], refused: Sequence[Refused], as_json: bool, *, single: bool) -> None:
    """The answer for every cell, then the errors, each once; the exit code is that of the first that failed."""
    rows = [*map(_row, done), *map(_refused_row, refused)]
    lines = [*(line for outcome in done for line in _lines(outcome)), *(line for r in refused for line in _refusal(r))]
    say(rows[0] if single and rows else rows, as_json, "\n".join(lines))
    failed = [*(o.error for o in done if o.error), *(r.error for r in refused if r.state == "failed")]
    if failed:
        raise StackError(dict.fromkeys(f for error in failed for f in error.faults), failed[0].exit_code)
    if any(outcome.state == "stale" for outcome in done):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _refused_row(refused: Refused) -> dict[str, Any]:
    return {"cell": refused.name, "state": refused.state, "faults": [str(f) for f in refused.error.faults]}


def _refusal(refused: Refused) -> list[str]:
    reasons = refused.error.faults if refused.state == "left out" else ()
    return [f"{refused.name}: {refused.state}", *(f"  {fault}" for fault in reasons)]


def _row(outcome: Outcome) -> dict[str, Any]:
    cell, made = outcome.cell, outcome.lock
    data: dict[str, Any] = {"cell": cell.plan.cell, "state": outcome.state, "faults": [str(f) for f in outcome.faults]}
    if made:
        nodes, packages = len(made.spack.nodes) if made.spack else 0, len(made.os.packages)
        data |= {"lock": str(cell.lock_path), "digest": outcome.digest, "packages": packages, "nodes": nodes,
                 "changes": [str(c) for c in outcome.changes],
                 "notes": list(outcome.notes)}  # fmt: skip
    return data


def _lines(outcome: Outcome) -> list[str]:
    if outcome.lock is None:
        return [f"{outcome.cell.plan.cell}: {outcome.state}", *(f"  {f}" for f in outcome.faults if not outcome.error)]
    made, path = outcome.lock, outcome.cell.lock_path
    nodes = f", {len(made.spack.nodes)} Spack packages" if made.spack else ""
    hashes = " (hash-unverified)" if made.spack and made.spack.hashes == "unverified" else ""
    head = f"{path}: {outcome.state}, {len(made.os.packages)} OS packages{nodes}{hashes}, {outcome.digest[:12]}"
    return [*map(str, outcome.changes), *(f"note: {note}" for note in outcome.notes), head]

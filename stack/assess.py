"""Top. The verb `audit`: SBOMs, policy and levels of a cell, or of all that are locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stack.answers import library_of, say
from stack.errors import ExitCode, bad_input
from stack.options import (
    BUILD,
    ArchOption,
    BuildOption,
    DryOption,
    EnvironmentArg,
    JsonOption,
    MaybeProfileArg,
    PartitionOption,
    QuietOption,
    RootOption,
)

if TYPE_CHECKING:
    from stack.audit.answer import Audit


def audit(
    profile: MaybeProfileArg = None,
    environment: EnvironmentArg = None,
    every: Annotated[bool, typer.Option("--all", help="Every cell that has a lock, of one profile if named.")] = False,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the SBOMs of a lock or its image, judge it by the policy, and give its levels; exit 1 on a breach."""
    from stack.audit import answer
    from stack.host import auditing, cells

    library = library_of(root)
    if not every and profile is None:
        raise bad_input("an audit is of a cell", remedy="name PROFILE and ENVIRONMENT, or say --all")
    if every and arch:
        raise bad_input("--all is every cell that has a lock, and --arch one", remedy="leave one of them out")
    auditor = auditing.Auditor(library, build_dir)
    if every:
        done = auditing.audit_all(auditor, profile, environment, quiet=quiet, dry=dry_run)
        say([answer.content(a) for a in done], as_json, answer.table(done))
    else:
        cell = cells.open_cell(library, profile or "", environment, partition, build_dir, arch)
        made, texts = auditor.audit(cell)
        done = (made,)
        paths = () if dry_run else auditing.write(cell, made, texts)
        say(answer.content(made), as_json, "\n".join([answer.text(made), *map(str, paths)]))
    raise typer.Exit(ExitCode.OK if _passed(done) else ExitCode.CHECK_FAILED)


def _passed(done: tuple[Audit, ...]) -> bool:
    return all(audit.passed for audit in done)

"""Top. The verb `exit-test`: what leaving a vendor would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stack.answers import cell_of, library_of, say
from stack.errors import ExitCode, StackError, bad_input
from stack.options import (
    BUILD,
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
    from stack.host.leaving import Office


def exit_test(
    profile: MaybeProfileArg = None,
    environment: EnvironmentArg = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option("--forbid", help="Vendor (nvidia, amd, intel, arm ...) or steward to do without."),
    ] = None,
    partition: PartitionOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every vendor for every partition of every profile, or of those named.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Test again although nothing changed since the record.")
    ] = False,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave out a suite whose index the mirror has damaged; the lock says so.")
    ] = False,
    minutes: Annotated[int, typer.Option("--minutes", min=1, help="How long one solve may take.")] = 10,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    dry_run: DryOption = False,
    quiet: QuietOption = False,
) -> None:
    """Forbid a vendor, lock again on the nearest target that remains, and print the migration plan; exit 1 if none."""
    from stack import exit_text
    from stack.host import leaving
    from stack.host.library import absolute
    from stack.host.progress import Progress
    from stack.host.resolving import Markets

    library = library_of(root)
    office = leaving.Office(library, absolute(build_dir), markets=Markets(lenient=lenient, minutes=minutes))
    if every:
        if partition or dry_run:
            option = "--partition" if partition else "--dry-run"
            raise bad_input(f"{option} is for one exit test, and --all does many", remedy="leave one of them out")
        known = library.files("environments")
        if profile in known and not environment and profile not in library.files("profiles"):
            profile, environment = None, profile
        _every(office, profile, environment, forbid, as_json, fresh=fresh, quiet=quiet)
        return
    if profile is None or not forbid or len(forbid) > 1:
        raise bad_input(
            "name a profile and one vendor, or say --all", remedy="sovstack exit-test PROFILE --forbid VENDOR"
        )
    ban = office.ban(forbid[0])
    home = cell_of(root, profile, environment, partition, build_dir)
    if dry_run:
        for line in leaving.planned(office, home, ban):
            typer.echo(line)
        return
    progress = Progress(quiet=quiet)
    with progress.stage(f"exit test without {ban.name}") as stage:
        record, reused = leaving.test(office, home, ban, progress.line, fresh=fresh)
        if reused:
            stage.reused(f"nothing changed since {record.date}; --fresh tests again")
    say(record.model_dump(mode="json", by_alias=True), as_json, exit_text.plan_text(record))
    raise typer.Exit(ExitCode.OK if record.exists else ExitCode.CHECK_FAILED)


def _every(
    office: Office, profile: str | None, environment: str | None, forbid: list[str] | None, as_json: bool, *,
    fresh: bool, quiet: bool,
) -> None:  # fmt: skip
    from stack import exit_text
    from stack.host import leaving_all

    wanted, refused = leaving_all.wanted(office, profile, environment)
    bans = [office.ban(name) for name in forbid or leaving_all.vendors(office, wanted)]
    records, failed = leaving_all.test_all(office, [(c, b) for b in bans for c in wanted], fresh=fresh, quiet=quiet)
    rows = [(f.cell, f.forbidden, str(f.error.faults[0])) for f in failed]
    data = {
        "records": [r.model_dump(mode="json", by_alias=True, exclude={"differences"}) for r in records],
        "failed": [{"cell": cell, "forbidden": name, "why": why} for cell, name, why in rows],
    }
    say(data, as_json, exit_text.matrix(records, rows))
    errors = [f.error for f in failed] + [r.error for r in refused if r.state == "failed"]
    if errors:
        raise StackError(dict.fromkeys(f for error in errors for f in error.faults), errors[0].exit_code)
    raise typer.Exit(ExitCode.OK if all(r.exists for r in records) else ExitCode.CHECK_FAILED)

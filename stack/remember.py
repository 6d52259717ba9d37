"""Top. The verb `history`: what the checks measured over time; and what `verify` and `suite` say with `--compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stack.answers import cell_of, say
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
)

if TYPE_CHECKING:
    from stack.host.placing import Place
    from stack.verdict import Verdict

CompareOption = Annotated[bool, typer.Option("--compare", help="Tell what became slower since the last time.")]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="WHAT", help="--compare with that: a session, a date, or an image's digest."),
]
RepeatOption = Annotated[
    int,
    typer.Option("--repeat", min=1, max=60, help="Run what measures speed, or each --check, so often, one by one."),
]


def history(
    profile: ProfileArg,
    environment: EnvironmentArg = None,
    partition: PartitionOption = None,
    arch: ArchOption = None,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
    compare: CompareOption = False,
    since: SinceOption = None,
) -> None:
    """List what the checks of a cell measured, and write it as a page of plots; nothing is run."""
    from stack import history_page, history_text
    from stack.host import comparing, remembering
    from stack.host.library import shown

    cell = cell_of(root, profile, environment, partition, build_dir, arch)
    found, wanted = remembering.sessions(cell.folder), meant(compare, since)
    made = comparing.compared(found, wanted) if wanted else None
    told = comparing.told(cell.plan.cell, found, made)
    text = history_text.compared(made) if made else history_text.listed(cell.plan.cell, found)
    if found:
        text += f"\n{shown(comparing.write(cell.folder, told))}\n"
    say(history_page.content(told), as_json, text)
    raise typer.Exit(ExitCode.CHECK_FAILED if made and made.regressions else ExitCode.OK)


def meant(compare: bool, since: str | None, preload: Path | None = None) -> str | None:
    """What the caller wants to compare with; None where nothing was asked for. Raises for a run that is not kept."""
    if since is not None and not since.strip():
        raise bad_input("--since names no session", remedy="`sovstack history` lists them; --compare takes the last")
    wanted = since or ("last" if compare else None)
    if preload and wanted:
        raise bad_input("what a preloaded library does is not kept", remedy="leave out --preload, or the comparison")
    return wanted


def sought(folder: Path, wanted: str | None, place: Place) -> None:
    """Raise for a word after `--since` that means nothing, and nodes to measure on that nothing can be sent to."""
    if wanted and place.down:
        raise place.down
    if wanted:
        from stack import history as sessions
        from stack.host import remembering

        sessions.meant(remembering.sessions(folder), wanted)


def verified(folder: Path, verdict: Verdict, wanted: str | None, as_json: bool, beside: str = "") -> None:
    """The answer of `verify` and `suite`: the verdict, and the comparison where one was asked for. Ends the verb.

    `folder`: where the history of what was checked is; `beside`: what is to be said after the verdict.
    """
    from stack import explain, history_text, regression
    from stack.host import comparing, remembering

    data = verdict.model_dump(mode="json", by_alias=True)
    text = "\n\n".join(filter(None, (explain.verdict_text(verdict), beside)))
    made, trouble = None, None
    if wanted:
        try:
            found = remembering.sessions(folder)
            made = comparing.compared(found, wanted, remembering.ran(folder, found, verdict))
            comparing.write(folder, comparing.told(verdict.cell, found, made))
            data, text = {**data, "comparison": regression.content(made)}, f"{text}\n{history_text.compared(made)}"
        except StackError as error:  # the verdict is told first
            data, trouble = {**data, "comparison": None}, error
    say(data, as_json, text)
    if trouble:
        raise trouble
    raise typer.Exit(ExitCode.OK if verdict.passed and not (made and made.regressions) else ExitCode.CHECK_FAILED)

"""Top. The verb `diff`: what changed between two locks."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.answers import library_of, say
from stack.errors import ExitCode, bad_input
from stack.options import BUILD, BuildOption, JsonOption, RootOption

_FORMS = "a stack.lock.json, a folder that holds one, environment/profile/target, or REVISION:path."


def diff(
    before: Annotated[str, typer.Argument(metavar="LOCK_A", help=f"Before: {_FORMS}")],
    after: Annotated[str, typer.Argument(metavar="LOCK_B", help="After, named in the same way.")],
    build: Annotated[
        bool, typer.Option("--build", help="Show what only building needs line by line, instead of a count.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Answer as Markdown, for a merge request.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when the locks are not the same.")] = False,
    root: RootOption = None,
    build_dir: BuildOption = BUILD,
    as_json: JsonOption = False,
) -> None:
    """Say what changed between two locks: versions, variants, licences, sources, settings. Nothing is fetched."""
    if markdown and as_json:
        raise bad_input("--markdown and --json are two answers", remedy="leave one of them out")
    from stack import difference, difference_markdown, difference_text
    from stack.host import diff_levels, differing

    library = library_of(root)
    first, second = (differing.side(library, word, build_dir) for word in (before, after))
    found = difference.between(*diff_levels.leveled(library, first, second, build_dir))
    if as_json:
        say(difference.as_data(found), True, "")
    else:
        written = difference_markdown if markdown else difference_text
        typer.echo(written.render(found, build=build))
    raise typer.Exit(ExitCode.CHECK_FAILED if exit_code and not found.same else ExitCode.OK)

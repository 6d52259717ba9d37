"""Top. The verbs of `card`: numerical identity cards, shown and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stack.answers import say
from stack.errors import ExitCode, Position, bad_input
from stack.options import JsonOption

_FORMS = "a card.json, the folder of a cell, or an image"

HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the answer as a page too.")]

card = typer.Typer(
    name="card",
    help="Numerical identity cards: what an image computes, bit by bit, and where two machines differ.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@card.command()
def show(
    place: Annotated[Path, typer.Argument(metavar="CARD", help=f"{_FORMS.capitalize()}.")],
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one card. Of an image's signature nothing is asked: that is what `sovstack inspect` does."""
    from stack import card_page, card_text
    from stack.host import carding

    found = carding.read(place)
    if html:
        carding.write_page(html, card_page.as_html(found))
    say(found.model_dump(mode="json", by_alias=True), as_json, card_text.show(found))


@card.command()
def diff(
    places: Annotated[list[Path], typer.Argument(metavar="CARD...", help=f"Two or more: each {_FORMS}.")],
    html: HtmlOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Answer as Markdown, for a merge request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say where the numbers of machines differ, and whether that is within the bounds; exit 1 when it is not."""
    if markdown and as_json:
        raise bad_input("--markdown and --json are two answers", remedy="leave one of them out")
    if len(places) < 2:
        raise bad_input("one card alone cannot differ", Position(str(places[0])), "name a second one")
    from stack import card_difference, card_page, card_text
    from stack.host import carding

    read = [carding.read(place) for place in places]
    found = card_difference.compare(read, card_difference.labels(read, [str(place) for place in places]))
    if html:
        carding.write_page(html, card_page.as_overview(found))
    if markdown:
        typer.echo(card_text.markdown(found))
    else:
        say(card_text.as_data(found), as_json, card_text.render(found))
    raise typer.Exit(ExitCode.OK if found.ok else ExitCode.CHECK_FAILED)

"""Identity cards on disk: written beside the verdict, read out of files, folders and images, and gathered."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from stack import card as cards
from stack import sif
from stack.card import Card
from stack.errors import Position, StackError, bad_input
from stack.host import files, sif_file
from stack.host.cells import Cell
from stack.host.library import shown
from stack.lock import Lock
from stack.verdict import Verdict

MAX_BYTES = 32 << 20
_SIF_MAGIC = b"SIF_MAGIC"


def keep(cell: Cell, verdict: Verdict, lock: Lock | None, note: Callable[[str], None]) -> Card:
    """Write the card and its page beside the verdict, and the page of all cards where there is more than one."""
    from stack import card_page

    made = cards.make(verdict, lock)
    files.write_text(cell.folder / cards.NAME, cards.text(made))
    files.write_text(cell.folder / cards.PAGE, card_page.as_html(made))
    overview(cell, note)
    return made


def overview(cell: Cell, note: Callable[[str], None]) -> Path | None:
    """The page of all cards of this environment and profile, in the build folder; None where there is one or none."""
    from stack import card_difference, card_page

    found = gathered(cell.folder.parent, note)
    if len(found) < 2:
        return None
    folder = cell.build_dir
    links = [str((place / cards.PAGE).relative_to(folder)) for place, _card in found]
    page = folder / cards.PAGE_OF_ALL
    files.write_text(page, card_page.as_overview(card_difference.compare([card for _place, card in found]), links))
    return page


def gathered(folder: Path, note: Callable[[str], None]) -> list[tuple[Path, Card]]:
    """The cards of the cells in a folder, native machines first; of a card that cannot be read, a note."""
    found = []
    for path in sorted(folder.glob(f"*/{cards.NAME}")):
        try:
            found.append((path.parent, cards.parse(files.read_text(path, MAX_BYTES), str(path))))
        except StackError as error:
            note(f"left out of {cards.PAGE_OF_ALL}: {error}")
    return sorted(found, key=lambda pair: bool(pair[1].machine and pair[1].machine.emulator))


def read(place: Path) -> Card:
    """The card in a file, in a cell's folder, or in an image. Of an image's signature nothing is asked."""
    if place.is_dir():
        if not (place / cards.NAME).is_file():
            remedy = "`sovstack verify` writes one into the cell's folder, build/ENVIRONMENT/PROFILE/TARGET"
            raise bad_input(f"there is no {cards.NAME} in it", Position(str(place)), remedy)
        place = place / cards.NAME
    elif not place.is_file():
        what = "no such file" if not place.exists() else "not a file"
        remedy = f"name a {cards.NAME}, the folder of a cell, or an image"
        raise bad_input(what, Position(str(place)), remedy)
    if _is_image(place):
        return _from_image(place)
    return cards.parse(files.read_text(place, MAX_BYTES, f"name a {cards.NAME} or an image"), str(place))


def _is_image(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            start = handle.read(64)
    except OSError as error:
        raise bad_input(f"cannot be read: {error.strerror}", Position(str(path))) from None
    return path.suffix == ".sif" or _SIF_MAGIC in start


def _from_image(path: Path) -> Card:
    found = [o for o in sif_file.objects(path) if o.name == cards.NAME and o.kind == sif.JSON]
    if len(found) != 1:
        what = "there are several identity cards" if found else "there is no identity card"
        remedy = "`sovstack verify`, where it was built, puts one into it"
        raise bad_input(f"{what} in this image", Position(str(path)), remedy)
    data = sif_file.content(path, found[0], MAX_BYTES)
    try:
        return cards.parse(data.decode(), f"{path}:{cards.NAME}")
    except UnicodeDecodeError:
        raise bad_input("is not UTF-8", Position(f"{path}:{cards.NAME}")) from None


def write_page(page: Path, text: str) -> None:
    """A page where the user wants it: a new file, or in the place of an older page."""
    with files.disk_errors(page):
        there = os.path.lexists(page)
        if there and not (stat.S_ISREG(page.lstat().st_mode) and _is_page(page)):
            what = f"{shown(page)} is there, and is no page that could be replaced"
            raise bad_input(what, remedy="name another file")
    files.write_text(page, text)


def _is_page(path: Path) -> bool:
    with path.open("rb") as handle:
        start = handle.read(100)
    return not start or start.lower().startswith(b"<!doctype html")

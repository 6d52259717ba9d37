"""The SBOMs of a cell: of its lock before anything is built, and of its image afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stack import __version__
from stack.audit import cyclonedx, inventory, spdx
from stack.audit.document import About, Author, author, text
from stack.audit.inventory import Inventory
from stack.host.cells import Cell
from stack.host.library import Library
from stack.lock import Lock

if TYPE_CHECKING:
    from stack.host.image import Image
    from stack.host.source_build import Built

CYCLONEDX, SPDX = "sbom.cdx.json", "sbom.spdx.json"
AUTHOR = "SOVSTACK_AUTHOR"


def documents(cell: Cell, lock: Lock, made: Image, built: Built | None) -> Mapping[str, bytes]:
    """The SBOMs of an image by their names in it."""
    found = inventory_of(Library(cell.roots), cell, lock)
    rendered = documents_of(found, about_image(cell, found, made, built))
    return {name: text(document).encode() for name, document in rendered.items()}


def inventory_of(library: Library, cell: Cell, lock: Lock) -> Inventory:
    """Everything in a cell's lock, with what is known of it."""
    return inventory.make(lock, library.facts, cell.plan.target.os, cell.plan.base)


def about_lock(cell: Cell) -> About:
    """Of a lock, before anything is built."""
    return About("design", __version__, cell.catalogue.defaults.source_date_epoch, author_of(cell))


def about_image(cell: Cell, found: Inventory, made: Image, built: Built | None) -> About:
    """Of an image, with the digests of what stands in it."""
    from stack.host import deployed  # with all that a build needs: an audit of a lock does not wait for it

    tar, root = built.tar if built else _tar(cell), deployed.root(made)
    files = deployed.of(cell.folder, made, found, tar)
    return About(
        "build",
        __version__,
        cell.catalogue.defaults.source_date_epoch,
        author_of(cell),
        root,
        # What the rest stands on is delivered as the file system that holds both.
        {**files, **{item.ref: root for item in found.items if item.kind == "base"}},
    )


def _tar(cell: Cell) -> Path | None:
    tar = cell.folder / "source/software.tar"
    return tar if tar.is_file() else None


def author_of(cell: Cell) -> Author | None:
    """Who answers for the SBOM: SOVSTACK_AUTHOR, or the profile's contact."""
    said, contact = os.environ.get(AUTHOR), cell.plan.profile.contact
    if said:
        return author(said, AUTHOR)
    return Author(contact.name, contact.where) if contact else None


def documents_of(found: Inventory, about: About) -> dict[str, dict[str, Any]]:
    """Both documents by their names."""
    makers = {CYCLONEDX: cyclonedx.render, SPDX: spdx.render}
    return {name: render(found, about) for name, render in makers.items()}

"""What a second build, or one with no network, is said to have proved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stack.host import cells, rebuilding
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.library import Library, roots
from stack.host.software import Options
from stack.host.source_build import Built
from tests.audit.locks import released

LOCK = released("numerics/generic-x86/*v3")
BARE = LOCK.model_copy(update={"spack": None})
OFFLINE = Options(offline=True, fresh=True)
MADE = Image(Path("x.sif"), "k", "a" * 64, "b" * 64, 1, LOCK.digest, {})


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return cells.open_cell(Library(roots(None)), "generic-x86", "numerics", None, tmp_path)


def said(cell: Cell) -> object:
    return json.loads((cell.folder / rebuilding.NOTE).read_text())["same"]


def quiet(_line: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize(
    ("earlier", "same"),
    [(None, None), (MADE, True), (replace(MADE, sha256="c" * 64), False), (replace(MADE, lock="d" * 64), None)],
)
def test_bytes_are_compared_with_an_earlier_image_of_the_same_lock(
    cell: Cell, earlier: Image | None, same: bool | None
) -> None:
    rebuilding.note(cell, BARE, earlier, MADE, None, OFFLINE, quiet)
    assert said(cell) is same


def test_packages_out_of_a_cache_prove_no_second_build(cell: Cell) -> None:
    rebuilding.note(cell, LOCK, MADE, MADE, Built(Path("x.tar"), "e" * 64, {}), OFFLINE, quiet)
    assert said(cell) is None


def test_packages_that_were_all_compiled_again_do(cell: Cell) -> None:
    assert LOCK.spack
    names = {f"{n.name}@{n.version}": 1 for n in LOCK.spack.nodes if not n.external}
    rebuilding.note(cell, LOCK, MADE, MADE, Built(Path("x.tar"), "e" * 64, names), OFFLINE, quiet)
    assert said(cell) is True


def test_with_a_network_nothing_is_kept(cell: Cell) -> None:
    rebuilding.note(cell, BARE, MADE, MADE, None, Options(fresh=True), quiet)
    assert not (cell.folder / rebuilding.NOTE).exists()


@pytest.mark.parametrize(
    ("sha256", "word"), [("a" * 64, "the same bytes again"), ("c" * 64, "other bytes than before")]
)
def test_a_fresh_build_says_how_it_compares(cell: Cell, sha256: str, word: str) -> None:
    lines: list[str] = []
    rebuilding.note(cell, BARE, replace(MADE, sha256=sha256), MADE, None, Options(fresh=True), lines.append)
    assert len(lines) == 1
    assert lines[0].startswith(word)

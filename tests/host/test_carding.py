"""Identity cards on disk: read from files, folders and images; kept, and gathered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stack import card as cards
from stack import sif
from stack.errors import ExitCode, StackError
from stack.host import apptainer, carding, cells
from stack.host.cells import Cell
from stack.host.library import Library, shipped
from stack.lock import Lock
from stack.verdict import Machine
from tests import cards as samples
from tests.audit.test_page import Linked
from tests.command import SITE
from tests.test_lock import make
from tests.test_sif import file

CARD = samples.three()[2]
TEXT = cards.text(CARD)


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return cells.open_cell(Library((SITE, shipped())), "laptop", "small", None, tmp_path / "build")


@pytest.fixture
def lock(cell: Cell) -> Lock:
    return make(cell.plan)


def refused(place: Path) -> str:
    with pytest.raises(StackError) as raised:
        carding.read(place)
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    assert str(place) in str(raised.value)
    return str(raised.value)


def image(path: Path, *objects: tuple[int, bytes, str]) -> Path:
    path.write_bytes(file(*objects))
    return path


def test_a_card_is_read_from_a_file_a_folder_and_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise AssertionError("a card needs no Apptainer")

    monkeypatch.setattr(apptainer, "find", nothing)
    (tmp_path / "card.json").write_text(TEXT)
    (tmp_path / "any-name").write_text(TEXT)
    item = (sif.JSON, TEXT.encode(), "card.json")
    places = (tmp_path, tmp_path / "card.json", tmp_path / "any-name", image(tmp_path / "a.sif", item),
              image(tmp_path / "no-ending", item))  # fmt: skip
    for place in places:
        assert carding.read(place) == CARD


def test_what_is_no_card_is_told_with_what_to_do(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none")
    assert "there is no card.json in it (`sovstack verify` writes one" in refused(tmp_path)
    (tmp_path / "text").write_text("hello")
    assert "is not JSON" in refused(tmp_path / "text")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe{}")
    assert "not UTF-8" in refused(tmp_path / "bytes")
    (tmp_path / "empty").write_text("")
    refused(tmp_path / "empty")
    (tmp_path / "cut.sif").write_text("x")
    assert "not a SIF file" in refused(tmp_path / "cut.sif")
    assert "not a file" in refused(Path("/dev/null"))


def test_images_without_a_whole_card_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sif"
    assert "there is no identity card in this image (`sovstack verify`" in refused(image(path))
    item = (sif.JSON, TEXT.encode(), "card.json")
    assert "there are several identity cards" in refused(image(path, item, item))
    assert "a.sif:card.json: is cut off" in refused(image(path, (sif.JSON, TEXT[:400].encode(), "card.json")))
    assert "is not UTF-8" in refused(image(path, (sif.JSON, b"\xff", "card.json")))
    whole = image(path, item).read_bytes()
    path.write_bytes(whole[:-9])
    assert "it is cut off" in refused(path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "card.json").write_text(TEXT)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert "cannot be read: Permission denied" in refused(tmp_path / "card.json")


def test_a_card_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carding, "MAX_BYTES", 100)
    (tmp_path / "card.json").write_text(TEXT)
    assert "larger than" in refused(tmp_path / "card.json")
    assert "more than can be read" in refused(image(tmp_path / "a.sif", (sif.JSON, TEXT.encode(), "card.json")))


# --- kept and gathered ---


def keep(cell: Cell, lock: Lock | None, machine: Machine, target: str = "") -> list[str]:
    """Keep a card, as if of another target where one is named; what was noted."""
    noted: list[str] = []
    if target:
        folder = cell.folder.parent / target
        folder.mkdir(parents=True)
        (folder / "card.json").write_text(cards.text(cards.make(samples.honest(machine), lock)))
        carding.overview(cell, noted.append)
    else:
        carding.keep(cell, samples.honest(machine), lock, noted.append)
    return noted


def test_a_card_is_kept_with_its_page(cell: Cell, lock: Lock) -> None:
    assert keep(cell, lock, samples.NATIVE) == []
    assert carding.read(cell.folder) == cards.make(samples.honest(samples.NATIVE), lock)
    assert "7 numbers" in Linked((cell.folder / "card.html").read_text()).words
    assert not (cell.build_dir / "cards.html").exists()


def test_the_page_of_all_is_there_from_the_second_card_on(cell: Cell, lock: Lock) -> None:
    keep(cell, lock, samples.NATIVE)
    keep(cell, lock, samples.RISCV, "debian13-riscv64")
    page = Linked((cell.build_dir / "cards.html").read_text())
    assert "on 2 machines" in page.words and "riscv64 under qemu-riscv64" in page.words
    assert page.links == [f"./{cell.plan.cell}/card.html", "./small/laptop/debian13-riscv64/card.html"]


def test_native_machines_stand_first(cell: Cell) -> None:
    keep(cell, None, samples.ARM, "a-first-by-name")
    keep(cell, None, samples.NATIVE)
    found = carding.gathered(cell.folder.parent, print)
    assert [card.machine for _place, card in found] == [samples.NATIVE, samples.ARM]


def test_a_damaged_card_is_left_out_with_a_note(cell: Cell, lock: Lock) -> None:
    keep(cell, lock, samples.NATIVE)
    keep(cell, lock, samples.RISCV, "debian13-riscv64")
    (cell.folder.parent / "debian13-aarch64").mkdir()
    (cell.folder.parent / "debian13-aarch64/card.json").write_text(TEXT[:300])
    noted: list[str] = []
    assert carding.overview(cell, noted.append) == cell.build_dir / "cards.html"
    assert len(noted) == 1 and "debian13-aarch64/card.json: is cut off" in noted[0]


def test_a_page_replaces_nothing_but_a_page(tmp_path: Path) -> None:
    page, other, pipe = tmp_path / "new.html", tmp_path / "card.json", tmp_path / "pipe"
    carding.write_page(page, "<!doctype html>\n1")
    carding.write_page(page, "<!doctype html>\n2")
    assert page.read_text().endswith("2")
    other.write_text("{}")
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(page)
    for place in (other, pipe, tmp_path / "link", tmp_path, Path("")):  # noqa: PTH201 - what an empty word becomes
        with pytest.raises(StackError, match="is no page that could be replaced") as raised:
            carding.write_page(place, "<!doctype html>")
        assert raised.value.exit_code == ExitCode.BAD_INPUT
    assert (other.read_text(), pipe.is_fifo(), (tmp_path / "link").is_symlink()) == ("{}", True, True)

"""`sovstack mirror` on one cell: whose lock, which folders it writes, and what it says where it cannot go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stack import sources, verbs
from stack.errors import StackError
from stack.host import files, locking, mirroring, resolving, spack, wanted_sources
from stack.host.cells import Cell
from stack.host.library import Library, shipped
from stack.host.progress import Progress
from stack.sources import Wanted
from tests.conftest import RECORDED
from tests.host.test_locking import SITE, TEXT, keep, open_tiny

Asked = list[tuple[Path, Path]]


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    made = open_tiny(tmp_path)
    keep(made)
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A Spack that says what was recorded, and notes in which folders it was asked."""
    calls: Asked = []

    def wanted(_spack: object, environment: Path, work: Path, _sink: Callable[[str], None]) -> Wanted:
        assert (environment / "spack.lock").read_text() == TEXT
        assert not work.exists()
        work.mkdir()
        calls.append((environment, work))
        return sources.parse((RECORDED / "sources/numerics.json").read_text(), "numerics")

    monkeypatch.setattr(spack, "find", lambda *_words: object())
    monkeypatch.setattr(resolving, "installed", lambda *_words: object())
    monkeypatch.setattr(wanted_sources, "wanted", wanted)
    return calls


def prepare(cell: Cell, *, dry: bool = False) -> mirroring.Job:
    library = Library((SITE, shipped()))
    return mirroring.prepare(library, cell, cell.build_dir / "mirror", Progress(quiet=True), dry=dry)


def below(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_a_killed_run_left_is_removed_first(cell: Cell, asked: Asked) -> None:
    (cell.folder / "wanted/misc").mkdir(parents=True)
    prepare(cell)
    assert asked == [(cell.folder / "spack", cell.folder / "wanted")]
    assert not (cell.folder / "wanted").exists()


def test_a_dry_run_writes_nothing_below_the_build_folder(cell: Cell, asked: Asked) -> None:
    before = below(cell.build_dir)
    assert "blis@2.0" in mirroring.planned(prepare(cell, dry=True))
    assert below(cell.build_dir) == before
    assert not any(path.exists() for path in asked[0])


def test_a_dry_run_fetches_no_spack(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spack, "find", lambda *_words: None)
    with pytest.raises(StackError, match=r"Spack is not there, .*sovstack bootstrap"):
        prepare(cell, dry=True)


def test_a_lock_that_moved_on_or_was_parted_is_told(cell: Cell, asked: Asked, tmp_path: Path) -> None:
    moved = replace(cell, documents={**cell.documents, "profile": "0" * 64})
    for attempt in (lambda: prepare(moved), lambda: mirroring.environment(moved, tmp_path / "x")):
        with pytest.raises(StackError, match=r"the profile changed since the lock was made .*sovstack lock"):
            attempt()
    (cell.folder / "spack.lock").write_text(TEXT[:-1])
    for attempt in (lambda: prepare(cell), lambda: mirroring.environment(cell, tmp_path / "x")):
        with pytest.raises(StackError, match=r"is not the one that stack.lock.json was made with .*sovstack lock"):
            attempt()
    assert asked == []


def test_a_lock_that_goes_between_two_looks_is_told(cell: Cell, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "strict", lambda _cell: None)
    monkeypatch.setattr(locking, "current", lambda _cell: iter(()))
    with pytest.raises(StackError, match=r"has no whole spack.lock \(`sovstack lock old tiny --root \S+` makes one\)"):
        prepare(cell)


def run_verb(cell: Cell, **more: bool) -> None:
    verbs.mirror("old", "tiny", root=SITE, build_dir=cell.build_dir, quiet=True, **more)  # type: ignore[arg-type]


@pytest.fixture
def locks(cell: Cell, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the cell was held, each time that Spack was asked."""
    held: list[bool] = []
    inner = wanted_sources.wanted

    def wanted(*words: object) -> Wanted:
        try:
            with files.exclusive(cell.folder, print, wait=False):
                held.append(False)
        except StackError:
            held.append(True)
        return inner(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(wanted_sources, "wanted", wanted)
    monkeypatch.setattr(mirroring, "fill", lambda *_words, **_more: ((), ()))
    return held


def test_the_verb_holds_the_cell(cell: Cell, locks: list[bool]) -> None:
    run_verb(cell)
    run_verb(cell, dry_run=True)
    assert locks == [True, False]
    with files.exclusive(cell.folder, print, wait=False):  # and lets it go
        pass


def test_the_verb_waits_for_another_process(
    cell: Cell, locks: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Progress, "note", lambda _self, line: told.append(line))
    exclusive = files.exclusive

    def busy(folder: Path, waiting: Callable[[str], None], *, wait: bool = True) -> object:
        waiting("process 1")
        return exclusive(folder, waiting, wait=wait)

    monkeypatch.setattr(files, "exclusive", busy)
    run_verb(cell)
    assert "waiting for process 1, which works on tiny/old/rocky8-zen3" in told


def test_two_depths_at_once_are_refused(cell: Cell) -> None:
    with pytest.raises(StackError, match="say one of them"):
        run_verb(cell, look=True, survey=True)

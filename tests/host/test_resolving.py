"""What a cell's lock is made of: apt's part is tested with apt; here is Spack's, without Spack."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stack.catalogue import Catalogue, Keyring
from stack.errors import ExitCode, StackError, host_lacks
from stack.host import cells, locking, resolving
from stack.host import spack as host_spack
from stack.host.apt import PrivateApt
from stack.host.cells import Cell
from stack.host.library import Library, shipped
from stack.host.run import Sink
from stack.host.spack import Spack
from tests.host.test_locking import TEXT, keep, open_tiny, quiet

NOWHERE = "http://127.0.0.1:9/x.git"


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return open_tiny(tmp_path)


@pytest.fixture
def without_spack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has no Spack, and cannot reach any."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("SOVSTACK_SPACK_GIT", NOWHERE)
    monkeypatch.setenv("SOVSTACK_PACKAGES_GIT", NOWHERE)


def test_an_os_whose_packages_cannot_be_had_is_locked_without_a_mirror(cell: Cell) -> None:
    made = resolving.resolve(cell, None, quiet)
    assert made.os.packages == () and made.tools is None and made.spack is None
    assert made.component("gcc").version == "13.3.1"


def test_the_same_cell_asks_the_same_question_wherever_it_is(cell: Cell, tmp_path: Path) -> None:
    asked = [resolving.question(c, resolving.resolve(c, None, quiet)) for c in (cell, open_tiny(tmp_path / "b"))]
    assert asked[0] == asked[1]
    assert str(tmp_path) not in asked[0].environment + asked[0].release
    assert asked[0].release.startswith('ID=rocky\nVERSION_ID="8.')


def test_the_question_does_not_change_when_it_has_been_answered(cell: Cell) -> None:
    before = resolving.question(cell, resolving.resolve(cell, None, quiet))
    assert resolving.question(cell, keep(cell)).key == before.key


@pytest.mark.parametrize("part", ["spack", "packages"])
def test_another_commit_is_another_question(cell: Cell, part: str) -> None:
    made, known = resolving.resolve(cell, None, quiet), cell.catalogue.upstream
    moved = getattr(known, part).model_copy(update={"commit": "c" * 40})
    other = replace(cell, catalogue=replace(cell.catalogue, upstream=known.model_copy(update={part: moved})))
    assert resolving.question(other, made).key != resolving.question(cell, made).key


def test_our_own_packages_are_part_of_the_question(cell: Cell) -> None:
    made = resolving.resolve(cell, None, quiet)
    other = replace(cell, documents={**cell.documents, "overlay": "0" * 64})
    assert resolving.question(other, made).key != resolving.question(cell, made).key


def test_an_answer_that_is_there_is_taken_without_spack(cell: Cell, without_spack: None) -> None:
    made = keep(cell)
    lock, answer = resolving.solve(cell, resolving.resolve(cell, None, quiet), quiet)
    assert lock == made and answer.text == TEXT


def test_an_answer_handed_on_is_taken_for_a_changed_document(cell: Cell, tmp_path: Path, without_spack: None) -> None:
    made = keep(cell)
    site = tmp_path / "site"
    (site / cells.RELEASED / cell.plan.cell).parent.mkdir(parents=True)
    cell.folder.rename(site / cells.RELEASED / cell.plan.cell)
    moved = open_tiny(tmp_path / "b", site)
    moved = replace(moved, documents={**moved.documents, "profile": "0" * 64})
    lock, _answer = resolving.solve(moved, resolving.resolve(moved, None, quiet), quiet)
    assert lock.spack == made.spack and lock.inputs["profile"] == "0" * 64


@pytest.mark.skipif(not shutil.which("git"), reason="needs git: apt-get install git")
def test_a_changed_question_needs_spack_and_says_so_in_one_line(cell: Cell, without_spack: None) -> None:
    keep(cell)
    other = replace(cell, documents={**cell.documents, "overlay": "0" * 64})
    with pytest.raises(StackError) as caught:
        resolving.solve(other, resolving.resolve(other, None, quiet), quiet)
    assert caught.value.exit_code == ExitCode.HOST
    assert len(caught.value.faults) == 1 and "\n" not in str(caught.value)
    assert NOWHERE in str(caught.value) and "--spack-git" in str(caught.value)
    assert locking.adopt(cell)  # what was there is there still


def test_spack_that_cannot_be_fetched_is_asked_for_once(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Cell] = []

    def nowhere(cell: Cell, _sink: Sink) -> Spack:
        asked.append(cell)
        raise host_lacks("Spack cannot be fetched")

    monkeypatch.setattr(resolving, "installed", nowhere)
    markets, lock = resolving.Markets(), resolving.resolve(cell, None, quiet)
    for _cell in range(3):
        with pytest.raises(StackError, match="cannot be fetched"):
            resolving.solve(cell, lock, quiet, markets)
    assert len(asked) == 1


def test_a_mirror_that_does_not_answer_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def down(_self: PrivateApt, _sink: Sink) -> bool:
        asked.append("update")
        raise host_lacks("mirror.example cannot be reached")

    monkeypatch.setattr(PrivateApt, "update", down)
    private = PrivateApt(tmp_path, Keyring(path="/key", package="a-keyring"))
    monkeypatch.setattr(resolving, "open_apt", lambda *_rest: private)
    made = cells.open_cell(Library((shipped(),)), "generic-x86", "numerics", None, tmp_path)
    markets = resolving.Markets()
    for _cell in range(3):
        with pytest.raises(StackError, match="cannot be reached"):
            markets.fresh(made, quiet)
    assert asked == ["update"]


def test_a_dry_run_names_what_would_be_fetched_and_solved(cell: Cell, without_spack: None) -> None:
    words = [" ".join(c.argv) for c in resolving.commands(cell)]
    assert any(f"fetch --quiet --depth=1 --no-tags -- {NOWHERE}" in w for w in words)
    assert words[-1].endswith(str(cell.folder / "solve/question.json"))
    assert not cell.folder.exists()


def test_a_profile_may_name_a_mirror_of_spack(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("SOVSTACK_SPACK_GIT", "SOVSTACK_PACKAGES_GIT"):
        monkeypatch.delenv(name, raising=False)
    site = cell.plan.profile.model_copy(update={"mirrors": {"spack": "https://mirror.example/spack.git"}})
    other = replace(cell, plan=replace(cell.plan, profile=site))
    words = " ".join(w for c in resolving.commands(other) for w in c.argv)
    assert "-- https://mirror.example/spack.git " in words and f"-- {catalogue.upstream.packages.git} " in words


def test_a_cell_without_anything_to_build_asks_no_solver(tmp_path: Path, library: Library) -> None:
    made = cells.open_cell(Library((shipped(),)), "laptop", "ai-hpc", None, tmp_path)
    assert not made.plan.built and "overlay" not in made.documents
    assert not [c for c in resolving.commands(made) if "spack" in " ".join(c.argv)]


def test_packages_of_a_site_make_another_lock(tmp_path: Path) -> None:
    before = open_tiny(tmp_path / "a")
    ours = tmp_path / "site/recipes/spack_repo/ours"
    (ours / "packages/mine").mkdir(parents=True)
    (ours / "repo.yaml").write_text("repo: {namespace: ours, api: v2.0}\n")
    after = open_tiny(tmp_path / "b", tmp_path / "site")
    assert host_spack.overlays(after.roots)[0] == ours
    assert before.documents["overlay"] != after.documents["overlay"]

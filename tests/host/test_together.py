"""Many cells at once: one that fails stops no other, an interrupt ends all, and what is current costs nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.artifact import Command
from stack.errors import ExitCode, StackError, host_lacks
from stack.host import cells, files, locking, resolving, together
from stack.host import run as running
from stack.host.cells import Cell
from stack.host.library import Library, shipped
from stack.host.resolving import Markets, Relocked
from stack.host.run import Sink
from tests.host.test_locking import SITE, keep, open_tiny

ODD = "schema: 1\nname: odd\npurpose: x\ncomponents: {cray-mpich: {}}\n"  # which a site brings or nobody
OLD = (SITE / "profiles/old.yaml").read_text()


def library(root: Path, **profiles: str) -> Library:
    """The site's documents, and more profiles."""
    (root / "profiles").mkdir(parents=True, exist_ok=True)
    for name, text in profiles.items():
        (root / f"profiles/{name}.yaml").write_text(text.replace("name: old", f"name: {name}"))
    return Library((root, SITE, shipped()))


def names(cells: tuple[Cell, ...]) -> list[str]:
    return [c.plan.cell for c in cells]


def test_every_partition_of_every_profile_that_is_no_host(tmp_path: Path) -> None:
    three = OLD.replace("{cpu: {cpu: {microarchitecture: zen3}}}",
                        "{a: {cpu: {microarchitecture: zen3}}, b: {cpu: {microarchitecture: zen4}}, "
                        "c: {cpu: {microarchitecture: zen4}}}")  # fmt: skip
    made = library(tmp_path, three=three, here=OLD.replace("zen3", "host"))
    cells, refused = together.every(made, None, "tiny", tmp_path / "b")
    mine = [n for n in names(cells) if n.split("/")[1] in ("old", "three", "here")]
    # Partitions that are alike are one cell; a profile of whatever machine this is takes part when it is named.
    assert mine == ["tiny/old/rocky8-zen3", "tiny/three/rocky8-zen3", "tiny/three/rocky8-zen4"]
    assert not [r for r in refused if r.state == "failed"]
    assert len(together.every(made, "here", "tiny", tmp_path / "b")[0]) == 1


def test_the_shipped_documents_give_the_cells_that_are_promised(tmp_path: Path) -> None:
    cells, refused = together.every(Library((shipped(),)), None, None, tmp_path)
    assert not [r for r in refused if r.state == "failed"]
    assert len(cells) >= 16 and len(set(names(cells))) == len(cells)


def test_a_broken_document_stops_no_other(tmp_path: Path) -> None:
    made = library(tmp_path, bad=OLD.replace("zen3", "zen33"), worse="schema: 1\nname: old\n", none="")
    cells, refused = together.every(made, None, "tiny", tmp_path / "b")
    assert "tiny/old/rocky8-zen3" in names(cells)
    failed = {r.name: str(r.error) for r in refused if r.state == "failed"}
    assert set(failed) == {"tiny/bad/cpu", "worse", "none"}
    assert "did you mean 'zen3'" in failed["tiny/bad/cpu"] and "bad.yaml:6:" in failed["tiny/bad/cpu"]
    with pytest.raises(StackError, match="lacks the key"):
        together.every(made, "worse", "tiny", tmp_path / "b")  # it was named


def test_sound_documents_that_do_not_go_together_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/odd.yaml").write_text(ODD)
    cells, refused = together.every(library(tmp_path), "old", "odd", tmp_path / "b")
    assert cells == ()
    assert [(r.name, r.state) for r in refused] == [("odd/old/cpu", "left out")]
    assert "nobody can supply" in str(refused[0].error)


@pytest.mark.parametrize(("gib", "least", "most"), [(0.5, 1, 1), (2.6, 1, 1), (4096.0, 1, 4096)])
def test_no_more_solves_than_memory_and_cores(gib: float, least: int, most: int) -> None:
    assert least <= together.jobs(gib) <= min(most, len(os.sched_getaffinity(0)))


def test_what_is_current_is_told_without_spack(tmp_path: Path) -> None:
    cell = open_tiny(tmp_path)
    assert [o.state for o in together.check_all([cell])] == ["stale"]
    made = keep(cell)
    (checked,) = together.check_all([cell])
    assert (checked.state, checked.faults) == ("current", ())
    (done,) = together.lock_all([cell], 1, upgrade=False, quiet=True)
    assert (done.state, done.lock, done.digest) == ("current", made, made.digest)
    cell.lock_path.write_text("{")
    (damaged,) = together.check_all([cell])
    assert damaged.state == "failed" and damaged.error and damaged.error.exit_code == ExitCode.BAD_INPUT


def three(tmp_path: Path) -> list[Cell]:
    """Cells that differ in name alone."""
    made = library(tmp_path / "site", one=OLD, two=OLD, three=OLD)
    return [together.every(made, n, "tiny", tmp_path / "build")[0][0] for n in ("one", "two", "three")]


def with_relock(monkeypatch: pytest.MonkeyPatch, made: Callable[[Cell, Sink], Relocked]) -> None:
    monkeypatch.setattr(resolving, "relock", lambda cell, _markets, sink: made(cell, sink))


def test_one_that_fails_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def relock(cell: Cell, _sink: Sink) -> Relocked:
        if cell.plan.profile.name == "two":
            raise host_lacks("no room")
        return Relocked(keep(cell))

    with_relock(monkeypatch, relock)
    done = together.lock_all(three(tmp_path), 2, upgrade=False, quiet=False)
    assert [o.state for o in done] == ["locked", "failed", "locked"]
    assert str(done[1].error) == "no room" and done[1].lock is None
    said = capsys.readouterr().err
    assert said.count("==> ") == 3 and "[3/3]" in said and "tiny/two/rocky8-zen3 failed in" in said
    handed = tmp_path / "site/environments/locks/tiny"
    handed.mkdir(parents=True)
    (handed / "one").write_text("a file in the way")
    assert [o.state for o in together.release(done)] == ["failed", "failed", "locked"]  # each for itself
    assert sorted(p.name for p in (handed / "three").rglob("*lock*")) == ["spack.lock", "stack.lock.json"]


def test_one_that_another_process_works_on_fails_where_nobody_waits(tmp_path: Path) -> None:
    cell = open_tiny(tmp_path)
    with files.exclusive(cell.folder, print):
        (done,) = together.lock_all([cell], 1, upgrade=False, quiet=True, wait=False)
    assert done.state == "failed" and "is in use by process" in str(done.error)


def test_a_lock_handed_on_is_not_put_into_a_cell_that_another_works_on(tmp_path: Path) -> None:
    cell = open_tiny(tmp_path)
    keep(cell)
    released = tmp_path / "site" / cells.RELEASED / cell.plan.cell
    released.parent.mkdir(parents=True)
    cell.folder.rename(released)
    moved = open_tiny(tmp_path / "b", tmp_path / "site")
    with files.exclusive(moved.folder, print):
        (done,) = together.lock_all([moved], 1, upgrade=False, quiet=True, wait=False)
        assert done.state == "failed" and not moved.lock_path.exists()
    (done,) = together.lock_all([moved], 1, upgrade=False, quiet=True, wait=False)
    assert done.state == "current" and moved.lock_path.exists()


def test_an_environment_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="nosuch"):
        together.every(library(tmp_path / "site", one=OLD), "one", "nosuch", tmp_path / "build")


def test_an_interrupt_ends_what_runs_and_starts_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def relock(cell: Cell, _sink: Sink) -> Relocked:
        begun.append(cell.plan.profile.name)
        running.run(Command(("sleep", "60"), "wait"))
        running.run(Command(("touch", str(tmp_path / "more")), "go on"), check=False)
        raise AssertionError("not interrupted")

    def interrupt() -> None:
        until = time.monotonic() + 20
        while len(begun) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    with_relock(monkeypatch, relock)
    cells, began = three(tmp_path), time.monotonic()
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        together.lock_all(cells, 2, upgrade=False, quiet=True)
    assert time.monotonic() - began < 30
    assert len(begun) == 2 and not (tmp_path / "more").exists()
    assert running.run(Command(("true",), "see that processes may be started again")).returncode == 0


def test_locking_again_takes_the_answer_that_is_there(tmp_path: Path) -> None:
    cell = open_tiny(tmp_path)
    made = keep(cell)
    locking.keep(cell, made.model_copy(update={"inputs": {**made.inputs, "profile": "0" * 64}}), "")
    (done,) = together.lock_all([cell], 1, upgrade=False, quiet=True)  # stale, but the question is the same
    assert (done.state, done.lock) == ("locked", made)
    assert Markets(lenient=False).fresh(cell, print) is None

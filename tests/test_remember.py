"""The verb `history`, and what `verify --compare` answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from stack import remember
from stack.cli import run as command
from stack.errors import ExitCode, StackError, host_lacks
from stack.history import Session
from stack.host import cells, remembering
from stack.host.cells import Cell
from stack.host.library import Library, roots
from stack.host.placing import HERE
from stack.verdict import Check, Verdict
from tests.measured import HOST, IMAGE, LOCK, SUITE, session

APP = typer.Typer()
APP.command()(remember.history)
FAST = [60.0, 60.5, 61.0, 61.5, 62.0, 62.5, 63.0]
SLOW = [v * 0.8 for v in FAST]
VERDICT = Verdict(schema=1, cell="c", image=IMAGE, lock=LOCK, suite=SUITE, date="2026-03-09", reframe="4.10", host=HOST,
                  checks=(Check(name="Gemm", title="products", result="pass"),))  # fmt: skip


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return cells.open_cell(Library(roots(None)), "generic-x86", "numerics", None, tmp_path)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """What the store has; the last of it is what was run."""
    found: list[Session] = []
    monkeypatch.setattr(remembering, "sessions", lambda folder: tuple(found))
    monkeypatch.setattr(remembering, "ran", lambda _folder, seen, _verdict: seen[-1])
    return found


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(APP, ["generic-x86", "numerics", "--build-dir", str(folder), *words])


def verified(cell: Cell, wanted: str | None, *, as_json: bool = False) -> int:
    with pytest.raises(typer.Exit) as done:
        remember.verified(cell.folder, VERDICT, wanted, as_json)
    return done.value.exit_code


def test_sessions_are_listed_and_the_page_is_written(cell: Cell, kept: list[Session], tmp_path: Path) -> None:
    kept += [session(1, {"fp64_speed": FAST}), session(2, {"fp64_speed": SLOW})]
    done = run(tmp_path)
    assert done.exit_code == ExitCode.OK
    assert "00020000" in done.stdout
    page = cell.folder / "history.html"
    assert page.name in done.stdout
    assert "fp64_speed" in page.read_text()


def test_nothing_is_written_where_nothing_was_measured(cell: Cell, kept: list[Session], tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.exit_code == ExitCode.OK
    assert "nothing was measured here yet" in done.stdout
    assert not cell.folder.exists()
    refused = run(tmp_path, "--compare")
    assert isinstance(refused.exception, StackError)
    assert refused.exception.exit_code == ExitCode.BAD_INPUT


def test_a_regression_is_exit_code_one_and_in_the_json(kept: list[Session], tmp_path: Path) -> None:
    kept += [session(1, {"fp64_speed": FAST}), session(2, {"fp64_speed": SLOW})]
    done = run(tmp_path, "--compare")
    assert done.exit_code == ExitCode.CHECK_FAILED
    assert "✗ slower" in done.stdout
    data = json.loads(run(tmp_path, "--since", "0001", "--json").stdout)
    assert data["comparison"]["regressions"] == ["Gemm.fp64_speed"]
    assert [s["session"] for s in data["sessions"]] == [s.id for s in kept]
    kept[:] = [session(1, {"fp64_speed": SLOW}), session(2, {"fp64_speed": FAST})]
    assert run(tmp_path, "--compare").exit_code == ExitCode.OK


def test_verify_tells_its_verdict_and_what_became_slower(
    cell: Cell, kept: list[Session], capsys: pytest.CaptureFixture[str]
) -> None:
    kept += [session(1, {"fp64_speed": FAST}), session(2, {"fp64_speed": SLOW})]
    assert verified(cell, None) == ExitCode.OK
    assert "slower" not in capsys.readouterr().out
    assert verified(cell, "last") == ExitCode.CHECK_FAILED
    out = capsys.readouterr().out
    assert out.index("1 passed, 0 failed") < out.index("1 of 1 number became slower")
    assert verified(cell, "last", as_json=True) == ExitCode.CHECK_FAILED
    data = json.loads(capsys.readouterr().out)
    assert (data["checks"][0]["name"], data["comparison"]["regressions"]) == ("Gemm", ["Gemm.fp64_speed"])
    assert "1 number became slower" in (cell.folder / "history.html").read_text()


def test_a_history_that_cannot_be_read_costs_no_verdict(
    cell: Cell, kept: list[Session], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(folder: Path) -> tuple[Session, ...]:
        raise host_lacks("the history cannot be read")

    monkeypatch.setattr(remembering, "sessions", damaged)
    with pytest.raises(StackError, match="the history cannot be read"):
        remember.verified(cell.folder, VERDICT, "last", True)
    data = json.loads(capsys.readouterr().out)
    assert (data["checks"][0]["result"], data["comparison"]) == ("pass", None)


def test_a_word_that_means_nothing_is_refused_before_a_run(cell: Cell, kept: list[Session]) -> None:
    remember.sought(cell.folder, None, HERE)
    remember.sought(cell.folder, "last", HERE)
    with pytest.raises(StackError, match="nothing was measured here before"):
        remember.sought(cell.folder, "0001", HERE)


def test_what_a_preloaded_library_does_is_compared_with_nothing() -> None:
    assert remember.meant(False, None, Path("/lib.so")) is None
    assert (remember.meant(True, None), remember.meant(True, "0001")) == ("last", "0001")
    with pytest.raises(StackError, match="what a preloaded library does is not kept"):
        remember.meant(False, "last", Path("/lib.so"))


@pytest.mark.parametrize("words", [("--repeat", "0"), ("--repeat", "61"), ("--preload", "/none", "--compare")])
def test_options_that_make_no_sense(words: tuple[str, ...], tmp_path: Path) -> None:
    said = ["verify", "generic-x86", "numerics", "--build-dir", str(tmp_path), *words]
    assert command(said) == ExitCode.BAD_INPUT

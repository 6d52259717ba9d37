"""The verbs of `card`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from stack import card as texts
from stack import cards, cli, sif
from stack.errors import ExitCode, StackError
from tests import cards as samples
from tests.test_card_text import wrong
from tests.test_sif import file

APP = typer.Typer()
APP.add_typer(cards.card)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, made in zip(("x86", "arm", "riscv"), samples.three(), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(texts.text(made))
    for name, made in zip(("good", "bad"), wrong().cards, strict=True):
        (tmp_path / f"{name}.json").write_text(texts.text(made))
    (tmp_path / "riscv.sif").write_bytes(file((sif.JSON, texts.text(samples.three()[2]).encode(), "card.json")))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(APP, ["card", *words])


def test_a_card_is_shown_as_text_as_json_and_as_a_page(place: Path) -> None:
    done = run("show", "riscv.sif", "--html", "out/card.html")
    assert done.exit_code == ExitCode.OK
    assert done.stdout.startswith("ai-hpc/laptop/debian13-riscv64\nmachine  riscv64 under qemu-riscv64")
    assert "<!doctype html>" in (place / "out/card.html").read_text()
    assert run("show", "riscv", "--json").stdout == (place / "riscv/card.json").read_text()


def test_machines_that_agree_end_with_0(place: Path) -> None:
    for words in (("x86", "arm"), ("x86", "arm", "riscv.sif"), ("x86/card.json", "x86")):
        assert run("diff", *words).exit_code == ExitCode.OK
    assert "4 of 7 numbers have the same bits on all 3 machines" in run("diff", "x86", "arm", "riscv").stdout


def test_machines_that_do_not_end_with_1_in_every_form(place: Path) -> None:
    for form in ((), ("--json",), ("--markdown",), ("--html", "page.html")):
        assert run("diff", "good.json", "bad.json", *form).exit_code == ExitCode.CHECK_FAILED
    assert "Not every number" in (place / "page.html").read_text()
    assert "zen2 (good.json)" not in run("diff", "good.json", "bad.json").stdout
    assert "zen2 (x86)" in run("diff", "x86", "x86/card.json").stdout
    assert run("diff", "x86", "good.json").exit_code == ExitCode.CHECK_FAILED  # what only one has


def test_json_is_canonical_and_markdown_has_a_table(place: Path) -> None:
    done = run("diff", "x86", "riscv", "--json")
    data = json.loads(done.stdout)
    assert done.stdout == json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert (data["ok"], len(data["numbers"])) == (True, 7)
    assert "| 1 | `x86_64` |" in run("diff", "x86", "riscv", "--markdown").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("diff", "x86"), "x86: one card alone cannot differ"),
        (("diff", "x86", "arm", "--json", "--markdown"), "two answers"),
        (("diff", "x86", "none"), "none: no such file"),
        (("show", "."), "there is no card.json in it"),
    ],
)
def test_bad_input_is_told(place: Path, words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert isinstance(done.exception, StackError)
    assert done.exception.exit_code == ExitCode.BAD_INPUT
    assert said in str(done.exception)


def test_the_command_has_the_verb(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["card", "diff", "good.json", "bad.json"]) == ExitCode.CHECK_FAILED
    assert cli.run(["card", "show", "nothing"]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert "2 beyond the bounds" in captured.out
    assert "nothing: no such file (name a card.json, the folder of a cell, or an image)" in captured.err

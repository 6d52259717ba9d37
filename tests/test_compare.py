"""The verb `diff`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from stack import compare
from stack.errors import ExitCode, StackError
from stack.lock import Lock
from tests.locked import deb, lock, os_lock

APP = typer.Typer()
APP.command()(compare.diff)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, made in {"a": debian("bash"), "b": debian("bash", "tar")}.items():
        (tmp_path / f"{name}.json").write_text(made.text(), encoding="utf-8")
    return tmp_path


def debian(*names: str) -> Lock:
    return lock(os=os_lock(*map(deb, names), system="debian-13"))


def run(*words: str) -> Result:
    return CliRunner().invoke(APP, words)


def test_the_answer_is_text_and_a_difference_is_no_failure(place: Path) -> None:
    done = run("a.json", "b.json")
    assert done.exit_code == ExitCode.OK
    assert "OS packages: 1 added\n  + tar 1," in done.stdout
    assert "        b.json" in done.stdout


def test_the_exit_code_tells_where_it_is_asked_for(place: Path) -> None:
    assert run("a.json", "b.json", "--exit-code").exit_code == ExitCode.CHECK_FAILED
    same = run("a.json", "a.json", "--exit-code")
    assert same.exit_code == ExitCode.OK
    assert same.stdout.endswith("the locks are the same\n")


def test_json_has_a_schema_and_is_canonical(place: Path) -> None:
    done = run("a.json", "b.json", "--json")
    data = json.loads(done.stdout)
    assert done.stdout == json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert data["schema"] == 1
    assert not data["same"]
    assert data["before"] == {"cell": "some/site/tux1-x86_64_v3", "lock": debian("bash").digest, "read": "a.json"}
    (entry,) = data["entries"]
    assert (entry["group"], entry["name"], entry["change"], entry["before"]) == ("os", "tar", "added", None)
    assert entry["after"]["licence"]
    assert entry["after"]["version"] == "1"


def test_markdown(place: Path) -> None:
    done = run("a.json", "b.json", "--markdown")
    assert done.stdout.startswith("### ")
    assert "| + | `tar` |  | `1` | " in done.stdout


def test_two_answers_at_once_are_refused(place: Path) -> None:
    found = run("a.json", "b.json", "--json", "--markdown")
    assert isinstance(found.exception, StackError)
    assert found.exception.exit_code == ExitCode.BAD_INPUT


def test_a_missing_lock_is_bad_input(place: Path) -> None:
    found = run("a.json", "c.json")
    assert isinstance(found.exception, StackError)
    assert found.exception.exit_code == ExitCode.BAD_INPUT
    assert "c.json: there is no such lock" in str(found.exception)


def test_a_document_of_the_own_root_is_read(place: Path) -> None:
    folder = place / "site/environments/locks/some/site/tux1-x86_64_v3"
    folder.mkdir(parents=True)
    (folder / "stack.lock.json").write_text(debian("tar").text(), encoding="utf-8")
    done = run("some/site/tux1-x86_64_v3", "b.json", "--root", "site")
    assert done.exit_code == ExitCode.OK
    assert "+ bash 1" in done.stdout

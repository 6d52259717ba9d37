"""What a hostile or broken surrounding does to the command: a clear error, the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stack import lock as locks
from stack.artifact import canonical_json, digest
from stack.errors import ExitCode, StackError
from stack.host import cells, files, image, locking
from stack.host.cells import Cell
from stack.host.library import Library, shipped
from stack.plan import Plan
from tests.command import ROOT, SITE, argv, environment, sovstack
from tests.test_lock import make

LONG = "a" * 5000
FULL = Path("/dev/full")


def refused(done: subprocess.CompletedProcess[str], code: ExitCode, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def site(folder: Path, name: str = "x") -> Path:
    path = folder / "profiles" / f"{name}.yaml"
    path.parent.mkdir()
    return path


# --- paths ---


@pytest.mark.parametrize("words", [("plan", f"{LONG}.yaml"), ("check", LONG), ("plan", "a/" + LONG)])
def test_a_name_that_no_file_can_have(words: tuple[str, ...]) -> None:
    refused(sovstack(*words), ExitCode.BAD_INPUT, "no such file")


@pytest.mark.parametrize("verb", [("check",), ("plan", "x")])
def test_a_pipe_is_not_waited_for(verb: tuple[str, ...], tmp_path: Path) -> None:
    os.mkfifo(site(tmp_path))
    refused(sovstack(*verb, "--root", tmp_path), ExitCode.BAD_INPUT, "x.yaml: cannot be read: not an ordinary file")


@pytest.mark.parametrize("verb", [("check",), ("plan", "x")])
def test_a_link_that_leads_to_itself(verb: tuple[str, ...], tmp_path: Path) -> None:
    site(tmp_path).symlink_to("x.yaml")
    refused(sovstack(*verb, "--root", tmp_path), ExitCode.BAD_INPUT, "x.yaml: cannot be read")


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/tty"])
def test_a_device_is_not_read(target: str, tmp_path: Path) -> None:
    site(tmp_path).symlink_to(target)
    refused(sovstack("check", "--root", tmp_path), ExitCode.BAD_INPUT, "x.yaml: cannot be read")


@pytest.mark.parametrize("kind", ["file", "loop", "/proc/x", LONG])
@pytest.mark.parametrize("verb", ["render", "lock"])
def test_a_build_folder_that_cannot_be(kind: str, verb: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    refused(sovstack(verb, "laptop", "--build-dir", tmp_path / kind), ExitCode.HOST, "choose another folder")


def test_the_doctor_sees_a_build_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = sovstack("doctor", "--build-dir", tmp_path / "file/x")
    assert done.returncode == ExitCode.HOST
    assert f"{tmp_path}/file is no folder that you may write" in done.stdout


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    done = sovstack("render", "laptop", "--build-dir", folder, PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == ExitCode.OK, done.stderr
    assert (folder / "modules/ai-hpc/.modulerc.lua").is_file()


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'rmdir "{gone}"; exec "$@"'
    command = ["/bin/sh", "-c", line, "sh", *argv("plan", "laptop")]
    done = subprocess.run(command, cwd=gone, env=environment(), capture_output=True, text=True, check=False)
    refused(done, ExitCode.BAD_INPUT, "the current folder is gone")


# --- streams ---


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [("plan", "laptop"), ("plan", "laptop", "--json"), ("--help",), ("--version",)])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_cannot_be_written_is_an_error(words: tuple[str, ...], unbuffered: str) -> None:
    env = environment(PYTHONUNBUFFERED=unbuffered)
    with FULL.open("w") as out:
        done = subprocess.run(
            argv(*words), cwd=ROOT, env=env, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
    refused(done, ExitCode.HOST, "error: the answer could not be written")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "2>/dev/full", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("plan laptop", 0), ("plan nowhere", 2)])
def test_streams_that_are_closed_or_full_do_not_change_the_exit_code(closed: str, words: str, code: int) -> None:
    line = f'exec "$@" {words} {closed}'
    done = subprocess.run(["/bin/sh", "-c", line, "sh", *argv()], cwd=ROOT, env=environment(), capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_message_in_a_locale_without_its_letters() -> None:
    refused(sovstack("plan", "Zürich", PYTHONIOENCODING="ascii:strict"), ExitCode.BAD_INPUT, "no profile 'Z\\xfcrich'")


def test_what_is_written_does_not_depend_on_the_locale(tmp_path: Path) -> None:
    text = (ROOT / "profiles/laptop.yaml").read_text(encoding="utf-8")
    path = site(tmp_path, "laptop")
    lines = ["description: Zürich ☃" if line.startswith("description:") else line for line in text.splitlines()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    plain: dict[str, Any] = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for folder, extra in (("a", dict[str, Any]()), ("b", plain)):
        done = sovstack("render", "laptop", "--root", tmp_path, "--build-dir", tmp_path / folder, **extra)
        assert done.returncode == ExitCode.OK, done.stderr
    trees = [{str(p.relative_to(tmp_path / f)): p.read_bytes() for p in (tmp_path / f).rglob("*") if p.is_file()}
             for f in "ab"]  # fmt: skip
    assert trees[0] == trees[1]
    assert any("☃".encode() in data or b"\\u2603" in data for data in trees[0].values())


def test_an_error_moves_no_cursor(tmp_path: Path) -> None:
    done = sovstack("check", tmp_path / "\x1b[2J.yaml")
    refused(done, ExitCode.BAD_INPUT, "no such file")
    assert "\x1b" not in done.stderr


# --- what a former run left ---

RECORDS = ["{}", "[]", "5", "null", "[[", "[" * 100_000, '{"size": 5}', '{"size": 5, "sha256": "", "tools": 1}']


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A cell with a lock, and an image that is none but as its record says."""
    text = "schema: 1\nname: x\ndescription: x\npartitions: {default: {cpu: {microarchitecture: x86_64_v3}}}\n"
    site(tmp_path).write_text(text, encoding="utf-8")
    library = Library((tmp_path, SITE, shipped()))
    made = cells.open_cell(library, "x", str(SITE / "environments/small.yaml"), None, tmp_path / "build")
    lock = make(made.plan)
    files.write_text(made.lock_path, lock.text())
    files.write_text(made.folder / "small.sif", "image")
    record = {"key": "", "sha256": digest("image"), "squashfs": "", "size": 5, "lock": lock.digest, "tools": {}}
    files.write_text(made.folder / "image.json", canonical_json(record))
    return made


def verifying(cell: Cell) -> subprocess.CompletedProcess[str]:
    root = cell.build_dir.parent
    small = SITE / "environments/small.yaml"
    return sovstack("verify", "x", small, "--root", root, "--build-dir", cell.build_dir, "--check", "Nothing")


def test_an_image_is_checked_only_beside_its_own_lock(cell: Cell) -> None:
    assert "of another lock" not in verifying(cell).stderr
    text = cell.lock_path.read_text(encoding="utf-8")
    cell.lock_path.write_text(text.replace('"size": 1', '"size": 2', 1), encoding="utf-8")
    refused(verifying(cell), ExitCode.BAD_INPUT, "the image of small/x/", "is of another lock")


def test_a_lock_of_another_cell_is_not_taken(cell: Cell) -> None:
    text = cell.lock_path.read_text(encoding="utf-8")
    cell.lock_path.write_text(text.replace(cell.plan.target.name, "debian13-zen4"), encoding="utf-8")
    assert "is the lock of small/x/debian13-zen4" in locking.stale(cell)[0]
    with pytest.raises(StackError, match="is the lock of small/x/debian13-zen4"):
        locking.strict(cell)


def test_a_lock_of_another_architecture_is_not_taken(cell: Cell) -> None:
    text = cell.lock_path.read_text(encoding="utf-8")
    cell.lock_path.write_text(text.replace(f'"{cell.plan.target.architecture}"', '"mips64el"'), encoding="utf-8")
    assert "is for mips64el" in locking.stale(cell)[0]


@pytest.mark.parametrize("text", RECORDS, ids=lambda t: t[:12])
def test_a_damaged_record_means_that_there_is_no_image(text: str, cell: Cell) -> None:
    assert image.present(cell.folder, "small")
    (cell.folder / "image.json").write_text(text, encoding="utf-8")
    assert image.present(cell.folder, "small") is None


# --- locks ---

HOSTILE = [
    ("os", "packages", 0, "name", "-oDir::Bin::dpkg=/tmp/x"),
    ("os", "packages", 0, "name", "bash,evil"),
    ("os", "packages", 0, "name", "?essential"),
    ("os", "packages", 0, "name", "bash-"),
    ("os", "packages", 0, "version", "1\nFilename: /etc/passwd"),
    ("os", "packages", 0, "version", "1,evil=2"),
    ("os", "packages", 0, "architecture", "amd64\n"),
    ("os", "packages", 0, "filename", "../../etc/passwd"),
    ("os", "packages", 0, "size", -1),
    ("os", "packages", 0, "sha256", "../" + "0" * 61),
    ("os", "packages", 0, "control", {"Depends": "a\n\nPackage: evil"}),
    ("os", "packages", 0, "control", {"Filename": "/etc/passwd"}),
    ("os", "packages", 0, "control", {"Installed-Size": "many"}),
    ("components", 0, "version", "1\n%post\n    touch /x"),
    ("components", 0, "prefix", "/../x"),
    ("components", 0, "role", "-x"),
    ("target", "../../x"),
    ("target", "x\n"),
    ("environment", ".."),
    ("wheels", {"python": "3.13", "platforms": ["--index-url=x"], "requested": [], "files": []}),
    ("wheels", {"python": "3.13", "platforms": [], "requested": [], "files": [
        {"project": "a\n--index-url x", "version": "1", "filename": "a", "sha256": "0" * 64}]}),
    ("wheels", {"python": "3.13", "platforms": [], "requested": [], "files": [
        {"project": "a", "version": "1 --index-url x", "filename": "a", "sha256": "0" * 64}]}),
]  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE, ids=lambda c: ".".join(map(str, c[:-1])))
def test_a_lock_holds_bare_words_alone(change: tuple[str | int, ...], laptop: Plan) -> None:
    data = json.loads(make(laptop).text())
    assert locks.parse(json.dumps(data), "good")
    place = data
    for part in change[:-2]:
        place = place[part]
    place[change[-2]] = change[-1]
    with pytest.raises(StackError, match="delete it and lock again") as caught:
        locks.parse(json.dumps(data), "x.lock")
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_damage_to_a_lock_is_an_error_or_harmless(laptop: Plan, data: st.DataObject) -> None:
    text = make(laptop).text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 400)))
    try:
        locks.parse(text[:start] + data.draw(st.text(max_size=20)) + text[end:], "x.lock")
    except StackError as error:
        assert error.exit_code == ExitCode.BAD_INPUT


def test_a_deep_lock_is_damaged() -> None:
    with pytest.raises(StackError, match="damaged"):
        locks.parse("[" * 100_000, "x.lock")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\ud800", "9" * 10_000, "\x00"])
def test_a_record_that_cannot_be_used_counts_as_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert files.read_record(path) is None
    assert files.read_record(tmp_path) is None
    path.write_text('{"a": 1}', encoding="utf-8")
    assert files.read_record(path) == {"a": 1}
    assert files.read_record(path, 3) is None

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack.artifact import File, Tree
from stack.errors import ExitCode, StackError
from stack.host import files


def test_a_text_is_read_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xc3\xa9\n")
    assert files.read_text(path, 100) == "a: é\n"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(StackError, match=r"a\.yaml:2:.*not UTF-8"):
        files.read_text(path, 100)
    path.write_bytes(b"x" * 101)
    with pytest.raises(StackError, match="larger than"):
        files.read_text(path, 100)
    with pytest.raises(StackError, match="cannot be read"):
        files.read_text(tmp_path / "none", 100)


def test_an_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "sub/out"
    with pytest.raises(RuntimeError), files.beside(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    with files.beside(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_a_failed_output_leaves_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("former")
    with pytest.raises(RuntimeError), files.beside(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "former"


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("one", "two"):
        with files.beside(path) as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [p.name for p in path.iterdir()] == ["two"]


def test_an_equal_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_text(path, "x", executable=True)
    os.utime(path, (1, 1))
    files.write_text(path, "x", executable=True)
    assert path.stat().st_mtime == 1
    files.write_text(path, "x")
    assert not os.access(path, os.X_OK)


def test_a_tree_is_written_with_its_modes(tmp_path: Path) -> None:
    files.write_tree(tmp_path, Tree.of({"a/b": File("1", executable=True), "c": "2"}))
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o644


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".out.partial-99").mkdir()
    (tmp_path / ".other.partial-7").touch()
    (tmp_path / ".lock").touch()
    files.clean_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; run the tests as an ordinary user")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StackError, match="choose a folder you may write") as caught:
        files.write_text(tmp_path / "a", "x")
    assert caught.value.exit_code == ExitCode.HOST


HOLDER = """
import sys, pathlib
from stack.host import files
with files.exclusive(pathlib.Path(sys.argv[1]), print):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_waits_or_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(StackError, match=f"in use by process {child.pid}"),
            files.exclusive(tmp_path, print, wait=False),
        ):
            pass
        waited: list[str] = []

        def release(holder: str) -> None:
            waited.append(holder)
            assert child.stdin
            child.stdin.close()

        begun = time.monotonic()
        with files.exclusive(tmp_path, release):
            assert waited == [f"process {child.pid}"]
        assert time.monotonic() - begun < 60


def test_a_killed_holder_frees_the_folder(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        child.stdout.readline()
        child.kill()
        child.wait()
    with files.exclusive(tmp_path, print, wait=False):
        pass


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_a_lock_file_that_is_none_is_refused_and_nothing_is_written(tmp_path: Path, kind: str) -> None:
    precious, lock = tmp_path / "precious", tmp_path / "cell/.lock"
    lock.parent.mkdir()
    if kind == "link":
        precious.write_text("mine")
    if kind in ("link", "dangling"):
        lock.symlink_to(precious)
    elif kind == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    refused = pytest.raises(StackError, match=r"\.lock is not an ordinary file \(remove it\)")
    with refused, files.exclusive(lock.parent, print):
        pass
    assert precious.read_text() == "mine" if kind == "link" else not precious.exists()


def test_the_remedy_is_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    with pytest.raises(StackError, match="set HOME, or XDG_DATA_HOME, to another folder"):
        files.write_text(files.user_folder("XDG_DATA_HOME", ".local/share") / "x", "text")
    with pytest.raises(StackError, match="choose another folder: with --build-dir"):
        files.write_text(tmp_path / "home/x", "text")


def test_a_home_has_to_be_a_whole_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(StackError, match="HOME is no absolute path: 'relative'"):
        files.user_folder("XDG_CACHE_HOME", ".cache")


@pytest.mark.parametrize("text", ['"\\ud800"', '{"\\uDFFF": 1}', "{", "\ufeff{}"])
def test_a_record_that_cannot_be_written_again_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text, encoding="utf-8")
    assert files.read_record(tmp_path / "x") is None
    (tmp_path / "x").write_text(json.dumps("\U0001f600"), encoding="utf-8")
    assert files.read_record(tmp_path / "x") == "\U0001f600"


def test_a_device_or_a_pipe_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StackError, match="is no file, and would be replaced by one"):
        files.write_text(tmp_path / "pipe", "x")
    assert (tmp_path / "pipe").is_fifo()

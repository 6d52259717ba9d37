from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stack.artifact import Command
from stack.errors import ExitCode, StackError
from stack.host import run as running
from stack.host.run import run, which


def shell(text: str, **more: str) -> Command:
    return Command(("sh", "-c", text), "try something", env=more)


def test_output_streams_line_by_line_into_sink_and_log(tmp_path: Path) -> None:
    lines: list[str] = []
    result = run(shell("echo a; echo b >&2; echo $X", X="c"), lines.append, log=tmp_path / "log")
    assert lines == ["a", "b", "c"]
    assert result.stdout == "a\nb\nc\n"
    assert (tmp_path / "log").read_text().splitlines()[1:] == ["a", "b", "c"]


def test_a_failure_says_what_for_the_status_and_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="could not try something: sh ended with status 7") as caught:
        run(shell("echo the reason; exit 7"), log=tmp_path / "log")
    assert "the reason" in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)
    assert caught.value.exit_code == ExitCode.HOST
    assert run(shell("exit 7"), check=False).returncode == 7


def test_a_full_disk_is_told_as_such() -> None:
    with pytest.raises(StackError, match="the disk is full"):
        run(shell("echo cp: error writing: No space left on device; exit 1"))


def test_a_full_disk_is_told_however_much_is_printed_after_it(tmp_path: Path) -> None:
    text = "echo one; echo 'dpkg: failed to write (No space left on device)'; seq 1000; echo E: failed; exit 25"
    with pytest.raises(StackError) as caught:
        run(shell(text), log=tmp_path / "log")
    assert "the disk is full: dpkg: failed to write (No space left on device) (free some space" in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)  # where the rest is, should something else be the matter


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_on_a_full_disk_is_told_and_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    with pytest.raises(StackError, match=r"log: the disk is full \("):
        run(shell(f"touch {tmp_path}/ran"), log=tmp_path / "log")
    assert not (tmp_path / "ran").exists()


def test_a_line_that_a_file_takes_in_pieces_is_in_the_log_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Grudging(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[:3])

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode, **_more: Grudging(self, mode))
        with running.appending(tmp_path / "log") as write:
            write("as a disk with hardly any room does, \u00e4\n")
    assert (tmp_path / "log").read_bytes().decode() == "as a disk with hardly any room does, \u00e4\n"


def test_a_missing_program_is_named_with_what_it_is_for() -> None:
    with pytest.raises(StackError, match=r"no-such-program is not installed \(needed to try something\)"):
        run(Command(("no-such-program",), "try something"))


def test_a_file_is_fed_to_standard_input(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("fed\n")
    assert run(Command(("cat",), "read", stdin=str(tmp_path / "in"))).stdout == "fed\n"


def test_nothing_of_the_environment_is_interpreted() -> None:
    assert run(Command(("printf", "%s", "$(id) `id` ; x"), "print")).stdout == "$(id) `id` ; x"


def test_a_killed_program_takes_its_children_along(tmp_path: Path) -> None:
    script = (
        "import sys; from stack.artifact import Command; from stack.host.run import run\n"
        f"run(Command(('sh', '-c', 'echo $$ > {tmp_path}/pid; exec sleep 300'), 'wait'))"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        pid = _wait_for(tmp_path / "pid")
        parent.kill()
        parent.wait()
    assert _gone(pid)


def test_an_interrupt_ends_the_whole_group(tmp_path: Path) -> None:
    script = (
        "import sys; from stack.artifact import Command; from stack.host.run import run\n"
        f"run(Command(('sh', '-c', 'sleep 300 & echo $! > {tmp_path}/pid; wait'), 'wait'))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as parent:
        pid = _wait_for(tmp_path / "pid")
        parent.send_signal(signal.SIGINT)
        parent.wait()
    assert _gone(pid)


def _wait_for(path: Path) -> int:
    for _ in range(300):
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        time.sleep(0.1)
    raise AssertionError(f"{path} did not appear")


def _gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_programs_of_the_system_are_found_without_it_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert which("no-such-program") is None
    assert which("sh") is not None


def test_the_program_is_named_and_not_what_starts_it() -> None:
    with pytest.raises(StackError, match="could not try: sh ended with status 3"):
        run(Command(("env", "-u", "HOME", "-u", "LANG", "/bin/sh", "-c", "exit 3"), "try"))


def test_what_is_ended_is_ended_for_good(tmp_path: Path) -> None:
    running.end_all()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(Command(("touch", str(tmp_path / "more")), "go on"))
    finally:
        running.go_on()
    assert not (tmp_path / "more").exists()
    assert run(Command(("true",), "go on")).returncode == 0


def test_a_log_can_be_followed(tmp_path: Path) -> None:
    seen: list[str] = []
    run(Command(("sh", "-c", "echo one; sleep 0.2; echo two"), "talk"), log=tmp_path / "log",
        sink=lambda _line: seen.append((tmp_path / "log").read_text().splitlines()[-1]))  # fmt: skip
    assert seen == ["one", "two"]

"""Families of processes, and signals that end us."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack.host import ending
from tests.host.test_run import _gone, _wait_for

# A child that starts another in a group of its own, as ReFrame does its jobs, and one that will not go politely.
TREE = """
setsid sh -c 'echo $$ > {0}/own; exec sleep 300' &
sh -c 'trap : TERM; echo $$ > {0}/deaf; sleep 300; sleep 300' & wait"""
RUNS = """
import sys
from stack.cli import app, run
from stack.artifact import Command
from stack.host.run import run as started
@app.command()
def wait():
    started(Command(('sh', '-c', {0!r}), 'wait'))
sys.exit(run(['wait']))
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
        (signal.SIGINT, 130, "interrup"),
    ],
)
def test_what_ends_us_ends_all_that_we_started(
    number: signal.Signals, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = RUNS.format(TREE.format(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as us:
        pids = [_wait_for(tmp_path / name) for name in ("own", "deaf")]
        us.send_signal(number)
        _out, err = us.communicate(timeout=60)
    assert (us.returncode, said in err) == (code, True), err
    assert all(map(_gone, pids))


def test_a_terminal_that_goes_away_is_a_hang_up(tmp_path: Path) -> None:
    script = RUNS.format(f"echo $$ > {tmp_path}/pid; sleep 300").replace(
        "    started(", "    from stack.host.progress import Progress\n    with Progress().stage('x'): started("
    )
    us, terminal = pty.fork()
    if us == 0:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-c", script])
    pid = _wait_for(tmp_path / "pid")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(us, 0)[1]) == 129
    assert _gone(pid)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_who_asks_again_does_not_disturb_it(second: signal.Signals, tmp_path: Path) -> None:
    script = RUNS.format(TREE.format(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as us:
        pids = [_wait_for(tmp_path / name) for name in ("own", "deaf")]
        us.send_signal(signal.SIGINT)
        time.sleep(1)
        us.send_signal(second)
        assert us.wait(60) == 130
    assert all(map(_gone, pids))


def test_what_outlived_its_parent_in_our_session_is_ended_too(tmp_path: Path) -> None:
    script = RUNS.format(f"sleep 300 & echo $! > {tmp_path}/pid; exit 0")
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as us:
        pid = _wait_for(tmp_path / "pid")
        time.sleep(1)
        us.send_signal(signal.SIGTERM)
        assert us.wait(60) == 143
    assert _gone(pid)


def test_a_signal_that_was_ignored_stays_ignored(tmp_path: Path) -> None:
    script = RUNS.format(f"echo $$ > {tmp_path}/pid; sleep 1")
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    argv = [sys.executable, "-c", ignoring + script]
    with subprocess.Popen(argv) as us:
        _wait_for(tmp_path / "pid")
        us.send_signal(signal.SIGHUP)
        assert us.wait(30) == 0


def test_a_number_that_became_another_process_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "300"], text=True) as other:
        ending._send({other.pid: 1}, signal.SIGKILL)
        time.sleep(0.1)
        assert other.poll() is None
        found = ending._family(os.getpid())
        assert {os.getpid(), other.pid} <= set(found)
        ending._send({other.pid: found[other.pid]}, signal.SIGKILL)
        assert other.wait(10) == -signal.SIGKILL

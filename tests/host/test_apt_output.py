"""What apt printed on real occasions -> one message with a remedy."""

from __future__ import annotations

import pytest

from stack.catalogue import Keyring
from stack.errors import ExitCode
from stack.host import apt_output
from tests.conftest import RECORDED

KEYRING = Keyring(path="/usr/share/keyrings/debian-archive-keyring.gpg", package="debian-archive-keyring")


def recorded(name: str) -> str:
    return (RECORDED / "apt" / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("update-offline", "http://mirror.example cannot be reached", "--locked"),
        ("update-unsigned", "not signed by a key of", "apt-get install debian-archive-keyring"),
        ("update-no-suite", "the mirror has no http://mirror.example/debian nosuch", "`mirrors` in the profile"),
        ("update-full", "the disk is full", "free some space"),
        ("update-expired", "the index of the mirror is expired", "check the clock"),
    ],
)
def test_each_failure_is_one_message(name: str, what: str, remedy: str) -> None:
    error = apt_output.explain(recorded(name), "read the package index", KEYRING)
    (fault,) = error.faults
    assert error.exit_code == ExitCode.HOST
    assert what in fault.what
    assert remedy in fault.remedy


def test_only_the_offline_one_is_a_matter_of_the_network() -> None:
    names = ("update-offline", "update-unsigned", "update-no-suite", "update-full", "update-expired")
    assert [name for name in names if apt_output.unreachable(recorded(name))] == ["update-offline"]
    assert [name for name in names if apt_output.stale(recorded(name))] == ["update-expired"]


def test_every_missing_package_is_named_with_its_version() -> None:
    assert apt_output.missing(recorded("download-missing")) == ("nosuch", "python3-torch 9")
    assert apt_output.missing(recorded("update-offline")) == ()


def test_a_file_that_left_the_pool_counts_as_missing() -> None:
    line = "E: Failed to fetch http://mirror.example/debian/pool/main/z/zlib/zlib1g_1.3_amd64.deb  404  Not Found\n"
    assert apt_output.missing(line) == ("zlib1g 1.3",)


def test_what_nobody_foresaw_is_still_said() -> None:
    error = apt_output.explain("E: The moon is in the way\nE: and so is the sun\n", "look", KEYRING)
    assert str(error).startswith("could not look: The moon is in the way; and so is the sun")


def test_progress_counts_packages() -> None:
    told: list[str] = []
    tell = apt_output.package_lines(told.append, 2)
    for line in recorded("download").splitlines():
        tell(line)
    assert told == ["fetching 1/2 libattr1 1:2.5.2-3 (22.9 kB)", "fetching 2/2 hostname 3.25 (11.0 kB)"]

"""Locked wheels: fetched by pip by their hash, kept by it, unpacked without a network from then on."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import pip
from stack.lock import WheelFile, WheelLock

NAME = "greeting-1.0-py3-none-any.whl"
SITE = "/usr/lib/python3/dist-packages"


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelLock:
    """One wheel, in a folder that is all that pip looks into."""
    folder = tmp_path / "links"
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.writestr("greeting.py", "WORD = 'hello'\n")
        archive.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr("greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr("greeting-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    sha256 = hashlib.sha256((folder / NAME).read_bytes()).hexdigest()
    wheel = WheelFile(project="greeting", version="1.0", filename=NAME, sha256=sha256)
    return WheelLock(python="3.13", platforms=("manylinux2014_x86_64",), requested=("greeting==1.0",), files=(wheel,))


def unpacked(locked: WheelLock, folder: Path, cache: Path, *, offline: bool = False) -> str:
    folder.mkdir()
    pip.unpack(locked, cache, folder / "overlay", SITE, lambda _line: None, offline=offline)
    return (folder / f"overlay{SITE}/greeting.py").read_text()


def test_what_was_fetched_once_needs_no_network(locked: WheelLock, tmp_path: Path) -> None:
    assert unpacked(locked, tmp_path / "one", tmp_path / "cache") == "WORD = 'hello'\n"
    (tmp_path / "links" / NAME).unlink()
    assert unpacked(locked, tmp_path / "two", tmp_path / "cache", offline=True) == "WORD = 'hello'\n"


def test_offline_names_what_is_not_there(locked: WheelLock, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"--offline fetches nothing: greeting 1\.0") as caught:
        unpacked(locked, tmp_path / "one", tmp_path / "cache", offline=True)
    assert caught.value.exit_code == ExitCode.HOST


def test_a_damaged_wheel_is_fetched_again(locked: WheelLock, tmp_path: Path) -> None:
    unpacked(locked, tmp_path / "one", tmp_path / "cache")
    kept = next((tmp_path / "cache/wheels").rglob(NAME))
    kept.write_bytes(b"flipped")
    unpacked(locked, tmp_path / "two", tmp_path / "cache")
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == locked.files[0].sha256


def test_a_wheel_of_another_hash_is_refused(locked: WheelLock, tmp_path: Path) -> None:
    other = locked.model_copy(update={"files": (locked.files[0].model_copy(update={"sha256": "f" * 64}),)})
    with pytest.raises(StackError, match=r"the locked wheels could not be had \(greeting 1\.0\)"):
        unpacked(other, tmp_path / "one", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(NAME))

"""What `inspect` says of build caches that are whole, unsigned, damaged or foreign."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from stack import buildcache
from stack.errors import ExitCode, StackError
from stack.host import inspecting_cache
from stack.host.keys import PrivateKey
from stack.inspection import Folder, as_data, as_text
from tests.host import caching, tiny
from tests.host.caching import Build

FLIPS = 240


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return tiny.key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def cache(tmp_path: Path, key: PrivateKey) -> Path:
    """Three packages, signed."""
    path = tmp_path / "caches" / caching.ROOT
    Build(tmp_path / "cell", path, key, wanted=("blis", "hdf5", "zlib")).run()
    return path


def bad(found: Folder) -> dict[str, str]:
    return {f.what: f.state for f in found.findings if f.state != "ok"}


def test_all_that_is_there_is_checked_and_told(cache: Path, key: PrivateKey) -> None:
    found = inspecting_cache.inspect(cache, [key.public])
    assert (bad(found), found.exit_code) == ({}, ExitCode.OK)
    assert found.files == 3 + 6 + 3
    text = as_text(found)
    assert "packages: 3" in text
    assert f"build root: {caching.ROOT}" in text
    assert f"spack 1: {'a' * 40}" in text
    assert key.id in text
    assert "all 12: each is the one that was signed" in text
    assert as_data(found)["ok"] is True


def test_a_flipped_byte_in_any_file_is_found(cache: Path, key: PrivateKey) -> None:
    """Every file has its share, the statement too; each flip is of one bit."""
    paths = sorted(p for p in cache.rglob("*") if p.is_file())
    dice, tried = random.Random(4), 0
    for path in paths:
        data = path.read_bytes()
        for at in dice.sample(range(len(data)), min(len(data), -(-FLIPS // len(paths)))):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :])
            found = inspecting_cache.inspect(cache, [key.public])
            assert found.exit_code in (ExitCode.CHECK_FAILED, ExitCode.BAD_INPUT), (path, at)
            assert path.name == buildcache.STATEMENT or path.relative_to(cache).as_posix() in bad(found)
            tried += 1
        path.write_bytes(data)
    assert tried >= 200
    assert inspecting_cache.inspect(cache, [key.public]).exit_code == ExitCode.OK


def test_base64_that_says_the_same_in_other_letters_is_found(cache: Path, key: PrivateKey) -> None:
    """The last letter before the padding has bits that mean nothing: a decoder may not see them change."""
    path = cache / buildcache.STATEMENT
    data, seen = path.read_bytes(), 0
    for at in (i - 1 for i in range(1, len(data)) if data[i : i + 1] == b"=" and data[i - 1 : i] != b"="):
        for bit in range(4):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            assert inspecting_cache.inspect(cache, [key.public]).exit_code != ExitCode.OK
            seen += 1
    assert seen


def test_an_unsigned_cache_is_called_so(cache: Path, key: PrivateKey) -> None:
    (cache / buildcache.STATEMENT).unlink()
    found = inspecting_cache.inspect(cache, [key.public])
    assert bad(found) == {"statement of the cache": "fails"}
    assert found.exit_code == ExitCode.CHECK_FAILED
    assert "sovstack key vouch" in as_text(found)
    blob = next(p for p in sorted((cache / "blobs").rglob("*")) if p.is_file())
    blob.write_bytes(b"changed")
    assert bad(inspecting_cache.inspect(cache, []))[blob.relative_to(cache).as_posix()] == "changed"


def test_a_key_that_is_not_trusted_is_named(cache: Path, key: PrivateKey, tmp_path: Path) -> None:
    for trusted in ([], [tiny.key(tmp_path, str(len(list(tmp_path.iterdir())))).public]):
        found = inspecting_cache.inspect(cache, trusted)
        assert bad(found) == {"statement of the cache": "fails"}
        assert key.id in as_text(found)
        assert "--key PUB" in as_text(found)


def test_a_file_that_nobody_signed_one_that_is_gone_and_one_that_is_no_file(cache: Path, key: PrivateKey) -> None:
    caching.push(cache, "new")
    gone, link = caching.manifest_path("blis"), "v3/link"
    (cache / gone).unlink()
    (cache / link).symlink_to("/etc/passwd")
    os.mkfifo(cache / "v3/pipe")
    found = bad(inspecting_cache.inspect(cache, [key.public]))
    assert found[caching.manifest_path("new")] == "fails"
    assert found[gone] == "changed"
    assert (found[link], found["v3/pipe"]) == ("fails", "fails")
    assert len(found) == 3 + 1 + 2  # with the two blobs of the new one


def test_a_link_to_a_folder_is_not_followed(cache: Path, key: PrivateKey, tmp_path: Path) -> None:
    (cache / "v3/around").symlink_to(tmp_path)
    assert bad(inspecting_cache.inspect(cache, [key.public])) == {"v3/around": "fails"}


def test_very_many_faults_are_not_all_told(cache: Path, key: PrivateKey) -> None:
    for number in range(30):
        (cache / f"{number}.txt").write_text("")
    assert len(bad(inspecting_cache.inspect(cache, [key.public]))) == 20 + 1


@pytest.mark.parametrize("text", ["", "{", "{}", "null"])
def test_a_statement_that_is_none_is_bad_input(text: str, cache: Path, key: PrivateKey) -> None:
    (cache / buildcache.STATEMENT).write_text(text)
    found = inspecting_cache.inspect(cache, [key.public])
    assert bad(found) == {"statement of the cache": "unusable"}
    assert found.exit_code == ExitCode.BAD_INPUT


def test_a_statement_elsewhere_may_be_named(cache: Path, key: PrivateKey, tmp_path: Path) -> None:
    there = (cache / buildcache.STATEMENT).rename(tmp_path / "statement.json")
    assert inspecting_cache.inspect(cache, [key.public], there).exit_code == ExitCode.OK
    with pytest.raises(StackError, match="no such file"):
        inspecting_cache.inspect(cache, [key.public], tmp_path / "none")


def test_a_folder_that_is_no_cache_is_bad_input(cache: Path) -> None:
    with pytest.raises(StackError, match=r"no build cache .*each folder in a folder of build caches is one") as caught:
        inspecting_cache.inspect(cache.parent, [])
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_names_of_files_hide_nothing(cache: Path, key: PrivateKey) -> None:
    (cache / "v3/a\x1b[2Kb\nok        everything").write_text("")
    text = as_text(inspecting_cache.inspect(cache, [key.public]))
    assert "\x1b" not in text
    assert "\nok        everything" not in text

"""What a build is shown of a build cache: what was signed, and nothing else where something was."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stack import buildcache
from stack.errors import ExitCode, StackError
from stack.host import cache_reading, signing
from stack.host.keys import PrivateKey
from tests.host import caching, tiny
from tests.host.caching import Build


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return tiny.key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return tiny.key(tmp_path_factory.mktemp("key"), "stranger")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "caches" / caching.ROOT


@pytest.fixture
def signed(cache: Path, tmp_path: Path, key: PrivateKey) -> Path:
    """A cache with two packages that a build put there and signed."""
    assert Build(tmp_path / "first", cache, key).run() == ["blis", "zlib"]
    return cache


def other(tmp_path: Path, cache: Path, key: PrivateKey | None = None, **more: object) -> Build:
    return Build(tmp_path / "second", cache, key, **more)  # type: ignore[arg-type]


def blob_of(cache: Path, name: str, number: int = 0) -> Path:
    return cache / (buildcache.blobs((cache / caching.manifest_path(name)).read_bytes()) or ())[number]


def test_without_any_key_a_cache_is_used_as_it_is_and_nothing_is_said(cache: Path, tmp_path: Path) -> None:
    assert Build(tmp_path / "first", cache).run() == ["blis", "zlib"]
    second = other(tmp_path, cache)
    assert second.shown() == ["blis", "zlib"]
    assert second.notes == []
    assert not (cache / buildcache.STATEMENT).exists()


def test_what_was_signed_is_shown_and_nothing_is_said(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    second = other(tmp_path, signed, trusted=(key.public,))
    assert second.shown() == ["blis", "zlib"]
    assert second.notes == []


def test_only_what_the_lock_wants_is_read(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    blob_of(signed, "zlib").write_bytes(b"changed")
    second = other(tmp_path, signed, key, wanted=("blis",))
    assert second.shown() == ["blis"]


@pytest.mark.parametrize("which", ["manifest", "tar", "spec"])
def test_a_file_that_is_not_the_one_that_was_signed_stops_the_build(
    which: str, signed: Path, tmp_path: Path, key: PrivateKey
) -> None:
    paths = {"manifest": signed / caching.manifest_path("blis"), "tar": blob_of(signed, "blis"),
             "spec": blob_of(signed, "blis", 1)}  # fmt: skip
    path = paths[which]
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    second = other(tmp_path, signed, key)
    with pytest.raises(StackError, match=r"\w+-1\.0 is not what was signed") as caught:
        second.shown()
    assert caught.value.exit_code == ExitCode.CHECK_FAILED
    (fault,) = caught.value.faults
    assert fault.where is not None
    assert fault.where.file == str(path)
    assert "remove it" in fault.remedy
    path.unlink()  # as the remedy says
    assert second.run() == ["blis"]
    assert other(tmp_path, signed, key).shown() == ["blis", "zlib"]


def test_every_changed_file_is_named_at_once(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    for name in ("blis", "zlib"):
        blob_of(signed, name).write_bytes(b"changed")
    with pytest.raises(StackError) as caught:
        other(tmp_path, signed, key).shown()
    assert len(caught.value.faults) == 2


def test_a_manifest_that_leads_to_another_blob_is_not_followed(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    """Whole, and consistent with its own blobs: the statement alone tells that it is another package."""
    (signed / caching.manifest_path("blis")).unlink()
    caching.push(signed, "blis", content="with a back door")
    with pytest.raises(StackError, match=r"\w+-1\.0 is not what was signed"):
        other(tmp_path, signed, key).shown()


def test_what_no_statement_has_is_built_again_and_signed(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    caching.push(signed, "hdf5", content="of unknown origin")
    unknown = (signed / caching.manifest_path("hdf5")).read_bytes()
    second = other(tmp_path, signed, key, wanted=("blis", "hdf5"))
    assert second.run() == ["hdf5"]
    assert len(second.notes) == 1
    assert "no statement has hdf5-1.0" in second.notes[0]
    assert f"sovstack key vouch {signed}" in second.notes[0]
    assert (signed / caching.manifest_path("hdf5")).read_bytes() != unknown
    assert Build(tmp_path / "third", signed, key, wanted=("blis", "hdf5", "zlib")).shown() == ["blis", "hdf5", "zlib"]


def test_an_unsigned_cache_is_taken_on_its_word_and_not_signed_for_it(
    cache: Path, tmp_path: Path, key: PrivateKey
) -> None:
    caching.push(cache, "blis")
    build = other(tmp_path, cache, key)
    assert build.run() == ["zlib"]
    assert build.notes == [
        f"the build cache is not signed: blis-1.0 are taken on the word of {cache} "
        f"(`sovstack key vouch {cache}` signs what is there, where you know who built it)"
    ]
    said = cache_reading.signed(build.shelf, (cache / buildcache.STATEMENT).read_bytes())
    assert caching.manifest_path("zlib") in said.files
    assert caching.manifest_path("blis") not in said.files
    assert said.unsigned == (caching.spec_hash("blis"),)  # zlib may be made with it, and that is said


def test_what_was_taken_unsigned_does_not_come_back_signed(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    """The tree has it; pushed from there it would look as if this build had made it."""
    caching.push(cache, "blis", content="of unknown origin")
    build = other(tmp_path, cache, key)
    build.run()
    build.notes.clear()
    assert build.run() == ["blis"]
    assert any("taken from the build cache before it was signed" in note for note in build.notes)
    assert b"of unknown origin" not in blob_of(cache, "blis").read_bytes()


def test_what_was_taken_unsigned_is_never_signed_though_the_cache_lost_it(
    cache: Path, tmp_path: Path, key: PrivateKey
) -> None:
    caching.push(cache, "blis")
    build = other(tmp_path, cache, wanted=("blis",))
    build.run()
    (cache / caching.manifest_path("blis")).unlink()
    signing_now = other(tmp_path, cache, key)
    assert signing_now.run() == ["zlib"]  # the tree has blis
    said = cache_reading.signed(signing_now.shelf, (cache / buildcache.STATEMENT).read_bytes())
    assert caching.manifest_path("zlib") in said.files
    assert caching.manifest_path("blis") not in said.files
    assert (cache / caching.manifest_path("blis")).is_file()


def test_signed_and_no_key_is_trusted_here(signed: Path, tmp_path: Path) -> None:
    second = other(tmp_path, signed)
    assert second.shown() == ["blis", "zlib"]
    assert len(second.notes) == 1
    assert "is signed, and no key is trusted here" in second.notes[0]


def test_signed_by_a_key_that_is_not_trusted(signed: Path, tmp_path: Path, stranger: PrivateKey) -> None:
    with pytest.raises(StackError, match=r"by no key that is trusted here .*put its public half into") as caught:
        other(tmp_path, signed, stranger).shown()
    assert caught.value.exit_code == ExitCode.CHECK_FAILED


@pytest.mark.parametrize("text", ["", "{}", "not JSON", '{"payload": "", "payloadType": "x", "signatures": []}'])
def test_a_statement_that_is_none(text: str, signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    (signed / buildcache.STATEMENT).write_text(text)
    with pytest.raises(StackError, match="or remove it, and nobody answers for what is there"):
        other(tmp_path, signed, key).shown()


def test_a_statement_about_something_else(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    said = {"_type": "x", "subject": [], "predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}
    (signed / buildcache.STATEMENT).write_bytes(signing.sign(said, key))
    with pytest.raises(StackError, match="not a statement about a build cache"):
        other(tmp_path, signed, key).shown()


def test_a_signed_cache_of_another_build_root_is_none(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    said = buildcache.Filled("f" * 16, {})
    (signed / buildcache.STATEMENT).write_bytes(signing.sign(buildcache.statement(said), key))
    with pytest.raises(StackError, match="another build root, ffffffffffffffff; this one is 0123456789abcdef"):
        other(tmp_path, signed, key).shown()


def test_the_same_statement_in_other_bytes_is_refused(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    path = signed / buildcache.STATEMENT
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(StackError, match="not the bytes that were written"):
        other(tmp_path, signed, key).shown()


def test_what_changes_after_the_look_does_not_reach_the_build(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    second = other(tmp_path, signed, key)
    second.shown()
    before = (second.shelf.view / caching.manifest_path("blis")).read_bytes()
    (signed / caching.manifest_path("blis")).write_text("{}")
    (signed / "build_cache").mkdir()  # where Spack's older layout would be looked for
    caching.push(signed, "hdf5")
    assert (second.shelf.view / caching.manifest_path("blis")).read_bytes() == before
    assert sorted(p.name for p in second.shelf.view.iterdir()) == ["blobs", "v3"]
    assert not (second.shelf.view / caching.manifest_path("hdf5")).exists()


def test_what_is_no_ordinary_file_is_not_waited_for(signed: Path, tmp_path: Path, key: PrivateKey) -> None:
    path = blob_of(signed, "blis")
    path.unlink()
    os.mkfifo(path)
    assert other(tmp_path, signed, key).shown() == ["zlib"]
    manifest = signed / caching.manifest_path("zlib")
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(StackError, match=r"\w+-1\.0 is not what was signed"):
        other(tmp_path, signed, key).shown()

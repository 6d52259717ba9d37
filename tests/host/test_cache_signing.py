"""What builds put into a build cache, and what is signed of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from stack import buildcache
from stack.artifact import canonical_json
from stack.buildcache import Filled
from stack.errors import ExitCode, StackError
from stack.host import cache_reading, cache_signing, files, signing
from stack.host.keys import PrivateKey
from tests.host import caching, tiny
from tests.host.caching import PINNED, ROOT, Build


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return tiny.key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "caches" / ROOT


def said(cache: Path, key: PrivateKey) -> Filled:
    path = cache / buildcache.STATEMENT
    return cache_reading.opened(path.read_bytes(), [key.public], path)


def digests(cache: Path) -> dict[str, str]:
    """Of every file but the statement."""
    found = (p for p in cache.rglob("*") if p.is_file() and p.name != buildcache.STATEMENT)
    return {p.relative_to(cache).as_posix(): files.sha256(p) for p in found}


def test_every_file_is_signed_with_the_build_root_and_spack_and_no_time(
    cache: Path, tmp_path: Path, key: PrivateKey
) -> None:
    Build(tmp_path / "a", cache, key).run()
    assert said(cache, key) == Filled(ROOT, digests(cache), PINNED, ())
    assert len(digests(cache)) == 2 + 4 + 3  # manifests and their blobs; layout, index, its blob
    before = (cache / buildcache.STATEMENT).read_bytes()
    Build(tmp_path / "b", cache, key).run()
    assert (cache / buildcache.STATEMENT).read_bytes() == before
    elsewhere = tmp_path / "other caches" / ROOT
    Build(tmp_path / "c", elsewhere, key).run()
    assert (elsewhere / buildcache.STATEMENT).read_bytes() == before  # equal inputs, equal bytes


def test_a_later_build_adds_to_the_statement(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    Build(tmp_path / "a", cache, key, wanted=("blis",)).run()
    Build(tmp_path / "b", cache, key, wanted=("blis", "zlib")).run()
    assert set(said(cache, key).files) == set(digests(cache))
    assert all(said(cache, key).files[path] == digest for path, digest in digests(cache).items())


def test_another_trusted_key_signs_what_the_first_signed_and_its_own(
    cache: Path, tmp_path: Path, key: PrivateKey
) -> None:
    second = tiny.key(tmp_path)
    Build(tmp_path / "a", cache, key, wanted=("blis",)).run()
    Build(tmp_path / "b", cache, second, trusted=(key.public,)).run()
    assert said(cache, second).files == digests(cache)


def test_a_build_without_a_key_says_that_what_it_adds_is_not_signed(
    cache: Path, tmp_path: Path, key: PrivateKey
) -> None:
    Build(tmp_path / "a", cache, key, wanted=("blis",)).run()
    second = Build(tmp_path / "b", cache, trusted=(key.public,))
    second.run()
    assert second.notes == [f"zlib-1.0 are new in {cache}, and in no statement: there is no key to sign with"]
    assert caching.manifest_path("zlib") not in said(cache, key).files


def test_what_somebody_else_signed_meanwhile_stays(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    slow, quick = (Build(tmp_path / name, cache, key) for name in ("slow", "quick"))
    slow.shown()
    quick.run(content="by the quick one")
    before = digests(cache)
    caching.push(slow.shelf.view, "blis", "zlib", content="by the slow one")
    cache_signing.publish(slow.shelf, lambda: caching.index(cache), slow.notes.append)
    assert digests(cache) == before
    assert said(cache, key).files == before


def test_what_an_unsigned_build_put_there_meanwhile_is_replaced(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    slow = Build(tmp_path / "slow", cache, key, wanted=("blis",))
    slow.shown()
    Build(tmp_path / "quick", cache, wanted=("blis",)).run(content="of unknown origin")
    caching.push(slow.shelf.view, "blis", content="ours")
    cache_signing.publish(slow.shelf, lambda: caching.index(cache), slow.notes.append)
    ours = (slow.shelf.view / caching.manifest_path("blis")).read_bytes()
    assert (cache / caching.manifest_path("blis")).read_bytes() == ours
    strange = set(digests(cache)) - set(said(cache, key).files)
    assert all(buildcache.blob(path) for path in strange)  # its blobs are left, and nothing leads to them


def test_builds_at_once_lose_nothing(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    names = [f"package{n}" for n in "abcdefgh"]
    builds = [Build(tmp_path / name, cache, key, wanted=(name,)) for name in names]
    for build in builds:
        build.shown()
        caching.push(build.shelf.view, *build.wanted)
    ways = [
        threading.Thread(target=cache_signing.publish, args=(b.shelf, lambda: caching.index(cache), b.notes.append))
        for b in builds
    ]
    for way in ways:
        way.start()
    for way in ways:
        way.join()
    files_said = said(cache, key).files
    assert {caching.manifest_path(name) for name in names} <= set(files_said)
    assert all(digests(cache)[path] == digest for path, digest in files_said.items())


def test_a_blob_that_was_damaged_on_its_way_is_not_put_there(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    build = Build(tmp_path / "a", cache, key, wanted=("blis",))
    build.shown()
    caching.push(build.shelf.view, "blis")
    blob = next((build.shelf.view / "blobs").rglob("[0-9a-f]" * 64))
    blob.write_bytes(b"changed")
    with pytest.raises(StackError, match="not the file that its name says"):
        cache_signing.publish(build.shelf, lambda: caching.index(cache), print)
    assert not (cache / caching.manifest_path("blis")).exists()
    assert not list(cache.rglob(".*partial*"))


def test_a_build_that_was_killed_before_it_signed_is_mended_by_the_next(
    cache: Path, tmp_path: Path, key: PrivateKey
) -> None:
    Build(tmp_path / "z", cache, key, wanted=("zlib",)).run()
    build = Build(tmp_path / "a", cache, key, wanted=("blis",))
    build.shown()
    (build.tree / "blis").mkdir(parents=True)
    caching.push(build.shelf.view, "blis")

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_signing.publish(build.shelf, killed, print)
    assert caching.manifest_path("blis") not in said(cache, key).files
    assert build.run() == []  # it is in the tree, and goes from there into the cache once more
    assert said(cache, key).files == digests(cache)


def test_who_vouches_signs_everything_that_is_there(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    Build(tmp_path / "a", cache).run()
    filled = cache_signing.vouch(cache, key, [key.public], print)
    assert filled == said(cache, key) == Filled(ROOT, digests(cache))
    assert Build(tmp_path / "b", cache, key).run() == []


def test_who_vouches_answers_for_what_was_taken_unsigned_too(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    caching.push(cache, "blis")
    Build(tmp_path / "a", cache, key).run()
    assert said(cache, key).unsigned
    cache_signing.vouch(cache, key, [key.public], print)
    assert said(cache, key) == Filled(ROOT, digests(cache), PINNED)


def test_nobody_vouches_for_a_file_that_is_not_what_was_signed(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    Build(tmp_path / "a", cache, key).run()
    before = (cache / buildcache.STATEMENT).read_bytes()
    (cache / caching.manifest_path("blis")).unlink()
    caching.push(cache, "blis", content="another")
    with pytest.raises(StackError, match="is not the file that was signed") as caught:
        cache_signing.vouch(cache, key, [key.public], print)
    assert caught.value.exit_code == ExitCode.CHECK_FAILED
    assert (cache / buildcache.STATEMENT).read_bytes() == before


@pytest.mark.parametrize(
    ("where", "said"),
    [("blobs", "is not the file that its name says"), ("v3/manifests/spec", "is no manifest of files that are here")],
)
def test_nobody_vouches_for_what_is_damaged(
    where: str, said: str, cache: Path, tmp_path: Path, key: PrivateKey
) -> None:
    Build(tmp_path / "a", cache).run()
    next(p for p in sorted((cache / where).rglob("*")) if p.is_file()).write_bytes(b"{}")
    with pytest.raises(StackError, match=said):
        cache_signing.vouch(cache, key, [], print)
    assert not (cache / buildcache.STATEMENT).exists()


def test_a_folder_that_is_no_cache_is_told(tmp_path: Path, key: PrivateKey) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(StackError, match="no build cache") as caught:
            cache_signing.vouch(path, key, (), print)
        assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert not (tmp_path / buildcache.STATEMENT).exists()


def test_a_statement_is_the_one_form_that_is_written(cache: Path, tmp_path: Path, key: PrivateKey) -> None:
    Build(tmp_path / "a", cache, key).run()
    data = (cache / buildcache.STATEMENT).read_bytes()
    assert signing.exact(data, "x")
    assert data == canonical_json(json.loads(data)).encode()
    assert not signing.exact(data + b"\n", "x")

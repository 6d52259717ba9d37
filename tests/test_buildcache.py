"""Files of a build cache, and the statement about them."""

from __future__ import annotations

import json

import pytest

from stack import buildcache
from stack.buildcache import Filled
from stack.statements import Repository
from tests.test_statements import Statement, json_format, statement_pb

PINNED = (Repository("spack", "https://git.example/spack.git", "a" * 40),)
FILLED = Filled("0123456789abcdef", {"v3/layout.json": "1" * 64, "blobs/sha256/22/22": "2" * 64}, PINNED, ("x", "a"))
NAME = "py-numpy-2.4.6-4mhczivtlggjvnzdyvrfobfeaoaef4t5"
PATH = f"v3/manifests/spec/py-numpy/{NAME}.spec.manifest.json"


def test_what_is_said_is_read_again_and_has_no_time_in_it() -> None:
    said = buildcache.statement(FILLED)
    assert buildcache.read(said) == Filled(FILLED.root, FILLED.files, PINNED, ("a", "x"))
    other = dict(reversed(list(FILLED.files.items())))
    assert said == buildcache.statement(Filled(FILLED.root, other, PINNED, ("a", "x")))
    assert [row["name"] for row in said["subject"]] == sorted(FILLED.files)
    assert "time" not in json.dumps(said).lower()
    Statement.copy_from_pb(json_format.ParseDict(said, statement_pb.Statement())).validate()


@pytest.mark.parametrize(
    "change",
    [
        {"predicateType": "https://slsa.dev/provenance/v1"}, {"subject": [{"name": "a"}]}, {"predicate": {}},
        {"subject": None}, {"predicate": {"buildRoot": "a", "repositories": [1], "unsigned": []}}, {"predicate": []},
    ],
)  # fmt: skip
def test_a_statement_about_something_else_is_none(change: dict[str, object]) -> None:
    assert buildcache.read({**buildcache.statement(FILLED), **change}) is None


def test_the_newer_counts_and_the_older_is_kept() -> None:
    other = (Repository("spack", "https://git.example/spack.git", "b" * 40),)
    now = Filled(FILLED.root, {"v3/layout.json": "3" * 64, "new": "4" * 64}, other, ("b",))
    both = buildcache.together(FILLED, now)
    assert both.files == {"v3/layout.json": "3" * 64, "blobs/sha256/22/22": "2" * 64, "new": "4" * 64}
    assert both.repositories == (*PINNED, *other)
    assert both.unsigned == ("a", "b", "x")
    assert buildcache.together(None, now) is now


def test_paths_name_packages_and_blobs() -> None:
    assert buildcache.package(PATH) == NAME[-32:]
    assert buildcache.title(PATH) == "py-numpy-2.4.6"
    others = (PATH.replace("/spec/", "/index/"), PATH[:-1], PATH.replace("4mh", "0mh"), f"x/{PATH}", "v3/layout.json")
    assert [buildcache.package(path) for path in others] == [None] * 5
    assert buildcache.blob(f"blobs/sha256/ab/ab{'0' * 62}") == f"ab{'0' * 62}"
    wrong = (f"blobs/sha256/cd/ab{'0' * 62}", f"blobs/sha256/ab/ab{'0' * 61}", f"blobs/md5/ab/ab{'0' * 62}", PATH)
    assert [buildcache.blob(path) for path in wrong] == [None] * 4


def manifest(*rows: object) -> bytes:
    return json.dumps({"version": 3, "data": rows}).encode()


def test_a_manifest_names_its_blobs() -> None:
    row = {"checksumAlgorithm": "sha256", "checksum": "ab" * 32}
    assert buildcache.blobs(manifest(row)) == (f"blobs/sha256/ab/{'ab' * 32}",)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", manifest(), manifest({}), manifest(1), b'{"data": 1}', b"[" * 100_000,
        manifest({"checksumAlgorithm": "md5", "checksum": "ab" * 32}),
        manifest({"checksumAlgorithm": "sha256", "checksum": "../" * 20}),
        manifest({"checksumAlgorithm": "sha256", "checksum": 1}),
        b"-----BEGIN PGP SIGNED MESSAGE-----\n",
    ],
)  # fmt: skip
def test_what_is_no_manifest_names_nothing(data: bytes) -> None:
    assert buildcache.blobs(data) is None


def test_many_packages_are_told_in_few_words() -> None:
    paths = [PATH.replace("py-numpy", name) for name in "gfedcba"]
    assert buildcache.titles(paths) == "a-2.4.6, b-2.4.6, c-2.4.6, d-2.4.6, e-2.4.6 and 2 more"
    assert buildcache.titles(paths[:1]) == "g-2.4.6"

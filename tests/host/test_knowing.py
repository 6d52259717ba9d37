"""Locks and facts as they lie on disk: what is read of them, and what is written for what nobody looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stack.errors import ExitCode, StackError
from stack.host import apt, knowing
from stack.host.library import PACKAGE, Library, shipped
from stack.host.packages import place
from tests.host.test_deb_file import deb, tar

EMPTY: dict[str, Any] = {
    "schema": 1,
    "components": [],
    "os": {"packages": []},
    "tools": None,
    "wheels": None,
    "spack": None,
}
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2026 A
License: Expat
"""
MINE = """\
# my own words
schema: 1
kind: spack
packages:
  # about this one
  own-tool:   # here
    licence: 'MIT'
    class: osi
    redistribution: {source: allowed, binary: allowed}
    reach: {cpu: any, accelerator: none}
    evidence:
      - {url: "https://example.org/LICENSE", date: "2026-11-21"}
"""


def put(folder: Path, cell: str = "e/p/t", **parts: Any) -> Path:
    path = folder / cell / "stack.lock.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(EMPTY | parts))
    return path


def nodes(*names: str) -> dict[str, Any]:
    return {"nodes": [{"name": name, "version": "1"} for name in names]}


def debian(name: str, source: str, digest: str = "0" * 64) -> dict[str, Any]:
    row = {"name": name, "source": f"{source} 1", "version": "1", "filename": f"{name}_1.deb", "sha256": digest}
    return {"packages": [row]}


@pytest.fixture
def site(tmp_path: Path) -> Library:
    """A root of one's own with a lock of three packages that nobody knows."""
    root = tmp_path / "site"
    put(root / "environments/locks", spack=nodes("own-tool", "other-tool", "zlib-ng"), os=debian("libown1", "ownlib"))
    return Library((root, shipped()))


def additions(library: Library, **options: Any) -> Mapping[str, knowing.Addition]:
    known, found = knowing.facts(library), knowing.read_locks(library)
    return {a.path.name: a for a in knowing.missing(library, known, found, options.get("kind"), options.get("into"))}


def test_the_locks_of_all_roots_are_read_and_the_first_roots_count(site: Library) -> None:
    released = knowing.read_locks(Library((shipped(),)))
    assert len(released.cells) > 30 and ("spack", "openblas") in released.components
    cell = sorted(released.cells)[0]
    put(site.roots[0] / "environments/locks", cell, spack=nodes("own-tool"))
    found = knowing.read_locks(site)
    assert found.cells.keys() == released.cells.keys() | {"e/p/t"}
    assert found.cells[cell].packages == {("spack", "own-tool"): {"1"}}
    assert found.packages["spack", "own-tool"] == {"e/p/t": ("1",), cell: ("1",)}


def test_a_build_folders_locks_count_where_they_differ(site: Library, tmp_path: Path) -> None:
    before = knowing.read_locks(site)
    build = tmp_path / "build"
    put(build, spack=nodes("own-tool", "other-tool", "zlib-ng"), os=debian("libown1", "ownlib"))
    assert knowing.read_locks(site, build).cells == before.cells
    path = put(build, spack=nodes("new-tool"))
    assert knowing.read_locks(site, build).packages["spack", "new-tool"] == {f"e/p/t ({path})": ("1",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON: the lock is damaged"),
        ('{"schema": 2}', "lock of schema 2; this program reads 1"),
        ("[]", "lock: "),
        (json.dumps({**EMPTY, "os": None}), "os: "),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_damaged_lock_is_named(site: Library, text: str, said: str) -> None:
    path = put(site.roots[0] / "environments/locks")
    path.write_text(text)
    with pytest.raises(StackError) as caught:
        knowing.read_locks(site)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert str(caught.value).startswith(str(path)) and said in str(caught.value)


def test_a_package_is_found_by_name_by_binary_package_and_by_other_spellings(site: Library) -> None:
    known, found = knowing.facts(site), knowing.read_locks(site)

    def names(word: str, kind: Any = None) -> list[tuple[str, str]]:
        return [(row.kind, row.name) for row in knowing.look_up(word, kind, known, found)]

    assert names("openblas") == [("spack", "openblas"), ("debian", "openblas")]
    assert names("openblas", "debian") == [("debian", "openblas")]
    assert names("libown1") == [("debian", "ownlib")]
    assert names("own_tool") == [("spack", "own-tool")]
    assert ("wheel", "markupsafe") in names("MarkupSafe")
    (row,) = knowing.look_up("ownlib", None, known, found)
    assert (row.facts, row.locks, row.files) == (None, {"e/p/t": ("1",)}, ("libown1",))


@pytest.mark.parametrize(("word", "kind", "near"), [("openblass", None, "openblas"), ("libown1", "spack", "")])
def test_an_unknown_name_gets_the_nearest(site: Library, word: str, kind: Any, near: str) -> None:
    with pytest.raises(StackError, match=f"has a package '{word}'") as caught:
        knowing.look_up(word, kind, knowing.facts(site), knowing.read_locks(site))
    assert f"did you mean '{near}" in str(caught.value)


def test_missing_entries_go_into_ones_own_root_and_say_unknown(site: Library) -> None:
    made = additions(site)
    assert {name: (a.kind, a.names) for name, a in made.items()} == {
        "missing-debian.yaml": ("debian", ("ownlib",)),
        "missing-spack.yaml": ("spack", ("other-tool", "own-tool")),
    }
    assert not (site.roots[0] / "facts").exists()
    knowing.write(made.values())
    assert (site.roots[0] / "facts/missing-debian.yaml").read_text() == (
        f"{knowing.HEADER}schema: 1\nkind: debian\npackages:\n  ownlib:\n    licence: unknown\n    class: unknown\n"
        "    redistribution: {source: unknown, binary: unknown}\n    reach: {cpu: unknown, accelerator: unknown}\n"
    )
    again = Library(site.roots)
    assert additions(again) == {}
    covered = knowing.covered(again, knowing.facts(again), knowing.read_locks(again))
    assert {("spack", "own-tool"), ("spack", "other-tool"), ("debian", "ownlib")} <= set(covered.incomplete)
    assert all("own" not in name for part in covered.parts for name in part.lacking["facts"])


def test_a_file_keeps_what_it_holds_with_its_comments(site: Library) -> None:
    path = site.roots[0] / "facts/missing-spack.yaml"
    path.parent.mkdir()
    path.write_text(MINE)
    made = additions(site, kind="spack")["missing-spack.yaml"]
    assert made.names == ("other-tool",)
    assert made.text.startswith(MINE) and made.text.removeprefix(MINE).startswith(
        "  other-tool:\n    licence: unknown\n"
    )


def test_a_file_that_is_named_keeps_its_entries_although_nothing_else_reads_it(site: Library, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.yaml"
    path.write_text(MINE)
    made = additions(site, kind="spack", into=path)
    assert made["elsewhere.yaml"].names == ("other-tool",)
    path.write_text(MINE.replace("own-tool:", "other-tool:").replace("# about", "# and about"))
    knowing.write(additions(site, kind="spack", into=path).values())
    assert path.read_text().count("own-tool:") == 1 and "# and about this one" in path.read_text()
    assert additions(site, kind="spack", into=path) == {}


def test_a_file_of_another_kind_and_a_broken_one_are_refused(site: Library, tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(MINE)
    with pytest.raises(StackError, match=r"f\.yaml:3:7: is about packages of spack, and these are of debian"):
        additions(site, kind="debian", into=path)
    with pytest.raises(StackError, match=r"packages of several kinds have no facts \(debian, spack\)"):
        additions(site, into=path)
    path.write_text("schema: 1\nkind: spack\npackages: {a: {licence: 1}}\n")
    with pytest.raises(StackError, match=r"f\.yaml:3:"):
        additions(site, kind="spack", into=path)
    assert path.read_text().endswith("{a: {licence: 1}}\n")


def test_without_a_root_the_checkouts_own_facts_are_written(site: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    found = knowing.read_locks(site)
    made = knowing.missing(Library((shipped(),)), knowing.facts(site), found, "spack", None)
    assert [a.path for a in made] == [PACKAGE / "data/facts/missing-spack.yaml"]
    monkeypatch.setattr(knowing, "PACKAGE", Path("/usr/lib/python3/stack"))
    with pytest.raises(StackError, match="the program is installed") as caught:
        knowing.missing(Library((shipped(),)), knowing.facts(site), found, "spack", None)
    assert "--root" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (COPYRIGHT, "MIT"),
        (COPYRIGHT.replace("Expat", "Nobodys"), "unknown"),
        ("It is free.\n", "unknown"),
        (None, "unknown"),
    ],
    ids=["read", "unknown-name", "free-text", "no-file"],
)
def test_a_licence_is_read_from_a_package_in_the_cache(
    site: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, licence: str
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(apt, "cache_folder", lambda: cache)
    file = deb(("data.tar.xz", tar(text or "", name="./usr/share/doc/libown1/copyright" if text else "./x")))
    digest = sha256(file).hexdigest()
    path = place(cache / "archives/sha256", digest)
    path.parent.mkdir(parents=True)
    path.write_bytes(file)
    put(site.roots[0] / "environments/locks", os=debian("libown1", "ownlib", digest))
    made = additions(site)["missing-debian.yaml"]
    knowing.write([made])
    entry = knowing.facts(Library(site.roots)).of("debian", "ownlib")
    assert entry is not None
    assert (entry.licence, entry.licence_class, entry.redistribution.binary) == (licence, "unknown", "unknown")
    assert made.read == ({"ownlib": licence} if licence != "unknown" else {})
    where = [(e.archive, e.sha256, e.path) for e in entry.evidence]
    assert where == ([("libown1_1.deb", digest, "usr/share/doc/libown1/copyright")] if made.read else [])


def test_a_damaged_package_in_the_cache_says_nothing(
    site: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "cache_folder", lambda: tmp_path)
    broken = deb(("data.tar.zst", b"\x28\xb5\x2f\xfd"))
    path = place(tmp_path / "archives/sha256", sha256(broken).hexdigest())
    path.parent.mkdir(parents=True)
    path.write_bytes(broken)
    put(site.roots[0] / "environments/locks", os=debian("libown1", "ownlib", sha256(broken).hexdigest()))
    assert additions(site)["missing-debian.yaml"].read == {}


def test_facts_with_a_fault_are_not_used(site: Library) -> None:
    path = site.roots[0] / "facts/own.yaml"
    path.parent.mkdir()
    path.write_text(MINE.replace("'MIT'", "'GPL-2.0'"))
    with pytest.raises(StackError, match=r"own\.yaml:7:14: SPDX gave up the id 'GPL-2.0'"):
        knowing.facts(site)

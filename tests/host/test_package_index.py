"""A package index by real pip: a small one in a folder, set as a user would set it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stack.host import package_index, source_places
from stack.host.fetch_url import Refused
from stack.host.library import Library
from stack.sources import Archives, Source


@pytest.fixture(scope="module")
def archives(library: Library) -> Archives:
    return source_places.archives(library)


def quiet(line: str) -> None:
    """A sink that forgets."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of one project with a source archive and a wheel; pip is told of it by its own variable."""
    folder = tmp_path / "index"
    (folder / "simple/alpha").mkdir(parents=True)
    rows = []
    for name in ("alpha-1.0.tar.gz", "alpha-1.0-py3-none-any.whl"):
        (folder / name).write_bytes(name.encode())
        digest = hashlib.sha256(name.encode()).hexdigest()
        rows.append(f'<a data-requires-python="&gt;=99" href="../../{name}#sha256={digest}">{name}</a>')
    (folder / "simple/alpha/index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(rows)}</body></html>")
    for variable in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_ONLY_BINARY", ":all:")  # about what is installed, and no word about sources
    monkeypatch.setenv("PIP_INDEX_URL", (folder / "simple").as_uri())
    return folder


def source(name: str, content: str = "", project: str = "alpha") -> Source:
    digest = hashlib.sha256((content or name).encode()).hexdigest()
    url = f"https://x.example/packages/source/a/{project}/{name}"
    return Source(digest, f"_source-cache/archive/{digest[:2]}/{digest}.tar.gz", (url,), (name,), "archive", "")


def test_files_are_found_by_hash_and_fetched(index: Path, tmp_path: Path, archives: Archives) -> None:
    wanted = [
        source("alpha-1.0.tar.gz"),
        source("alpha-1.0-py3-none-any.whl"),
        source("alpha-1.0.tar.gz", "other bytes"),
    ]
    found = package_index.find(wanted, "pypi", archives, tmp_path, quiet)
    assert set(found) == {wanted[0].path, wanted[1].path}
    told: list[str] = []
    targets = {tmp_path / "one": found[wanted[0].path], tmp_path / "two": found[wanted[1].path]}
    assert package_index.fetch(targets, tmp_path, told.append) == {}
    assert (tmp_path / "one").read_bytes() == b"alpha-1.0.tar.gz"
    assert told == ["fetching alpha-1.0.tar.gz", "fetching alpha-1.0-py3-none-any.whl"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index", "one", "two"]


def test_what_the_index_has_no_more_is_told(index: Path, tmp_path: Path, archives: Archives) -> None:
    it = source("alpha-1.0.tar.gz")
    found = package_index.find([it], "pypi", archives, tmp_path, quiet)
    (index / "alpha-1.0.tar.gz").unlink()
    lost = package_index.fetch({tmp_path / "one": found[it.path]}, tmp_path, quiet)
    assert "404" in lost[tmp_path / "one"]


def test_a_project_that_is_unknown_is_no_fault(index: Path, tmp_path: Path, archives: Archives) -> None:
    assert package_index.find([source("beta-1.tar.gz", project="beta")], "pypi", archives, tmp_path, quiet) == {}


def test_an_index_that_is_not_there_cannot_be_reached(
    index: Path, tmp_path: Path, archives: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(Refused) as caught:
        package_index.find([source("alpha-1.0.tar.gz")], "pypi", archives, tmp_path, quiet)
    assert caught.value.state == "unreachable"


def test_nothing_to_ask_starts_no_pip(tmp_path: Path, archives: Archives) -> None:
    told: list[str] = []
    it = Source("0" * 64, "a", ("https://github.com/a/b",), ("a@1",), "archive", "makefile")
    assert package_index.find([it], "pypi", archives, tmp_path, told.append) == {}
    assert told == []


def test_a_hash_in_capitals_counts_and_an_odd_one_is_passed_over(
    index: Path, tmp_path: Path, archives: Archives
) -> None:
    page = index / "simple/alpha/index.html"
    one, two = source("alpha-1.0.tar.gz"), source("alpha-1.0-py3-none-any.whl")
    page.write_text(page.read_text().replace(one.sha256, one.sha256.upper()).replace(two.sha256, "odd"))
    assert set(package_index.find([one, two], "pypi", archives, tmp_path, quiet)) == {one.path}

"""What Spack wants, recorded from real locks, and the archives that ship with the program."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack import sources
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.host import source_places
from stack.host.library import Library
from stack.sources import Archives, Wanted
from tests.conftest import RECORDED


def recorded(name: str) -> Wanted:
    return sources.parse((RECORDED / f"sources/{name}.json").read_text(), name)


@pytest.fixture(scope="module")
def archives(library: Library) -> Archives:
    return source_places.archives(library)


def test_every_file_of_a_lock_is_read() -> None:
    wanted = recorded("numerics")
    assert len(wanted.packages) == 18
    assert [p.name for p in wanted.packages if not p.files] == ["gcc-runtime", "python-venv"]  # bundles
    blis = next(p for p in wanted.packages if p.name == "blis")
    assert (blis.version, blis.licence) == ("2.0", "BSD-3-Clause")
    assert blis.files[0].path == f"_source-cache/archive/08/{blis.files[0].digest}.tar.gz"


def test_a_file_is_needed_once() -> None:
    wanted = recorded("torch")
    both = [s for s in sources.needed(wanted) if "glib@2.88.1" in s.packages]
    assert [s.packages for s in both] == [("glib@2.88.1", "glib-bootstrap@2.88.1")]
    kinds = {s.kind for s in sources.needed(wanted)}
    assert kinds == {"archive", "resource", "patch"}
    assert {s.label for s in sources.needed(wanted) if s.kind == "resource" and "lua@5.3.6" in s.packages} == {
        "lua@5.3.6 (resource luarocks-3.11.1.tar.gz)"
    }


def test_what_a_commit_names_is_told_and_not_needed() -> None:
    wanted = recorded("torch")
    told = dict(sources.unhashed(wanted))
    assert told["py-torch@2.12.0"].endswith(
        "at commit 0d62256a2b23365f8e1604297eb23a6545102aa8 tag v2.12.0 with submodules"
    )
    assert any("at branch master" in how for name, how in sources.unhashed(wanted) if name == "fp16@2020-05-14")
    assert not any("py-torch@2.12.0" in s.packages for s in sources.needed(wanted))


def test_another_digest_is_no_sha256() -> None:
    data = json.loads((RECORDED / "sources/numerics.json").read_text())
    data["packages"][0]["files"][0]["digest"] = "d41d8cd98f00b204e9800998ecf8427e"
    wanted = sources.parse(json.dumps(data), "x")
    assert sources.unhashed(wanted)[0][1].startswith("a digest that is no SHA-256 (d41d8cd98f00...)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("{}", "schema"),
        ('{"schema": 1, "spack": "1", "packages": [{}]}', "packages.0.name"),
        ('{"schema": 2, "spack": "1", "packages": []}', "schema"),
    ],
)
def test_a_damaged_list_is_told(text: str, said: str) -> None:
    with pytest.raises(StackError) as caught:
        sources.parse(text, "wanted.json")
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert said in str(caught.value)
    assert str(caught.value).startswith("wanted.json: a damaged list of sources")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", ".incoming/x"])
def test_a_place_stays_inside_the_mirror(path: str) -> None:
    data = json.loads((RECORDED / "sources/numerics.json").read_text())
    data["packages"][0]["files"][0]["path"] = path
    with pytest.raises(StackError, match="path"):
        sources.parse(json.dumps(data), "x")


def test_the_shipped_archives_name_what_exists(archives: Archives, catalogue: Catalogue) -> None:
    assert set(archives.order) <= set(archives.archives)
    for archive in archives.archives.values():
        if archive.kind == "distribution":
            assert archive.os is not None
            assert archive.archive in catalogue.systems[archive.os].archives
            assert archive.suites
        if archive.kind == "index":
            assert archive.paths


def test_an_unknown_archive_is_told(archives: Archives) -> None:
    assert archives.chosen(("git", "upstream", "git")) == ("git", "upstream")
    assert archives.chosen() == archives.order
    with pytest.raises(StackError, match=r"no archive of sources is called gti .*known: .*git"):
        archives.chosen(("gti",))


@pytest.mark.parametrize(
    ("url", "who"),
    [
        ("https://github.com/a/b/archive/1.tar.gz", "github"),
        ("https://codeload.github.com/a/b/tar.gz/1", "github"),
        ("https://luarocks.github.io/x.tar.gz", "github"),
        ("https://gitlab.kitware.com/a/b/-/archive/1/b-1.tar.gz", "gitlab.kitware.com"),
        ("https://notgithub.com/a/b", "notgithub.com"),
        ("https://index.example/packages/source/n/numpy/numpy-2.4.6.tar.gz", "pypi"),
        ("https://other.example/packages/5e/cd/" + "0" * 60 + "/numpy-2.4.6.tar.gz", "pypi"),
        ("https://Sourceware.org/pub/x", "sourceware.org"),
        ("git@github.com:a/b", "github"),
        ("/srv/git/b", "a folder"),
        ("file:///srv/git/b", "a folder"),
    ],
)
def test_who_answers_for_a_url(url: str, who: str, archives: Archives) -> None:
    assert sources.operator(url, archives) == who


def test_what_is_a_forge(archives: Archives) -> None:
    assert sources.is_forge("github", archives)
    assert sources.is_forge("gitlab.kitware.com", archives)
    assert not sources.is_forge("pypi", archives)
    assert not sources.is_forge("sourceware.org", archives)


@given(st.text(max_size=80))
def test_any_url_has_an_operator(text: str) -> None:
    archives = Archives.model_validate({"schema": 1, "order": [], "archives": {}, "forges": {}})
    assert sources.operator(f"https://{text}", archives)

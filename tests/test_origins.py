"""Where a file may be had, told from URLs, indexes and pages that were recorded or written for the test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stack import origins
from stack.errors import StackError
from stack.origins import Candidate, Link
from stack.sources import Archives, Source, needed
from tests.conftest import RECORDED
from tests.test_sources import archives, recorded

__all__ = ["archives"]


def source(*urls: str, name: str = "blis", system: str = "makefile", kind: str = "archive") -> Source:
    return Source("0" * 64, f"_source-cache/archive/00/{'0' * 64}.tar.gz", urls, (f"{name}@2.0",), kind, system)


@pytest.mark.parametrize(
    ("url", "ref", "prefix"),
    [
        ("https://github.com/flame/blis/archive/2.0.tar.gz", "2.0", "blis-2.0"),
        ("https://github.com/flame/blis/archive/v2.0.tar.gz", "v2.0", "blis-2.0"),
        ("https://github.com/flame/blis/archive/refs/tags/v2.0.tar.gz", "v2.0", "blis-2.0"),
        ("https://github.com/flame/blis/archive/refs/tags/rel/2.0.tar.gz", "rel/2.0", "blis-rel-2.0"),
        ("https://github.com/flame/blis/archive/version2.0.tgz", "version2.0", "blis-version2.0"),
        ("https://codeload.github.com/flame/blis/tar.gz/refs/tags/2.0", "2.0", "blis-2.0"),
        ("https://github.com/flame/blis/releases/download/v2/blis-2.0.tar.gz", "v2", "blis-2.0"),
        ("https://gitlab.com/flame/blis/-/archive/v2.0/blis-v2.0.tar.gz", "v2.0", "blis-v2.0"),
        ("https://codeberg.org/flame/blis/archive/v2.0.tar.gz", "v2.0", "blis"),
    ],
)
def test_the_archive_of_a_tag_can_be_made_again(url: str, ref: str, prefix: str, archives: Archives) -> None:
    made = origins.from_git(source(url), "git", {"flame/blis": "/srv/blis"}, archives)
    assert made == (Candidate("git", "git", "a folder", "/srv/blis", ref, prefix),)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/flame/blis/archive/2.0.zip",
        "https://sourceware.org/flame/blis/archive/2.0.tar.gz",
        "https://github.com/other/blis/archive/2.0.tar.gz",
        "https://github.com/flame/blis/archive/--output=x.tar.gz",
        "https://github.com/flame/blis/commit/0799b.patch?full_index=1",
    ],
)
def test_what_git_cannot_make_is_no_candidate(url: str, archives: Archives) -> None:
    assert origins.from_git(source(url), "git", {"flame/blis": "/srv/blis"}, archives) == ()


def test_the_narrowest_word_about_a_repository_wins(archives: Archives) -> None:
    it = source("https://github.com/flame/blis/archive/2.0.tar.gz")
    known = {"*": "https://all.example/{host}/{repository}.git"}
    where = [c.where for c in origins.from_git(it, "git", known, archives)]
    assert where == ["https://all.example/github.com/flame/blis.git"]
    known |= {"github.com/*": "https://hub.example/{repository}"}
    assert [c.operator for c in origins.from_git(it, "git", known, archives)] == ["hub.example"]
    known |= {"flame/blis": "ssh://git@own.example/blis"}
    assert [c.operator for c in origins.from_git(it, "git", known, archives)] == ["own.example"]


def test_a_copy_on_the_forge_itself_is_the_forge(archives: Archives) -> None:
    it = source("https://github.com/flame/blis/archive/2.0.tar.gz")
    made = origins.from_git(it, "git", {"*": "https://github.com/{repository}.git"}, archives)
    assert [c.operator for c in made] == ["github"]


def test_repositories_are_written_in_one_line() -> None:
    assert origins.repositories("a/b=/x, c/d=https://y/z=1 ,") == {"a/b": "/x", "c/d": "https://y/z=1"}
    with pytest.raises(StackError, match="'a/b' does not read owner/name=URL"):
        origins.repositories("a/b")


def test_only_urls_that_can_be_fetched_are_upstream(archives: Archives) -> None:
    it = source("https://a.example/x.tgz", "file:///etc/passwd", "ftp://b.example/x", "ext::sh -c true")
    assert [c.operator for c in origins.upstream(it, "upstream", archives)] == ["a.example", "b.example"]


def test_another_mirror_has_it_at_the_same_place(archives: Archives) -> None:
    made = origins.mirrored(source(), "mirror", ("https://m.example/spack/", "file:///srv/mirror"), archives)
    assert made[0].where == f"https://m.example/spack/_source-cache/archive/00/{'0' * 64}.tar.gz"
    assert [c.operator for c in made] == ["m.example", "a folder"]


def test_a_sources_index_gives_file_and_folder() -> None:
    text = (RECORDED / "sources/Sources").read_text()
    wanted = {s.sha256: s.label for s in needed(recorded("numerics"))}
    found = origins.in_index(text, set(wanted), "http://mirror.example/debian/", "debian")
    assert {wanted[digest]: c.where for digest, c in found.items()} == {
        "bzip2@1.0.8": "http://mirror.example/debian/pool/main/b/bzip2/bzip2_1.0.8.orig.tar.gz",
        "netlib-lapack@3.12.1": "http://mirror.example/debian/pool/main/l/lapack/lapack_3.12.1.orig.tar.gz",
        "numactl@2.0.19": "http://mirror.example/debian/pool/main/n/numactl/numactl_2.0.19.orig.tar.gz",
    }
    assert {c.operator for c in found.values()} == {"debian"}
    assert next(c.size for d, c in found.items() if wanted[d] == "bzip2@1.0.8") == 810029


@pytest.mark.parametrize("folder", ["../../etc", "pool/../../x"])
def test_an_index_cannot_lead_out_of_its_archive(folder: str) -> None:
    text = f"Package: a\nDirectory: {folder}\nChecksums-Sha256:\n {'a' * 64} 1 a.tar\n"
    assert origins.in_index(text, {"a" * 64}, "http://m", "debian") == {}


def test_an_index_without_a_folder_is_passed_over() -> None:
    text = f"Package: b\nDirectory: pool/b\n\nPackage: a\nChecksums-Sha256:\n {'a' * 64} 1 a.tar\n\nDirectory: c\n"
    assert origins.in_index(text, {"a" * 64}, "http://m", "debian") == {}


@pytest.mark.parametrize(
    ("url", "name", "system", "project"),
    [
        ("https://x.example/packages/source/m/meson_python/meson_python-1.tgz", "py-meson-python", "", "meson-python"),
        ("https://x.example/packages/py3/p/pip/pip-26.1.2-py3-none-any.whl", "py-pip", "generic", "pip"),
        (f"https://x.example/packages/5e/cd/{'0' * 60}/Zope.Thing-1.tar.gz", "py-z", "", "zope-thing"),
        ("https://github.com/a/b/archive/1.tar.gz", "py-pybind11", "python_pip", "pybind11"),
        ("https://github.com/mesonbuild/meson/archive/1.tar.gz", "meson", "python_pip", "meson"),
    ],
)  # fmt: skip
def test_the_project_of_an_index(url: str, name: str, system: str, project: str, archives: Archives) -> None:
    assert origins.projects(source(url, name=name, system=system), archives.archives["pypi"]) == (project,)


def test_a_package_that_is_no_python_is_not_asked_of_the_index(archives: Archives) -> None:
    rule = archives.archives["pypi"]
    assert origins.projects(source("https://github.com/a/b/archive/1.tar.gz"), rule) == ()
    patch = source("https://github.com/a/b/commit/1.patch", name="py-x", system="python_pip", kind="patch")
    assert origins.projects(patch, rule) == ()


def test_the_hash_on_the_page_decides_and_not_the_name(archives: Archives) -> None:
    it = source("https://x.example/packages/source/a/a/a-1.tar.gz")
    right = Link(url="https://x.example/1/other-name.tar.gz", filename="other-name.tar.gz", sha256=it.sha256)
    wrong = Link(url="https://x.example/2/a-1.tar.gz", filename="a-1.tar.gz", sha256="1" * 64)
    silent = Link(url="https://x.example/3/a-1.tar.gz", filename="a-1.tar.gz")
    assert origins.in_pages(it, [wrong], "pypi", archives) is None
    found = origins.in_pages(it, [wrong, silent], "pypi", archives)
    assert found and found.where == silent.url
    found = origins.in_pages(it, [silent, right], "pypi", archives)
    assert found and found.where == right.url
    assert origins.in_pages(replace(it, urls=()), [silent], "pypi", archives) is None


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("flame/*", True),
        ("github.com/flame/*", True),
        ("*/blis", True),
        ("fl*e/b*", True),
        ("git*.com/flame/blis", True),
        ("*.com/*", True),
        ("flam/*", False),
        ("*/bli", False),
        ("gitlab.com/flame/*", False),
    ],
)
def test_a_star_stands_for_any_text(pattern: str, fits: bool, archives: Archives) -> None:
    it = source("https://github.com/flame/blis/archive/2.0.tar.gz")
    made = origins.from_git(it, "git", {pattern: "/srv/{repository}"}, archives)
    assert [c.where for c in made] == (["/srv/flame/blis"] if fits else [])


def test_the_narrowest_pattern_wins(archives: Archives) -> None:
    it = source("https://github.com/flame/blis/archive/2.0.tar.gz")
    words = ["*", "github.com/*", "fl*", "flame/*", "github.com/flame/*", "flame/blis", "github.com/flame/blis"]
    for n in range(1, len(words) + 1):
        known = {w: f"/{words.index(w)}" for w in reversed(words[:n])}
        assert [c.where for c in origins.from_git(it, "git", known, archives)] == [f"/{n - 1}"]


def test_a_wrong_line_is_told_without_its_password() -> None:
    with pytest.raises(StackError, match=r"'=https://h\.example' does not read"):
        origins.repositories("=https://me:secret@h.example")

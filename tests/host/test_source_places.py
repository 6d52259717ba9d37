"""Where a site's sources come from: the profile's words, and the environment's before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.host import apt, source_places
from stack.host.library import Library
from stack.sources import Archives
from tests.test_sources import recorded


@pytest.fixture(scope="module")
def archives(library: Library) -> Archives:
    return source_places.archives(library)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No word of this machine's environment, and no mirror that its apt names."""
    for name in ("SOVSTACK_SOURCE_GIT", "SOVSTACK_SOURCE_MIRRORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(apt, "host_targets", lambda: ())


def test_the_environments_word_comes_before_the_profiles(
    archives: Archives, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOVSTACK_SOURCE_GIT", "a/b=/mine")
    monkeypatch.setenv("SOVSTACK_SOURCE_MIRRORS", f"{tmp_path},https://m.example/x")
    made = source_places.places(
        archives, catalogue.systems, order=("git", "mirror"), mirrors=("https://site.example",),
        git={"a/b": "/theirs", "c/d": "/both"},
    )  # fmt: skip
    assert made.order == ("git", "mirror")
    assert made.repositories == {"a/b": "/mine", "c/d": "/both"}
    assert made.mirrors == (tmp_path.as_uri(), "https://m.example/x", "https://site.example")


def test_an_index_that_nobody_names_is_a_fault_and_no_error(archives: Archives, catalogue: Catalogue) -> None:
    made = source_places.places(archives, catalogue.systems)
    assert made.order == archives.order
    assert made.indexes == {}
    assert made.faults == {"debian": "apt on this machine names no mirror of debian"}


def test_a_wrong_line_is_told(archives: Archives, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVSTACK_SOURCE_GIT", "/a/path")
    with pytest.raises(StackError, match="does not read owner/name=URL"):
        source_places.places(archives, catalogue.systems)


def test_the_plan_names_every_candidate(archives: Archives, catalogue: Catalogue) -> None:
    made = source_places.places(archives, catalogue.systems, git={"flame/blis": "/srv/blis"}, mirrors=("/srv/m",))
    text = source_places.planned(recorded("numerics"), made)
    digest = "08bbebd77914a6d1a43874ae5ec2f54fe6a77cba745f2532df28361b0f1ad1b3"
    begin = text.index(f"{digest}  blis@2.0\n")
    assert text[begin:].splitlines()[1:6] == [
        f"    mirror: file:///srv/m/_source-cache/archive/08/{digest}.tar.gz",
        "    upstream: https://github.com/flame/blis/archive/2.0.tar.gz",
        "    debian: by its index",
        "    pypi: by its index",
        "    git: /srv/blis 2.0",
    ]


def test_the_plan_shows_no_password(archives: Archives, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVSTACK_SOURCE_MIRRORS", "https://me:secret@m.example/x")
    monkeypatch.setenv("SOVSTACK_SOURCE_GIT", "*=https://me:secret@g.example/{repository}")
    made = source_places.places(archives, catalogue.systems)
    text = source_places.planned(recorded("numerics"), made)
    assert "secret" not in text
    assert "    mirror: https://m.example/x/_source-cache/" in text
    assert "    git: https://g.example/flame/blis 2.0" in text

"""What a real lock wants, by the Spack that `sovstack bootstrap` installs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stack import sources
from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.host import spack as host_spack
from stack.host import wanted_sources
from stack.host.spack import Spack
from tests.conftest import RECORDED

LOCK = RECORDED / "sources/numerics"


def quiet(line: str) -> None:
    """A sink that forgets."""


def test_the_recorded_list_is_what_spack_says_of_the_lock(real_spack: Spack, tmp_path: Path) -> None:
    made = wanted_sources.wanted(real_spack, LOCK, tmp_path, quiet)
    recorded = sources.parse((RECORDED / "sources/numerics.json").read_text(), "numerics")
    assert made.spack == recorded.spack
    for one, other in zip(made.packages, recorded.packages, strict=True):
        # The recorded URLs of the package index have another host, so that no index is named here.
        assert [len(f.urls) for f in one.files] == [len(f.urls) for f in other.files]
        plain = one.model_copy(update={"files": [f.model_copy(update={"urls": ()}) for f in one.files]})
        same = other.model_copy(update={"files": [f.model_copy(update={"urls": ()}) for f in other.files]})
        assert plain == same
    assert sorted(p.name for p in LOCK.iterdir()) == ["spack.lock", "spack.yaml"]


def test_another_spack_is_refused(real_spack: Spack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = real_spack.upstream.spack.model_copy(update={"version": "0.1"})
    other = real_spack.upstream.model_copy(update={"spack": repository})
    older = Spack(other, real_spack.home, real_spack.overlays)
    with pytest.raises(StackError, match=r"this is Spack 1\..*, and 0\.1 is needed"):
        wanted_sources.wanted(older, LOCK, tmp_path, quiet)


def test_a_lock_of_other_packages_is_a_clear_error(real_spack: Spack, tmp_path: Path) -> None:
    data = json.loads((LOCK / "spack.lock").read_text())
    for node in data["concrete_specs"].values():
        if node["name"] == "bzip2":
            node["name"] = "no-such-package"
    folder = tmp_path / "cell"
    folder.mkdir()
    (folder / "spack.yaml").write_bytes((LOCK / "spack.yaml").read_bytes())
    (folder / "spack.lock").write_text(json.dumps(data))
    with pytest.raises(StackError, match="could not list the sources that the lock wants"):
        wanted_sources.wanted(real_spack, folder, tmp_path / "work", quiet)


def test_a_copy_of_the_index_that_was_killed_is_made_again(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, work = tmp_path / "index", tmp_path / "work"
    index.mkdir()
    (index / "providers").write_text("whole")
    copytree = shutil.copytree

    def killed(_source: Path, target: Path) -> None:
        target.mkdir()
        (target / "half").write_text("")
        raise KeyboardInterrupt

    def answer(*_words: object) -> None:
        (work / "wanted.json").write_bytes((RECORDED / "sources/numerics.json").read_bytes())

    monkeypatch.setattr(host_spack, "ready", lambda *_words: index)
    monkeypatch.setattr(wanted_sources, "run", answer)
    monkeypatch.setattr(shutil, "copytree", killed)
    spack = Spack(catalogue.upstream, tmp_path / "spack", ())
    with pytest.raises(KeyboardInterrupt):
        wanted_sources.wanted(spack, LOCK, work, quiet)
    monkeypatch.setattr(shutil, "copytree", copytree)
    wanted_sources.wanted(spack, LOCK, work, quiet)
    assert [p.name for p in (work / "misc").iterdir()] == ["providers"]

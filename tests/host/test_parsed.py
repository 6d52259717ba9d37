"""Documents that were read before are the same as read anew: data, positions, faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stack import document
from stack.errors import Faults
from stack.host import parsed
from stack.host.library import Library, shipped

TEXT = 'a: [1, {b: "x", c: 2.5}, true]\nd: null\n'


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(parsed, "INSTALLED", tmp_path / "installed")
    return tmp_path / "sovstack/documents"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def both(text: str, name: str = "x.yaml") -> tuple[document.Document | None, document.Document | None]:
    """Read by the parser, and by the cache the second time."""
    parsed.read(text, name, Faults())
    return document.parse(text, name, Faults()), parsed.read(text, name, Faults())


@pytest.mark.parametrize("folder", ["profiles", "environments", "recipes", "containers"])
def test_the_shipped_documents_are_the_same(kept: Path, folder: str) -> None:
    paths = Library((shipped(),)).files(folder).values()
    assert paths
    for path in paths:
        fresh, again = both(path.read_text(), str(path))
        assert fresh and again and again.data == fresh.data and again.digest == fresh.digest
        assert dict(again.keys) == fresh.keys and dict(again.values) == fresh.values
        assert dict(again.written) == fresh.written
    assert len(files(kept)) == len({p.read_text() for p in paths})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(alphabet="ab:- \n[]{},#'\"&*1.~", max_size=30))
def test_whatever_text_it_is(kept: Path, text: str) -> None:
    first, second = Faults(), Faults()
    fresh = document.parse(text, "x", first)
    parsed.read(text, "x", Faults())
    again = parsed.read(text, "x", second)
    assert first.found == second.found
    assert (fresh and fresh.data) == (again and again.data)


def test_positions_are_of_the_file_that_is_read_now(kept: Path) -> None:
    parsed.read(TEXT, "one.yaml", Faults())
    again = parsed.read(TEXT, "two.yaml", Faults())
    assert again and str(again.at(("a", 1, "c"))) == "two.yaml:1:20"


def test_a_text_with_a_fault_is_not_kept(kept: Path) -> None:
    for _ in "ab":
        faults = Faults()
        parsed.read("a: 1\na: 2\n", "x", faults)
        assert "duplicate key" in faults.found[0].what
    assert files(kept) == []


@pytest.mark.parametrize("damage", ["", "{", '{"other": 1}', "[1]", "\x00" * 40])
def test_a_damaged_record_is_read_anew(kept: Path, damage: str) -> None:
    parsed.read(TEXT, "x", Faults())
    (path,) = files(kept)
    path.write_text(damage)
    fresh, again = both(TEXT)
    assert fresh and again and fresh.data == again.data


def test_what_others_could_have_written_is_not_believed(kept: Path) -> None:
    parsed.read(TEXT, "x", Faults())
    (path,) = files(kept)
    path.write_text('{"data": {"a": "harm"}}')
    found = parsed.read(TEXT, "x", Faults())
    assert found and found.data == {"a": "harm"}  # the cache is asked at all
    kept.chmod(0o777)
    found = parsed.read(TEXT, "x", Faults())
    assert found and found.data["a"] != "harm"


def test_without_a_cache_it_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    fresh, again = both(TEXT)
    assert fresh and again and fresh.data == again.data


def test_another_program_reads_anew(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed.read(TEXT, "x", Faults())
    monkeypatch.setattr(parsed, "_reader", lambda: "another")
    parsed.read(TEXT, "x", Faults())
    assert len(files(kept)) == 2


def test_what_was_installed_with_the_program_is_not_read_again(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [*Library((shipped(),)).files("recipes").values()]
    parsed.install(paths)
    (tmp_path / "bad.yaml").write_text("a: 1\na: 2\n")
    monkeypatch.setattr(parsed, "parse", None)
    for path in paths:
        found = parsed.read(path.read_text(), path.name, Faults())
        assert found and found.data["name"] == path.stem
    assert files(kept) == []  # the user's cache has nothing to keep


def test_installing_again_leaves_nothing_of_before(kept: Path, tmp_path: Path) -> None:
    one, bad = tmp_path / "one.yaml", tmp_path / "bad.yaml"
    one.write_text(TEXT)
    bad.write_text("a: 1\na: 2\n")
    parsed.install([one, bad])
    (before,) = files(parsed.INSTALLED)
    one.write_text("a: 2\n")
    parsed.install([one])
    (after,) = files(parsed.INSTALLED)
    assert after != before

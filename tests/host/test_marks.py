from __future__ import annotations

from pathlib import Path

from stack.host import marks


def test_a_file_is_known_by_what_it_was_made_for_and_its_size(tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    assert not marks.has(path, "k")
    path.write_text("abc")
    assert not marks.has(path, "k")
    marks.mark(path, "k")
    assert marks.has(path, "k")
    assert not marks.has(path, "other")
    path.write_text("abcd")
    assert not marks.has(path, "k")


def test_what_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_text("abc")
    marks.mark(path, "k")
    marks.drop(path)
    marks.drop(path)
    assert list(tmp_path.iterdir()) == []

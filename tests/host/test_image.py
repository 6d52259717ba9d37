from __future__ import annotations

import tarfile
from pathlib import Path

from stack.artifact import File, Tree
from stack.host import image

EPOCH = 1767225600
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of abc


def test_a_tar_says_nothing_of_who_made_it_or_when(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "usr/lib/data").write_text("d")
    (folder / "usr/lib/data").chmod(0o600)
    (folder / "usr/tool").write_text("t")
    (folder / "usr/tool").chmod(0o700)
    tree = Tree.of({"opt/a": "1", "opt/run": File("2", executable=True)})
    image.write_tar(tmp_path / "one.tar", tree, EPOCH, folder)
    (folder / "usr/lib/data").touch()
    image.write_tar(tmp_path / "two.tar", tree, EPOCH, folder)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        rows = {m.name: (m.isdir(), oct(m.mode), m.uid, m.gid, m.mtime) for m in tar}
    assert rows == {
        "opt": (True, "0o755", 0, 0, EPOCH),
        "opt/a": (False, "0o644", 0, 0, EPOCH),
        "opt/run": (False, "0o755", 0, 0, EPOCH),
        "usr": (True, "0o755", 0, 0, EPOCH),
        "usr/lib": (True, "0o755", 0, 0, EPOCH),
        "usr/lib/data": (False, "0o644", 0, 0, EPOCH),
        "usr/tool": (False, "0o755", 0, 0, EPOCH),
    }


def test_no_image_is_found_where_there_is_none_or_half_of_one(tmp_path: Path) -> None:
    assert image.present(tmp_path, "x") is None
    (tmp_path / "x.sif").write_text("abc")
    assert image.present(tmp_path, "x") is None
    for text in ("", "{", "[]", "{}", '{"size": 3, "sha256": "0"}', '{"size": 4}', f'{{"size": 3, "sha256": "{ABC}"}}'):
        (tmp_path / "image.json").write_text(text)
        assert image.present(tmp_path, "x") is None, text

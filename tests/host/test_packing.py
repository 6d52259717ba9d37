"""The tar of a built tree: links, modes and owners as they have to be, and nothing of the machine."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.host import packing

EPOCH = 1767225600


def test_a_tar_keeps_links_and_says_nothing_of_who_made_it(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    (folder / "software/a/.spack").mkdir(parents=True)
    (folder / "software/a/.spack/spec.json").write_text("{}")
    (folder / "software/a/.spack/install_environment.json").write_text("{}")
    (folder / "software/a/tool").write_text("t")
    (folder / "software/a/tool").chmod(0o700)
    (folder / "software/a/same").hardlink_to(folder / "software/a/tool")
    (folder / "software/a/link").symlink_to("tool")
    for name in ("one.tar", "two.tar"):
        packing.pack(folder, "/opt/x", EPOCH, tmp_path / name)
        (folder / "software/a/tool").touch()
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        rows = {m.name: (m.type, oct(m.mode), m.linkname, m.size) for m in tar}
    assert rows == {
        "opt": (tarfile.DIRTYPE, "0o755", "", 0),
        "opt/x": (tarfile.DIRTYPE, "0o755", "", 0),
        "opt/x/software": (tarfile.DIRTYPE, "0o755", "", 0),
        "opt/x/software/a": (tarfile.DIRTYPE, "0o755", "", 0),
        "opt/x/software/a/.spack": (tarfile.DIRTYPE, "0o755", "", 0),
        "opt/x/software/a/.spack/spec.json": (tarfile.REGTYPE, "0o644", "", 2),
        "opt/x/software/a/link": (tarfile.SYMTYPE, "0o777", "tool", 0),
        "opt/x/software/a/same": (tarfile.REGTYPE, "0o755", "", 1),
        "opt/x/software/a/tool": (tarfile.REGTYPE, "0o755", "", 1),
    }


def test_a_link_does_not_name_the_trees_own_place(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    (folder / "view/lib").mkdir(parents=True)
    (folder / "view/lib/inside").symlink_to("/opt/x/software/a/lib")
    (folder / "view/lib/outside").symlink_to("/usr/lib/y")
    packing.pack(folder, "/opt/x", EPOCH, tmp_path / "one.tar")
    with tarfile.open(tmp_path / "one.tar") as tar:
        links = {m.name: m.linkname for m in tar if m.issym()}
    assert links == {"opt/x/view/lib/inside": "../../software/a/lib", "opt/x/view/lib/outside": "/usr/lib/y"}


def test_a_link_that_readers_of_a_tar_would_cut_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "far").symlink_to("/usr/" + "y" * 100)
    with pytest.raises(StackError, match="longer than 100 characters"):
        packing.pack(folder, "/opt/x", EPOCH, tmp_path / "one.tar")

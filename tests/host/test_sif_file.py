from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stack import sif
from stack.errors import ExitCode, StackError
from stack.host import sif_file
from tests.test_sif import file

MORE = file((sif.SBOM, b"{}", "sbom.cdx.json"), (sif.JSON, b"[1]", "x.json"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a.sif"
    made.write_bytes(MORE)
    return made


def test_objects_their_bytes_and_digests(path: Path) -> None:
    found = {o.name: o for o in sif_file.objects(path)}
    assert {name: sif_file.content(path, o, 100) for name, o in found.items()} == {
        "definition": b"def", "rootfs": b"fs" * 9, "sbom.cdx.json": b"{}", "x.json": b"[1]",
    }  # fmt: skip
    assert sif_file.sha256(path, found["rootfs"]) == hashlib.sha256(b"fs" * 9).hexdigest()
    assert sif_file.digests(path) == (hashlib.sha256(MORE).hexdigest(), hashlib.sha512(MORE).hexdigest())


def test_the_base_is_streamed_to_the_byte(path: Path) -> None:
    assert b"".join(sif_file.base(path)) == file()
    assert sif_file.base_sha256(path) == hashlib.sha256(file()).hexdigest()


def test_more_descriptors_than_usual_are_read(tmp_path: Path) -> None:
    many = tmp_path / "many.sif"
    many.write_bytes(file(free=100))  # their end is behind the usual place of data: damaged, and not misread
    with pytest.raises(StackError, match="cut off inside its header"):
        sif_file.objects(many)


def test_an_object_that_is_too_large_is_not_read(path: Path) -> None:
    with pytest.raises(StackError, match="rootfs has 18 bytes, more than can be read"):
        sif_file.content(path, sif_file.objects(path)[1], 17)


def test_what_is_no_image_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for path, said in (("none", "no such file"), (".", "not a file"), ("text", "not a SIF file")):
        with pytest.raises(StackError, match=said) as caught:
            sif_file.objects(tmp_path / path)
        assert caught.value.exit_code == ExitCode.BAD_INPUT

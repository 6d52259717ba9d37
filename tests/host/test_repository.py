"""A folder that apt installs from, of packages made here."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from pathlib import Path

from stack import closure
from stack.host import repository
from stack.lock import OsPackage
from tests.host.test_deb_file import deb, tar


def control(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as made:
        info = tarfile.TarInfo("./control")
        info.size = len(text)
        made.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def package(folder: Path, name: str, packed: str) -> tuple[OsPackage, Path]:
    text = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    files = (f"data.tar.{packed}", tar(name, packed, name=f"./usr/share/{name}"))
    data = deb(("debian-binary", b"2.0\n"), ("control.tar.xz", control(text)), files)
    path = folder / f"{name}.deb"
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    made = OsPackage(
        name=name, version="1", architecture="all", filename=f"{name}.deb", size=len(data), sha256=sha256,
        source=f"{name} 1", control={},
    )  # fmt: skip
    return made, path


def test_the_index_is_of_the_files_that_lie_there(tmp_path: Path) -> None:
    made = [package(tmp_path, name, packed) for name, packed in (("one", "xz"), ("two", "gz"))]
    found = {p.sha256: path for p, path in made}
    for plain in (False, True):
        folder = tmp_path / f"repo-{plain}"
        repository.fill(folder, [p for p, _path in made], found, plain=plain)
        stanzas = list(closure.stanzas((folder / "Packages").read_text()))
        assert [s["Package"] for s in stanzas] == ["one", "two"]
        for stanza in stanzas:
            data = (folder / stanza["Filename"]).read_bytes()
            assert (hashlib.sha256(data).hexdigest(), str(len(data))) == (stanza["SHA256"], stanza["Size"])
        links = [(folder / s["Filename"]).is_symlink() for s in stanzas]
        assert links == [not plain, True]  # what is packed in another way stays as it is
    assert len(list((tmp_path / "repo-True").iterdir())) == 3


def test_nothing_but_the_compression_is_gone(tmp_path: Path) -> None:
    made, path = package(tmp_path, "one", "xz")
    repository.fill(tmp_path / "repo", [made], {made.sha256: path}, plain=True)
    (file,) = (tmp_path / "repo").glob("*.deb")
    assert lzma.decompress(tar("one", name="./usr/share/one")) in file.read_bytes()

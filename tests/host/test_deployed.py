"""Digests of what stands in an image: of files in the cache, and of folders in the tar of what was built."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from stack.audit.inventory import Inventory
from stack.errors import StackError
from stack.host import deployed, resolving
from stack.host.image import Image
from tests.audit.locks import of, released
from tests.host import tiny

MADE = Image(Path("x.sif"), "k", "a" * 64, "b" * 64, 1, "c" * 64, {})


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """A lock of three packages, whose files are in a cache of its own, and of what Spack built."""
    monkeypatch.setattr(resolving, "cache", lambda: tmp_path / "cache")
    lock = released("numerics/generic-x86/*v3")
    names = ("libc6", "zlib1g", "python3")
    packages = []
    for package in (p for p in lock.os.packages if p.name in names):
        data = package.name.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        place = tmp_path / "cache/archives/sha256" / sha256[:2] / f"{sha256}.deb"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        packages.append(package.model_copy(update={"sha256": sha256}))
    found = of(lock.model_copy(update={"os": lock.os.model_copy(update={"packages": tuple(packages)}), "tools": None}))
    return replace(found, items=tuple(i for i in found.items if i.kind != "base"))


def software(path: Path, inventory: Inventory, *, change: bytes = b"") -> Path:
    """A tar as a build leaves it, with the folder of one package."""
    item = next(i for i in inventory.items if i.kind == "spack" and not i.external and i.scope == "run")
    folder = f"opt/sovstack/x/software/{item.name}-{item.version}-{item.ref.rpartition('=')[2]}"
    with tarfile.open(path, "w") as tar:
        for name, data, mode in ((f"{folder}/bin/tool", b"#!" + change, 0o755), (f"{folder}/share/text", b"t", 0o644)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo(f"{folder}/bin/link")
        link.type, link.linkname = tarfile.SYMTYPE, "tool"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("opt/sovstack/x/software/bin/sbang"))
    return path


def test_packages_have_the_digests_of_their_files(tmp_path: Path, inventory: Inventory) -> None:
    found = deployed.of(tmp_path, MADE, inventory, None)
    item = next(i for i in inventory.items if i.name == "zlib1g")
    assert found[item.ref].sha512 == hashlib.sha512(b"zlib1g").hexdigest()
    assert (found[item.ref].filename, found[item.ref].size) == (item.filename, 6)


def test_an_external_is_the_file_of_the_package_that_supplies_it(tmp_path: Path, inventory: Inventory) -> None:
    found = deployed.of(tmp_path, MADE, inventory, None)
    glibc = next(i for i in inventory.items if i.name == "glibc")
    assert found[glibc.ref].sha512 == hashlib.sha512(b"libc6").hexdigest()


def test_a_built_package_has_the_digest_of_the_list_of_its_files(tmp_path: Path, inventory: Inventory) -> None:
    item = next(i for i in inventory.items if i.kind == "spack" and not i.external and i.scope == "run")
    found = deployed.of(tmp_path, MADE, inventory, software(tmp_path / "a.tar", inventory))[item.ref]
    lines = [
        f"{hashlib.sha512(content).hexdigest()} {kind} {path}\n"
        for content, kind, path in ((b"#!", "x", "bin/tool"), (b"t", "f", "share/text"), (b"tool", "l", "bin/link"))
    ]
    assert found.sha512 == hashlib.sha512("".join(sorted(lines)).encode()).hexdigest()
    assert (found.archive, found.size) == (False, 3)


def test_it_is_kept_and_taken_again_for_the_same_image_alone(tmp_path: Path, inventory: Inventory) -> None:
    first = deployed.of(tmp_path, MADE, inventory, software(tmp_path / "a.tar", inventory))
    again = deployed.of(tmp_path, MADE, inventory, None)
    assert again == first
    other = deployed.of(
        tmp_path, replace(MADE, sha256="d" * 64), inventory, software(tmp_path / "b.tar", inventory, change=b"!")
    )
    assert other != first


@pytest.mark.parametrize("damage", ["{", "[]", '{"image": "%s", "deployed": {"x": {"y": 1}}}' % ("a" * 64)])
def test_a_damaged_note_is_made_anew(tmp_path: Path, inventory: Inventory, damage: str) -> None:
    (tmp_path / deployed.NOTE).write_text(damage)
    assert deployed.of(tmp_path, MADE, inventory, None)
    assert json.loads((tmp_path / deployed.NOTE).read_text())["image"] == MADE.sha256


@pytest.mark.parametrize(
    ("key", "value"),
    [("sha512", "0"), ("sha512", 5), ("sha256", "\ud800"), ("filename", ""), ("filename", None), ("size", "1"),
     ("size", -1), ("archive", "yes"), ("executable", None), ("structured", 1)],
)  # fmt: skip
def test_a_note_that_an_sbom_cannot_repeat_is_made_anew(
    tmp_path: Path, inventory: Inventory, key: str, value: object
) -> None:
    whole = deployed.of(tmp_path, MADE, inventory, None)
    note = json.loads((tmp_path / deployed.NOTE).read_text())
    next(iter(note["deployed"].values()))[key] = value
    (tmp_path / deployed.NOTE).write_text(json.dumps(note))
    assert deployed.of(tmp_path, MADE, inventory, None) == whole


def test_a_cache_that_was_emptied_is_named(tmp_path: Path, inventory: Inventory) -> None:
    for path in (tmp_path / "cache").rglob("*.deb"):
        path.unlink()
    with pytest.raises(StackError, match="no longer has 3 packages"):
        deployed.of(tmp_path, MADE, inventory, None)


@pytest.mark.image
def test_the_digests_of_the_file_system_are_taken_from_the_image_and_not_from_its_record(tmp_path: Path) -> None:
    made = tiny.make(tmp_path / "image", released("numerics/generic-x86/*v3"))
    assert deployed.root(replace(made, squashfs="0" * 64)).sha256 == made.squashfs

"""What stands in an image, component by component, with its digests: taken once, and kept beside the image."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from stack.artifact import canonical_json
from stack.audit.inventory import Deployable, Inventory, Item
from stack.audit.supply import Ref
from stack.errors import host_lacks
from stack.host import files, packages, pip, resolving, sif_file
from stack.host.image import Image
from stack.lock import Lock

NOTE = "deployed.json"
_MAX = 64 << 20
_BLOCK = 1 << 20
_HEX = re.compile(r"[0-9a-f]+")


def of(folder: Path, made: Image, inventory: Inventory, software: Path | None) -> Mapping[Ref, Deployable]:
    """Item -> what of it stands in the image. `software`: the tar of what was built from source."""
    kept = _kept(folder / NOTE, made)
    if kept is not None:
        return kept
    found = {**_packages(inventory), **(_built(software, inventory) if software else {})}
    for item in inventory.items:  # an external is the package that supplies it
        supplier = next((ref for ref in item.depends if item.external and ref in found), None)
        if supplier:
            found[item.ref] = found[supplier]
    note = {"image": made.sha256, "deployed": {ref: asdict(file) for ref, file in sorted(found.items())}}
    files.write_text(folder / NOTE, canonical_json(note))
    return found


def root(made: Image) -> Deployable:
    """The root file system that the image carries."""
    item = next(o for o in sif_file.objects(made.path) if o.file_name == "rootfs")
    short, long = hashlib.sha256(), hashlib.sha512()
    for block in sif_file.blocks(made.path, item.offset, item.size):
        short.update(block)
        long.update(block)
    return Deployable(item.file_name, short.hexdigest(), long.hexdigest(), item.size)


def _kept(note: Path, made: Image) -> Mapping[Ref, Deployable] | None:
    record = files.read_record(note, _MAX)
    if not isinstance(record, dict) or record.get("image") != made.sha256:
        return None
    try:
        found = {str(ref): Deployable(**file) for ref, file in record["deployed"].items()}
    except (KeyError, TypeError, AttributeError):
        return None
    return found if all(map(_sound, found.values())) else None


def _sound(file: Deployable) -> bool:
    """Whether what a note says of a file can be true: it goes into an SBOM as it is."""
    short, long = str(file.sha256), str(file.sha512)
    texts = isinstance(file.filename, str) and bool(file.filename) and _HEX.fullmatch(short) and _HEX.fullmatch(long)
    flags = (file.executable, file.archive, file.structured)
    whole = type(file.size) is int and file.size >= 0 and all(type(flag) is bool for flag in flags)
    return bool(texts) and (len(short), len(long)) == (64, 128) and whole


def _packages(inventory: Inventory) -> dict[Ref, Deployable]:
    """Package files and wheels, from the cache that the image was built from."""
    cache, lock = resolving.cache(), inventory.lock
    places = {p.sha256: packages.place(cache / "archives/sha256", p.sha256) for p in lock.os.packages}
    places |= {w.sha256: pip.place(cache, w) for w in (lock.wheels.files if lock.wheels else ())}
    wanted = {i.hashes["SHA-256"]: i for i in inventory.items if i.hashes.get("SHA-256") in places}
    lost = [item.name for sha256, item in wanted.items() if not places[sha256].is_file()]
    if lost:
        what = f"the cache no longer has {len(lost)} packages of the image, {lost[0]} for example"
        raise host_lacks(what, f"remove image.json, and build again: {_again(lock)}")
    return {item.ref: _file(item, sha256, places[sha256]) for sha256, item in wanted.items()}


def _again(lock: Lock) -> str:
    return f"sovstack build {lock.profile} {lock.environment}"


def _file(item: Item, sha256: str, path: Path) -> Deployable:
    return Deployable(item.filename, sha256, _digest("sha512", path), path.stat().st_size)


def _digest(algorithm: str, path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def _built(tar: Path, inventory: Inventory) -> dict[Ref, Deployable]:
    """The folder of each package that was built: digests of the list of its files, and the bytes of them all."""
    by_hash = {i.ref.rpartition("daghash=")[2]: i for i in inventory.items if i.kind == "spack" and not i.external}
    lists: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    with tarfile.open(tar) as archive:
        for folder, line, size in _members(archive):
            lists.setdefault(folder, []).append(line)
            sizes[folder] = sizes.get(folder, 0) + size
    made = {}
    for folder, lines in sorted(lists.items()):
        item = by_hash.get(folder.rpartition("-")[2])
        if item:
            text = "".join(sorted(lines)).encode()
            short, long = hashlib.sha256(text).hexdigest(), hashlib.sha512(text).hexdigest()
            made[item.ref] = Deployable(folder, short, long, sizes[folder], archive=False)
    return made


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, str, int]]:
    """(package's folder, what the list says of a file, its size) of each file and link below `software/`."""
    for info in archive:
        _before, found, inside = info.name.partition("/software/")
        folder, _, path = inside.partition("/")
        if not found or not path or info.isdir():
            continue
        state = hashlib.sha512()
        content = archive.extractfile(info) if info.isreg() else None
        if content:
            for block in iter(lambda: content.read(_BLOCK), b""):  # noqa: B023 - read before the next one
                state.update(block)
        else:
            state.update(info.linkname.encode())
        kind = "l" if info.issym() else "x" if info.mode & 0o100 else "f"
        yield folder, f"{state.hexdigest()} {kind} {path}\n", info.size

"""Real images of a few kilobytes, sealed by the real Apptainer."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stack import build, sif
from stack.artifact import Command
from stack.errors import ExitCode, StackError
from stack.host import files, image, inspecting, sealing, sif_file, signing
from stack.host.image import Image
from stack.host.keys import PrivateKey
from stack.host.run import run
from stack.host.sealing import Evidence
from stack.lock import Lock
from stack.plan import Plan
from tests.host import tiny
from tests.test_lock import make

pytestmark = [pytest.mark.image]
FLIPS = 220


@pytest.fixture(scope="module")
def lock(laptop: Plan) -> Lock:
    return make(laptop)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return tiny.key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def made(lock: Lock, tmp_path: Path) -> Image:
    return tiny.make(tmp_path / "image", lock)


def seal(made: Image, evidence: Evidence, key: PrivateKey | None) -> Image:
    return sealing.seal(made, evidence, key, tiny.tools(), tiny.EPOCH, print)


def verified(path: Path, key: PrivateKey) -> bool:
    command = build.check_signature(tiny.tools(), str(key.public.path), str(path))
    return run(command, check=False).returncode == 0


def names(path: Path) -> list[str]:
    return [o.name or o.type for o in sif_file.objects(path)]


def test_evidence_is_inside_and_under_the_signature(made: Image, lock: Lock, key: PrivateKey) -> None:
    done = seal(made, tiny.evidence(made, lock), key)
    assert names(done.path) == [
        "definition", "stack.lock.json", "inspect-metadata.json", "rootfs",
        "card.json", "provenance.dsse.json", "sbom.cdx.json", "verdict.dsse.json", "verdict.json", "signature",
    ]  # fmt: skip
    objects = sif_file.objects(done.path)
    assert {o.group for o in objects if o.kind != sif.SIGNATURE} == {1}
    assert next(o for o in objects if o.name == "sbom.cdx.json").kind == sif.SBOM
    assert verified(done.path, key)
    assert done.sealed
    assert (done.sealed.sha256, done.sealed.sha512) == sif_file.digests(done.path)
    assert done.sealed.objects["stack.lock.json"] == lock.digest
    assert (done.sha256, done.size) == (made.sha256, made.size)  # what was built stays what it is called
    assert (done.file_sha256, done.file_size) == (files.sha256(done.path), done.path.stat().st_size)
    assert os.access(done.path, os.X_OK)
    assert sorted(p.name for p in done.path.parent.iterdir()) == [
        "image.json", "parts", "tiny.sif", "tiny.sif.dsse.json",
    ]  # fmt: skip


def test_a_sealed_image_is_present_and_finished(made: Image, lock: Lock, key: PrivateKey) -> None:
    done = seal(made, tiny.evidence(made, lock), key)
    assert image.present(made.path.parent, tiny.NAME) == done


def test_the_statement_beside_it_names_the_file(made: Image, lock: Lock, key: PrivateKey) -> None:
    done = seal(made, tiny.evidence(made, lock), key)
    assert done.sealed
    said = signing.verify(sealing.statement_path(done.path).read_bytes(), [key.public], "x").statement
    assert said["subject"] == [
        {"name": "tiny.sif", "digest": {"sha256": done.sealed.sha256, "sha512": done.sealed.sha512}}
    ]
    assert said["predicate"]["base"]["digest"] == {"sha256": made.sha256}
    assert said["predicate"]["key"] == key.id
    assert {o["name"]: o["digest"]["sha256"] for o in said["predicate"]["objects"]} == done.sealed.objects


def test_equal_evidence_and_key_give_equal_bytes(lock: Lock, key: PrivateKey, tmp_path: Path) -> None:
    done = []
    for name in ("one", "another folder"):
        made = tiny.make(tmp_path / name, lock)
        done.append(seal(made, tiny.evidence(made, lock), key))
    assert done[0].path.read_bytes() == done[1].path.read_bytes()
    assert sealing.statement_path(done[0].path).read_bytes() == sealing.statement_path(done[1].path).read_bytes()
    assert done[0].sealed == done[1].sealed


def test_a_sealed_image_is_sealed_again_as_if_for_the_first_time(made: Image, lock: Lock, key: PrivateKey) -> None:
    first = seal(made, tiny.evidence(made, lock), key)
    data = first.path.read_bytes()
    other = seal(first, tiny.evidence(made, lock, tiny.verdict(made, bound=0.1)), key)
    assert other.sealed != first.sealed
    assert verified(other.path, key)
    assert names(other.path).count("verdict.json") == names(other.path).count("signature") == 1
    assert seal(other, tiny.evidence(made, lock), key) == first
    assert first.path.read_bytes() == data


def test_without_a_key_the_evidence_is_inside_and_nothing_claims_to_be_signed(
    made: Image, lock: Lock, key: PrivateKey
) -> None:
    seal(made, tiny.evidence(made, lock), key)
    done = seal(made, tiny.evidence(made, lock), None)
    assert names(done.path)[4:] == [
        "card.json",
        "provenance.statement.json",
        "sbom.cdx.json",
        "verdict.json",
        "verdict.statement.json",
    ]
    assert not sealing.statement_path(done.path).exists()  # the one of the former file is gone
    assert done.sealed
    assert (done.sealed.key, done.sealed.statement) == ("", "")
    assert not verified(done.path, key)


def test_what_is_current_is_known(made: Image, lock: Lock, key: PrivateKey, tmp_path: Path) -> None:
    evidence, other = tiny.evidence(made, lock), tiny.key(tmp_path)
    assert not sealing.current(made, evidence, key)
    done = seal(made, evidence, key)
    assert sealing.current(done, evidence, key)
    assert not sealing.current(done, evidence, other)
    assert not sealing.current(done, evidence, None)
    assert not sealing.current(done, replace(evidence, objects={}), key)
    assert not sealing.current(done, replace(evidence, statements={}), key)
    beside = sealing.statement_path(done.path)
    beside.write_bytes(beside.read_bytes() + b" ")
    assert not sealing.current(done, evidence, key)
    beside.unlink()
    assert not sealing.current(done, evidence, key)
    assert sealing.current(seal(done, evidence, None), evidence, None)


def test_an_image_whose_seal_is_damaged_is_whole_without_it(made: Image, lock: Lock, key: PrivateKey) -> None:
    done = seal(made, tiny.evidence(made, lock), key)
    data = bytearray(done.path.read_bytes())
    data[-1] ^= 1  # of the signature
    done.path.write_bytes(data)
    found = image.present(made.path.parent, tiny.NAME)
    assert found == replace(done, sealed=None)
    assert seal(found, tiny.evidence(made, lock), key) == done


def test_an_image_whose_file_system_is_damaged_is_not_sealed(made: Image, lock: Lock, key: PrivateKey) -> None:
    done = seal(made, tiny.evidence(made, lock), key)
    rootfs = next(o for o in sif_file.objects(done.path) if o.name == "rootfs")
    data = bytearray(done.path.read_bytes())
    data[rootfs.offset] ^= 1
    done.path.write_bytes(data)
    before = sorted(p.name for p in made.path.parent.iterdir())
    assert image.present(made.path.parent, tiny.NAME) is None
    with pytest.raises(StackError, match="without its evidence has the SHA-256") as caught:
        seal(done, tiny.evidence(made, lock), key)
    assert caught.value.exit_code == ExitCode.CHECK_FAILED
    assert done.path.read_bytes() == data
    assert sorted(p.name for p in made.path.parent.iterdir()) == before


def test_a_key_that_apptainer_refuses_leaves_the_image_as_it_was(
    made: Image, lock: Lock, key: PrivateKey, tmp_path: Path
) -> None:
    before = seal(made, tiny.evidence(made, lock), key).path.read_bytes()
    (tmp_path / "none.pem").write_text("")
    with pytest.raises(StackError, match="could not sign the image"):
        seal(made, tiny.evidence(made, lock), replace(key, path=tmp_path / "none.pem"))
    assert made.path.read_bytes() == before
    found = image.present(made.path.parent, tiny.NAME)
    assert found and found.sealed


# --- flipped bytes ---


def flips(whole: int, count: int, start: int = 0) -> list[int]:
    """Positions that are spread evenly over a range."""
    return [start + at * whole // count for at in range(count)]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]


@pytest.fixture(scope="module")
def sealed(lock: Lock, key: PrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Image:
    made = tiny.make(tmp_path_factory.mktemp("flips") / "image", lock)
    return seal(made, tiny.evidence(made, lock), key)


def test_a_flipped_byte_anywhere_is_found_by_the_statement(sealed: Image, key: PrivateKey, tmp_path: Path) -> None:
    path, data = tmp_path / "tiny.sif", sealed.path.read_bytes()
    shutil.copy(sealing.statement_path(sealed.path), sealing.statement_path(path))
    path.write_bytes(data)
    assert inspecting.detached(path, [key.public]).state == "ok"
    objects = sif_file.objects(path)
    regions = {(0, 128), (128, 4096), (4096, 32176), *((o.offset, o.end) for o in objects)}
    spread = [*flips(len(data), FLIPS), *(at for a, b in sorted(regions) for at in (a, (a + b) // 2, b - 1))]
    missed = []
    for at in spread:
        path.write_bytes(flipped(data, at))
        missed += [at] if inspecting.detached(path, [key.public]).state != "changed" else []
    assert len(set(spread)) >= 200
    assert missed == []


def test_a_flipped_byte_in_any_object_is_found_by_the_embedded_signature(
    sealed: Image, key: PrivateKey, tmp_path: Path
) -> None:
    path, data = tmp_path / "tiny.sif", sealed.path.read_bytes()
    path.write_bytes(data)
    assert verified(path, key)
    objects = [o for o in sif_file.objects(path) if o.kind != sif.SIGNATURE]
    spread = {(o.name, at) for o in objects for at in (*flips(o.size, 40, o.offset), o.end - 1)}
    missed = []
    for name, at in sorted(spread):
        path.write_bytes(flipped(data, at))
        missed += [(name, at)] if verified(path, key) else []
    assert len(spread) >= 200
    assert missed == []


def test_what_the_embedded_signature_leaves_out_the_statement_covers(
    sealed: Image, key: PrivateKey, tmp_path: Path
) -> None:
    """As docs/reference/evidence.md tells it; a newer Apptainer may cover more, and that page then says less."""
    path, data = tmp_path / "tiny.sif", sealed.path.read_bytes()
    shutil.copy(sealing.statement_path(sealed.path), sealing.statement_path(path))
    objects = sif_file.objects(sealed.path)
    behind = {o.offset for o in objects}
    gap = next(o.end for o in objects if o.end not in behind and o.end < len(data))
    places = {"time of the header": 64, "before the descriptors": 1000, "modified time of an object": 4096 + 49,
              "unused descriptor": 4096 + 40 * 585 + 100, "padding": gap}  # fmt: skip
    for what, at in places.items():
        path.write_bytes(flipped(data, at))
        assert verified(path, key), f"{what} is covered"
        assert inspecting.detached(path, [key.public]).state == "changed", what


def test_an_object_that_was_added_later_is_found(sealed: Image, key: PrivateKey, tmp_path: Path) -> None:
    apptainer = tiny.tools()
    (tmp_path / "more").write_text(json.dumps({"more": True}))
    for group in ((), ("--groupid", "1"), ("--groupid", "2")):
        path = tmp_path / "tiny.sif"
        shutil.copy(sealed.path, path)
        argv = (apptainer.apptainer, "sif", "add", "--datatype", "6", *group, str(path), str(tmp_path / "more"))
        run(Command(argv, "add an object", env=dict(apptainer.apptainer_env)))
        assert not verified(path, key), group

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from stack import card as cards
from stack import sources as wanted_sources
from stack.artifact import canonical_json, digest
from stack.errors import ExitCode, StackError
from stack.graph import Graph
from stack.host import attesting, cells, files, image, mirroring
from stack.host.cells import Cell
from stack.host.image import Image, Sealed
from stack.host.library import Library, shipped
from stack.host.progress import Progress
from stack.host.sealing import Evidence
from stack.host.software import Options
from stack.lock import Lock, WheelFile, WheelLock
from stack.statements import VERDICT
from tests.command import SITE
from tests.host import tiny
from tests.test_lock import make

BUILT = "9" * 64


@pytest.fixture(autouse=True)
def sboms(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The SBOMs, which have tests of their own."""
    made = {"sbom.cdx.json": tiny.SBOM}
    monkeypatch.setattr("stack.host.evidence.documents", lambda *_: made)
    return made


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    library = Library((SITE, shipped()))
    return cells.open_cell(library, "laptop", "small", None, tmp_path / "build")


@pytest.fixture
def lock(cell: Cell) -> Lock:
    wheel = WheelFile(project="x", version="1", filename="x-1.whl", sha256="a" * 64)
    wheels = WheelLock(python="3.13", platforms=("amd64",), requested=(), files=(wheel,))
    plain = make(cell.plan)
    packages = tuple(p.model_copy(update={"sha256": digest(p.name)}) for p in plain.os.packages)
    return plain.model_copy(update={"wheels": wheels, "os": plain.os.model_copy(update={"packages": packages})})


@pytest.fixture
def made(cell: Cell, lock: Lock) -> Image:
    return Image(cell.folder / "small.sif", "5" * 64, BUILT, "4" * 64, 5, lock.digest, {"mksquashfs": "4"})


@pytest.fixture
def quiet() -> Progress:
    return Progress(quiet=True)


def put(cell: Cell, made: Image) -> None:
    text = canonical_json(tiny.verdict(made).model_dump(mode="json", by_alias=True))
    files.write_text(cell.folder / VERDICT, text)


def graph() -> Graph:
    return Graph(spack="1" * 40, packages="2" * 40, overlay="3" * 64, os="debian13", target="x86_64_v3",
                 hashes="native", key="4" * 64, file="5" * 64, roots=(), nodes=())  # fmt: skip


def materials(evidence: Evidence) -> dict[str, Any]:
    rows = evidence.statements["provenance"]["predicate"]["buildDefinition"]["resolvedDependencies"]
    return {row["name"]: row for row in rows}


def test_the_provenance_names_packages_as_the_sboms_do(cell: Cell, lock: Lock, made: Image) -> None:
    found = materials(attesting.evidence(cell, lock, made, None, ()))
    assert found["x-1.whl"]["uri"].startswith("pkg:pypi/x@1")
    package = lock.os.packages[0]
    assert found[package.filename]["uri"].startswith("pkg:deb/debian/gcc-14@14.2.0-19?arch=amd64")
    assert found[package.filename]["digest"] == {"sha256": package.sha256}
    assert "spack" not in found


def test_a_build_from_source_names_spack_and_its_sources(cell: Cell, lock: Lock, made: Image) -> None:
    solved = lock.model_copy(update={"spack": graph()})
    found = materials(attesting.evidence(cell, solved, made, None, (("zlib@1.3", "sha256", "e" * 64),)))
    assert found["spack"]["digest"] == {"gitCommit": "1" * 40}
    assert found["spack-packages"]["digest"] == {"gitCommit": "2" * 40}
    assert found["zlib@1.3"]["digest"] == {"sha256": "e" * 64}


def test_the_verdict_goes_in_where_it_is_about_this_image(cell: Cell, lock: Lock, made: Image) -> None:
    assert VERDICT not in attesting.evidence(cell, lock, made, None, ()).objects
    put(cell, made)
    evidence = attesting.evidence(cell, lock, made, None, ())
    assert evidence.objects[VERDICT] == (cell.folder / VERDICT).read_bytes()
    assert evidence.statements["verdict"]["subject"] == [{"name": "small.sif", "digest": {"sha256": BUILT}}]
    for other in (dataclasses.replace(made, sha256="0" * 64), dataclasses.replace(made, lock="0" * 64)):
        put(cell, other)
        evidence = attesting.evidence(cell, lock, made, None, ())
        assert "verdict" not in evidence.statements
        assert VERDICT not in evidence.objects
    (cell.folder / VERDICT).write_text("{")
    assert VERDICT not in attesting.evidence(cell, lock, made, None, ()).objects


def test_the_identity_card_goes_in_and_is_attested(cell: Cell, lock: Lock, made: Image) -> None:
    assert "card.json" not in attesting.evidence(cell, lock, made, None, ()).objects
    put(cell, made)
    evidence = attesting.evidence(cell, lock, made, None, ())
    card = evidence.objects["card.json"]
    found = cards.parse(card.decode(), "card.json")
    assert (found.image, found.lock) == (BUILT, lock.digest)
    assert {part.name for part in found.software} == {c.name for c in lock.components}
    rows = evidence.statements["verdict"]["predicate"]["configuration"]
    assert hashlib.sha256(card).hexdigest() in [row["digest"]["sha256"] for row in rows if row["name"] == "card.json"]


def test_the_sboms_go_in(cell: Cell, lock: Lock, made: Image, sboms: dict[str, bytes]) -> None:
    assert attesting.evidence(cell, lock, made, None, ()).objects == sboms


def test_equal_inputs_give_equal_evidence(cell: Cell, lock: Lock, made: Image) -> None:
    assert (
        attesting.evidence(cell, lock, made, None, ()).digest == attesting.evidence(cell, lock, made, None, ()).digest
    )


# --- sources ---


def wanted() -> wanted_sources.Wanted:
    row: dict[str, Any] = {"kind": "archive", "method": "url", "urls": ("https://example.org/a.tar.gz",)}
    archive = wanted_sources.File(label="a", path="a/a.tar.gz", digest="e" * 64, **row)
    clone = wanted_sources.File(**{**row, "method": "git"}, label="b", path="", digest="", commit="7" * 40)
    common = {"hash": "h", "build_system": "generic", "licence": ""}
    packages = (
        wanted_sources.Package(name="a", version="1", files=(archive,), **common),
        wanted_sources.Package(name="b", version="2", files=(clone,), **common),
    )
    return wanted_sources.Wanted(schema=1, spack="1.3", packages=packages)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Spack's answer without Spack; and how often it was asked."""
    calls: list[Path] = []

    def prepare(library: Any, cell: Any, folder: Path, progress: Any) -> Any:
        calls.append(folder)
        return mirroring.Job(wanted(), None, None, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(mirroring, "prepare", prepare)
    return calls


def test_what_is_not_built_has_no_sources(cell: Cell, lock: Lock, quiet: Progress, asked: list[Path]) -> None:
    assert attesting.sources(cell, lock, Options(), quiet) == ()
    assert asked == []


def test_spack_is_asked_once_for_a_lock(cell: Cell, lock: Lock, quiet: Progress, asked: list[Path]) -> None:
    solved = lock.model_copy(update={"spack": graph()})
    rows = (("a@1", "sha256", "e" * 64), ("b@2", "gitCommit", "7" * 40))
    for _ in range(2):
        assert attesting.sources(cell, solved, Options(), quiet) == rows
    assert len(asked) == 1
    attesting.sources(cell, solved.model_copy(update={"profile": "other"}), Options(), quiet)
    assert len(asked) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"lock": "@"}', '{"lock": "@", "sources": [[1]]}'])
def test_a_damaged_note_of_the_sources_is_made_again(
    text: str, cell: Cell, lock: Lock, quiet: Progress, asked: list[Path]
) -> None:
    solved = lock.model_copy(update={"spack": graph()})
    files.write_text(cell.folder / "sources.json", text.replace("@", solved.digest))
    assert attesting.sources(cell, solved, Options(), quiet)[0][0] == "a@1"


# --- sealed or not ---


def seal(cell: Cell, made: Image, key: Any, quiet: Progress, evidence: Evidence | None = None) -> Image:
    return attesting.seal(cell, made, evidence or Evidence({"a": b"b"}), key, quiet)


def test_without_a_key_a_signed_image_stays_as_it_is(
    cell: Cell, made: Image, quiet: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = Evidence({"a": b"b"})
    signed = dataclasses.replace(made, sealed=Sealed("1", "2", 3, "k" * 64, evidence.digest, "s", {}))
    assert seal(cell, signed, None, quiet) is signed
    assert quiet.stages[-1].detail == "stays signed by kkkkkkkkkkkk"
    assert seal(cell, signed, None, quiet, Evidence({"a": b"new"})) is signed
    assert "what is new is not in it" in quiet.stages[-1].detail


@pytest.mark.image
def test_a_seal_is_made_once(cell: Cell, lock: Lock, quiet: Progress, tmp_path: Path) -> None:
    made, key = tiny.make(cell.folder, lock, "small"), tiny.key(tmp_path)
    first = seal(cell, made, key, quiet)
    assert first.sealed and first.sealed.key == key.id
    assert seal(cell, first, key, quiet) == first
    assert [stage.state for stage in quiet.stages] == ["done", "reused"]
    unsigned = seal(cell, tiny.make(tmp_path / "b", lock, "small"), None, quiet)
    assert unsigned.sealed and unsigned.sealed.key == ""


def test_the_standing_image_is_the_one_of_the_lock_beside_it(cell: Cell, lock: Lock, made: Image) -> None:
    def refused(said: str) -> None:
        with pytest.raises(StackError, match=said) as caught:
            attesting.standing(cell)
        assert caught.value.exit_code == ExitCode.BAD_INPUT
        assert "sovstack build laptop small" in str(caught.value)

    refused("there is no image of small/laptop")
    files.write_text(cell.lock_path, lock.text())
    refused("there is no image of small/laptop")
    files.write_text(made.path, "image")
    image.write_record(dataclasses.replace(made, sha256=digest("image")))
    assert attesting.standing(cell)[1].sha256 == digest("image")
    image.write_record(dataclasses.replace(made, sha256=digest("image"), lock="0" * 64))
    refused("is of another lock")

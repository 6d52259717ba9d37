"""What `inspect` says of images that are whole, unsigned, damaged, foreign, or made to deceive."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import card as cards
from stack import statements
from stack.errors import ExitCode, StackError
from stack.host import files, inspecting, sealing, sif_file, signing
from stack.host.image import Image
from stack.host.keys import PrivateKey
from stack.host.sealing import Evidence
from stack.inspection import Inspection
from stack.lock import Lock
from stack.plan import Plan
from tests.host import tiny
from tests.test_lock import make

pytestmark = [pytest.mark.image]
Seal = Callable[..., Path]


@pytest.fixture(scope="module")
def lock(laptop: Plan) -> Lock:
    return make(laptop)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return tiny.key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def made(lock: Lock, tmp_path: Path) -> Image:
    return tiny.make(tmp_path / "image", lock)


@pytest.fixture
def seal(made: Image, lock: Lock, key: PrivateKey) -> Seal:
    """Seals the image with the usual evidence, or with parts of it changed."""

    def sealed(by: PrivateKey | None = key, statements: Any = None, **objects: bytes) -> Path:
        usual = tiny.evidence(made, lock)
        named = {name.replace("_", "."): data for name, data in objects.items()}
        evidence = Evidence({**usual.objects, **named}, {**usual.statements, **(statements or {})})
        return sealing.seal(made, evidence, by, tiny.tools(), tiny.EPOCH, print).path

    return sealed


def states(found: Inspection) -> dict[str, str]:
    return {f.what: f.state for f in found.findings}


def told(found: Inspection, what: str) -> str:
    return next(f"{f.detail} ({f.remedy})" for f in found.findings if f.what == what)


def bad(found: Inspection) -> dict[str, str]:
    return {what: state for what, state in states(found).items() if state != "ok"}


def test_all_that_can_be_checked_is_checked(seal: Seal, made: Image, lock: Lock, key: PrivateKey) -> None:
    found = inspecting.inspect(seal(), [key.public])
    assert states(found) == dict.fromkeys(
        (
            "embedded signature", "statement of the file", "provenance.dsse.json", "verdict.dsse.json",
            "lock of the provenance", "file system of the provenance", "image of the provenance",
            "image of the verdict", "lock of the verdict", "statement of the verdict", "verdict",
            "result in that statement", "image of the identity card", "lock of the identity card",
            "identity card of that statement",
        ),
        "ok",
    )  # fmt: skip
    assert found.exit_code == ExitCode.OK
    assert "all 9 objects" in told(found, "embedded signature")
    assert key.id in told(found, "embedded signature")
    assert {row.name: row.sha256 for row in found.objects}["stack.lock.json"] == lock.digest
    assert found.about["sbom.cdx.json"]["components"] == 1
    assert found.about["provenance"]["materials"] == len(lock.os.packages)
    assert found.about["verdict.json"]["passed"]
    assert found.about["card.json"] == {"numbers": "No check printed a number", "machine": "machine not told"}
    assert "not in it" not in found.about


def test_a_card_of_another_image_or_one_that_is_none_is_found(
    seal: Seal, made: Image, lock: Lock, key: PrivateKey
) -> None:
    other = tiny.verdict(made).model_copy(update={"image": "0" * 64})
    found = inspecting.inspect(seal(card_json=cards.text(cards.make(other, lock)).encode()), [key.public])
    assert bad(found) == dict.fromkeys(("image of the identity card", "identity card of that statement"), "changed")
    for text in (b"{}", b'{"schema": 1, "num', b"\xff", b""):
        found = inspecting.inspect(seal(card_json=text), [key.public])
        assert bad(found)["card.json"] == "unusable"
        assert bad(found)["identity card of that statement"] == "changed"


def test_a_key_that_is_not_trusted_is_named_with_what_to_do(seal: Seal, key: PrivateKey, tmp_path: Path) -> None:
    other = tiny.key(tmp_path, "other")
    for trusted in ([], [other.public]):
        found = inspecting.inspect(seal(), trusted)
        names = ("embedded signature", "statement of the file", "provenance.dsse.json", "verdict.dsse.json")
        assert bad(found) == dict.fromkeys(names, "fails")
        assert found.exit_code == ExitCode.CHECK_FAILED
        assert key.public.fingerprint in told(found, names[0])
        assert all("--key PUB" in told(found, name) for name in names)


def test_an_unsigned_image_is_called_so_and_shown(seal: Seal, key: PrivateKey) -> None:
    found = inspecting.inspect(seal(None), [key.public])
    assert bad(found) == dict.fromkeys(
        ("embedded signature", "statement of the file", "provenance.statement.json", "verdict.statement.json"), "fails"
    )
    assert found.exit_code == ExitCode.CHECK_FAILED
    assert "not signed" in told(found, "embedded signature")
    assert "sovstack sign" in told(found, "embedded signature")
    assert found.about["provenance"]["builder"] == statements.BUILDER
    assert found.about["verdict.json"]["passed"]


def test_an_image_before_evidence_is_shown_too(made: Image, key: PrivateKey) -> None:
    found = inspecting.inspect(made.path, [key.public])
    assert set(bad(found)) == {"embedded signature", "statement of the file"}
    assert [row.name for row in found.objects][-1] == "rootfs"


def test_flipped_bytes_make_it_fail_and_never_pass(seal: Seal, key: PrivateKey) -> None:
    path = seal()
    data = path.read_bytes()
    for at in (10, 50, 60, 70, 1000, 4096 + 20, 4096 + 300, 20000, *(o.offset + 3 for o in sif_file.objects(path))):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        try:
            found = inspecting.inspect(path, [key.public])
        except StackError as error:
            assert error.exit_code == ExitCode.BAD_INPUT
            continue
        assert found.exit_code == ExitCode.CHECK_FAILED, at
        assert bad(found)["statement of the file"] == "changed"


def test_the_statement_of_another_file_is_told(seal: Seal, key: PrivateKey, tmp_path: Path) -> None:
    path = seal()
    other = tmp_path / "other.sif.dsse.json"
    shutil.copy(sealing.statement_path(path), other)
    assert inspecting.inspect(path, [key.public], other).exit_code == ExitCode.OK
    path = seal(verdict_json=b"{}")
    found = inspecting.inspect(path, [key.public], other)
    assert states(found)["statement of the file"] == "changed"
    assert "it is of another file" in told(found, "statement of the file")
    assert states(found)["embedded signature"] == "ok"


def test_a_signed_statement_about_something_else_is_none_of_the_file(seal: Seal, key: PrivateKey) -> None:
    path = seal()
    said = statements.statement([], statements.PROVENANCE, {"a": 1})
    sealing.statement_path(path).write_bytes(signing.sign(said, key))
    found = inspecting.inspect(path, [key.public])
    assert bad(found) == {"statement of the file": "fails"}
    assert "about something else" in told(found, "statement of the file")


@pytest.mark.parametrize("text", ["", "{", "{}", "null"])
def test_a_statement_that_is_none_is_bad_input(text: str, seal: Seal, key: PrivateKey) -> None:
    path = seal()
    sealing.statement_path(path).write_text(text)
    found = inspecting.inspect(path, [key.public])
    assert bad(found) == {"statement of the file": "unusable"}
    assert found.exit_code == ExitCode.BAD_INPUT


def test_a_statement_that_is_named_has_to_be_there(seal: Seal, key: PrivateKey, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no such file") as caught:
        inspecting.inspect(seal(), [key.public], tmp_path / "none")
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_without_a_statement_nothing_covers_the_whole_file(seal: Seal, key: PrivateKey) -> None:
    path = seal()
    sealing.statement_path(path).unlink()
    found = inspecting.inspect(path, [key.public])
    assert bad(found) == {"statement of the file": "fails"}
    assert "--statement FILE" in told(found, "statement of the file")


@pytest.mark.parametrize("data", [b"{}", tiny.SBOM[:-5], b'{"spdxVersion": "SPDX-2.3"}'])
def test_a_foreign_or_cut_off_sbom_is_bad_input_however_well_it_is_signed(
    data: bytes, seal: Seal, key: PrivateKey
) -> None:
    found = inspecting.inspect(seal(sbom_cdx_json=data), [key.public])
    assert bad(found) == {"sbom.cdx.json": "unusable"}
    assert found.exit_code == ExitCode.BAD_INPUT


def test_an_sbom_of_another_lock_is_told(seal: Seal, key: PrivateKey) -> None:
    properties = [{"name": "sovstack:lock", "value": "0" * 64}]
    data = {**json.loads(tiny.SBOM), "metadata": {"component": {"properties": properties}}}
    found = inspecting.inspect(seal(sbom_cdx_json=json.dumps(data).encode()), [key.public])
    assert bad(found) == {"lock of sbom.cdx.json": "changed"}


def test_a_verdict_on_another_image_is_told(seal: Seal, made: Image, key: PrivateKey) -> None:
    other = tiny.verdict(replace(made, sha256="0" * 64, lock="1" * 64)).model_dump_json(by_alias=True).encode()
    found = inspecting.inspect(seal(verdict_json=other), [key.public])
    names = ("image of the verdict", "lock of the verdict", "statement of the verdict", "result in that statement")
    assert bad(found) == dict.fromkeys(names, "changed")


def test_a_verdict_of_checks_that_failed_is_no_yes(seal: Seal, made: Image, lock: Lock, key: PrivateKey) -> None:
    usual = tiny.evidence(made, lock, tiny.verdict(made, bound=0.1))
    found = inspecting.inspect(
        seal(
            statements=usual.statements,
            verdict_json=usual.objects["verdict.json"],
            card_json=usual.objects["card.json"],
        ),
        [key.public],
    )
    assert bad(found) == {"verdict": "fails"}
    assert found.exit_code == ExitCode.CHECK_FAILED


def test_a_cut_off_verdict_is_bad_input(seal: Seal, key: PrivateKey) -> None:
    found = inspecting.inspect(seal(verdict_json=b"{"), [key.public])
    assert bad(found) == {"verdict.json": "unusable"}


def test_a_provenance_of_another_build_is_told(seal: Seal, made: Image, lock: Lock, key: PrivateKey) -> None:
    other = tiny.evidence(replace(made, sha256="0" * 64, squashfs="1" * 64), lock.model_copy(update={"profile": "x"}))
    found = inspecting.inspect(seal(statements={"provenance": other.statements["provenance"]}), [key.public])
    names = ("lock of the provenance", "file system of the provenance", "image of the provenance")
    assert bad(found) == dict.fromkeys(names, "changed")


def test_the_signature_of_a_sealed_image_needs_apptainer(
    seal: Seal, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = seal()
    monkeypatch.setattr("stack.host.apptainer.find", lambda: None)
    with pytest.raises(StackError, match="Apptainer is not installed") as caught:
        inspecting.inspect(path, [key.public])
    assert caught.value.exit_code == ExitCode.HOST


def test_everything_can_be_written_out(seal: Seal, made: Image, tmp_path: Path) -> None:
    path = seal()
    written = inspecting.extract(path, tmp_path / "out")
    assert [p.name for p in written] == [
        "definition", "stack.lock.json", "inspect-metadata.json", "rootfs",
        "card.json", "provenance.dsse.json", "sbom.cdx.json", "verdict.dsse.json", "verdict.json", "signature-10",
    ]  # fmt: skip
    digests = {row.name: row.sha256 for row in inspecting.inspect(path, []).objects}
    assert files.sha256(tmp_path / "out/rootfs") == digests["rootfs"] == made.squashfs


def test_no_name_in_an_image_leads_out_of_the_folder(tmp_path: Path) -> None:
    from tests.test_sif import file

    image = tmp_path / "evil.sif"
    names = ("../out.txt", "/etc/x", "same", "same", ".bashrc")
    image.write_bytes(file(*((0x4006, name.encode(), name) for name in names), free=4))
    written = inspecting.extract(image, tmp_path / "folder")
    assert all(p.parent == tmp_path / "folder" for p in written)
    assert len({*written}) == len(written) == 7
    assert not (tmp_path / "out.txt").exists()
    assert (tmp_path / "folder/5-same").read_bytes() == b"same"


def test_evidence_that_is_not_in_it_is_named(seal: Seal, made: Image, lock: Lock, key: PrivateKey) -> None:
    assert "not in it" not in inspecting.inspect(seal(), [key.public]).about
    bare = sealing.seal(made, Evidence({"sbom.cdx.json": tiny.SBOM}, {}), key, tiny.tools(), tiny.EPOCH, print)
    found = inspecting.inspect(bare.path, [key.public])
    assert found.about["not in it"] == {"evidence": "provenance, verdict of the checks, identity card"}


def test_nothing_that_is_there_is_overwritten(seal: Seal, tmp_path: Path) -> None:
    (tmp_path / "stack.lock.json").write_text("mine")
    with pytest.raises(StackError, match="there is such a file already") as caught:
        inspecting.extract(seal(), tmp_path)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert (tmp_path / "stack.lock.json").read_text() == "mine"
    assert not (tmp_path / "definition").exists()


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("provenance", {"predicateType": "urn:other"}, "provenance"),
        ("verdict", {"predicateType": "urn:other"}, "result in that statement"),
        ("verdict", {"subject": [{"name": "x", "digest": {"sha256": "0" * 64}}]}, "result in that statement"),
    ],
)
def test_a_statement_of_another_kind_or_image_is_told(
    seal: Seal, made: Image, lock: Lock, key: PrivateKey, name: str, changes: dict[str, Any], told: str
) -> None:
    said = tiny.evidence(made, lock).statements
    found = inspecting.inspect(seal(statements={**said, name: {**said[name], **changes}}), [key.public])
    assert bad(found)[told] == "changed"


def test_a_statement_with_another_result_than_its_verdict_is_told(
    seal: Seal, made: Image, lock: Lock, key: PrivateKey
) -> None:
    said = tiny.evidence(made, lock).statements
    changed = {**said["verdict"], "predicate": {**said["verdict"]["predicate"], "result": "FAILED"}}
    found = inspecting.inspect(seal(statements={**said, "verdict": changed}), [key.public])
    assert bad(found) == {"result in that statement": "changed"}

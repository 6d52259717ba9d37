from __future__ import annotations

import json
from typing import Any

import pytest

from stack import inspection
from stack.errors import ExitCode
from stack.inspection import Finding, Inspection, Row, State
from stack.plan import Plan
from tests.test_report import make_verdict

CYCLONEDX = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{}, {}]}
SPDX = {"@graph": [{"type": "CreationInfo", "specVersion": "3.0.1"}, {"type": "software_Package"}]}


def found(*states: State, name: str = "a.sif") -> Inspection:
    rows = (Row(1, "rootfs", "file system", 1, 4096, "0" * 64),)
    findings = tuple(Finding(f"check {n}", state, "said", "do") for n, state in enumerate(states))
    return Inspection(name, 5000, "1" * 64, "2" * 128, rows, findings, {"sbom": {"components": 2, "of": {"a": "b"}}})


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (("ok", "ok"), ExitCode.OK),
        (("ok", "fails"), ExitCode.CHECK_FAILED),
        (("ok", "changed"), ExitCode.CHECK_FAILED),
        (("fails", "unusable"), ExitCode.BAD_INPUT),
        (("changed", "unusable"), ExitCode.CHECK_FAILED),  # what is known to be changed explains the rest
    ],
)
def test_the_exit_code_is_that_of_the_worst_answer(states: tuple[State, ...], code: ExitCode) -> None:
    assert found(*states).exit_code == code
    assert inspection.as_data(found(*states))["ok"] == (code == ExitCode.OK)


def test_the_text_has_every_object_document_and_check() -> None:
    text = inspection.as_text(found("ok", "fails"))
    for part in ("a.sif", "5 kB, sha256:111", "rootfs", "components: 2", "of a: b", "ok        check 0: said (do)"):
        assert part in text
    assert text.endswith("FAILS     check 1: said (do)\n\n1 of 2 checks failed")
    assert inspection.as_text(found("ok")).endswith("everything checks")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_cannot_be_written_again_is_no_document(encoding: str) -> None:
    text = json.dumps({**CYCLONEDX, "specVersion": "\ud800"})
    assert inspection.sbom(text.encode(encoding)) is None
    assert inspection.sbom(json.dumps({**CYCLONEDX, "name": "\U0001f600"}).encode()) is not None


def test_nothing_in_an_image_moves_a_cursor() -> None:
    finding = Finding("x\x1b[2J", "ok", "a\nok        forged: line\x9b")
    made = Inspection(
        "\x1b]0;t\x07.sif",
        1,
        "",
        "",
        (Row(1, "a\x1b[31m\u202e", "data", 1, 1, ""),),
        (finding,),
        {"\x1b": {"k": "\x1b"}},
    )
    text = inspection.as_text(made)
    assert not set(text) & set("\x1b\x9b\u202e\x07")
    assert "\nok        forged" not in text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (CYCLONEDX, ("CycloneDX", "1.6", 2, "not stated")),
        ({**CYCLONEDX, "compositions": [{"aggregate": "complete"}]},
         ("CycloneDX", "1.6", 2, "all dependencies listed")),
        ({**CYCLONEDX, "compositions": [{"aggregate": "complete"}, {"aggregate": "unknown"}]},
         ("CycloneDX", "1.6", 2, "of a part of them all dependencies are listed")),
        (SPDX, ("SPDX", "3.0.1", 1, "not stated")),
        ({"@graph": [*SPDX["@graph"], {"relationshipType": "dependsOn", "completeness": "complete"}]},
         ("SPDX", "3.0.1", 1, "all dependencies listed")),
    ],
)  # fmt: skip
def test_an_sbom_in_a_line(data: Any, said: tuple[Any, ...]) -> None:
    summary = inspection.sbom(json.dumps(data).encode())
    assert summary is not None
    assert (summary["format"], summary["version"], summary["components"], summary["complete"]) == said


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, json.dumps(CYCLONEDX).encode()[:-1],
             b'{"bomFormat": "CycloneDX"}', b'{"bomFormat": "other", "specVersion": "1"}', b'{"@graph": [1, {}]}',
             b'{"spdxVersion": "SPDX-2.3", "packages": []}']
)  # fmt: skip
def test_a_foreign_or_cut_off_sbom_is_none(data: bytes) -> None:
    assert inspection.sbom(data) is None
    assert inspection.sbom_lock(data) is None
    assert inspection.verdict(data) is None


def test_the_lock_of_an_sbom() -> None:
    data = {"metadata": {"component": {"properties": [{"name": "x"}, {"name": "sovstack:lock", "value": "abc"}]}}}
    assert inspection.sbom_lock(json.dumps(data).encode()) == "abc"


@pytest.mark.parametrize("said", [{}, {"predicate": 3}, {"predicate": {"buildDefinition": []}, "subject": [{}]}])
def test_a_strange_provenance_says_nothing_and_breaks_nothing(said: dict[str, Any]) -> None:
    summary = inspection.provenance(said)
    assert (summary["builder"], summary["inputs"], summary["materials"], summary["lock"]) == (None, {}, 0, None)
    assert inspection.verdict_digest(said) is None


def test_a_verdict_in_a_line(laptop: Plan) -> None:
    made = make_verdict(laptop)
    assert inspection.verdict(made.model_dump_json(by_alias=True).encode()) == made
    summary = inspection.verdict_summary(made)
    assert (summary["passed"], summary["pass"], summary["fail"], summary["skip"]) == (True, 7, 0, 1)


def test_labels_of_ours_in_a_definition_are_told_and_no_others() -> None:
    text = b"Bootstrap: x\n%labels\n    org.sovstack.cell a/b/c\n    org.sovstack.contract zen4; Linux 3.2\n    k v\n"
    after = b"%post\n    org.sovstack.cell other\n"
    assert inspection.labels(text + after) == {"cell": "a/b/c", "contract": "zen4; Linux 3.2"}
    assert inspection.labels(b"\xff\0%labels") == inspection.labels(b"") == {}
    assert len(inspection.labels(b"%labels\n" + b"".join(b" org.sovstack.%c x\n" % c for c in range(97, 123)))) == 20

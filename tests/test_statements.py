from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import Any

import pytest

from stack import statements
from stack.artifact import canonical_json
from stack.lock import Lock, OsLock, WheelFile, WheelLock
from stack.plan import Plan
from stack.statements import Built, Repository
from stack.verdict import Check, Metric, Verdict
from tests.test_lock import make, package

# The formats' own library, which has no types.
_in_toto = "in_toto_attestation"
json_format: Any = importlib.import_module("google.protobuf.json_format")
provenance_pb: Any = importlib.import_module(f"{_in_toto}.predicates.provenance.v1.provenance_pb2")
result_pb: Any = importlib.import_module(f"{_in_toto}.predicates.test_result.v0.test_result_pb2")
statement_pb: Any = importlib.import_module(f"{_in_toto}.v1.statement_pb2")
Statement: Any = importlib.import_module(f"{_in_toto}.v1.statement").Statement
ResourceDescriptor: Any = importlib.import_module(f"{_in_toto}.v1.resource_descriptor").ResourceDescriptor

SHA = {name: (name * 64)[:64] for name in "abcdef"}


@pytest.fixture
def lock(laptop: Plan) -> Lock:
    wheel = WheelFile(project="einops", version="0.8.1", filename="einops-0.8.1-py3-none-any.whl", sha256=SHA["c"])
    made = make(laptop)
    part = OsLock(
        system="debian-13", architecture="amd64", suites=(), requested=(), packages=(package("cmake", "4", SHA["d"]),)
    )
    wheels = WheelLock(python="3.13", platforms=("amd64",), requested=(), files=(wheel,))
    inputs = {"environment": SHA["e"], "profile": SHA["f"]}
    return made.model_copy(update={"tools": part, "wheels": wheels, "inputs": inputs})


@pytest.fixture
def built(lock: Lock) -> Built:
    return Built(
        lock, "ai.sif", SHA["a"], SHA["b"], "key", 1767225600, "0.1.0", {"mksquashfs": "4.5"},
        (Repository("spack", "https://example.org/spack.git", "1" * 40),), {SHA["c"]: "pkg:pypi/einops@0.8.1"},
        (("zlib@1.3", "sha256", SHA["e"]), ("hipify@6", "gitCommit", "2" * 40)),
    )  # fmt: skip


def read(said: dict[str, Any]) -> Any:
    """By the format's own library, which knows every field, and refuses any other."""
    found = Statement.copy_from_pb(json_format.Parse(canonical_json(said), statement_pb.Statement()))
    found.validate()
    return found


def predicate(said: dict[str, Any], form: Any) -> Any:
    return json_format.Parse(json.dumps(said["predicate"]), form)


def test_provenance_is_slsa_by_the_formats_own_library(built: Built) -> None:
    said = statements.provenance(built)
    assert read(said).pb.predicate_type == "https://slsa.dev/provenance/v1"
    assert {s.name: s.digest["sha256"] for s in read(said).pb.subject} == {
        "ai.sif": SHA["a"], "rootfs.squashfs": SHA["b"],
    }  # fmt: skip
    found = predicate(said, provenance_pb.Provenance())
    definition, run = found.build_definition, found.run_details
    assert definition.build_type == statements.BUILD_TYPE
    assert definition.external_parameters["cell"] == built.lock.cell
    assert definition.external_parameters["inputs"]["profile"]["digest"]["sha256"] == SHA["f"]
    assert (run.builder.id, run.builder.version["sovstack"]) == (statements.BUILDER, "0.1.0")
    assert run.metadata.invocation_id == "key"
    assert [(b.name, b.digest["sha256"]) for b in run.byproducts] == [("stack.lock.json", built.lock.digest)]
    for item in definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(item).validate()


def test_every_input_is_a_material_with_its_digest(built: Built) -> None:
    rows = {row["name"]: row for row in statements.materials(built)}
    lock = built.lock
    assert lock.tools and lock.wheels
    assert set(rows) == {
        "spack", "zlib@1.3", "hipify@6", lock.wheels.files[0].filename, "cmake.deb",
        *(p.filename for p in lock.os.packages),
    }  # fmt: skip
    assert rows["spack"]["uri"] == f"git+https://example.org/spack.git@{'1' * 40}"
    assert rows["spack"]["digest"] == {"gitCommit": "1" * 40}
    assert rows["hipify@6"]["digest"] == {"gitCommit": "2" * 40}
    assert rows["zlib@1.3"]["digest"] == {"sha256": SHA["e"]}
    assert rows[lock.wheels.files[0].filename]["uri"] == "pkg:pypi/einops@0.8.1"


def test_no_clock_and_no_order_of_the_caller_is_in_the_provenance(built: Built) -> None:
    text = canonical_json(statements.provenance(built))
    assert text == canonical_json(statements.provenance(replace(built, sources=built.sources[::-1])))
    assert "startedOn" not in text
    assert "finishedOn" not in text


def verdict(*checks: Check) -> Verdict:
    return Verdict(schema=1, cell="a/b/c", image=SHA["a"], lock=SHA["b"], suite=SHA["c"], date="d", reframe="4",
                   host="h", checks=checks)  # fmt: skip


def check(name: str, result: Any, value: float = 0) -> Check:
    return Check(name=name, title=name, result=result, metrics=(Metric(name="m", value=value, bound=1),))


def test_a_verdict_is_a_test_result_by_the_formats_own_library() -> None:
    said = statements.checks_result(
        "ai.sif", verdict(check("B", "pass"), check("A", "pass"), check("S", "skip")), SHA["d"]
    )
    assert read(said).pb.subject[0].digest["sha256"] == SHA["a"]
    found = predicate(said, result_pb.TestResult())
    assert (found.result, list(found.passed_tests), list(found.failed_tests)) == ("PASSED", ["A", "B"], [])
    digests = {c.name: c.digest["sha256"] for c in found.configuration}
    assert digests == {"suite": SHA["c"], "stack.lock.json": SHA["b"], "verdict.json": SHA["d"]}


def test_the_identity_card_is_attested_where_there_is_one() -> None:
    said = statements.checks_result("ai.sif", verdict(check("A", "pass")), SHA["d"], SHA["e"])
    found = predicate(said, result_pb.TestResult())
    assert {c.name: c.digest["sha256"] for c in found.configuration}["card.json"] == SHA["e"]
    assert "card.json" not in canonical_json(statements.checks_result("ai.sif", verdict(check("A", "pass")), SHA["d"]))


def test_a_number_beyond_its_bound_is_a_failed_test() -> None:
    said = statements.checks_result("ai.sif", verdict(check("A", "pass"), check("B", "pass", 2)), SHA["d"])["predicate"]
    assert (said["result"], said["passedTests"], said["failedTests"]) == ("FAILED", ["A"], ["B"])


def test_the_release_names_the_file_and_what_is_in_it() -> None:
    said = statements.release("ai.sif", SHA["a"], SHA["b"] * 2, size=7, lock=SHA["c"], base=SHA["d"], key="k",
                              objects={"z": SHA["f"], "a": SHA["e"]})  # fmt: skip
    subject = read(said).pb.subject[0]
    assert (subject.name, dict(subject.digest)) == ("ai.sif", {"sha256": SHA["a"], "sha512": SHA["b"] * 2})
    assert [row["name"] for row in said["predicate"]["objects"]] == ["a", "z"]
    assert said["predicateType"] == statements.RELEASE

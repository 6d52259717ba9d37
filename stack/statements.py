"""Ring 4. What is said of an image, as in-toto statements: how it was made, what the checks said, what was sealed.

Formats: in-toto Statement v1, SLSA provenance v1, the in-toto test result v0.1, and a predicate of our own for the
finished file. No clock: where an image was built says nothing, and equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stack.lock import Lock, OsPackage, WheelFile
from stack.verdict import Check, Verdict

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
RELEASE = "urn:sovereign-stack:predicate:sealed-image:1"
BUILD_TYPE = "urn:sovereign-stack:build:image:1"
BUILDER = "urn:sovereign-stack:builder:1"
LOCK, SQUASHFS, VERDICT, CARD = "stack.lock.json", "rootfs.squashfs", "verdict.json", "card.json"

Json = dict[str, Any]


@dataclass(frozen=True)
class Repository:
    """A git repository that the build used, at one commit."""

    name: str
    url: str
    commit: str


@dataclass(frozen=True)
class Built:
    """A finished build. `sha256`: of the image before evidence was put into it; `key`: names all that decided it.

    `uris`: package URL of a locked file by its SHA-256; `sources`: what was compiled: name, kind of digest, digest.
    """

    lock: Lock
    name: str
    sha256: str
    squashfs: str
    key: str
    epoch: int
    version: str
    tools: Mapping[str, str]
    repositories: tuple[Repository, ...] = ()
    uris: Mapping[str, str] | None = None
    sources: tuple[tuple[str, str, str], ...] = ()


def statement(subjects: Iterable[Json], predicate_type: str, predicate: Json) -> Json:
    """An in-toto Statement v1; a subject is what `descriptor` gives."""
    return {"_type": STATEMENT, "subject": list(subjects), "predicateType": predicate_type, "predicate": predicate}


def descriptor(name: str, uri: str = "", **digests: str) -> Json:
    """An in-toto ResourceDescriptor; digests by their in-toto names (`sha256`, `gitCommit`)."""
    return {"name": name, **({"uri": uri} if uri else {}), "digest": digests}


def provenance(built: Built) -> Json:
    """How the image was made, of what: SLSA provenance."""
    lock = built.lock
    inputs = {name: descriptor(name, sha256=digest) for name, digest in sorted(lock.inputs.items())}
    parameters = {"cell": lock.cell, "inputs": inputs}
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": parameters,
        "internalParameters": {"sourceDateEpoch": str(built.epoch), "tools": dict(sorted(built.tools.items()))},
        "resolvedDependencies": materials(built),
    }
    run = {
        "builder": {"id": BUILDER, "version": {"sovstack": built.version}},
        "metadata": {"invocationId": built.key},
        "byproducts": [descriptor(LOCK, sha256=lock.digest)],
    }
    subjects = [descriptor(built.name, sha256=built.sha256), descriptor(SQUASHFS, sha256=built.squashfs)]
    return statement(subjects, PROVENANCE, {"buildDefinition": definition, "runDetails": run})


def materials(built: Built) -> list[Json]:
    """Everything that went into a build, each once: repositories, package files, wheels, archives of sources."""
    lock, uris = built.lock, built.uris or {}
    packages: list[OsPackage] = [*lock.os.packages, *(lock.tools.packages if lock.tools else ())]
    wheels: tuple[WheelFile, ...] = lock.wheels.files if lock.wheels else ()
    found = [descriptor(r.name, f"git+{r.url}@{r.commit}", gitCommit=r.commit) for r in built.repositories]
    files = [*((p.filename, p.sha256) for p in packages), *((w.filename, w.sha256) for w in wheels)]
    found += [descriptor(n, uris.get(sha, ""), sha256=sha) for n, sha in sorted(dict.fromkeys(files))]
    return [*found, *(descriptor(n, **{kind: value}) for n, kind, value in sorted(dict.fromkeys(built.sources)))]


def checks_result(name: str, verdict: Verdict, verdict_sha256: str, card_sha256: str = "") -> Json:
    """What the checks said of the image, by their names. The skipped are in neither list: they show nothing.

    `card_sha256`: of the numerical identity card, which is so attested too.
    """
    passed = [c.name for c in verdict.checks if c.result == "pass" and _within(c)]
    failed = [c.name for c in verdict.checks if c.result == "fail" or not _within(c)]
    whole = {**descriptor(VERDICT, sha256=verdict_sha256), "annotations": {"what": "the whole result"}}
    card = {**descriptor(CARD, sha256=card_sha256), "annotations": {"what": "the numerical identity card"}}
    suite = descriptor("suite", sha256=verdict.suite)
    predicate = {
        "result": "PASSED" if verdict.passed else "FAILED",
        "configuration": [suite, descriptor(LOCK, sha256=verdict.lock), whole, *([card] if card_sha256 else [])],
        "passedTests": sorted(passed),
        "warnedTests": [],
        "failedTests": sorted(failed),
    }
    return statement([descriptor(name, sha256=verdict.image)], TEST_RESULT, predicate)


def _within(check: Check) -> bool:
    return all(metric.ok for metric in check.metrics)


def release(
    name: str, sha256: str, sha512: str, *, size: int, lock: str, base: str, key: str, objects: Mapping[str, str]
) -> Json:
    """ "This file is what was sealed": its digests, and those of what is in it. `base`: the image before evidence."""
    predicate = {
        "size": size,
        "key": key,
        "lock": descriptor(LOCK, sha256=lock),
        "base": descriptor(name, sha256=base),
        "objects": [descriptor(n, sha256=digest) for n, digest in sorted(objects.items())],
    }
    return statement([descriptor(name, sha256=sha256, sha512=sha512)], RELEASE, predicate)

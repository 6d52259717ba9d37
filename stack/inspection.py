"""Ring 4. What was found in an image: every object and every check with its answer, told as text and as data.

All of it comes out of a file that anybody may have made, so nothing here trusts the form of what it reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from stack import card as cards
from stack.card import Card
from stack.errors import ExitCode, StackError
from stack.quantity import size as size_text
from stack.statements import CARD, TEST_RESULT, VERDICT
from stack.verdict import Verdict
from stack.visible import visible

State = Literal["ok", "fails", "changed", "unusable"]
"""`fails`: nobody answers for it; `changed`: it is not what was signed, or not what another part says of it;
`unusable`: nothing can be said of it, since it is not in a form that is known."""

Json = Mapping[str, Any]
LABEL = "org.sovstack."
_LABELS = 20  # that are shown
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Finding:
    """One check: of what, its answer, and what to do where it is not a yes."""

    what: str
    state: State
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Row:
    """One object of the image."""

    id: int
    name: str
    type: str
    group: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Inspection:
    """All that was found. `about`: a summary of each document in the image, by the object's name."""

    path: str
    size: int
    sha256: str
    sha512: str
    objects: tuple[Row, ...]
    findings: tuple[Finding, ...]
    about: Mapping[str, Json] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """1 where an answer is no; 2 where a document is not in a known form, unless it is known to be changed."""
        return _exit_code(self.findings)


@dataclass(frozen=True)
class Folder:
    """All that was found in a folder of many files, such as a build cache."""

    path: str
    size: int
    files: int
    findings: tuple[Finding, ...]
    about: Mapping[str, Json] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """As of an image."""
        return _exit_code(self.findings)


def _exit_code(findings: Iterable[Finding]) -> ExitCode:
    states = {finding.state for finding in findings}
    if "unusable" in states and "changed" not in states:
        return ExitCode.BAD_INPUT
    return ExitCode.OK if states <= {"ok"} else ExitCode.CHECK_FAILED


# --- what the documents say ---


def parsed(data: bytes) -> Any:
    """JSON in UTF-8; None for what is none, or has halves of characters, which nothing that is UTF-8 can repeat."""
    try:
        found = json.loads(data.decode())
        if _HALF.search(data):
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found


def at(value: Any, *path: str | int) -> Any:
    """What stands at a place in plain data; None where that place is not there."""
    for step in path:
        known = isinstance(value, dict) if isinstance(step, str) else isinstance(value, list) and len(value) > step
        value = value[step] if known and (isinstance(step, int) or step in value) else None
    return value


def _rows(value: Any, *path: str) -> list[Json]:
    found = at(value, *path)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def labels(definition: bytes) -> Json:
    """What an image's definition says of it in labels of ours, `contract` among them; a foreign one has none."""
    section = re.search(r"(?ms)^%labels$(.*?)(^%|\Z)", definition.decode(errors="replace"))
    found = re.findall(rf"(?m)^ +{re.escape(LABEL)}([a-z]+) (.+)$", section[1]) if section else []
    return dict(found[:_LABELS])


def sbom(data: bytes) -> Json | None:
    """Format, version, number of components and stated completeness of an SBOM; None for what is none."""
    value = parsed(data)
    if at(value, "bomFormat") == "CycloneDX" and at(value, "specVersion"):
        stated = {str(row.get("aggregate")) for row in _rows(value, "compositions")}
        count, version = len(_rows(value, "components")), at(value, "specVersion")
        return {"format": "CycloneDX", "version": str(version), "components": count, "complete": _complete(stated)}
    graph = _rows(value, "@graph")
    made = next((row for row in graph if row.get("type") == "CreationInfo" and row.get("specVersion")), None)
    if made is not None:
        stated = {str(r.get("completeness")) for r in graph if r.get("relationshipType") == "dependsOn"}
        count = sum(row.get("type") == "software_Package" for row in graph)
        return {"format": "SPDX", "version": str(made["specVersion"]), "components": count,
                "complete": _complete(stated)}  # fmt: skip
    return None


def _complete(stated: set[str]) -> str:
    if stated == {"complete"}:
        return "all dependencies listed"
    return "of a part of them all dependencies are listed" if "complete" in stated else "not stated"


def sbom_lock(data: bytes) -> str | None:
    """The lock that an SBOM of ours says it is of; None where it says nothing."""
    properties = _rows(parsed(data), "metadata", "component", "properties")
    return next((str(row.get("value")) for row in properties if row.get("name") == "sovstack:lock"), None)


def provenance(statement: Json) -> Json:
    """Who built it, of what."""
    build, run = at(statement, "predicate", "buildDefinition"), at(statement, "predicate", "runDetails")
    inputs = at(build, "externalParameters", "inputs")
    return {
        "builder": at(run, "builder", "id"),
        "version": at(run, "builder", "version"),
        "cell": at(build, "externalParameters", "cell"),
        "inputs": {k: at(v, "digest", "sha256") for k, v in inputs.items()} if isinstance(inputs, dict) else {},
        "materials": len(_rows(build, "resolvedDependencies")),
        "lock": at(run, "byproducts", 0, "digest", "sha256"),
        "base": at(statement, "subject", 0, "digest", "sha256"),
        "squashfs": at(statement, "subject", 1, "digest", "sha256"),
    }


def verdict_digest(statement: Json, name: str = VERDICT) -> str | None:
    """SHA-256 of the verdict that a statement is about, or of another document that it names."""
    rows = _rows(statement, "predicate", "configuration")
    return next((at(row, "digest", "sha256") for row in rows if row.get("name") == name), None)


def results(statement: Json, found: Verdict) -> tuple[str, str]:
    """What the statement of a verdict says of image and result, in words, and what the verdict says."""
    image = at(statement, "subject", 0, "digest", "sha256")
    said = (at(statement, "predicateType"), image, at(statement, "predicate", "result"))
    known = (TEST_RESULT, found.image, "PASSED" if found.passed else "FAILED")
    words = [" ".join(str(word)[:200] for word in row) for row in (said, known)]
    return words[0], words[1]


def verdict(data: bytes) -> Verdict | None:
    """The verdict; None for what is none."""
    try:
        return Verdict.model_validate_json(data)
    except ValidationError:
        return None


def verdict_summary(found: Verdict) -> Json:
    """Whether the checks passed, how many, when and where."""
    results = [check.result for check in found.checks]
    counts = {name: results.count(name) for name in ("pass", "fail", "skip")}
    return {"passed": found.passed, **counts, "date": found.date, "host": found.host, "image": found.image}


def card(data: bytes) -> Card | None:
    """The numerical identity card; None for what is none."""
    try:
        return cards.parse(data.decode(), CARD)
    except (StackError, UnicodeDecodeError):
        return None


def card_summary(found: Card) -> Json:
    """How many numbers it has, of which kind, and the machine that computed them, in a line."""
    return {"numbers": cards.headline(found), "machine": cards.machine(found)}


# --- told ---


def as_data(found: Inspection | Folder) -> Json:
    """For programs."""
    return {**asdict(found), "ok": found.exit_code == ExitCode.OK}


def as_text(found: Inspection | Folder) -> str:
    """For people: what is there, what the documents say, then every check."""
    if isinstance(found, Folder):
        head = [f"{found.files} files, {size_text(found.size)}", ""]
    else:
        head = [f"{size_text(found.size)}, sha256:{found.sha256}", "", *_objects(found.objects), ""]
    lines = [visible(found.path), *head, *_about(found.about), *_findings(found.findings)]
    bad = sum(finding.state != "ok" for finding in found.findings)
    return "\n".join([*lines, "", f"{bad} of {len(found.findings)} checks failed" if bad else "everything checks"])


def _objects(rows: Iterable[Row]) -> Iterator[str]:
    yield f"{'id':>3}  {'name':24} {'type':12} {'size':>10}  sha256"
    for row in rows:
        yield f"{row.id:3}  {_plain(row.name):24} {row.type:12} {size_text(row.size):>10}  {row.sha256}"


def _about(about: Mapping[str, Json]) -> Iterator[str]:
    for name, facts in about.items():
        yield _plain(name)
        for key, value in facts.items():
            rows = value.items() if isinstance(value, dict) else [("", value)]
            yield from (f"    {_plain(f'{key} {part}'.strip())}: {_plain(said)}" for part, said in rows)
    if about:
        yield ""


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        state = finding.state if finding.state == "ok" else finding.state.upper()
        yield _plain(f"{state:9} {finding.what}: {finding.detail}{remedy}")


def _plain(value: Any) -> str:
    """One line that hides nothing."""
    return " ".join(visible("" if value is None else str(value)).split("\n"))

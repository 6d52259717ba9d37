"""Ring 4. What an audit found, as plain data, for `--json` and the report, and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stack.audit.completeness import Gap
from stack.audit.coverage import ASPECTS, known
from stack.audit.inventory import Inventory
from stack.audit.levels import Assessment, Check, Layer
from stack.audit.policy import Finding
from stack.audit.situation import Situation
from stack.visible import visible

Content = dict[str, Any]


@dataclass(frozen=True)
class Audit:
    """One cell's audit. `held`: what forbids handing its image, or a build cache of it, to others."""

    situation: Situation
    assessment: Assessment
    findings: tuple[Finding, ...]
    version: str
    notes: tuple[str, ...] = ()
    held: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """No rule of level `error` is broken."""
        return not any(f.fails for f in self.findings)


def content(audit: Audit) -> Content:
    """Everything, for programs (format: `docs/reference/audit.md`)."""
    found, lock = audit.situation.inventory, audit.situation.inventory.lock
    return {
        "schema": 1,
        "cell": lock.cell,
        "lock": found.digest,
        "phase": audit.situation.phase,
        "date": audit.situation.today,
        "program": audit.version,
        "passed": audit.passed,
        "levels": [_layer(layer) for layer in audit.assessment.layers],
        "weakest": list(audit.assessment.weakest),
        "components": _counts(found),
        "coverage": _coverage(found),
        "licences": dict(sorted(Counter(i.licence or "unknown" for i in found.scoped("run")).items())),
        "gaps": [asdict(gap) for gap in audit.situation.gaps],
        "findings": [asdict(f) for f in audit.findings],
        "held": [asdict(f) for f in audit.held],
        "notes": list(audit.notes),
    }


def _layer(layer: Layer) -> Content:
    return {"name": layer.name, "level": layer.level, "checks": [asdict(c) for c in layer.checks]}


def _counts(found: Inventory) -> Content:
    kinds = {scope: Counter(i.kind for i in found.scoped(scope)) for scope in ("run", "build")}
    return {scope: {"all": sum(c.values()), **dict(sorted(c.items()))} for scope, c in kinds.items()}


def _coverage(found: Inventory) -> Content:
    """Of the components that run: of how many each thing is known."""
    each = [known(i.facts) for i in found.scoped("run") if i.kind != "base"]
    return {"components": len(each), **{aspect: sum(aspect in there for there in each) for aspect in ASPECTS}}


def text(audit: Audit) -> str:
    """For a person: the levels, why not higher, and what the policy says."""
    found, lock = audit.situation.inventory, audit.situation.inventory.lock
    counts = _counts(found)
    lines = [
        f"{lock.cell}, lock {found.digest[:12]}, {audit.situation.phase} SBOM",
        f"{counts['run']['all']} components run, {counts['build']['all']} more only build",
        *(f"note: {note}" for note in audit.notes),
        "",
        *_levels(audit.assessment),
        "",
        *_coverage_line(_coverage(found)),
        *_gaps(audit.situation.gaps),
        *_held(audit.held),
        *_findings(audit.findings),
    ]
    return "\n".join(visible(line) for line in lines)


def table(audits: Sequence[Audit]) -> str:
    """One line for each of several cells."""
    names = [layer.name for layer in audits[0].assessment.layers] if audits else []
    wide = max((len(a.situation.inventory.lock.cell) for a in audits), default=4)
    head = "cell".ljust(wide) + "".join(f"  {name:>11}" for name in names) + "  policy"
    rows = [head]
    for audit in audits:
        levels = "".join(f"  {_level(layer):>11}" for layer in audit.assessment.layers)
        breaches = sum(f.fails for f in audit.findings)
        rows.append(audit.situation.inventory.lock.cell.ljust(wide) + levels + f"  {_policy(breaches)}")
    return "\n".join(rows)


def _policy(breaches: int) -> str:
    return f"{breaches} broken" if breaches else "kept"


def _level(layer: Layer) -> str:
    return "-" if layer.level is None else str(layer.level)


def _levels(assessment: Assessment) -> Iterator[str]:
    for layer in assessment.layers:
        level = "not assessed" if layer.level is None else f"level {layer.level} of 4"
        yield f"{layer.name:12} {level}{' (weakest)' if layer.name in assessment.weakest else ''}"
        yield from (f"  {_sign(c)} {c.level}: {c.title}: {c.said}" for c in layer.next if layer.level is not None)
    yield from ("", "+ passed, x failed, ? not assessed; `--json` and the report have every check")


def _sign(check: Check) -> str:
    return {"pass": "+", "fail": "x", "not assessed": "?"}[check.state]


def _coverage_line(coverage: Content) -> Iterator[str]:
    counts = ", ".join(f"{name} {coverage[name]}" for name in ASPECTS)
    yield f"known of the {coverage['components']} that run: {counts}"


def _gaps(gaps: Iterable[Gap]) -> Iterator[str]:
    counts = Counter(gap.field for gap in gaps)
    if counts:
        yield "the SBOM lacks: " + ", ".join(f"{field} of {n}" for field, n in sorted(counts.items()))


def _held(held: Sequence[Finding]) -> Iterator[str]:
    names = dict.fromkeys(f.name or f.why for f in held)
    if names:
        yield f"not to be published, as image or build cache, because of: {', '.join(names)}"
    else:
        yield "nothing forbids publishing it, as image or build cache"


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    """Breaches in full, the rest counted."""
    for finding in findings:
        if finding.state != "breach":
            continue
        yield f"{finding.level}: {finding.rule}: {finding.name} {finding.version}: {finding.why}"
        if len(finding.path) > 1:
            yield f"  through {' -> '.join(finding.path)}"
        if finding.alternatives:
            yield f"  open alternatives: {'; '.join(finding.alternatives)}"
    counts = Counter(f.state for f in findings if f.state != "breach")
    if counts:
        yield "policy, beside that: " + ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))

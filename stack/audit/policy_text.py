"""Ring 4. Findings of the policy for people and as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from stack.audit.policy import STATES, Finding
from stack.policy import Rule, Terms
from stack.visible import visible


def text(findings: Iterable[Finding], terms: Terms) -> str:
    """A paragraph for each state and rule, with its packages, then how many there are of each state."""
    found = tuple(findings)
    lines: list[str] = []
    for (state, rule), group in groupby(found, key=lambda f: (_state(f), f.rule)):
        lines += [_head(state, rule, terms.rules.get(rule)), *(line for f in group for line in _lines(f))]
    counts = ", ".join(f"{sum(f.state == state for f in found)} {_WORDS[state]}" for state in STATES)
    failing = sum(f.fails for f in found)
    return "\n".join(
        [*map(visible, lines), f"policy: {counts}; the audit {f'fails by {failing}' if failing else 'stands'}\n"]
    )


_WORDS = {"breach": "broken", "excepted": "excepted", "not assessed": "not assessed", "stale": "stale"}


def _state(finding: Finding) -> str:
    return finding.level if finding.state == "breach" else finding.state


def _head(state: str, name: str, rule: Rule | None) -> str:
    return f"{state}: {name}" + (f": {rule.title}; {rule.why}" if rule and state in ("error", "warning") else "")


def _lines(finding: Finding) -> Iterator[str]:
    package = f"{finding.name} {finding.version}".rstrip()
    yield f"  {package} ({finding.kind}): {finding.why}" if package else f"  {finding.why}"
    if finding.ref:
        through = " -> ".join(finding.path) or "no dependency of what was asked for"
        yield f"    through: {through if len(finding.path) != 1 else 'asked for by name'}"
    if finding.reason:
        until = f", until {finding.until}" if finding.until else ""
        yield f"    exception: {finding.reason} (granted by {finding.granted_by}{until})"
    if finding.state == "breach":
        yield from (f"    open instead, {line}" for line in finding.alternatives)
        if not finding.alternatives:
            yield "    open instead: nothing that is known"


def as_data(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The same for `--json`; keys that say nothing are left out."""
    return [{key: _plain(value) for key, value in asdict(f).items() if value} for f in findings]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

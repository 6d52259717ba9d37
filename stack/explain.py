"""Ring 4. Plans and verdicts in words for a terminal, and as plain data for `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stack import quantity
from stack.offer import Choice
from stack.plan import Plan
from stack.verdict import Check, Metric, Verdict


def choice_data(choice: Choice) -> dict[str, Any]:
    """A choice as plain data."""
    return {
        "component": choice.component,
        "role": choice.role,
        "provider": choice.provider,
        "version": choice.version or None,
        "packages": list(choice.packages),
        "project": choice.project,
        "spec": choice.spec,
        "why": choice.why,
        "rejected": [{"provider": r.provider, "why": r.why} for r in choice.rejected],
    }


def as_data(plan: Plan) -> dict[str, Any]:
    """A plan as plain data."""
    target = plan.target
    return {
        "schema": 1,
        "environment": plan.environment.name,
        "profile": plan.profile.name,
        "target": target.name,
        "os": target.os.name,
        "microarchitecture": target.microarchitecture,
        "accelerator": target.accelerator_name,
        "components": [choice_data(c) for c in plan.choices],
    }


def as_text(plan: Plan, notices: Sequence[str] = ()) -> str:
    """A plan as a table."""
    rows = [("component", "role", "provider", "version", "from")]
    rows += [
        (c.component, c.role or "", c.provider, c.version, ", ".join(c.packages) or c.project or c.spec)
        for c in plan.choices
    ]
    head = f"{plan.environment.name} on {plan.profile.name}: {plan.target.name}"
    return "\n".join([head, *(f"note: {n}" for n in notices), "", table(rows)])


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell; the last is ragged."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
    ]
    return "\n".join(lines)


def choice_text(choice: Choice) -> str:
    """Why this provider, and why not the others."""
    origin = ", ".join(choice.packages) or choice.project or choice.spec
    lines = [
        f"{choice.component} comes from {choice.provider}: {origin} {choice.version}".rstrip(),
        f"  because {choice.why}",
    ]
    lines += [f"  not from {r.provider}: {r.why}" for r in choice.rejected]
    return "\n".join(lines)


def verdict_text(verdict: Verdict) -> str:
    """Failures first and whole, those with one cause together, then one line for each check."""
    failed: dict[tuple[str, str], list[Check]] = {}
    for check in verdict.checks:
        if check.result == "fail":
            failed.setdefault((check.reason, check.output), []).append(check)
    lines = [line for alike in failed.values() for line in _failure(alike)]
    lines += [line for c in verdict.checks for line in (_line(c), *_repeated(c))]
    lines += [f"left out, needing {need}: {', '.join(names)}" for need, names in verdict.needs.items()]
    counts = {kind: sum(c.result == kind for c in verdict.checks) for kind in ("pass", "fail", "skip")}
    lines.append(
        f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped, checked on {verdict.date}"
    )
    return "\n".join(lines)


def _failure(alike: list[Check]) -> list[str]:
    first, names = alike[0], ", ".join(check.name for check in alike)
    output = [f"    {line}" for line in first.output.splitlines()[-12:]]
    alone = "run it alone" if len(alike) == 1 else "run the first alone"
    return [f"FAILED {names}: {first.reason}", *output, f"  {alone}: {first.reproduce}", ""]


def _line(check: Check) -> str:
    bounded = [m for m in check.metrics if m.bound is not None]
    worst = max(bounded, key=_share, default=None)
    note = f"  {worst.name} {worst.value:.3g} of {worst.bound:.3g} {worst.unit}".rstrip() if worst else ""
    nodes = f"  on {', '.join(check.nodes)}" if check.nodes else ""
    return f"{check.result:4} {check.name:28} {check.seconds:6.1f} s{note}{nodes}"


def _repeated(check: Check) -> list[str]:
    """What is not judged and was measured several times: its median, and how far the repeats lay apart."""
    found = [m for m in check.metrics if m.bound is None and len(m.values) > 1]
    return [
        f"       {m.name} {quantity.number(m.value)} {m.unit}, median of {len(m.values)} "
        f"({quantity.number(min(m.values))} to {quantity.number(max(m.values))})"
        for m in found
    ]


def _share(metric: Metric) -> float:
    return metric.value / metric.bound if metric.bound else metric.value


def up_text(plan: Plan, verdict: Verdict, paths: Mapping[str, str], *, reused: bool) -> str:
    """What `up` ends with: the verdict, where things are, and how to use them."""
    again = " (reused; --fresh checks again)" if reused else ""
    lines = [verdict_text(verdict) + again, ""]
    lines += [f"{name:8} {path}" for name, path in paths.items() if name != "modules"]
    lines += ["", f"use it:  module use {paths['modules']} && module load {plan.environment.name}"]
    return "\n".join(lines)

"""Ring 4. What one run came to, as one JSON text and one self-contained page; both are made from the same content."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from stack import quantity
from stack.lock import Lock
from stack.offer import Choice
from stack.plan import Plan
from stack.render import html
from stack.target import HostFacts
from stack.verdict import Check, Metric, Verdict
from stack.visible import visible

State = Literal["done", "reused", "failed", "skipped"]
Result = Literal["pass", "fail", "error", "incomplete"]
Content = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One step of the run. `failed` means it could not do its work; a check that says no is in the verdict."""

    name: str
    state: State
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Image:
    """The image file. `path` as a user would type it, `size` in bytes, `tools` the versions of what built it.

    `sha256`: as it was built, which verdicts name; `file_sha256`: as it is, with its evidence; `signed_by`: a key's id.
    """

    path: str
    sha256: str
    size: int
    filesystem: str = field(default="", metadata={"what": "SHA-256 of the file system inside"})
    tools: Mapping[str, str] = field(default_factory=dict)
    file_sha256: str = ""
    signed_by: str = ""


@dataclass(frozen=True)
class Report:
    """Everything the two texts show. `date` is ISO 8601, given by the caller: nothing here reads a clock.

    `modules` is the folder for `module use` and `apptainer` the program's name or path, both as a user would type them.
    `audit` is what `stack.audit.answer.content` says of the cell, `trends` what `stack.history_page.trends` does.
    `pages`: what -> path of a page beside this one, relative to it; they stand in the page alone. `native` is what
    `stack.overhead.content` says of the same software without its image.
    """

    plan: Plan
    host: HostFacts
    version: str
    date: str
    lock: Lock | None = None
    lock_changes: tuple[str, ...] = ()
    image: Image | None = None
    verdict: Verdict | None = None
    verdict_reused: bool = False
    stages: tuple[Stage, ...] = ()
    notices: tuple[str, ...] = ()
    modules: str = ""
    apptainer: str = "apptainer"
    audit: Mapping[str, Any] | None = None
    pages: tuple[tuple[str, str], ...] = ()
    native: Mapping[str, Any] | None = None
    trends: tuple[Mapping[str, Any], ...] = ()

    @property
    def result(self) -> Result:
        """`fail`: a check said no; `error`: the run itself failed; `incomplete`: nothing was proven."""
        if any(_outcome(c) == "fail" for c in self.checks):
            return "fail"
        if self._strange or any(s.state == "failed" for s in self.stages):
            return "error"
        return "pass" if any(_outcome(c) == "pass" for c in self.checks) else "incomplete"

    @property
    def checks(self) -> tuple[Check, ...]:
        """Those that failed first, then those that passed, then those skipped."""
        found = self.verdict.checks if self.verdict else ()
        return tuple(sorted(found, key=lambda c: ("fail", "pass", "skip").index(_outcome(c))))

    @property
    def _strange(self) -> bool:
        """A verdict that is not about this image."""
        return bool(self.verdict and self.image and self.verdict.image != self.image.sha256)


def as_json(report: Report) -> str:
    """JSON in a fixed order, what failed at its head. A number JSON cannot write becomes "NaN" or "Infinity"."""
    return json.dumps(_jsonable(content(report)), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def as_html(report: Report) -> str:
    """One page that needs nothing else: no script, no font, no picture from anywhere."""
    from stack import history_page
    from stack.audit import page

    packages = [p.model_dump() for p in report.lock.os.packages] if report.lock else []
    levels = page.view(report.audit) if report.audit is not None else None
    pages = [{"title": title, "href": f"./{quote(path)}"} for title, path in report.pages]
    beside = {"packages": packages, "levels": levels, "pages": pages, "history": history_page.drawn(report.trends)}
    return html.template("report.html.j2").render(content(report), **beside)


def content(report: Report) -> Content:
    """Plain data of the whole report (format: `docs/reference/report.md`); numbers may be NaN or infinite."""
    return {
        "schema": 1,
        "result": report.result,
        "headline": _headline(report),
        "failures": _failures(report),
        "cell": _cell(report.plan),
        "date": report.date,
        "program": report.version,
        "verdict": _verdict(report),
        "image": _image(report.image),
        "lock": _lock(report),
        "notices": list(report.notices),
        "stages": [asdict(s) for s in report.stages],
        "checks": [_check(c) for c in report.checks],
        "components": [_component(c, report.lock) for c in report.plan.choices],
        "host": _host(report.host),
        "use": _use(report),
        "native": dict(report.native) if report.native is not None else None,
        "audit": dict(report.audit) if report.audit is not None else None,
        "trends": [dict(trend) for trend in report.trends],
    }


def _headline(report: Report) -> str:
    checks = [_outcome(c) for c in report.checks]
    failed, skipped = checks.count("fail"), checks.count("skip")
    broken = [s.name for s in report.stages if s.state == "failed"]
    if report.result == "fail":
        return f"{failed} of {_count(len(checks) - skipped, 'check')} failed"
    if broken:
        return f"The stage {broken[0]} failed"
    if report.result == "error":
        return "The verdict is about another image"
    if report.result == "incomplete":
        return "No check ran, so nothing is proven" if report.verdict else "The image was not checked"
    tail = f", {skipped} skipped" if skipped else ""
    return f"{_count(len(checks) - skipped, 'check')} passed{tail}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _outcome(check: Check) -> Literal["pass", "fail", "skip"]:
    """A check whose number is out of its bound, or not a number, failed, whatever it says of itself."""
    return check.result if all(m.ok for m in check.metrics) else "fail"


def _failures(report: Report) -> list[Content]:
    found = [_failed_check(c) for c in report.checks if _outcome(c) == "fail"]
    broken = [s for s in report.stages if s.state == "failed"]
    found += [_failure("stage", s.name, f"The stage {s.name} failed", s.detail) for s in broken]
    if report._strange and report.verdict and report.image:
        why = f"It names {report.verdict.image}, and this image is {report.image.sha256}. Check again."
        found.append(_failure("verdict", "verdict", "The verdict is about another image", why))
    return found


def _failure(kind: str, name: str, title: str, reason: str) -> Content:
    return {"kind": kind, "name": name, "title": title, "reason": reason, "expected": [], "output": "", "reproduce": ""}


def _failed_check(check: Check) -> Content:
    bad = [m for m in check.metrics if not m.ok]
    reason = check.reason or ("A measured number is out of its bound." if bad else "It gave no reason.")
    made = _failure("check", check.name, check.title, reason)
    return {**made, "expected": [_metric(m) for m in bad], "output": check.output, "reproduce": check.reproduce}


def _metric(metric: Metric) -> Content:
    ratio = quantity.ratio(metric.value, metric.bound)
    return {"name": metric.name, "value": metric.value, "bound": metric.bound, "ratio": ratio,
            "unit": metric.unit, "ok": metric.ok, "origin": metric.origin}  # fmt: skip


def _check(check: Check) -> Content:
    return {"name": check.name, "title": check.title, "result": _outcome(check), "tags": list(check.tags),
            "seconds": check.seconds, "metrics": [_metric(m) for m in check.metrics], "reason": check.reason,
            "reproduce": check.reproduce}  # fmt: skip


def _cell(plan: Plan) -> Content:
    target = plan.target
    return {"name": plan.cell, "environment": plan.environment.name, "purpose": plan.environment.purpose,
            "profile": plan.profile.name, "system": plan.profile.description, "target": target.name,
            "os": target.os.title, "architecture": target.architecture, "microarchitecture": target.microarchitecture,
            "accelerator": target.accelerator.label if target.accelerator else None}  # fmt: skip


def _verdict(report: Report) -> Content | None:
    verdict = report.verdict
    if verdict is None:
        return None
    outcomes = [_outcome(c) for c in verdict.checks]
    return {"date": verdict.date, "reused": report.verdict_reused, "image": verdict.image, "lock": verdict.lock,
            "suite": verdict.files or verdict.suite, "reframe": verdict.reframe, "host": verdict.host,
            "left_out": verdict.needs,
            "counts": {r: outcomes.count(r) for r in ("pass", "fail", "skip")},
            "seconds": sum(c.seconds for c in verdict.checks)}  # fmt: skip


def _image(image: Image | None) -> Content | None:
    if image is None:
        return None
    return {"path": image.path, "sha256": image.sha256, "file_sha256": image.file_sha256 or image.sha256,
            "signed_by": image.signed_by or None, "bytes": image.size, "filesystem": image.filesystem,
            "tools": dict(sorted(image.tools.items()))}  # fmt: skip


def _lock(report: Report) -> Content | None:
    lock = report.lock
    if lock is None:
        return None
    return {"sha256": lock.digest, "system": lock.os.system, "suites": list(lock.os.suites),
            "packages": len(lock.os.packages), "bytes": sum(p.size for p in lock.os.packages),
            "wheels": len(lock.wheels.files) if lock.wheels else 0, "changes": list(report.lock_changes)}  # fmt: skip


def _component(choice: Choice, lock: Lock | None) -> Content:
    locked = next((c for c in lock.components if c.name == choice.component), None) if lock else None
    return {"name": choice.component, "role": choice.role, "provider": choice.provider,
            "version": locked.version if locked else choice.version, "locked": locked is not None,
            "package": locked.package if locked else " ".join(choice.packages), "spec": choice.spec,
            "why": choice.why, "rejected": [asdict(r) for r in choice.rejected]}  # fmt: skip


def _host(host: HostFacts) -> Content:
    return {**asdict(host), "accelerators": [":".join(pair) for pair in host.accelerators]}


def _use(report: Report) -> list[Content]:
    """Lines to type, each with what it is for; none without an image."""
    plan, image = report.plan, report.image
    if image is None:
        return []
    run = [report.apptainer, "exec", *_device(plan), image.path, *_example(plan)]
    lines = [{"title": "Run one command in it", "line": shlex.join(run)}]
    if report.modules:
        load = f"module use {shlex.quote(report.modules)} && module load {shlex.quote(plan.environment.name)}"
        lines.insert(0, {"title": "Load it as a module", "line": load})
    return lines


def _device(plan: Plan) -> tuple[str, ...]:
    option = plan.vendor.container_option if plan.vendor else None
    return (option,) if option else ()


def _example(plan: Plan) -> tuple[str, ...]:
    """How a component states its version: an accelerated one where there is one, since it proves most."""
    recipes = sorted(plan.recipes.values(), key=lambda r: not r.accelerated)
    return recipes[0].verify.version


def _jsonable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {visible(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    return visible(value) if isinstance(value, str) else value

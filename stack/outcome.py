"""Ring 4. ReFrame's run report -> a verdict."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stack import repeats
from stack.errors import ExitCode, Fault, StackError
from stack.verdict import Check, Machine, Metric, Verdict, numbers
from stack.visible import one_line

_NOT_RUN = "ReFrame did not run it: its file could not be loaded, or no partition has what it needs"
MAX_OUTPUT = 6000  # characters of a failing check's output that a verdict keeps


@dataclass(frozen=True)
class Subject:
    """What was checked: goes into the verdict as it is. `date` is ISO 8601 UTC, `verb` the command to run it again.

    `image`: digest of the file, or of what else was under test."""

    cell: str
    image: str
    lock: str
    suite: str
    date: str
    host: str
    verb: tuple[str, ...] = ("sovstack", "verify")
    expected: tuple[str, ...] = field(default=())
    machine: Machine | None = None
    files: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


def parse(report: str, subject: Subject) -> Verdict:
    """ReFrame's run report (JSON) -> the verdict. Raises `StackError` when the report is none.

    A check that should have run and is not in the report counts as failed.
    """
    try:
        data = json.loads(report)
        version, session = str(data["session_info"]["version"]), _session(data["session_info"].get("uuid"))
        cases = [case for run in data["runs"] for case in run["testcases"] if not case.get("fixture")]
        made = [_check(case, subject) for case in cases]
        checks = {name: repeats.merged([c for c in made if c.name == name]) for name in {c.name: None for c in made}}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise StackError([Fault(f"ReFrame's run report cannot be read: {error!r}")], ExitCode.HOST) from None
    missing = {name: _missing(name, subject.verb, _NOT_RUN) for name in subject.expected if name not in checks}
    every = sorted({**checks, **missing}.values(), key=lambda c: c.name)
    return Verdict(schema=1, cell=subject.cell, image=subject.image, lock=subject.lock, suite=subject.suite,
                   date=subject.date, reframe=version, host=subject.host, machine=subject.machine,
                   files=subject.files, checks=tuple(every),
                   left_out=dict(subject.left_out), session=session)  # fmt: skip


def with_failed(verdict: Verdict, why: Mapping[str, str], verb: Sequence[str]) -> Verdict:
    """With checks that were asked for and could not be run: each has failed, and says why. `verb`: runs them again."""
    every = sorted((*verdict.checks, *(_missing(name, verb, said) for name, said in why.items())), key=lambda c: c.name)
    return verdict.model_copy(update={"checks": tuple(every)})


def _session(said: Any) -> str:
    return said if isinstance(said, str) and said.isprintable() and len(said) <= 100 else ""


def _missing(name: str, verb: Sequence[str], reason: str) -> Check:
    return Check(name=name, title=name, result="fail", reason=reason, reproduce=_reproduce(name, verb))


def _reproduce(name: str, verb: Sequence[str]) -> str:
    return shlex.join([*verb, "--check", name])


def _check(case: Mapping[str, Any], subject: Subject) -> Check:
    metrics = tuple(_metrics(case.get("perfvalues") or {}, case.get("origins") or {}))
    beyond = [m for m in metrics if not m.ok]
    found, switches, wrong = numbers(case.get("numbers") or ())
    wrong += tuple(f"the error of the number {n.name} is {n.ratio:.4g} of its own bound" for n in found if not n.ok)
    result = _result(str(case["result"]), [*beyond, *wrong])
    failed = result == "fail"
    reasons = [*(str(f) for f in case.get("faults") or ()), *wrong] or [_own_words(case, beyond)]
    return Check(
        name=case["name"],
        title=case.get("descr") or case["name"],
        tags=tuple(sorted(case.get("tags") or ())),
        result=result,
        seconds=round(float(case.get("time_run") or 0.0), 3),  # the total counts waiting for others as well
        metrics=metrics,
        numbers=found,
        switches=switches,
        reason="" if result == "pass" else "; ".join(reasons),
        output=str(case.get("tail") or "")[-MAX_OUTPUT:] if failed else "",
        reproduce=_reproduce(case["name"], subject.verb),
        nodes=tuple(one_line(str(node))[:100] for node in case.get("nodes") or ()),
    )


def _result(said: str, beyond: Iterable[object]) -> Literal["pass", "fail", "skip"]:
    """Only ReFrame's `pass` passes, and only when no number is beyond its bound, or cannot be read."""
    if said == "skip":
        return "skip"
    return "pass" if said == "pass" and not list(beyond) else "fail"


def _own_words(case: Mapping[str, Any], beyond: Sequence[Metric]) -> str:
    reason = str(case.get("fail_reason") or "")
    if reason:
        return f"{' '.join(reason.split())} (in phase {case.get('fail_phase')})"
    return "; ".join(f"{m.name} is {m.value}, accepted up to {m.bound}" for m in beyond)


def _metrics(values: Mapping[str, Sequence[Any]], origins: Mapping[str, str]) -> Iterable[Metric]:
    """ReFrame's `system:partition:name` -> [value, reference, lower, upper, unit, result]; bounds are absolute here."""
    for key, (value, reference, _lower, upper, unit, *_rest) in values.items():
        if value is None:
            continue
        name = key.rsplit(":", 1)[-1]
        bound = None if upper is None else float(reference * (1 + upper) if reference else upper)
        yield Metric(name=name, value=float(value), bound=bound, unit=unit or "", origin=str(origins.get(name, "")))

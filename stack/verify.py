"""Ring 4. An image and the regression suite -> ReFrame's command line; ReFrame's run report -> a verdict."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from stack.artifact import Command, canonical_json, digest
from stack.catalogue import Catalogue
from stack.document import did_you_mean, read
from stack.errors import ExitCode, Fault, Faults, StackError, bad_input
from stack.lock import Lock
from stack.verdict import Check, Metric, Verdict
from stack.words import Line, Model, Name

THRESHOLDS = "thresholds.yaml"
REPORT = "report.json"
MAX_OUTPUT = 6000  # characters of a failing check's output that a verdict keeps
_CheckName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=60)]
_MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
# ReFrame has no `__main__`; this is what its own script does.
_START = "import sys; from reframe.frontend.cli import main; sys.exit(main())"


class Limit(Model):
    """What is demanded of one number. `origin` says where the bound comes from; without a bound it is only reported."""

    unit: Line
    origin: Line
    bound: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    optional: bool = False


class Limits(Model):
    """One check: the components and roles that it needs in the image, and its numbers."""

    needs: tuple[Name, ...]
    metrics: dict[_MetricName, Limit] = Field(min_length=1)
    parameters: dict[_MetricName, tuple[float, ...]] = Field({}, description="what the program is given")


class Thresholds(Model):
    """`reframe_tests/thresholds.yaml`."""

    schema_version: Literal[1] = Field(alias="schema")
    checks: dict[_CheckName, Limits] = Field(min_length=1)


@dataclass(frozen=True)
class Paths:
    """Absolute paths. `folder` receives everything ReFrame writes; `python` is an interpreter that has ReFrame."""

    python: str
    apptainer: str
    suite: str
    settings: str
    manifest: str
    image: str
    folder: str
    preload: str | None = None

    @property
    def report(self) -> str:
        """Where ReFrame's run report is afterwards."""
        return f"{self.folder}/{REPORT}"


@dataclass(frozen=True)
class Subject:
    """What was checked: goes into the verdict as it is. `date` is ISO 8601 UTC, `verb` the command to run it again."""

    cell: str
    image: str
    lock: str
    suite: str
    date: str
    host: str
    verb: tuple[str, ...] = ("sovstack", "verify")
    expected: tuple[str, ...] = field(default=())


def manifest(lock: Lock, catalogue: Catalogue) -> str:
    """JSON that the suite reads inside the image: components with version, provider and version command, and roles."""
    components = [
        {"name": c.name, "role": c.role, "provider": c.provider, "version": c.version,
         "command": list(catalogue.recipes[c.name].verify.version)}
        for c in sorted(lock.components, key=lambda c: c.name)
    ]  # fmt: skip
    roles = {c.role: c.name for c in lock.components if c.role}
    return canonical_json({"schema": 1, "cell": lock.cell, "components": components, "roles": roles})


def thresholds(text: str, name: str = THRESHOLDS) -> Thresholds:
    """The bounds of the suite; raises `StackError` with every fault of the file."""
    faults = Faults()
    made = read(text, name, Thresholds, faults)
    faults.raise_if_any()
    assert made  # noqa: S101 - no faults
    return made[1]


def expected(limits: Thresholds, lock: Lock, only: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the checks that must run on an image of this lock. Raises for a name in `only` that is none of them."""
    there = {c.name for c in lock.components} | {c.role for c in lock.components if c.role}
    possible = sorted(name for name, check in limits.checks.items() if set(check.needs) <= there)
    for name in only:
        if name not in limits.checks:
            raise bad_input(f"no check {name!r}", remedy=did_you_mean(name, limits.checks))
        if name not in possible:
            lacks = sorted(set(limits.checks[name].needs) - there)
            raise bad_input(f"the check {name} needs {', '.join(lacks)}, which {lock.cell} does not have")
    return tuple(n for n in possible if n in only or not only)


def commands(paths: Paths, env: Mapping[str, str], only: Sequence[str] = ()) -> tuple[Command, ...]:
    """ReFrame over the whole suite, or over the checks in `only`. `env`: the caller's PATH and what Apptainer wants.

    Exit status 1 means that a check failed, which the report tells; anything ReFrame could not do leaves no report.
    Raises `StackError` for a path that ReFrame or Apptainer cannot take.
    """
    usable(paths)
    argv = [paths.python, "-c", _START, "-C", paths.settings, "-c", paths.suite, "-R", "--run",
            "--exec-policy=async", "--prefix", paths.folder, "--stage", f"{paths.folder}/stage",
            "--output", f"{paths.folder}/output", "--report-file", paths.report, "--nocolor"]  # fmt: skip
    if only:
        argv += ["-n", f"^({'|'.join(only)})$"]
    return (Command(tuple(argv), "run the checks", cwd=paths.folder, env=_environment(paths, env)),)


def usable(paths: Paths) -> None:
    """Raise `StackError` for a path that ReFrame or Apptainer cannot take.

    ReFrame splits its folder's path at blanks and puts it into a shell script; Apptainer splits binds at : and ,.
    """
    for path, bad in (
        (paths.folder, "\"'$`\\:,"),
        *((p, ":,") for p in (paths.suite, paths.manifest, paths.preload or "")),
    ):
        found = [c for c in path if c in bad or (path == paths.folder and c.isspace())]
        if found:
            remedy = "choose another folder, with --build-dir" if path.startswith(paths.folder) else "move it elsewhere"
            raise bad_input(f"the checks cannot run with {found[0]!r} in the path {path}", remedy=remedy)


def _environment(paths: Paths, env: Mapping[str, str]) -> dict[str, str]:
    path = env.get("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    made = {
        **env,
        "PATH": f"{PurePosixPath(paths.apptainer).parent}:{path}",
        "TMPDIR": paths.folder,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "SOVSTACK_MANIFEST": paths.manifest,
        "SOVSTACK_IMAGE": paths.image,
        "SOVSTACK_PRELOAD": paths.preload or "",
    }
    return dict(sorted(made.items()))


def suite_digest(files: Mapping[str, str]) -> str:
    """SHA-256 over the suite's files and settings (relative path -> text)."""
    return digest(dict(sorted(files.items())))


def parse(report: str, subject: Subject) -> Verdict:
    """ReFrame's run report (JSON) -> the verdict. Raises `StackError` when the report is none.

    A check that should have run and is not in the report counts as failed.
    """
    try:
        data = json.loads(report)
        version = str(data["session_info"]["version"])
        cases = [case for run in data["runs"][-1:] for case in run["testcases"] if not case.get("fixture")]
        checks = {case["name"]: _check(case, subject) for case in cases}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise StackError([Fault(f"ReFrame's run report cannot be read: {error!r}")], ExitCode.HOST) from None
    missing = {name: _missing(name, subject) for name in subject.expected if name not in checks}
    every = sorted({**checks, **missing}.values(), key=lambda c: c.name)
    return Verdict(schema=1, cell=subject.cell, image=subject.image, lock=subject.lock, suite=subject.suite,
                   date=subject.date, reframe=version, host=subject.host, checks=tuple(every))  # fmt: skip


def _missing(name: str, subject: Subject) -> Check:
    reason = "ReFrame did not run it: its file could not be loaded, or no partition has what it needs"
    return Check(name=name, title=name, result="fail", reason=reason, reproduce=_reproduce(name, subject))


def _reproduce(name: str, subject: Subject) -> str:
    return shlex.join([*subject.verb, "--check", name])


def _check(case: Mapping[str, Any], subject: Subject) -> Check:
    metrics = tuple(_metrics(case.get("perfvalues") or {}, case.get("origins") or {}))
    beyond = [m for m in metrics if not m.ok]
    result = _result(str(case["result"]), beyond)
    failed = result == "fail"
    reasons = [str(f) for f in case.get("faults") or ()] or [_own_words(case, beyond)]
    return Check(
        name=case["name"],
        title=case.get("descr") or case["name"],
        tags=tuple(sorted(case.get("tags") or ())),
        result=result,
        seconds=round(float(case.get("time_run") or 0.0), 3),  # the total counts waiting for others as well
        metrics=metrics,
        reason="" if result == "pass" else "; ".join(reasons),
        output=str(case.get("tail") or "")[-MAX_OUTPUT:] if failed else "",
        reproduce=_reproduce(case["name"], subject),
    )


def _result(said: str, beyond: Iterable[Metric]) -> Literal["pass", "fail", "skip"]:
    """Only ReFrame's `pass` passes, and only when no number is beyond its bound."""
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

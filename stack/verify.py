"""Ring 4. An image and the regression suite -> ReFrame's command line; ReFrame's run report -> a verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from stack.artifact import Command, canonical_json, digest
from stack.catalogue import Catalogue
from stack.contract import Contract
from stack.document import did_you_mean, read
from stack.errors import Faults, Position, bad_input
from stack.history import KEPT, ONCE, Kept
from stack.lock import Lock
from stack.words import Line, Model, Name, feature

THRESHOLDS = "thresholds.yaml"
REPORT = "report.json"
_CheckName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=60)]
_MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
# ReFrame has no `__main__`; this is what its own script does.
# A caller's own settings of ReFrame would be taken for ours.
START = (
    "import os, sys; [os.environ.pop(n) for n in [*os.environ] if n.startswith('RFM_') and n not in"
    f" {KEPT!r}]; from reframe.frontend.cli import main; sys.exit(main())"
)


class Limit(Model):
    """What is demanded of one number. `origin` says where the bound comes from; without a bound it is only reported.

    `better`: of a number that measures speed, which is compared with earlier runs.
    """

    unit: Line
    origin: Line
    bound: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    optional: bool = False
    better: Literal["higher", "lower"] | None = None


class Limits(Model):
    """One check: the features that it needs (components, roles, hardware), those that rule it out, and its numbers.

    `anywhere`: it judges what is in an image, and says the same on every machine that can run it.
    """

    needs: tuple[Name, ...]
    unless: tuple[Name, ...] = ()
    anywhere: bool = False
    metrics: dict[_MetricName, Limit] = Field(min_length=1)
    parameters: dict[_MetricName, tuple[float, ...]] = Field({}, description="what the program is given")


class Thresholds(Model):
    """`reframe_tests/<folder>/thresholds.yaml`; and all of them as one."""

    schema_version: Literal[1] = Field(alias="schema")
    checks: dict[_CheckName, Limits] = Field(min_length=1)


@dataclass(frozen=True)
class Start:
    """How programs are started in what is under test: an image, or software of the machine itself.

    `prefix`: words before every command; `variables`: of the subject's environment; `launch`: `local`, or `srun` with
    its options in `srun`; `patience`: a factor on every time limit, 1 unless something is emulated; `pending`: seconds
    that a job may wait for its nodes; `minutes`: the longest that a job may last, 0 where nobody says;
    `seen`: folders of this machine that are elsewhere where programs run natively, each with where; `scale`: how much
    of the machine each check takes.
    """

    kind: Literal["image", "native"]
    apptainer: str = ""
    image: str = ""
    options: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    seen: Mapping[str, str] = field(default_factory=dict)
    python: str = "python3"
    mpiexec: tuple[str, ...] = ("mpiexec",)
    launch: Literal["local", "srun"] = "local"
    srun: tuple[str, ...] = ()
    nodes: int = 1
    patience: int = 1
    pending: int = 3600
    minutes: int = 0
    scale: str = ""

    @property
    def text(self) -> str:
        """JSON that the suite reads."""
        return canonical_json({"schema": 1, **asdict(self)})


@dataclass(frozen=True)
class Paths:
    """Absolute paths. `folder` receives everything ReFrame writes; `python` is an interpreter that has ReFrame;
    `programs`: folders before PATH; `namespace`: a prefix in which ReFrame itself runs."""

    python: str
    suite: str
    settings: str
    manifest: str
    subject: str
    folder: str
    preload: str | None = None
    programs: tuple[str, ...] = ()
    namespace: tuple[str, ...] = ()

    @property
    def report(self) -> str:
        """Where ReFrame's run report is afterwards."""
        return f"{self.folder}/{REPORT}"


def manifest(
    lock: Lock, catalogue: Catalogue, emulation: Mapping[str, str] | None = None, expects: Contract | None = None
) -> str:
    """JSON that the suite reads inside the image: components with version, provider and version command, and roles.

    `emulation`: the CPU that an emulator is to be when it looks for instructions that the target does not have, and
    the emulator's file name; empty where there is none. `expects`: what the image expects of a host.
    """
    components = [
        {"name": c.name, "role": c.role, "provider": c.provider, "version": c.version,
         "command": list(catalogue.recipes[c.name].verify.version), **({"spec": c.spec} if c.spec else {})}
        for c in sorted(lock.components, key=lambda c: c.name)
    ]  # fmt: skip
    roles = {c.role: c.name for c in lock.components if c.role}
    data: dict[str, Any] = {"schema": 1, "cell": lock.cell, "components": components, "roles": roles}
    data["one_of"] = sorted({pattern for c in lock.components for pattern in catalogue.recipes[c.name].verify.one_of})
    data |= {} if emulation is None else {"emulation": dict(emulation)}
    data |= {} if expects is None else {"contract": expects.model_dump(mode="json", by_alias=True)}
    return canonical_json(data)


def thresholds(texts: Mapping[str, str]) -> Thresholds:
    """The bounds of the suite, of files (name -> text); raises `StackError` with every fault of them."""
    faults, checks, homes = Faults(), dict[str, Limits](), dict[str, str]()
    for name, text in sorted(texts.items()):
        made = read(text, name, Thresholds, faults)
        for check, found in made[1].checks.items() if made else ():
            if homes.setdefault(check, name) != name:
                faults.add(f"the check {check} has bounds in {homes[check]} too", Position(name), "keep one of them")
            checks[check] = found
    faults.raise_if_any()
    return Thresholds(schema=1, checks=checks)


def expected(limits: Thresholds, features: Collection[str], cell: str, only: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the checks that must run where there are these features, all or those in `only`.

    Raises for a name that no check has, and where none of those in `only` can run.
    """
    for name in only:
        if name not in limits.checks:
            raise bad_input(f"no check {name!r}", remedy=did_you_mean(name, limits.checks))
    found = tuple(n for n, why in possible(limits, features) if not why and (n in only or not only))
    if only and not found:
        raise bad_input("; ".join(refused(limits, features, cell, only).values()))
    return found


def refused(limits: Thresholds, features: Collection[str], cell: str, only: Sequence[str]) -> dict[str, str]:
    """The checks in `only` that cannot run where there are these features, and why, as a sentence."""
    return {name: f"the check {name} needs {why}, which is not so of {cell}"
            for name, why in possible(limits, features) if why and name in only}  # fmt: skip


def left_out(limits: Thresholds, features: Collection[str], only: Sequence[str] = ()) -> dict[str, str]:
    """Of a whole run, the checks that cannot be part of it, and what each needs."""
    return {} if only else {name: why for name, why in possible(limits, features) if why}


def anywhere(limits: Thresholds, names: Sequence[str], kind: str) -> tuple[str, ...]:
    """Those of the checks that judge an image and no machine; none where the kind of subject is no image."""
    return tuple(name for name in names if kind == "image" and limits.checks[name].anywhere)


def possible(limits: Thresholds, features: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Every check and why it cannot run where there are these features; empty where it can."""
    return tuple((name, _lacks(check, features)) for name, check in sorted(limits.checks.items()))


def _lacks(check: Limits, features: Collection[str]) -> str:
    """What a check needs and does not get, in words; empty where it can run."""
    there = set(features)
    lacking = sorted(need for need in check.needs if feature(need) not in there)
    return ", ".join([*lacking, *(f"no {other}" for other in check.unless if feature(other) in there)])


def commands(paths: Paths, env: Mapping[str, str], only: Sequence[str] = (), kept: Kept = ONCE) -> tuple[Command, ...]:
    """ReFrame over the whole suite, or over the checks in `only`. `env`: the caller's PATH and what the subject wants.

    Exit status 1 means that a check failed, which the report tells; anything ReFrame could not do leaves no report.
    Raises `StackError` for a path that ReFrame or Apptainer cannot take.
    """
    usable(paths)
    argv = [*paths.namespace, paths.python, "-c", START, "-C", paths.settings, "-c", paths.suite, "-R", "--run",
            *kept.words, "--prefix", paths.folder, "--stage", f"{paths.folder}/stage",
            "--output", f"{paths.folder}/output", "--report-file", paths.report, "--nocolor"]  # fmt: skip
    if only:
        argv += ["-n", f"^({'|'.join(only)})( |$)"]
    return (
        Command(tuple(argv), "run the checks", cwd=paths.folder, env=_environment(paths, {**env, **kept.variables})),
    )


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
        "PATH": ":".join([*paths.programs, path]),
        "TMPDIR": paths.folder,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "SOVSTACK_MANIFEST": paths.manifest,
        "SOVSTACK_SUBJECT": paths.subject,
        "SOVSTACK_PRELOAD": paths.preload or "",
    }
    return dict(sorted(made.items()))


def suite_digest(files: Mapping[str, str]) -> str:
    """SHA-256 over the suite's files and settings (relative path -> text)."""
    return digest(dict(sorted(files.items())))

"""Running the suite on an image, and knowing when a verdict still stands."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack import verify
from stack.artifact import canonical_json
from stack.errors import ExitCode, Fault, StackError, bad_input
from stack.host import clock, files
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.library import shipped
from stack.host.run import Sink, run
from stack.lock import Lock
from stack.render import reframe
from stack.verdict import Verdict

MAX_VERDICT_BYTES = 32 << 20


def suite() -> Path:
    """The folder of the regression suite."""
    return shipped() / "reframe_tests"


def suite_digest(cell: Cell) -> str:
    """Names the checks: the suite's files and ReFrame's settings."""
    found = {
        str(p.relative_to(suite())): p.read_text(encoding="utf-8")
        for p in sorted(suite().rglob("*"))
        if p.is_file() and "__pycache__" not in p.parts
    }
    settings = {path: file.text for path, file in reframe.settings(cell.plan, cell.facts)}
    return verify.suite_digest({**found, **settings})


def standing(cell: Cell, image: Image, lock: Lock) -> Verdict | None:
    """The verdict of an earlier run on these very bytes with these very checks, when it passed."""
    path = cell.folder / "verdict.json"
    try:
        verdict = Verdict.model_validate_json(files.read_text(path, MAX_VERDICT_BYTES))
    except (StackError, ValueError):
        return None
    same = (verdict.image, verdict.lock, verdict.suite) == (image.sha256, lock.digest, suite_digest(cell))
    return verdict if same and verdict.passed else None


def paths(cell: Cell, image: Path, apptainer: Path, preload: Path | None) -> verify.Paths:
    """Where ReFrame finds and puts things."""
    if preload is not None and not preload.is_file():
        raise bad_input(f"{preload} is not a file", remedy="--preload names a shared library")
    folder = cell.folder / "reframe"
    return verify.Paths(
        python=sys.executable,
        apptainer=str(apptainer),
        suite=str(suite()),
        settings=str(folder / "settings.json"),
        manifest=str(folder / "manifest.json"),
        image=str(image),
        folder=str(folder / "run"),
        preload=str(preload.resolve()) if preload else None,
    )


def environment(apptainer_env: Mapping[str, str]) -> dict[str, str]:
    """What ReFrame is given: PATH, and what Apptainer needs on this machine."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **apptainer_env}


def check(
    cell: Cell,
    lock: Lock,
    image: Image,
    where: verify.Paths,
    env: Mapping[str, str],
    sink: Sink,
    only: Sequence[str] = (),
) -> Verdict:
    """Run the checks and keep the verdict (a partial or preloaded run is not kept as the image's)."""
    limits = verify.thresholds((suite() / verify.THRESHOLDS).read_text(encoding="utf-8"))
    expected = verify.expected(limits, lock, only)
    folder = Path(where.folder)
    with files.disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    files.write_text(Path(where.manifest), verify.manifest(lock, cell.catalogue))
    files.write_tree(cell.folder, reframe.settings(cell.plan, cell.facts))
    log = cell.folder / "verify.log"
    for command in verify.commands(where, env, only):
        result = run(command, sink, check=False, log=log)
    if not Path(where.report).is_file():
        last = " / ".join(line.strip() for line in result.tail.splitlines()[-3:])
        raise StackError([Fault(f"ReFrame ran no check: {last}", None, f"the whole output is in {log}")], ExitCode.HOST)
    verdict = verify.parse(Path(where.report).read_text(encoding="utf-8"), _subject(cell, lock, image, expected))
    if not only and where.preload is None:
        files.write_text(cell.folder / "verdict.json", canonical_json(verdict.model_dump(mode="json", by_alias=True)))
    return verdict


def _subject(cell: Cell, lock: Lock, image: Image, expected: tuple[str, ...]) -> verify.Subject:
    facts, plan = cell.facts, cell.plan
    verb = ("sovstack", "verify", plan.profile.name, plan.environment.name, "--build-dir", str(cell.build_dir))
    host = f"{facts.microarchitecture}, {facts.cores} cores, {facts.memory_gib:g} GiB, {facts.os_title}"
    return verify.Subject(
        cell=plan.cell,
        image=image.sha256,
        lock=lock.digest,
        suite=suite_digest(cell),
        date=clock.now(),
        host=host,
        verb=verb,
        expected=expected,
    )

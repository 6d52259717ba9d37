"""One solve of Spack: in a folder of its own with a copy of the indexes, so that solves can run side by side."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stack import graph
from stack.artifact import Command, canonical_json, digest
from stack.document import Document
from stack.errors import StackError, bad_input, host_lacks
from stack.graph import Graph
from stack.host import files, spack
from stack.host.run import Sink, failed, run
from stack.host.spack import Spack
from stack.plan import Plan
from stack.render.spack import Solve
from stack.solver import explain

TIMED_OUT, KILLED = 124, 128  # how `timeout` answers that it ended a program, or that a signal did
MAX_BYTES = 64 << 20  # of a `spack.lock`; the largest seen has 0.4 MB


Texts = Mapping[str, Document]  # profile and environment as they were written


@dataclass(frozen=True)
class Solved:
    """What a solve gave: `text` is the `spack.lock`, `graph` what the cell's lock keeps of it."""

    text: str
    graph: Graph


def marks(overlays: tuple[Path, ...]) -> str:
    """Digest of all of ours that enters a solve beside the environment: our packages and the script."""
    return digest([spack.overlay_digest(overlays), files.sha256(spack.SCRIPTS / "solve.py")])


def commands(installed: Spack, folder: Path) -> tuple[Command, ...]:
    """What a solve in `folder` runs."""
    words = ("python", installed.script("solve"), str(folder / "question.json"))
    env, release = folder / "env", folder / "release"
    made = installed.command(words, "solve the environment", folder, scope=folder / "scope", env=env, release=release)
    return (made,)


def solve(
    installed: Spack, question: Solve, plan: Plan, folder: Path, log: Path, sink: Sink, texts: Texts | None = None, *,
    minutes: float | None = None,
) -> Solved:  # fmt: skip
    """Ask the solver. `folder` is made for it and taken away again; everything it printed stays in `log`.

    After so many `minutes` it is stopped: that something has no solution can take it very long to say.
    """
    index = spack.ready(installed, sink)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with files.disk_errors(folder):
            _copy(index, folder / "misc")
        return _solve(installed, question, plan, folder, log, sink, texts, minutes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Every file with its time, by which Spack knows that an index is not old; the first that fails ends it."""
    for path in source.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def _solve(
    installed: Spack, question: Solve, plan: Plan, folder: Path, log: Path, sink: Sink, texts: Texts | None,
    minutes: float | None,
) -> Solved:  # fmt: skip
    spack.scope(installed, folder)
    files.write_text(folder / "env/spack.yaml", question.environment)
    files.write_text(folder / "release/os-release", question.release)
    files.write_text(folder / "question.json", canonical_json(dict(question.facts)))
    log.unlink(missing_ok=True)
    sink(f"solving {plan.cell}")
    for command in commands(installed, folder):
        result = run(_limited(command, minutes), check=False, log=log)
        if minutes and result.returncode == TIMED_OUT:
            what = f"the solver of {plan.cell} found no answer in {minutes} minutes, so that none is known"
            raise host_lacks(what, "give it more with --minutes")
        if result.returncode < 0 or (minutes and result.returncode > KILLED):
            signal = -result.returncode if result.returncode < 0 else result.returncode - KILLED
            what = f"the solver of {plan.cell} was ended by signal {signal}"
            raise host_lacks(what, "if nobody ended it, the memory was not enough: fewer at once, with --jobs")
        if result.returncode and result.full:
            raise failed(command, result, log)
        if result.returncode:
            raise explain(result.stdout, plan, str(log), texts)
    text = files.read_text(folder / "env/spack.lock", MAX_BYTES)
    return Solved(text, kept(text, installed, question, plan))


def _limited(command: Command, minutes: float | None) -> Command:
    """The command, ended after so long; in the group of processes that Ctrl-C reaches."""
    prefix = ("timeout", "--foreground", "--kill-after=15", f"{minutes}m") if minutes else ()
    return replace(command, argv=(*prefix, *command.argv))


def kept(text: str, installed: Spack, question: Solve, plan: Plan) -> Graph:
    """The part of a `spack.lock` that the cell's lock keeps."""
    roots, nodes, commit = graph.read(text, "spack.lock")
    pinned = installed.upstream
    if commit != pinned.spack.commit:
        raise bad_input(f"the lock was made by Spack {commit or 'of no commit'}, not by {pinned.spack.commit}")
    system = plan.target.os
    return Graph(
        spack=pinned.spack.commit,
        packages=pinned.packages.commit,
        overlay=installed.overlay,
        os=system.release.id + system.release.version.partition(".")[0],
        target=plan.target.microarchitecture,
        hashes="native" if system.archives else "unverified",
        key=question.key,
        file=digest(text),
        roots=roots,
        nodes=nodes,
    )


def reusable(question: Solve, earlier: Mapping[Path, Graph | None]) -> Solved | None:
    """An earlier answer to the same question, whose file is whole. `earlier`: path of a `spack.lock` -> graph."""
    for path, found in earlier.items():
        text = whole(path, found) if found and found.key == question.key else None
        if found and text:
            return Solved(text, found)
    return None


def whole(path: Path, found: Graph) -> str | None:
    """Text of the `spack.lock` that a graph was read from; None when it is not that file, or not there."""
    try:
        text = files.read_text(path, MAX_BYTES)
    except StackError:
        return None
    return text if digest(text) == found.file else None

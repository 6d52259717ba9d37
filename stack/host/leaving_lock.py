"""A lock for an exit test: made without what is forbidden, in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stack import exit_test, forbidding, solver
from stack.artifact import digest
from stack.errors import Fault, StackError
from stack.forbidding import Ban, Refusal
from stack.host import files, resolving, solving, spack
from stack.host.cells import Cell
from stack.host.resolving import Markets
from stack.host.run import Sink
from stack.lock import Lock
from stack.plan import Plan

FOLDER = "exit-test"
ROUNDS = 3  # providers that are refused because of what a lock made without the former ones still brings
MAX_BYTES = 64 << 20  # of a solver's log; it names thousands of causes


@dataclass(frozen=True)
class Answer:
    """A lock without anything forbidden, and of which plan. `changed`: what was refused to get there."""

    cell: Cell
    lock: Lock
    anew: bool = False
    changed: tuple[str, ...] = ()


def folder(home: Cell, ban: Ban) -> Path:
    """The build folder of what an exit test locks; never the cell's own."""
    return home.build_dir / FOLDER / home.plan.cell / ban.name


def anew(home: Cell, cell: Cell, lock: Lock | None, ban: Ban, markets: Markets, sink: Sink) -> Answer:
    """A lock made with everything forbidden that is; raises with what has no replacement."""
    refused: set[Refusal] = set()
    other, found = cell, lock
    for _round in range(ROUNDS):
        refused |= set(forbidding.refusals(other.plan, found, cell.catalogue, ban))
        other = revised(home, cell, sorted(refused), ban)
        with files.exclusive(other.folder, lambda holder: sink(f"waiting for {holder}")):
            resolving.solve_log(other).unlink(missing_ok=True)  # what stands there later is of this solve
            found = resolving.relock(other, markets, sink).lock
        left = forbidding.found(found, ban)
        if not left:
            return Answer(other, found, True, changes(cell, sorted(refused)))
        if set(forbidding.refusals(other.plan, found, cell.catalogue, ban)) <= refused:
            break
    ways = {f: " -> ".join(f.through) or "the base of the image" for f in left}
    raise StackError(Fault(f"{f.name} {f.version} is still needed: {way}") for f, way in ways.items())


def revised(home: Cell, cell: Cell, refused: Sequence[Refusal], ban: Ban) -> Cell:
    """The cell without what is refused, in a folder of the exit test."""
    plan, catalogue = forbidding.replan(cell.plan, cell.catalogue, refused, ban)
    other = replanned(cell, plan)
    documents = {**other.documents, "forbidden": digest(list(plan.forbidden))}
    return replace(other, catalogue=catalogue, documents=documents, build_dir=folder(home, ban))


def replanned(cell: Cell, plan: Plan) -> Cell:
    """The cell with another plan, and the digests of what that depends on."""
    documents = {k: v for k, v in cell.documents.items() if k != "overlay"}
    if plan.built:
        documents["overlay"] = cell.documents.get("overlay") or solving.marks(spack.overlays(cell.roots))
    return replace(cell, plan=plan, documents=documents)


def changes(cell: Cell, refused: Sequence[Refusal]) -> tuple[str, ...]:
    """Refusals that changed the plan, in words."""
    had = {(c.component, c.provider) for c in cell.plan.choices}
    return tuple(
        exit_test.line(f"{r.component} from {r.provider}: {r.why}") for r in refused if (r.component, r.provider) in had
    )


def why(error: StackError, home: Cell, cell: Cell, lock: Lock | None, ban: Ban) -> tuple[str, ...]:
    """What the solver calls impossible and is forbidden, with who needs it, then what it said in its own words."""
    other = replace(cell, build_dir=folder(home, ban))
    try:
        said = solver.reasons(files.read_text(resolving.solve_log(other), MAX_BYTES))
    except StackError:  # it was not asked
        said = ()
    ways = {f.name: " -> ".join(f.through) for f in (forbidding.found(lock, ban) if lock else ()) if f.kind == "spack"}
    gone = [r for r in said if r.subject in ban.packages["spack"]]
    words = [
        f"{r.subject} has no replacement: {ways.get(r.subject) or ', '.join(r.causes[:2]) or 'it is asked for'}"
        for r in gone
    ]
    return tuple(dict.fromkeys(exit_test.line(w) for w in (*words, *map(str, error.faults))))

"""A lock for an exit test: made without what is forbidden, in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stack import exit_test, forbidding, refusing, solver
from stack.artifact import digest
from stack.errors import ExitCode, Fault, StackError
from stack.forbidding import Ban
from stack.host import files, resolving, solving, spack
from stack.host.cells import Cell
from stack.host.resolving import Markets
from stack.host.run import Sink
from stack.lock import Lock
from stack.plan import Plan
from stack.refusing import Refusal
from stack.solver import Reason

FOLDER = "exit-test"
ROUNDS = 4  # providers that are refused because what is made without the former ones fails, or still brings something
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
    told: list[Fault] = []
    other, found = cell, lock
    for _round in range(ROUNDS):
        refused |= set(refusing.refusals(other.plan, found, cell.catalogue, ban))
        try:
            other = _revised(home, cell, refused, ban)
            found = _locked(other, markets, sink)
        except StackError as error:
            blamed = _blamed(other, ban)
            told += [*_words(blamed, lock, ban), *error.faults]
            more = set(refusing.unbuildable(cell.plan, lock, blamed, ban)) - refused
            if error.exit_code == ExitCode.HOST or not more:
                raise StackError(dict.fromkeys(told), error.exit_code) from None
            refused |= more
            continue
        left = forbidding.found(found, ban)
        if not left:
            return Answer(other, found, True, changes(cell, sorted(refused)))
        if set(refusing.refusals(other.plan, found, cell.catalogue, ban)) <= refused:
            break
    ways = {f: " -> ".join(f.through) or "the base of the image" for f in forbidding.found(found, ban)} if found else {}
    told += [Fault(f"{f.name} {f.version} is still needed: {way}") for f, way in ways.items()]
    raise StackError(dict.fromkeys(told))


def _revised(home: Cell, cell: Cell, refused: set[Refusal], ban: Ban) -> Cell:
    """The cell without what is refused; an error tells what was."""
    try:
        return revised(home, cell, sorted(refused), ban)
    except StackError as error:
        names = {c.component for c in cell.plan.choices}
        said = [Fault(f"{r.component} not from {r.provider}: {r.why}") for r in sorted(refused) if r.component in names]
        raise StackError([*said, *error.faults]) from None


def _locked(other: Cell, markets: Markets, sink: Sink) -> Lock:
    with files.exclusive(other.folder, lambda holder: sink(f"waiting for {holder}")):
        resolving.solve_log(other).unlink(missing_ok=True)  # what stands there later is of this solve
        return resolving.relock(other, markets, sink).lock


def _blamed(other: Cell, ban: Ban) -> tuple[Reason, ...]:
    """What the solver calls impossible and is forbidden; nothing where it was not asked."""
    try:
        said = solver.reasons(files.read_text(resolving.solve_log(other), MAX_BYTES))
    except StackError:
        return ()
    return tuple(r for r in said if r.subject in ban.packages["spack"])


def _words(blamed: Sequence[Reason], lock: Lock | None, ban: Ban) -> list[Fault]:
    """What has no replacement, with who needs it: as the lock before has it, where Spack does not say."""
    ways = {f.name: " -> ".join(f.through) for f in (forbidding.found(lock, ban) if lock else ()) if f.kind == "spack"}
    needed = {r.subject: ways.get(r.subject) or ", ".join(r.causes[:2]) or "it is asked for" for r in blamed}
    return [Fault(f"{name} has no replacement: {by}") for name, by in needed.items()]


def revised(home: Cell, cell: Cell, refused: Sequence[Refusal], ban: Ban) -> Cell:
    """The cell without what is refused, in a folder of the exit test."""
    plan, catalogue = refusing.replan(cell.plan, cell.catalogue, refused, ban)
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

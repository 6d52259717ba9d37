"""The exit test of one cell, or of many: find the targets that remain, take a lock that holds or make one, compare."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from stack import __version__, exit_test, forbidding, migration, refusing
from stack import plan as planning
from stack import target as targets
from stack.artifact import canonical_json, digest
from stack.errors import ExitCode, Faults, StackError
from stack.exit_test import ExitRecord, Exits, Nearly, Tried
from stack.facts import Facts
from stack.forbidding import Ban
from stack.host import clock, files, image, leaving_lock, locking, resolving, together
from stack.host.cells import Cell
from stack.host.leaving_lock import FOLDER, Answer
from stack.host.library import PACKAGE, Library
from stack.host.resolving import Markets
from stack.host.run import Sink
from stack.lock import Lock
from stack.migration import Step

MAX_BYTES = 4 << 20


@dataclass
class Office:
    """What several exit tests share: documents, cells that were opened, package indexes, Spack."""

    library: Library
    build_dir: Path
    known: Facts | None = None  # the library's otherwise
    markets: Markets = field(default_factory=Markets)
    _open: dict[str, tuple[Cell, ...]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _asked: dict[tuple[str, str], Future[Answer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = Faults()
        found = self.library.load(PACKAGE / "data/exits.yaml", Exits, faults)
        faults.raise_if_any()
        assert found  # noqa: S101 - no faults
        self.exits: Exits = found[1]
        self.facts: Facts = self.known or self.library.facts

    def ban(self, name: str) -> Ban:
        """What `--forbid NAME` forbids."""
        return forbidding.ban(name, self.facts, self.library.catalogue.hardware)

    def once(self, question: tuple[str, str], make: Callable[[], Answer]) -> Answer:
        """What `make` gives, or raises; whoever asks the same meanwhile or later gets the same."""
        with self._guard:
            known = self._asked.get(question)
            asked = self._asked.setdefault(question, Future())
        if known is None:
            try:
                asked.set_result(make())
            except BaseException as error:
                asked.set_exception(error)
                raise
        return asked.result()

    def cells(self, environment: str) -> tuple[Cell, ...]:
        """Every partition of every profile that is of no machine in particular."""
        with self._guard:
            if environment not in self._open and environment not in self.library.files("environments"):
                self._open[environment] = ()  # it was named by its path, and is no other profile's
            elif environment not in self._open:
                self._open[environment] = together.every(self.library, None, environment, self.build_dir)[0]
            return self._open[environment]

    def places(self, home: Cell) -> tuple[tuple[Step, Cell], ...]:
        """Every target that is known, the nearest first: also a partition's CPU without its accelerator."""
        mine = (_other(home, name) for name in home.plan.profile.partitions)
        every = {c.plan.cell: c for c in (home, *filter(None, mine))}
        for cell in self.cells(home.plan.environment.name):
            every.setdefault(cell.plan.cell, cell)
        for alone in [_other(c, c.plan.target.partition, alone=True) for c in every.values()]:
            if alone:
                every.setdefault(alone.plan.cell, alone)
        hardware = self.library.catalogue.hardware
        ranked = [(migration.step(home.plan, c.plan, hardware), c) for c in every.values()]
        return tuple(sorted(ranked, key=lambda pair: pair[0].order))


def _other(cell: Cell, partition: str, *, alone: bool = False) -> Cell | None:
    """The cell on another partition, or `alone`: without its accelerator. None where nothing of it can be planned."""
    plan = cell.plan
    profile = plan.profile
    if alone:
        part = profile.partitions[partition].model_copy(update={"accelerators": ()})
        profile = profile.model_copy(update={"partitions": {**profile.partitions, partition: part}})
    try:
        target = targets.resolve(profile, partition, cell.catalogue, cell.facts)
        return leaving_lock.replanned(cell, planning.make(profile, plan.environment, target, cell.catalogue))
    except StackError:  # of no use for this environment
        return None


def record_path(home: Cell, ban: Ban) -> Path:
    """Where the record of a cell's exit test is kept."""
    return home.build_dir / FOLDER / home.plan.cell / f"{ban.name}.json"


def read_record(path: Path) -> ExitRecord:
    """A record; raises `StackError` where there is none, or what is there is none."""
    return exit_test.parse(files.read_text(path, MAX_BYTES, "run sovstack exit-test"), str(path))


def prepare(office: Office, home: Cell, ban: Ban) -> tuple[Lock, tuple[tuple[Step, Cell], ...], str]:
    """The lock before, the targets that remain, and the key of all that the answer depends on."""
    before = locking.strict(home)
    places = tuple((step, c) for step, c in office.places(home) if not forbidding.unusable(c.plan.target, ban))
    state = [(c.plan.cell, locking.inputs(c), [files.sha256(p) for p in locking.places(c)]) for _step, c in places]
    key = digest([__version__, before.digest, ban.digest, office.exits.model_dump(mode="json"), _known(office), state])
    return before, places, key


def _known(office: Office) -> str:
    """Licences and stewards are told in a record, so facts are part of its key."""
    facts = office.facts
    kinds = {k: {n: [f.licence_class, f.steward] for n, f in found.items()} for k, found in facts.packages.items()}
    return digest([kinds, {n: s.vendor for n, s in facts.stewards.items()}])


def test(office: Office, home: Cell, ban: Ban, sink: Sink, *, fresh: bool = False) -> tuple[ExitRecord, bool]:
    """The record, kept on disk, and whether an earlier one with the same key was taken."""
    before, places, key = prepare(office, home, ban)
    path = record_path(home, ban)
    if not fresh and (earlier := _earlier(path, key)):
        return earlier, True
    answer, tried = _search(office, home, ban, places, sink)
    made = _record(office, home, before, ban, places, answer, tried, key)
    files.write_text(path, canonical_json(made.model_dump(mode="json", by_alias=True)))
    return made, False


def _earlier(path: Path, key: str) -> ExitRecord | None:
    try:
        found = read_record(path)
    except StackError:
        return None
    return found if found.key == key else None


def _search(
    office: Office, home: Cell, ban: Ban, places: Sequence[tuple[Step, Cell]], sink: Sink
) -> tuple[tuple[Step, Answer] | None, list[Tried]]:
    """The nearest target, where its lock holds or one can be made; else the next one whose lock holds."""
    tried: list[Tried] = []
    for step, cell in places:
        lock = next((lock for _path, lock in locking.current(cell)), None)
        if lock is not None and not forbidding.found(lock, ban):
            return (step, Answer(cell, lock)), tried
        if tried:  # a solve takes minutes: one is made for the nearest, and those beyond need a lock that holds
            continue
        place = f"{cell.plan.profile.name}/{cell.plan.target.name}"
        try:
            sink(f"locking for {place} without {ban.title}")
            make = partial(leaving_lock.anew, home, cell, lock, ban, office.markets, sink)
            return (step, office.once((cell.plan.cell, ban.digest), make)), tried
        except StackError as error:
            if error.exit_code == ExitCode.HOST:  # nothing was asked that could say no
                raise
            tried.append(Tried(place=place, why=tuple(exit_test.line(str(f)) for f in error.faults)))
    return None, tried


def _record(
    office: Office, home: Cell, before: Lock, ban: Ban, places: Sequence[tuple[Step, Cell]],
    found: tuple[Step, Answer] | None, tried: Sequence[Tried], key: str,
) -> ExitRecord:  # fmt: skip
    made = ExitRecord(
        schema=1,  # type: ignore[call-arg]
        environment=home.plan.environment.name,
        forbidden=ban.name,
        title=ban.title,
        result="none",
        before=migration.side(home.plan, before),
        after=None,
        anew=False,
        built=False,
        date=clock.now(),
        key=key,
        tried=tuple(tried),
        notes=migration.notes(home.plan, ban, office.exits),
    )
    names = [f"{c.plan.profile.name}/{c.plan.target.name}" for _step, c in places]
    if found is None:
        return made.model_copy(update={"others": tuple(names[1:]), "nearly": _nearly(places, ban)})
    step, answer = found
    place = f"{answer.cell.plan.profile.name}/{answer.cell.plan.target.name}"
    stays = answer.cell.plan.cell == home.plan.cell
    return made.model_copy(
        update={
            "result": "stays" if stays else "moves",
            "after": migration.side(answer.cell.plan, answer.lock),
            "anew": answer.anew,
            "built": _built(answer),
            "nearness": step.words,
            "changed": answer.changed,
            "others": tuple(names[names.index(place) + 1 :]),
            "notes": tuple(dict.fromkeys((*made.notes, *_notes(office, home, answer, ban)))),
            "differences": migration.compare((home.plan, before), (answer.cell.plan, answer.lock), ban, office.exits),
        }
    )


def _notes(office: Office, home: Cell, answer: Answer, ban: Ban) -> tuple[str, ...]:
    there = answer.cell.plan
    site = (*migration.left_behind(home.plan, there), *migration.unread(there, answer.lock))
    return (*migration.notes(there, ban, office.exits), *site)


def _nearly(places: Sequence[tuple[Step, Cell]], ban: Ban) -> Nearly | None:
    """The nearest target whose lock has of the vendor only what others may carry on, and what runs anywhere."""
    for _step, cell in places:
        lock = next((lock for _path, lock in locking.current(cell)), None)
        found = forbidding.found(lock, ban) if lock else ()
        if lock and all(forbidding.free(f, ban) for f in found):
            return Nearly(to=migration.side(cell.plan, lock), packages=tuple(dict.fromkeys(f.name for f in found)))
    return None


def _built(answer: Answer) -> bool:
    """Whether an image of that very lock stands, whole."""
    found = image.present(answer.cell.folder, answer.cell.name)
    return found is not None and found.lock == answer.lock.digest


def planned(office: Office, home: Cell, ban: Ban) -> tuple[str, ...]:
    """What an exit test would do: lines for --dry-run."""
    _before, places, _key = prepare(office, home, ban)
    for step, cell in places:
        place = f"{cell.plan.profile.name}/{cell.plan.target.name} ({', '.join(step.words)})"
        lock = next((lock for _path, lock in locking.current(cell)), None)
        if lock is not None and not forbidding.found(lock, ban):
            return (f"# {place}: its lock {lock.digest[:12]} has nothing of {ban.title}",)
        try:
            other = leaving_lock.revised(home, cell, refusing.refusals(cell.plan, lock, cell.catalogue, ban), ban)
        except StackError as error:
            return (f"# {place}: {exit_test.line(str(error))}",)
        return (f"# {place}: a lock would be made", *map(str, resolving.commands(other)))
    return (f"# no target that is known here does without {ban.title}",)

"""`sovstack audit`: the lock, what is known of its packages, and the evidence that stands beside it, put together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stack import __version__, exit_test, expressions
from stack.artifact import canonical_json
from stack.audit import answer, completeness, levels, page, policy
from stack.audit.answer import Audit
from stack.audit.inventory import Inventory
from stack.audit.questions import Survey
from stack.audit.situation import Exit, Locked, Mirrored, Proof, Rebuild, Signed, Situation
from stack.catalogue import Catalogue
from stack.errors import Faults, StackError, bad_input
from stack.exit_test import Exits
from stack.facts import Facts
from stack.host import clock, evidence, files, locking
from stack.host.cells import RELEASED, Cell
from stack.host.library import PACKAGE, Library
from stack.lock import Lock
from stack.policy import terms

FOLDER, PAGE, ANSWER = "audit", "audit.html", "audit.json"
EXIT_TESTS = "exit-test"
REBUILD, SURVEY = "rebuild.json", "survey.json"
_MAX = 64 << 20


@dataclass(frozen=True)
class Auditor:
    """What several audits share."""

    library: Library
    build_dir: Path

    @property
    def facts(self) -> Facts:
        """What is known of packages."""
        return self.library.facts

    @cached_property
    def schedulers(self) -> tuple[str, ...]:
        """Schedulers that others may carry on."""
        faults = Faults()
        found = self.library.load(PACKAGE / "data/exits.yaml", Exits, faults)
        faults.raise_if_any()
        assert found  # noqa: S101 - no faults
        return tuple(sorted(name for name, s in found[1].schedulers.items() if s.open))

    def audit(self, cell: Cell, *, locked: Lock | None = None) -> tuple[Audit, dict[str, str]]:
        """The audit of a cell and its SBOMs, name -> text: of the image where one stands, of the lock otherwise."""
        lock = locked or _lock(cell)
        found = evidence.inventory_of(self.library, cell, lock)
        made = _image(cell, lock)
        about = evidence.about_image(cell, found, made, None) if made else evidence.about_lock(cell)
        documents = evidence.documents_of(found, about)
        today = clock.now()[:10]
        said = policy.assess(
            found,
            terms(self.library.policy, cell.plan.profile.policy),
            self.facts,
            cell.catalogue.recipes,
            survey=_survey(cell, lock),
            today=today,
        )
        situation = Situation(
            inventory=found,
            phase=about.phase,
            gaps=tuple(dict.fromkeys(gap for document in documents.values() for gap in completeness.gaps(document))),
            today=today,
            invalid=_invalid(found),
            excepted={f.ref: f.reason for f in said if f.state == "excepted"},
            others=others(self.library, cell.plan.environment.name, cell.build_dir),
            makers=makers(cell.catalogue),
            exits=tuple(_exits(cell, lock)),
            proofs=tuple(self._proofs(cell)),
            mirrored=_mirrored(cell, lock),
            rebuild=_rebuild(cell, lock),
            signed=_signed(made),
            providers=_providers(cell.catalogue, self.facts),
            scheduled=self.schedulers,
        )
        held = policy.publishable(found, self.library.policy, self.facts, cell.catalogue.recipes)
        notes = tuple(f"the lock is not current: {why}" for why in locking.stale(cell))
        audit = Audit(situation, levels.assess(situation), said, __version__, notes, held)
        return audit, {name: canonical_json(document) for name, document in documents.items()}

    def _proofs(self, cell: Cell) -> Iterator[Proof]:
        """Verdicts of the same environment that passed, on the machine that they name, of the lock beside them."""
        for path in sorted((cell.build_dir / cell.plan.environment.name).glob("*/*/verdict.json")):
            found = verdict(path)
            if found is None:
                continue
            family = family_of(path.parent.name)
            licensors = cell.catalogue.hardware.families[family].licensors if family else ()
            ran = _maker_of(found.host.partition(",")[0], cell.catalogue)
            accelerator = _accelerator(path.parent.name, cell.catalogue)
            who = accelerator or ran
            yield Proof(found.cell, (who,) if who else (), family, not licensors, found.date[:10])


def others(library: Library, environment: str, build_dir: Path) -> tuple[Locked, ...]:
    """Locks of an environment, released or in the build folder, by the target that their folder names."""
    folders = [*(root / RELEASED / environment for root in library.roots), build_dir / environment]
    seen: dict[str, Locked] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/*/stack.lock.json")):
            where = f"{environment}/{path.parent.parent.name}/{path.parent.name}"
            seen.setdefault(where, Locked(where, makers_of(path.parent.name, library.catalogue)))
    return tuple(seen[where] for where in sorted(seen))


def makers(catalogue: Catalogue) -> tuple[str, ...]:
    """Whom an exit test is due for: makers of accelerators, and who licenses an instruction set."""
    licensors = {maker for family in catalogue.hardware.families.values() for maker in family.licensors}
    return tuple(sorted({*catalogue.hardware.vendors, *licensors}))


def makers_of(target: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Whose hardware a target is: the accelerator's maker, or whoever makes processors that run it."""
    accelerator = _accelerator(target, catalogue)
    if accelerator:
        return (accelerator,)
    microarchitecture = target.split("-")[1] if "-" in target else target
    own = _maker_of(microarchitecture, catalogue)
    family = family_of(target)
    return (own,) if own else catalogue.hardware.families[family].licensors if family else ()


def _accelerator(target: str, catalogue: Catalogue) -> str:
    parts = target.split("-")
    found = {a.vendor for a in catalogue.hardware.accelerators.values() if len(parts) > 2 and a.arch == parts[2]}
    return min(found, default="")


def _maker_of(microarchitecture: str, catalogue: Catalogue) -> str:
    import archspec.cpu

    known = archspec.cpu.TARGETS.get(microarchitecture)
    names = {word: name for name, maker in catalogue.hardware.makers.items() for word in maker.archspec}
    return names.get(str(known.vendor), "") if known else ""


def family_of(target: str) -> str:
    """The CPU family of a target's name; empty where that names none."""
    import archspec.cpu

    parts = target.split("-")
    known = archspec.cpu.TARGETS.get(parts[1]) if len(parts) > 1 else None
    return str(known.family) if known else ""


def _lock(cell: Cell) -> Lock:
    """The cell's lock: of its image where one stands, else the current one; raises where there is none."""
    found = locking.read(cell)
    if found is None:
        remedy = f"`sovstack lock {cell.plan.profile.name} {cell.plan.environment.name}` makes one"
        raise bad_input(f"there is no lock of {cell.plan.cell}", remedy=remedy)
    return found


def _image(cell: Cell, lock: Lock) -> Any:
    from stack.host import image

    record = files.read_record(cell.folder / "image.json")
    if not isinstance(record, dict) or record.get("lock") != lock.digest:
        return None
    return image.present(cell.folder, cell.name)


def verdict(path: Path) -> Any:
    """A verdict that passed, and is about the lock beside it."""
    from stack.host.checks import MAX_VERDICT_BYTES
    from stack.verdict import Verdict

    try:
        found = Verdict.model_validate_json(files.read_text(path, MAX_VERDICT_BYTES))
        same = files.sha256(path.with_name("stack.lock.json")) == found.lock
    except (StackError, ValueError, OSError):
        return None
    return found if found.passed and same else None


def _invalid(found: Inventory) -> tuple[str, ...]:
    said = {text: expressions.problems(text) for text in {i.licence for i in found.items if i.licence}}
    return tuple(sorted(f"{text}: {why}" for text, problems in said.items() for why in problems))


def _survey(cell: Cell, lock: Lock) -> Survey | None:
    record = _record(cell.folder / SURVEY, lock)
    if record is None:
        return None
    holders: dict[str, tuple[tuple[str, ...], ...]] = {}
    for row in record["sources"]:
        for package in row["packages"]:
            holders[package] = (*holders.get(package, ()), tuple(row["holders"]))
    return Survey(holders, dict(map(tuple, record["unhashed"])))


def _mirrored(cell: Cell, lock: Lock) -> Mirrored | None:
    record = _record(cell.folder / SURVEY, lock)
    if record is None:
        return None
    lost = [", ".join(row["packages"]) for row in record["sources"] if not row["had"]]
    lost += [package for package, _why in record["unhashed"]]
    return Mirrored(len(record["sources"]) + len(record["unhashed"]) - len(lost), tuple(lost))


def _record(path: Path, lock: Lock) -> Mapping[str, Any] | None:
    """A note of ours beside the lock, when it is about this lock."""
    record = files.read_record(path, _MAX)
    return record if isinstance(record, dict) and record.get("lock") == lock.digest else None


def _rebuild(cell: Cell, lock: Lock) -> Rebuild | None:
    record = _record(cell.folder / REBUILD, lock)
    return Rebuild(str(record["date"])[:10], record["same"], str(record["host"])) if record else None


def _exits(cell: Cell, lock: Lock) -> Iterator[Exit]:
    """Exit tests of this very lock."""
    for path in sorted((cell.build_dir / EXIT_TESTS / cell.plan.cell).glob("*.json")):
        try:
            record = exit_test.parse(files.read_text(path, 4 << 20), str(path))
        except StackError:
            continue
        if record.before.lock == lock.digest:
            yield Exit(record.forbidden, record.exists, record.built, record.date[:10])


def _signed(made: Any) -> Signed | None:
    """Who signed the statement beside the image, checked; None where nobody whom this site trusts did."""
    from stack.host import keys, sealing, signing

    if made is None or made.sealed is None or not made.sealed.key:
        return None
    path = sealing.statement_path(made.path)
    places = (keys.site(), *(Path(p) for p in (os.environ.get("SOVSTACK_KEY"),) if p))
    own = [keys.either(place) for place in places if place.is_file()]
    try:
        opened = signing.verify(files.read_text(path, _MAX).encode(), (*own, *keys.trusted()), str(path))
    except StackError:
        return None
    named = {subject["digest"].get("sha256") for subject in opened.statement["subject"]}
    return Signed(opened.key.id, opened.key.id in {key.id for key in own}) if made.file_sha256 in named else None


def _providers(catalogue: Catalogue, facts: Facts) -> Mapping[str, tuple[str, ...]]:
    """Of the roles that the rubric names: the components that are open."""
    opened = {name for name, recipe in catalogue.recipes.items() if policy.is_open(recipe, facts)}
    return {role: tuple(n for n in catalogue.roles.get(role, ()) if n in opened) for role in ("mpi", "blas")}


def write(cell: Cell, audit: Audit, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Keep the SBOMs, the answer and its page in the cell's folder; their paths."""
    folder, data = cell.folder / FOLDER, answer.content(audit)
    beside = {**texts, ANSWER: canonical_json(data)}
    for name, text in {**beside, PAGE: page.as_html(data, tuple(beside))}.items():
        files.write_text(folder / name, text)
    return tuple(folder / name for name in (*beside, PAGE))


def audit_all(
    auditor: Auditor, profile: str | None, environment: str | None, *, quiet: bool, dry: bool
) -> tuple[Audit, ...]:
    """Every cell that has a lock; one without is told of, and left out."""
    from stack.host import together
    from stack.host.progress import Progress

    progress, done = Progress(quiet=quiet), []
    wanted, _refused = together.every(auditor.library, profile, environment, auditor.build_dir)
    for cell in wanted:
        if locking.read(cell) is None:
            progress.note(f"{cell.plan.cell} has no lock, and is left out")
            continue
        made, texts = auditor.audit(cell)
        if not dry:
            write(cell, made, texts)
        done.append(made)
    if done and not dry:
        _write_all(auditor.build_dir, done)
    return tuple(done)


def _write_all(build_dir: Path, done: Sequence[Audit]) -> None:
    """What all cells come to, as a page that leads to theirs, and the answers in one file."""
    data = [answer.content(audit) for audit in done]
    files.write_text(build_dir / ANSWER, canonical_json(data))
    files.write_text(build_dir / PAGE, page.as_overview(data))

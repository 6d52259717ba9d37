"""`sovstack audit`: the lock, what is known of its packages, and the evidence that stands beside it, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stack import __version__, expressions
from stack.artifact import canonical_json
from stack.audit import answer, completeness, levels, page, policy
from stack.audit.answer import Audit
from stack.audit.document import text
from stack.audit.inventory import Inventory
from stack.audit.situation import Locked, Proof, Situation, unsteered
from stack.catalogue import Catalogue
from stack.errors import Faults, bad_input
from stack.exit_test import Exits
from stack.facts import Facts
from stack.host import clock, evidence, files, locking, standing
from stack.host.cells import RELEASED, Cell
from stack.host.library import PACKAGE, Library, shipped
from stack.lock import Lock
from stack.policy import Terms, terms

FOLDER, PAGE, ANSWER = "audit", "audit.html", "audit.json"
ACCELERATED = "accelerator"  # tag of checks that use one
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
        rules = terms(self.library.policy, cell.plan.profile.policy)
        said = policy.assess(
            found,
            rules,
            self.facts,
            cell.catalogue.recipes,
            survey=standing.survey(cell, lock),
            today=today,
        )
        situation = Situation(
            inventory=found,
            phase=about.phase,
            gaps=tuple(dict.fromkeys(gap for document in documents.values() for gap in completeness.gaps(document))),
            today=today,
            invalid=_invalid(found),
            excepted=_excepted(said, rules),
            others=others(self.library, cell.plan.environment.name, cell.build_dir),
            makers=makers(cell.catalogue),
            exits=tuple(standing.exits(cell, lock)),
            proofs=tuple(self._proofs(cell)),
            mirrored=standing.mirrored(cell, lock),
            rebuild=standing.rebuild(cell, lock, made),
            confirmed=standing.confirmed(cell, made),
            signed=standing.signed(made),
            providers=_providers(cell.catalogue, self.facts),
            scheduled=self.schedulers,
            unsteered=unsteered(found, self.facts),
        )
        held = policy.publishable(found, self.library.policy, self.facts, cell.catalogue.recipes)
        notes = tuple(f"the lock is not current: {why}" for why in locking.stale(cell))
        audit = Audit(situation, levels.assess(situation), said, __version__, notes, held)
        return audit, {name: text(document) for name, document in documents.items()}

    def _proofs(self, cell: Cell) -> Iterator[Proof]:
        """Verdicts of the same environment that passed, on the machine that they name, of the lock beside them."""
        for path in sorted((cell.build_dir / cell.plan.environment.name).glob("*/*/verdict.json")):
            found = standing.verdict(path)
            if found is None or found.cell != "/".join(path.parts[-4:-1]) or not standing.numerical(found.checks):
                continue
            family = family_of(path.parent.name)
            licensors = cell.catalogue.hardware.families[family].licensors if family else ()
            ran = _maker_of(found.host.partition(",")[0], cell.catalogue)
            accelerator = _accelerator(path.parent.name, cell.catalogue)
            # An image for an accelerator runs without one too: only a check that used it says anything of it.
            used = any(c.result == "pass" and ACCELERATED in c.tags for c in found.checks)
            who = accelerator if accelerator and used else ran
            # An emulator shows that the instruction set does; of anybody's hardware it says nothing.
            emulated = bool(found.machine and found.machine.emulator)
            isa = f"{family} (emulated)" if emulated else family
            yield Proof(found.cell, (who,) if who and not emulated else (), isa, not licensors, found.date[:10])


def others(library: Library, environment: str, build_dir: Path) -> tuple[Locked, ...]:
    """Locks of an environment, released or in the build folder, by the target that their folder names."""
    folders = [*(root / RELEASED / environment for root in library.roots), build_dir / environment]
    own, seen = shipped() / RELEASED / environment, dict[str, Locked]()
    for folder in folders:
        for path in sorted(folder.glob("*/*/stack.lock.json")):
            where = "/".join(path.parts[-4:-1])
            # Those that come with the program were read when they were released, and there are many.
            if where not in seen and (folder == own or _is_of(path, where)):
                seen[where] = Locked(where, makers_of(path.parent.name, library.catalogue))
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
    found, remedy = (
        locking.read(cell),
        f"`sovstack lock {cell.said}` makes one",
    )
    if found is None:
        raise bad_input(f"there is no lock of {cell.plan.cell}", remedy=remedy)
    if cell.catalogue.systems.get(found.os.system) != cell.plan.target.os:  # its packages would be called another's
        raise bad_input(f"the lock of {cell.plan.cell} is for {found.os.system}, which the cell is not", remedy=remedy)
    return found


def _image(cell: Cell, lock: Lock) -> Any:
    from stack.host import image

    record = files.read_record(cell.folder / "image.json")
    if not isinstance(record, dict) or record.get("lock") != lock.digest:
        return None
    return image.present(cell.folder, cell.name)


def _is_of(path: Path, cell: str) -> bool:
    """Whether a file is a lock of the cell that its folders name; read in part, since there are many."""
    record = files.read_record(path, _MAX)
    if not isinstance(record, dict) or not record.get("components"):
        return False
    return [record.get(key) for key in ("environment", "profile", "target")] == cell.split("/")


def _excepted(said: Iterable[policy.Finding], rules: Terms) -> dict[str, str]:
    """Item -> why its class may be what it is: an exception from another rule says nothing of that."""
    about = {name for name, rule in rules.rules.items() if rule.match.classes is not None}
    return {f.ref: f.reason for f in said if f.state == "excepted" and f.rule in about}


def _invalid(found: Inventory) -> tuple[str, ...]:
    said = {text: expressions.problems(text) for text in {i.licence for i in found.items if i.licence}}
    return tuple(sorted(f"{text}: {why}" for text, problems in said.items() for why in problems))


def _providers(catalogue: Catalogue, facts: Facts) -> Mapping[str, tuple[str, ...]]:
    """Of the roles that the rubric names: the components that are open."""
    opened = {name for name, recipe in catalogue.recipes.items() if policy.is_open(recipe, facts)}
    return {role: tuple(n for n in catalogue.roles.get(role, ()) if n in opened) for role in ("mpi", "blas")}


def write(cell: Cell, audit: Audit, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Keep the SBOMs, the answer and its page in the cell's folder; their paths."""
    folder, data = cell.folder / FOLDER, answer.content(audit)
    beside = {**texts, ANSWER: canonical_json(data)}
    for name, written in {**beside, PAGE: page.as_html(data, tuple(beside))}.items():
        files.write_text(folder / name, written)
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

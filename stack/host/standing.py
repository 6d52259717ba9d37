"""Evidence that stands beside a lock, read: notes, verdicts, exit tests, the signature. None for all that is damaged,
or about another lock: these are files that anything may have happened to, and no level may come of that."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stack import exit_test
from stack.audit.questions import Survey
from stack.audit.situation import Exit, Mirrored, N, Rebuild, RebuildNote, Signed, SurveyNote, note
from stack.errors import StackError
from stack.host import files
from stack.host.cells import Cell
from stack.lock import Lock

if TYPE_CHECKING:
    from stack.host.keys import PublicKey
    from stack.verdict import Check

EXIT_TESTS = "exit-test"
REBUILD, SURVEY = "rebuild.json", "survey.json"
CONFIRMATIONS = "confirmations"  # signed statements of others who built the same lock
NUMERICAL = "precision"  # tag of checks that measure what comes out of a computation
_MAX = 64 << 20


def verdict(path: Path) -> Any:
    """A verdict that passed, and is about the lock beside it; of software that is not ours there is none."""
    from stack.host.checks import MAX_VERDICT_BYTES
    from stack.verdict import Verdict

    try:
        found = Verdict.model_validate_json(files.read_text(path, MAX_VERDICT_BYTES))
        same = files.sha256(path.with_name("stack.lock.json")) == found.lock
    except (StackError, ValueError, OSError):
        return None
    return found if found.passed and same and not found.provider else None


def numerical(checks: Iterable[Check]) -> bool:
    """Whether a check of numbers was among those that passed: an image that only starts proves no arithmetic."""
    return any(c.result == "pass" and NUMERICAL in c.tags for c in checks)


def survey(cell: Cell, lock: Lock) -> Survey | None:
    """Who holds the sources of a lock, as a look at the archives saw it."""
    seen = _note(cell.folder / SURVEY, SurveyNote, lock)
    if seen is None:
        return None
    holders: dict[str, tuple[tuple[str, ...], ...]] = {}
    for row in seen.sources:
        for package in row.packages:
            holders[package] = (*holders.get(package, ()), row.holders)
    return Survey(holders, dict(seen.unhashed))


def mirrored(cell: Cell, lock: Lock) -> Mirrored | None:
    """Which sources of a lock the mirror had."""
    seen = _note(cell.folder / SURVEY, SurveyNote, lock)
    if seen is None or not (seen.sources or seen.unhashed):  # a survey of nothing says nothing
        return None
    lost = [", ".join(row.packages) for row in seen.sources if not row.had]
    lost += [package for package, _why in seen.unhashed]
    return Mirrored(len(seen.sources) + len(seen.unhashed) - len(lost), tuple(lost))


def _note(path: Path, model: type[N], lock: Lock) -> N | None:
    """A note of ours beside the lock, when it is whole and about this lock."""
    try:
        return note(files.read_text(path, _MAX), model, lock.digest)
    except StackError:
        return None


def rebuild(cell: Cell, lock: Lock, made: Any) -> Rebuild | None:
    """What a build with no network proved; that the bytes were the same counts for the image that stands alone."""
    seen = _note(cell.folder / REBUILD, RebuildNote, lock)
    if seen is None:
        return None
    other = made is not None and seen.image != made.sha256
    return Rebuild(seen.date[:10], None if other else seen.same, seen.host)


def exits(cell: Cell, lock: Lock) -> Iterator[Exit]:
    """Exit tests of this very lock."""
    for path in sorted((cell.build_dir / EXIT_TESTS / cell.plan.cell).glob("*.json")):
        try:
            record = exit_test.parse(files.read_text(path, 4 << 20), str(path))
        except StackError:
            continue
        if record.before.lock == lock.digest:
            yield Exit(record.forbidden, record.exists, record.built, record.date[:10])


def signed(made: Any) -> Signed | None:
    """Who signed the statement beside the image, checked; None where nobody whom this site trusts did."""
    from stack import sif
    from stack.host import keys, sealing, sif_file, signing
    from stack.inspection import at
    from stack.statements import RELEASE

    if made is None or made.sealed is None or not made.sealed.key:
        return None
    path = sealing.statement_path(made.path)
    own = tuple(_own())
    try:
        opened = signing.verify(files.read_text(path, _MAX).encode(), (*own, *keys.trusted()), str(path))
    except StackError:
        return None
    said = opened.statement
    named = at(said, "subject", 0, "digest", "sha256") if at(said, "predicateType") == RELEASE else None
    listed = any(o.kind == sif.SBOM for o in sif_file.objects(made.path))
    if named != made.file_sha256 or not listed:
        return None
    return Signed(opened.key.id, opened.key.id in {key.id for key in own})


def confirmed(cell: Cell, made: Any) -> tuple[str, ...]:
    """Keys of others whom this site trusts, and who signed an image that they built of the same bytes."""
    from stack.host import keys, signing
    from stack.inspection import at
    from stack.statements import RELEASE

    found, own = [], {key.id for key in _own()}
    for path in sorted((cell.folder / CONFIRMATIONS).glob("*.dsse.json")) if made else ():
        with contextlib.suppress(StackError):
            opened = signing.verify(files.read_text(path, _MAX).encode(), keys.trusted(), str(path))
            base = at(opened.statement, "predicate", "base", "digest", "sha256")
            if at(opened.statement, "predicateType") == RELEASE and base == made.sha256 and opened.key.id not in own:
                found.append(opened.key.id)
    return tuple(sorted(set(found)))


def _own() -> Iterator[PublicKey]:
    """The public halves of the site's keys: the private one may well be on another machine."""
    from stack.host import keys

    named = os.environ.get("SOVSTACK_KEY")
    for place in (keys.public_path(keys.site()), keys.site(), *([Path(named)] if named else ())):
        with contextlib.suppress(StackError):
            yield keys.either(place)

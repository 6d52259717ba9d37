"""The levels of two locks that are compared, found in the same way on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from stack.audit import levels, policy
from stack.audit.situation import Situation, unsteered
from stack.difference import Side
from stack.host import auditing, files
from stack.host.library import Library
from stack.policy import terms

Levels = Mapping[str, int | None]
_MAX = 64 << 20


def leveled(library: Library, before: Side, after: Side, build_dir: Path) -> tuple[Side, Side]:
    """Both sides with levels: of the audits that stand beside them, where both have one of this very lock; else such as
    a lock alone can show."""
    kept = [_kept(side) for side in (before, after)]
    found = [_alone(library, side, build_dir) for side in (before, after)] if None in kept else kept
    return replace(before, levels=found[0]), replace(after, levels=found[1])


def _kept(side: Side) -> Levels | None:
    """What `sovstack audit` left beside a lock."""
    record = files.read_record(Path(side.where).parent / auditing.FOLDER / auditing.ANSWER, _MAX)
    if not isinstance(record, dict) or record.get("lock") != side.inventory.digest:
        return None
    try:
        return {str(layer["name"]): layer["level"] for layer in record["levels"]}
    except (KeyError, TypeError):
        return None


def _alone(library: Library, side: Side, build_dir: Path) -> Levels:
    """Of the lock, with what is known of its packages and no evidence."""
    found = side.inventory
    said = policy.assess(found, terms(library.policy), library.facts, library.catalogue.recipes)
    situation = Situation(
        inventory=found,
        phase="design",
        gaps=(),
        today="",
        excepted={f.ref: f.reason for f in said if f.state == "excepted"},
        others=auditing.others(library, found.lock.environment, build_dir),
        unsteered=unsteered(found, library.facts),
    )
    return {layer.name: layer.level for layer in levels.assess(situation).layers}

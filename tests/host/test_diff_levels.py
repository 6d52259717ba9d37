"""Levels of two locks: of the audits beside them, or of the locks alone, and never one of each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stack.host import diff_levels, differing
from stack.host.library import Library, roots

CELLS = ("numerics/generic-x86/debian13-x86_64_v3", "numerics/csc-lumi-g/sles15-zen3")
LIBRARY = Library(roots(None))


def audited(folder: Path, cell: str, level: int, *, lock: str = "") -> Path:
    """A copy of a released lock with an audit beside it."""
    released = Path(__file__).parents[2] / "environments/locks" / cell
    place = folder / cell
    (place / "audit").mkdir(parents=True)
    shutil.copy(released / "stack.lock.json", place)
    digest = lock or differing.side(LIBRARY, str(place), folder).inventory.digest
    answer = {"lock": digest, "levels": [{"name": "compute", "level": level}, {"name": "data", "level": None}]}
    (place / "audit/audit.json").write_text(json.dumps(answer))
    return place


def sides(folder: Path, *words: Path | str) -> list[dict[str, int | None]]:
    first, second = (differing.side(LIBRARY, str(word), folder) for word in words)
    return [dict(side.levels or {}) for side in diff_levels.leveled(LIBRARY, first, second, folder)]


def test_audits_beside_both_locks_are_taken(tmp_path: Path) -> None:
    places = [audited(tmp_path, cell, level) for cell, level in zip(CELLS, (3, 1), strict=True)]
    assert sides(tmp_path, *places) == [{"compute": 3, "data": None}, {"compute": 1, "data": None}]


@pytest.mark.parametrize("lock", ["0" * 64, None])
def test_with_one_audit_alone_or_of_another_lock_both_are_judged_by_the_locks(tmp_path: Path, lock: str | None) -> None:
    places = [audited(tmp_path, CELLS[0], 3), audited(tmp_path, CELLS[1], 1, lock=lock or "")]
    if lock is None:
        (places[1] / "audit/audit.json").write_text("{")
    found = sides(tmp_path, *places)
    assert [side["compute"] for side in found] == [2, 2]
    assert [side["software"] for side in found] == [1, 0]  # what the machine brings has no hash
    assert [side["operational"] for side in found] == [0, 0]

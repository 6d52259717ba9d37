"""The report of a run on disk: with the audit of its lock, and without one where that cannot be had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stack.host import cells, locking, reports
from stack.host.cells import Cell
from stack.host.library import Library, roots
from stack.host.reports import Done
from stack.report import Stage
from tests.test_report import Page

FILES = ("audit.html", "audit.json", "sbom.cdx.json", "sbom.spdx.json")


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A released cell with its lock in a build folder of its own."""
    made = cells.open_cell(Library(roots(None)), "generic-x86", "numerics", None, tmp_path)
    made.folder.mkdir(parents=True)
    shutil.copy(made.released / "stack.lock.json", made.lock_path)
    return made


def written(cell: Cell, *, locked: bool = True) -> dict[str, Any]:
    """The report of a run that did no more than lock."""
    lock = locking.read(cell) if locked else None
    made = reports.write(cell, Done(lock, (), None, None, False), (Stage("lock", "done", 1.0),))
    data: dict[str, Any] = json.loads(made.json)
    assert data == json.loads((cell.build_dir / "report.json").read_text())
    assert data == json.loads((cell.folder / "report.json").read_text())
    return data


def test_a_report_has_the_audit_of_its_lock_and_keeps_its_files(cell: Cell) -> None:
    data = written(cell)
    assert data["audit"]["cell"] == cell.plan.cell
    assert data["audit"]["lock"] == data["lock"]["sha256"]
    assert json.loads((cell.folder / "audit/audit.json").read_text()) == data["audit"]
    assert sorted(p.name for p in (cell.folder / "audit").iterdir()) == sorted(FILES)
    assert "Sovereignty levels" in Page((cell.build_dir / "report.html").read_text()).words


def test_without_a_lock_there_is_no_audit(cell: Cell) -> None:
    assert written(cell, locked=False)["audit"] is None
    assert not (cell.folder / "audit").exists()


def test_an_audit_that_fails_leaves_a_report_that_says_so(cell: Cell) -> None:
    (cell.folder / "audit").write_text("a file where its folder has to be")
    data = written(cell)
    assert data["audit"] is None
    assert [n for n in data["notices"] if n.startswith("The audit failed: ") and "audit" in n[18:]]
    assert "The audit failed" in Page((cell.build_dir / "report.html").read_text()).words

"""The report of a run on disk: with the audit of its lock, and without one where that cannot be had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stack import card as cards
from stack.errors import host_lacks
from stack.host import carding, cells, locking, remembering, reports
from stack.host.cells import Cell
from stack.host.library import Library, roots
from stack.host.reports import Done
from stack.report import Stage
from stack.verdict import Verdict
from tests import cards as samples
from tests.audit.test_page import Linked
from tests.measured import session
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


def test_the_identity_cards_of_this_very_verdict_are_linked(cell: Cell) -> None:
    lock, verdict = locking.read(cell), samples.honest(samples.NATIVE)
    carding.keep(cell, verdict, lock, print)

    def links(found: Verdict) -> list[list[str]]:
        written = reports.write(cell, Done(lock, (), None, found, False), ())
        assert ("cards" in written.paths) == (found == verdict)
        return [Linked((folder / "report.html").read_text()).links for folder in (cell.build_dir, cell.folder)]

    assert links(verdict) == [[f"./{cell.plan.cell}/card.html"], ["./card.html"]]
    other = cell.folder.parent / "other"
    other.mkdir()
    (other / "card.json").write_text(cards.text(cards.make(samples.honest(samples.RISCV))))
    carding.overview(cell, print)
    assert links(verdict) == [[f"./{cell.plan.cell}/card.html", "./cards.html"], ["./card.html"]]
    preloaded = verdict.model_copy(update={"date": "2026-03-03T00:00:00Z"})
    assert links(preloaded) == [[], []]


def test_an_audit_that_fails_leaves_a_report_that_says_so(cell: Cell) -> None:
    (cell.folder / "audit").write_text("a file where its folder has to be")
    data = written(cell)
    assert data["audit"] is None
    assert [n for n in data["notices"] if n.startswith("The audit failed: ") and "audit" in n[18:]]
    assert "The audit failed" in Page((cell.build_dir / "report.html").read_text()).words


def test_what_was_measured_before_is_drawn(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tuple(session(n, {"fp64_speed": [60.0 + n, 61.0]}) for n in (1, 2))
    monkeypatch.setattr(remembering, "sessions", lambda cell: found)
    data = written(cell)
    assert [(t["metric"], len(t["points"])) for t in data["trends"]] == [("fp64_speed", 2)]
    page = Page((cell.build_dir / "report.html").read_text())
    assert "Performance over time" in page.words
    assert "svg" in page.tags
    assert "Performance over time" in (cell.folder / "history.html").read_text()


def test_without_a_history_nothing_is_said_of_it(cell: Cell) -> None:
    assert written(cell)["trends"] == []
    assert "Performance over time" not in (cell.build_dir / "report.html").read_text()
    assert not (cell.folder / "history.html").exists()


def test_a_history_that_cannot_be_read_is_a_notice(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(cell: Cell) -> None:
        raise host_lacks("the history cannot be read: file is not a database", "move it away")

    monkeypatch.setattr(remembering, "sessions", damaged)
    data = written(cell)
    assert data["trends"] == []
    assert [n for n in data["notices"] if "not a database (move it away)" in n]

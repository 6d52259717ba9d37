"""Many exit tests: whom they forbid, two at once, and one that fails stops no other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stack.errors import StackError, host_lacks
from stack.exit_test import ExitRecord
from stack.forbidding import Ban
from stack.host import leaving, leaving_all
from stack.host import run as running
from stack.host.cells import Cell
from stack.host.leaving import Office
from stack.host.library import Library, shipped
from tests.leaving import facts, package
from tests.test_exit_test import RECORD


def office_of(build: Path) -> Office:
    return Office(Library((shipped(),)), build, facts(spack={"cray-mpich": package("hpe")}))


def test_all_forbids_those_that_have_something_of_a_cell_or_a_package(tmp_path: Path) -> None:
    office = office_of(tmp_path)
    wanted, refused = leaving_all.wanted(office, None, "numerics")
    assert not refused and len(wanted) == 16
    assert leaving_all.vendors(office, wanted) == ("amd", "arm", "fujitsu", "hpe", "intel", "nvidia")
    riscv, _refused = leaving_all.wanted(office, "generic-riscv", "numerics")
    assert leaving_all.vendors(office, riscv) == ("hpe",)
    x86, _refused = leaving_all.wanted(office, "generic-x86", "numerics")
    assert leaving_all.vendors(office, x86) == ("amd", "hpe", "intel", "nvidia")


def pairs(office: Office) -> Sequence[tuple[Cell, Ban]]:
    cells = leaving_all.wanted(office, "generic-x86", "numerics")[0]
    return [(c, office.ban("nvidia")) for c in cells]


def test_one_that_fails_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def test(_office: Office, cell: Cell, _ban: Ban, _sink: Any, *, fresh: bool) -> tuple[ExitRecord, bool]:
        if cell.plan.target.partition == "nvidia":
            raise host_lacks("no network")
        return RECORD.model_copy(update={"after": None} if fresh else {}), cell.plan.target.partition == "amd"

    monkeypatch.setattr(leaving, "test", test)
    office = office_of(tmp_path)
    done, failed = leaving_all.test_all(office, pairs(office), fresh=False, quiet=False)
    assert len(done) == 2 and [f.cell for f in failed] == ["numerics/generic-x86/debian13-x86_64_v3-sm90"]
    assert isinstance(failed[0].error, StackError)
    said = capsys.readouterr().err
    assert "reused" in said and "failed" in said and "[3/3]" in said and "here/debian13-x86_64_v3" in said
    leaving_all.test_all(office, pairs(office), fresh=True, quiet=False)
    assert "no exit" in capsys.readouterr().err


def test_two_run_at_once_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, most, guard = threading.Barrier(2, timeout=20), [0, 0], threading.Lock()

    def test(_office: Office, cell: Cell, _ban: Ban, _sink: Any, *, fresh: bool) -> tuple[ExitRecord, bool]:
        with guard:
            most[0] += 1
            most[1] = max(most)
        if cell.plan.target.partition != "amd":
            together.wait()  # which nobody alone gets past
        with guard:
            most[0] -= 1
        return RECORD, fresh

    monkeypatch.setattr(leaving, "test", test)
    office = office_of(tmp_path)
    cells = [p for p in pairs(office) if p[0].plan.target.partition != "amd"]
    done, _failed = leaving_all.test_all(office, cells, fresh=False, quiet=True)
    assert len(done) == 2 and most[1] == 2 == leaving_all.WORKERS


def test_an_interrupt_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def test(*_words: Any, **_more: Any) -> tuple[ExitRecord, bool]:
        raise KeyboardInterrupt

    ended: list[bool] = []
    monkeypatch.setattr(leaving, "test", test)
    monkeypatch.setattr(running, "end_all", lambda: ended.append(True))
    office = office_of(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        leaving_all.test_all(office, pairs(office), fresh=False, quiet=True)
    assert ended == [True]

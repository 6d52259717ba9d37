"""Scales: the file of the suite, which of them a place can give, and what each means for a check."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from stack import scales
from stack.errors import StackError
from stack.host import checks
from tests.reframe_tests.programs import SUITE


@pytest.fixture(scope="module")
def known() -> scales.Scales:
    return checks.sizes()


def test_a_place_offers_what_fits(known: scales.Scales) -> None:
    assert known.offered(1, 1) == ("1_core", "1_node")
    assert known.offered(1, 2) == ("1_core", "2_cores", "1_2_node", "1_node")
    assert known.offered(4, 8)[-3:] == ("1_node", "2_nodes", "4_nodes")
    assert known.offered(16, 64) == tuple(known.scales)


def test_a_scale_that_cannot_be_had_is_refused(known: scales.Scales) -> None:
    assert known.asked("2_cores", 1, 2) == "2_cores"
    with pytest.raises(StackError, match="no scale '2_node'") as unknown:
        known.asked("2_node", 1, 2)
    assert "did you mean '2_nodes'" in str(unknown.value)
    with pytest.raises(StackError, match="takes 2 nodes of at least 1 core, and there is 1 node of 8 cores"):
        known.asked("2_nodes", 1, 8)
    with pytest.raises(StackError, match="there is 1 node of 2 cores"):
        known.asked("4_cores", 1, 2)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("schema: 1\nscales: {1_node: {nodes: 0}}\n", "nodes"),
        ("schema: 1\nscales: {1_node: {nodes: 1, cores: 2, part: 2}}\n", "cores, and a part"),
        ("schema: 2\nscales: {1_node: {nodes: 1}}\n", "schema"),
        ("schema: 1\nscales: {node: {nodes: 1}}\n", "a scale such as"),
        ("schema: 1\n", "scales"),
        ("scales: [", "scales.yaml"),
    ],
)
def test_a_broken_file_is_told(text: str, wrong: str) -> None:
    with pytest.raises(StackError, match=r"scales\.yaml") as told:
        scales.parse(text, "scales.yaml")
    assert wrong in str(told.value)


@pytest.mark.parametrize(
    ("name", "unit", "laid_out"),
    [
        ("1_core", "core", (1, 1, 1)),
        ("2_cores", "core", (2, 2, 1)),
        ("1_2_node", "core", (32, 32, 1)),
        ("1_node", "core", (64, 64, 1)),
        ("2_nodes", "core", (128, 64, 1)),
        ("2_nodes", "node", (2, 1, 64)),
        ("1_node", "socket", (2, 2, 32)),
        ("1_2_node", "socket", (1, 1, 32)),
        ("1_4_node", "socket", (1, 1, 16)),
        ("4_nodes", "numa", (32, 8, 8)),
        ("1_2_node", "device", (2, 2, 16)),
        ("16_nodes", "device", (64, 4, 16)),
    ],
)
def test_one_rank_for_each_compute_unit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: scales.Scales, name: str, unit: str, laid_out: object
) -> None:
    """A node of 64 cores in 2 sockets and 8 NUMA domains, with 4 devices."""
    monkeypatch.syspath_prepend(str(SUITE))
    (tmp_path / "subject.json").write_text(json.dumps({"scale": name}))
    monkeypatch.setenv("SOVSTACK_SUBJECT", str(tmp_path / "subject.json"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    suite = importlib.import_module("suite")
    node = {"core": 64, "socket": 2, "numa": 8, "device": 4}
    scale = known.scales[name].model_dump(exclude_none=True)
    assert suite.laid_out(scale, unit, node) == laid_out
    assert suite.systems("MpiProgram") == [f"+mpi +compilers +scale_{name}"]


def test_a_node_that_tells_nothing_has_one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUITE))
    suite = importlib.import_module("suite")
    empty = {"core": None, "socket": None, "numa": 0, "device": 0}
    assert [suite.laid_out({"nodes": 2}, unit, empty) for unit in ("core", "socket", "numa", "device", "node")] == [
        (2, 1, 1)
    ] * 5

from __future__ import annotations

import pytest

from stack.errors import ExitCode, Fault, Faults, Position, StackError


def test_a_fault_says_where_what_and_the_remedy() -> None:
    assert str(Fault("wrong", Position("f.yaml", 3, 5), "did you mean 'x'?")) == "f.yaml:3:5: wrong (did you mean 'x'?)"
    assert str(Fault("wrong", Position("f.yaml"))) == "f.yaml: wrong"


def test_all_faults_come_out_together_in_document_order_and_once() -> None:
    faults = Faults()
    for line in (9, 2, 9):
        faults.add("wrong", Position("f.yaml", line, 1))
    with pytest.raises(StackError) as caught:
        faults.raise_if_any(ExitCode.HOST)
    assert [f.where.line for f in caught.value.faults if f.where] == [2, 9]
    assert caught.value.exit_code == ExitCode.HOST


def test_no_fault_raises_nothing() -> None:
    Faults().raise_if_any()

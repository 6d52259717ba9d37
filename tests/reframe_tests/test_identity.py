"""Lines for the numerical identity card: inputs that are the same everywhere, results as bits or with bounds."""

from __future__ import annotations

import io
import json
from types import ModuleType
from typing import Any

import pytest

from stack.verdict import Number
from tests.reframe_tests.programs import load

np: Any = pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(monkeypatch, "lib/identity.py")


class Spoken:
    """What a program said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = io.StringIO()
        self.report = load(monkeypatch, "lib/report.py").Report(self.stream)

    @property
    def numbers(self) -> list[Number]:
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [Number.model_validate({k: v for k, v in line.items() if k != "sovstack"}) for line in lines]


def test_the_stream_is_splitmix64(identity: ModuleType) -> None:
    known = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # of Steele, Lea, Flood 2014, seed 0
    assert identity.stream(0, 3).tolist() == known
    assert identity.stream(0, (3, 1)).shape == (3, 1)


def test_odd_integers_have_exactly_their_bits(identity: ModuleType) -> None:
    for bits in (1, 2, 3, 13, 23, 53):
        values = np.abs(identity.odd(1, 10_000, bits))
        assert values.max() < 2**bits
        assert values.min() >= 2 ** (bits - 1)
        assert (values % 2 == 1).all()
    assert 0.4 < (identity.odd(1, 10_000, 13) > 0).mean() < 0.6


@pytest.mark.parametrize("bits", [24, 53])
def test_random_numbers_are_never_rounded(identity: ModuleType, bits: int) -> None:
    values = identity.random(3, 10_000, bits)
    assert (values * 2.0**bits % 2 == 1).all()
    assert np.abs(values).max() < 1
    assert abs(values.mean()) < 0.05
    if bits == 24:
        assert (values.astype(np.float32) == values).all()


def test_powers_are_powers(identity: ModuleType) -> None:
    values = identity.powers(1, 1000, 5)
    assert set(np.log2(values)) == set(range(-5, 6))


def test_the_order_of_a_sum_decides_a_zeros_sign_and_not_the_digest(
    monkeypatch: pytest.MonkeyPatch, identity: ModuleType
) -> None:
    spoken = Spoken(monkeypatch)
    for i, zero in enumerate((0.0, -0.0, 1e-300)):
        identity.exact(spoken.report, f"n{i}", "fp64", "s", [np.ones(2)], np.array([zero, 1.0]), "b")
    first, second, third = (n.digest for n in spoken.numbers)
    assert first == second != third


def test_an_exact_result_keeps_entries_to_find_a_difference_by(
    monkeypatch: pytest.MonkeyPatch, identity: ModuleType
) -> None:
    spoken = Spoken(monkeypatch)
    whole = np.arange(100, dtype=np.int64).reshape(10, 10) - 50
    identity.exact(spoken.report, "n", "int64", "s", [whole], whole, "b")
    kept = spoken.numbers[0].points
    assert [(p.where, float.fromhex(p.value)) for p in (kept[0], kept[1], kept[-1])] == [
        ("0,0", -50), ("1,4", -36), ("9,9", 49)]  # fmt: skip
    assert (len(kept), {float.fromhex(p.bound) for p in kept}) == (8, {0.0})


def test_a_complex_result_is_told_by_parts(monkeypatch: pytest.MonkeyPatch, identity: ModuleType) -> None:
    spoken = Spoken(monkeypatch)
    result = np.array([[1 + 2j, 3 - 4j]])
    identity.bounded(spoken.report, "z", "fp64", "s", [result], result, 0.5, 0.25, "b")
    (number,) = spoken.numbers
    assert [(p.where, float.fromhex(p.value), float.fromhex(p.bound)) for p in number.points] == [
        ("0,0,0", 1, 0.5), ("0,0,1", 2, 0.5), ("0,1,0", 3, 0.5), ("0,1,1", -4, 0.5)]  # fmt: skip
    assert (number.count, number.ratio) == (4, 0.25)


def test_one_bit_of_an_input_shows(identity: ModuleType) -> None:
    a = np.ones((3, 3))
    b = a.copy()
    b[2, 2] = np.nextafter(1, 2)
    assert identity.digest(a) != identity.digest(b)
    assert identity.digest(a) != identity.digest(a.astype(np.float32))
    assert identity.digest(a) != identity.digest(a.ravel())
    assert identity.digest(b.T) == identity.digest(np.ascontiguousarray(b.T))

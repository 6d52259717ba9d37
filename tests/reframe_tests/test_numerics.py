"""The numerics of the check programs, on this machine's NumPy: references are right, wrong products are caught."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest

from tests.reframe_tests.programs import load

np: Any = pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")


@pytest.fixture
def precise(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(monkeypatch, "lib/precise.py")


@pytest.fixture
def gemm(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(monkeypatch, "blas/src/gemm.py")


def exactly(a: Any, b: Any) -> list[list[Fraction]]:
    columns = list(zip(*b.tolist(), strict=True))

    def dot(row: list[float], column: tuple[float, ...]) -> Fraction:
        return sum((Fraction(x) * Fraction(y) for x, y in zip(row, column, strict=True)), Fraction())

    return [[dot(row, column) for column in columns] for row in a.tolist()]


def relative(high: Any, low: Any, exact: list[list[Fraction]], magnitude: Any) -> float:
    return max(float(abs(Fraction(high[i, j]) + Fraction(low[i, j]) - want) / Fraction(magnitude[i, j]))
               for i, row in enumerate(exact) for j, want in enumerate(row))  # fmt: skip


@pytest.mark.parametrize("wide", [0, 30])
def test_the_reference_has_doubled_precision(precise: ModuleType, wide: int) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((5, 60)), rng.standard_normal((60, 4))
    d = 2.0 ** rng.integers(-wide, wide + 1, 60)
    high, low, magnitude = precise.product(a * d, b / d[:, None])
    exact = exactly(a * d, b / d[:, None])
    assert relative(high, low, exact, magnitude) < 60**2 * 2.0**-104
    assert relative(high, 0 * low, exact, magnitude) > 2.0**-70  # without the low part it is fp64 only


def test_the_reference_survives_cancellation(precise: ModuleType) -> None:
    a, b = np.array([[1e16, 1.0, -1e16]]), np.array([[1.0], [1.0], [1.0]])
    high, low, _ = precise.product(a, b)
    assert high[0, 0] + low[0, 0] == 1.0


def test_split_parts_are_short_and_exact(precise: ModuleType) -> None:
    a = np.random.default_rng(2).standard_normal(1000)
    high, low = precise.split(a)
    assert (high + low == a).all()
    assert (np.frexp(high)[0] * 2**26 % 1 == 0).all()
    assert (np.frexp(low)[0] * 2**26 % 1 == 0).all()


def test_magnitude_is_the_product_of_magnitudes(precise: ModuleType) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((7, 9)), rng.standard_normal((9, 8))
    np.testing.assert_allclose(precise.product(a, b)[2], np.abs(a) @ np.abs(b), rtol=1e-14)


def test_not_a_number_is_infinitely_wrong(precise: ModuleType) -> None:
    reference = precise.product(np.ones((2, 2)), np.ones((2, 2)))
    computed = np.array([[2.0, 2.0], [float("nan"), 2.0]])
    ratio, where = precise.worst(computed, reference, 1e-16)
    assert ratio == float("inf")
    assert "entry (1, 0): expected 2.0, got nan" in where


def test_zero_rows_are_right_only_when_zero(precise: ModuleType) -> None:
    reference = precise.product(np.zeros((1, 3)), np.ones((3, 2)))
    assert precise.error(np.array([[0.0, 0.0]]), reference).max() == 0
    assert precise.error(np.array([[0.0, 1e-300]]), reference).max() == float("inf")


class Through:
    """An operand whose product is computed by `how`; NumPy sees an array like any other."""

    def __init__(self, array: Any, how: Callable[[Any, Any], Any]) -> None:
        self.array, self.how = array, how

    def __matmul__(self, other: Any) -> Any:
        return self.how(self.array, other)


def in_fp32(a: Any, b: Any) -> Any:
    if a.dtype != np.float64:
        return a @ b
    return (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float64)


def in_tf32(a: Any, b: Any) -> Any:
    def cut(x: Any) -> Any:
        return (x.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)

    return cut(a) @ cut(b) if a.dtype == np.float32 else a @ b


def by_slices(a: Any, b: Any) -> Any:
    """Emulation of fp64 by six slices of 8 bits per row and column: fine in norm, wrong for wide exponents."""

    def fixed(x: Any, axis: int) -> Any:
        scale = 2.0 ** np.ceil(np.log2(np.abs(x).max(axis=axis, keepdims=True)))
        return np.rint(x / scale * 2.0**48) / 2.0**48 * scale

    return fixed(a, 1) @ fixed(b, 0) if a.dtype == np.float64 and a.ndim == b.ndim == 2 else a @ b


SHAPE = (129, 192, 131)


def ratio(gemm: ModuleType, dtype: str, wide: bool) -> float:
    return float(gemm.componentwise(dtype, SHAPE, wide)[2].value)


def through(monkeypatch: pytest.MonkeyPatch, gemm: ModuleType, how: Callable[[Any, Any], Any]) -> None:
    original = gemm.layouts
    monkeypatch.setattr(gemm, "layouts", lambda a, b: [(n, Through(x, how), y) for n, x, y in original(a, b)])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_honest_library_passes(gemm: ModuleType, dtype: str) -> None:
    found = gemm.exact(dtype)
    assert (found.count, found.detail) == (0, "")
    for shape in gemm.SHAPES:
        for wide in (False, True):
            assert 0 < gemm.componentwise(dtype, shape, wide)[2].value < 0.5


def test_a_product_in_fp32_is_caught(monkeypatch: pytest.MonkeyPatch, gemm: ModuleType) -> None:
    through(monkeypatch, gemm, in_fp32)
    found = gemm.exact("float64")
    assert found.count > 10_000
    assert "A B, float64" in found.detail
    assert "expected" in found.detail
    assert ratio(gemm, "float64", wide=False) > 1e5
    assert gemm.exact("float32").count == 0


def test_a_product_in_tf32_is_caught(monkeypatch: pytest.MonkeyPatch, gemm: ModuleType) -> None:
    through(monkeypatch, gemm, in_tf32)
    assert gemm.exact("float32").count > 10_000
    assert ratio(gemm, "float32", wide=False) > 1


def test_emulation_by_slices_is_caught_by_wide_exponents(monkeypatch: pytest.MonkeyPatch, gemm: ModuleType) -> None:
    through(monkeypatch, gemm, by_slices)
    assert ratio(gemm, "float64", wide=False) < 10
    assert ratio(gemm, "float64", wide=True) > 1e6
    found = gemm.exact("float64")
    assert found.count > 10_000
    assert found.words[0].startswith("A B with wide exponents")  # the plain ones are right


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", range(4))
def test_the_exact_integers_stay_exact(gemm: ModuleType, dtype: str, shape: int) -> None:
    k = gemm.EXACT_SHAPES[shape][1]
    assert sum(gemm.widths(dtype, k)) + (k - 1).bit_length() <= {"float64": 53, "float32": 24}[dtype]


def test_one_shape_has_entries_that_tf32_cannot_hold(gemm: ModuleType) -> None:
    assert max(gemm.widths("float32", shape[1])[0] for shape in gemm.EXACT_SHAPES) > 11
    assert min(gemm.widths("float64", gemm.EXACT_SHAPES[0][1])) > 11


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(monkeypatch, "lib/large.py")


REAL, COMPLEX = ("float64", "float32"), ("complex128", "complex64")


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_large_integers_are_exact_in_any_order_and_too_long_for_less(large: ModuleType, dtype: str) -> None:
    k, held = 1024, 53 if dtype in ("float64", "complex128") else 24
    dense, selected = large.cases(dtype, 16)
    long, short = (int(np.abs(x.real).max()) | 1 for x in dense.integers)
    most = [2**bits - 1 if bits > 1 else 1 for bits in large.BITS[dtype]]
    assert (long <= most[0], short <= most[1]) == (True, True)
    # a complex product may be three real ones of sums
    assert (4 if dtype in COMPLEX else 1) * k * most[0] * most[1] <= 2**held
    assert large.BITS[dtype][0] > (24 if held == 53 else 11)
    assert (np.abs(np.frexp(dense.left.real / dense.integers[0].real)[0]) == 0.5).all()  # scaled, and not rounded
    assert (selected.left == selected.integers[0]).all()
    assert sorted(np.flatnonzero(selected.integers[1]) % 16) == list(range(16))


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_one_wrong_entry_of_a_large_product_is_named(large: ModuleType, dtype: str) -> None:
    for case in large.cases(dtype, 40):
        got = case.left @ case.right
        assert case.wrong(got, "A B") == (0, "")
        for wrong in (got[33, 7] * (1 + 2.0**-20), np.nan, np.inf):
            spoilt = got.copy()
            spoilt[33, 7] = wrong
            count, words = case.wrong(spoilt, "A B")
            assert count in (1, 2)  # parts
            assert words.startswith(f"A B, {dtype}, ")
            assert "40 x 40 x 40, entry (33, 7)" in words
            assert f"expected {float(got[33, 7].real)!r}, got" in words


def test_a_large_product_is_wrong_where_a_power_of_two_is_added(large: ModuleType) -> None:
    a, b = large.whole("float64", 1, (8, 8), 20), large.whole("float64", 2, (8, 8), 20)
    got = (a @ b).astype(np.float64)
    got[2, 3] += 2.0**50
    assert large.wrong_entries(got, a, b)[0] == 1
    got[2, 4] = 2.0**64  # nothing modulo 2^64
    assert large.wrong_entries(got, a, b)[0] == 2


MAPS = """\
7f00-7f01 r-xp 0 fe:00 1 /usr/lib/x86_64-linux-gnu/libm.so.6
7f02-7f03 r-xp 0 fe:00 1 /usr/lib/x86_64-linux-gnu/{path}
"""


@pytest.mark.parametrize(
    ("path", "name", "bundled", "right"),
    [
        ("openblas-pthread/libblas.so.3", "openblas", False, True),
        ("blis-openmp/libblas.so.3", "blis", False, True),
        ("libblas.so.3.12.0", "openblas", False, False),
        ("blis-openmp/libblas.so.3", "openblas", False, False),
        ("libz.so.1", "openblas", False, False),
        ("numpy.libs/libscipy_openblas64_-1.so", "openblas", False, False),
        ("numpy.libs/libscipy_openblas64_-1.so", "openblas", True, True),
    ],
)
def test_whose_library_computes(
    monkeypatch: pytest.MonkeyPatch, path: str, name: str, bundled: bool, right: bool
) -> None:
    found = load(monkeypatch, "lib/mapped.py").wrong(MAPS.format(path=path), name, bundled)
    assert (found == "") is right


@pytest.mark.parametrize(
    ("text", "version", "right"),
    [
        ("2.6.0+debian", "2.6.0", True),
        ("mpirun (Open MPI) 5.0.7\n\nReport bugs", "5.0.7", True),
        ("OpenBLAS 0.3.29 NO_AFFINITY", "0.3.29", True),
        ("gcc (Debian 14.2.0-19) 14.2.0", "14.2.0", True),
        ("v1.2", "1.2", True),
        ("Version: 4.2.1.", "4.2.1", True),
        ("2.6.01", "2.6.0", False),
        ("12.6.0", "2.6.0", False),
        ("1.2.6.0", "2.6.0", False),
        ("2.6.0.1", "2.6.0", False),
        ("2.6.0rc1", "2.6.0", False),
        ("2.6.0-rc1", "2.6.0", False),
        ("2.6.0.dev3", "2.6.0", False),
        ("2x6x0", "2.6.0", False),
        ("", "2.6.0", False),
    ],
)
def test_a_version_is_a_whole_word(monkeypatch: pytest.MonkeyPatch, text: str, version: str, right: bool) -> None:
    assert load(monkeypatch, "smoke/src/versions.py").states(text, version) is right

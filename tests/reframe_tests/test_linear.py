"""LAPACK and HPL-MxP: references are exact, wrong solvers are caught, a false claim of convergence too."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest

from tests.reframe_tests.programs import load

np: Any = pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")


@pytest.fixture
def lapack(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(monkeypatch, "linear/src/lapack.py")


@pytest.fixture
def hpl(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(monkeypatch, "linear/src/hpl_mxp.py")


def measured(module: ModuleType, *works: Callable[[Any], None]) -> dict[str, float]:
    stream = io.StringIO()
    report = module.Report(stream)
    for work in works:
        work(report)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return {line["name"]: line["value"] for line in lines if line["sovstack"] == "metric"}


def test_a_residual_that_cancels_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    precise = load(monkeypatch, "lib/precise.py")
    rng = np.random.default_rng(1)
    a, x = rng.standard_normal((6, 6)), rng.standard_normal((6, 2))
    b = a @ x
    got = precise.residual((a, x), (b, -np.eye(2)))
    for i in range(6):
        for j in range(2):
            want = sum(Fraction(a[i, k]) * Fraction(x[k, j]) for k in range(6)) - Fraction(b[i, j])
            assert abs(Fraction(got[i, j]) - want) <= Fraction(2) ** -95
    assert np.abs(got).max() > 0


def test_complex_residuals_are_those_of_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    precise = load(monkeypatch, "lib/precise.py")
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-9, 9, (4, 4)) + 1j * rng.integers(-9, 9, (4, 4)) for _ in range(2))
    assert (precise.residual((a, b)) == a @ b).all()
    p, e = precise.scaled(a + 0.1, np.array([1.1, 2.2, 3.3, 4.4]))
    assert np.abs(e).max() > 0
    assert (
        np.abs(precise.residual((np.eye(4), p), (np.eye(4), e), (a + 0.1, -np.diag([1.1, 2.2, 3.3, 4.4])))).max()
        < 1e-28
    )


def test_the_known_factors_are_what_they_say(lapack: ModuleType) -> None:
    a, x, b, inverse, root, spd = lapack.known()

    def times(m: Any, n: Any) -> list[list[Fraction]]:
        return [[sum((Fraction(p) * Fraction(q) for p, q in zip(row, column, strict=True) if p and q), Fraction(0))
                 for column in n.T.tolist()] for row in m.tolist()]  # fmt: skip

    assert times(a, inverse) == np.eye(len(a)).tolist()
    assert times(a, x) == b.tolist()
    assert times(root, root.T) == spd.tolist()
    assert np.count_nonzero(a) > 2 * len(a)
    # what elimination and substitution can meet, in any order, fits 53 bits: units of 2^-16
    assert np.max(np.abs(a) @ np.abs(x)) * np.max(np.abs(inverse)) * 2**16 < 2**53


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_known_spectrum_is_known(lapack: ModuleType, symmetric: bool) -> None:
    a, true = lapack.spectrum(symmetric)
    got = np.linalg.eigvalsh(a.astype(float)) if symmetric else np.linalg.svd(a.astype(float), compute_uv=False)
    np.testing.assert_allclose(got, true, atol=1e-9)
    assert len(set(true.tolist())) == len(true)


SVD, CHOLESKY, EIGVALSH, SOLVE = np.linalg.svd, np.linalg.cholesky, np.linalg.eigvalsh, np.linalg.solve
INV, EIGH, EIG, QR = np.linalg.inv, np.linalg.eigh, np.linalg.eig, np.linalg.qr
SINGLE: dict[str, Any] = {
    "svd": lambda a, **k: [(x * (1 + 1e-9)) for x in SVD(a, **k)],
    "cholesky": lambda a: CHOLESKY(a) * (1 + 1e-9),
    "eigvalsh": lambda a: EIGVALSH(a) + 1e-6,
    "solve": lambda a, b: SOLVE(a, b) * (1 + 1e-12),
    "inv": lambda a: INV(a) * (1 + 1e-8),
    "eigh": lambda a: (EIGH(a)[0], EIGH(a)[1] * (1 + 1e-12)),
    "eig": lambda a: (EIG(a)[0] * (1 + 1e-10), EIG(a)[1]),
    "qr": lambda a: (QR(a)[0] * (1 + 1e-10), QR(a)[1]),
}  # fmt: skip


@pytest.mark.parametrize("name", ["svd", "cholesky", "solve", "inv", "eigh", "eig", "qr"])
def test_a_wrong_result_makes_its_ratio_large(lapack: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    routine, matrices = next(pair for pair in lapack.ROUTINES if pair[0].__name__ == name)
    monkeypatch.setattr(lapack, "DTYPES", ("float64",))
    monkeypatch.setattr(np.linalg, name, SINGLE[name])
    found = lapack.ratios(routine, matrices)
    assert found.value > lapack.ACCEPTED
    assert "expected at most 30" in found.detail


def test_a_routine_that_gives_up_is_told(lapack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(_: Any) -> Any:
        raise np.linalg.LinAlgError("Matrix is not positive definite")

    monkeypatch.setattr(np.linalg, "cholesky", gives_up)
    found = lapack.ratios(lapack.cholesky, lambda d: (lapack.positive(d),))
    assert found.value == np.inf
    assert "Matrix is not positive definite" in found.detail


def test_exact_results_and_spectra_catch_small_errors(lapack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(lapack, lapack.say_exact, lapack.say_spectrum)["exact"] == 0
    for name in ("solve", "eigvalsh"):
        monkeypatch.setattr(np.linalg, name, SINGLE[name])
    found = measured(lapack, lapack.say_exact, lapack.say_spectrum)
    assert found["exact"] > 10
    assert found["spectrum_error"] > 1


def test_a_good_matrix_converges_and_a_bad_one_is_not_said_to(hpl: ModuleType) -> None:
    found = measured(hpl, hpl.say_good, hpl.say_bad)
    assert found["scaled_residual"] < 1
    assert found["not_converged"] == found["false_claims"] == 0
    a, _, b = hpl.bad()
    x, claims, steps = hpl.solve(a, b)
    assert not claims
    assert steps == hpl.STEPS
    assert hpl.scaled_residual(a, x, b) > 1e3  # rightly so


def test_a_false_claim_is_caught(hpl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hpl, "solve", lambda a, b: (hpl.apply(hpl.factors(a), b), True, 0))
    found = measured(hpl, hpl.say_good, hpl.say_bad)
    assert found["false_claims"] == 1
    assert found["scaled_residual"] > hpl.ACCEPTED  # without refinement it is a solution of 16 bits


def test_a_solver_that_never_converges_is_caught(hpl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hpl, "apply", lambda made, b: b.copy())
    monkeypatch.setattr(hpl, "STEPS", 2)
    found = measured(hpl, hpl.say_good, hpl.say_bad)
    assert found["not_converged"] == 1
    assert found["false_claims"] == 0


def test_the_condition_of_the_bad_matrix_is_known(hpl: ModuleType) -> None:
    a, _, _ = hpl.bad()
    assert np.linalg.cond(a) == pytest.approx(2.0**44, rel=1e-2)

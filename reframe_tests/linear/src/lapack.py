"""LAPACK through NumPy: the ratios of LAPACK's own tests with exact residuals, and results that are known exactly.

Residuals are computed in doubled precision, so that a wrong BLAS cannot make its own residual small. NumPy gives LAPACK
everything in fp64, fp32 arrays too, so fp32 would be no other case.
"""

import os
import sys
import time

import identity
import numpy as np
from precise import UNIT, norm1, residual, scaled
from report import Report, Worst

SEED = 20260301
N, WIDE_N, TALL_M = 97, 61, 97
ORDER = 64  # of the matrices whose spectrum is known
SMALL = 40  # of those whose factors are
ACCEPTED = 30  # what LAPACK's tests accept as a ratio
DTYPES = ("float64", "complex128")
U = UNIT["float64"]


# --- inputs ---


def general(seed, shape, dtype):
    """Random entries with every bit of the precision."""
    made = identity.random(seed, shape, 53)
    return made + 1j * identity.random(seed + 1, shape, 53) if dtype == "complex128" else made


def hermitian(dtype):
    """A general matrix and its adjoint: sums that are never rounded."""
    a = general(SEED, (N, N), dtype)
    upper = np.triu(a, 1)
    return upper + upper.conj().T + np.diag(np.diag(a).real)


def positive(dtype):
    """B B^H + n of small integers, by NumPy's integer loop: positive definite."""
    b = identity.integers(SEED + 2, (N, N), 7)
    if dtype == "float64":
        return (b @ b.T + N * np.eye(N, dtype=np.int64)).astype(np.float64)
    c = identity.integers(SEED + 3, (N, N), 6)
    whole = b @ b.T + c @ c.T + N * np.eye(N, dtype=np.int64)
    return whole + 1j * (c @ b.T - b @ c.T)


# --- ratios: largest of each routine, and in words ---


def unitary(q):
    """||I - Q^H Q|| / (m u)."""
    eye = np.eye(q.shape[1])
    return norm1(residual((q.conj().T, q), (eye, -eye))) / (q.shape[0] * U)


def svd(a):
    """A = U S V^H; singular values fall and are not negative."""
    left, s, right = np.linalg.svd(a, full_matrices=False)
    p, e = scaled(left, s)
    off = norm1(residual((p, right), (e, right), (a, -np.eye(a.shape[1])))) / (norm1(a) * max(a.shape) * U)
    yield "||A - U S V^H||", off
    yield "||I - U^H U||", unitary(left)
    yield "||I - V^H V||", unitary(right.conj().T)
    yield "singular values in order", 0.0 if (np.diff(s) <= 0).all() and s[-1] >= 0 else np.inf


def qr(a):
    """A = Q R."""
    q, r = np.linalg.qr(a)
    yield "||A - Q R||", norm1(residual((q, r), (a, -np.eye(a.shape[1])))) / (norm1(a) * max(a.shape) * U)
    yield "||I - Q^H Q||", unitary(q)
    yield "R is a triangle", 0.0 if (np.tril(r, -1) == 0).all() else np.inf


def cholesky(a):
    """A = L L^H."""
    low = np.linalg.cholesky(a)
    yield "||A - L L^H||", norm1(residual((low, low.conj().T), (a, -np.eye(N)))) / (norm1(a) * N * U)
    yield "L is a triangle", 0.0 if (np.triu(low, 1) == 0).all() else np.inf


def eigh(a):
    """A Z = Z W."""
    w, z = np.linalg.eigh(a)
    yield "||A Z - Z W||", norm1(residual((a, z), (z, -np.diag(w)))) / (norm1(a) * N * U)
    yield "||I - Z^H Z||", unitary(z)
    yield "eigenvalues in order", 0.0 if (np.diff(w) >= 0).all() else np.inf


def eig(a):
    """A V = V W, not symmetric."""
    w, v = np.linalg.eig(a)
    yield "||A V - V W||", norm1(residual((a, v), (v, -np.diag(w)))) / (norm1(a) * norm1(v) * N * U)


def inv(a):
    """A X = I."""
    x = np.linalg.inv(a)
    eye = np.eye(N)
    yield "||I - A X||", norm1(residual((a, x), (eye, -eye))) / (norm1(a) * norm1(x) * N * U)


def solve(a):
    """A X = B."""
    b = a[:, :7] + a[:, 7:14]
    x = np.linalg.solve(a, b)
    yield "||B - A X||", norm1(residual((a, x), (b, -np.eye(7)))) / (norm1(a) * norm1(x) * N * U)


ROUTINES = (
    (svd, lambda d: (general(SEED, (TALL_M, WIDE_N), d), general(SEED, (WIDE_N, TALL_M), d))),
    (qr, lambda d: (general(SEED, (TALL_M, WIDE_N), d), general(SEED, (N, N), d))),
    (cholesky, lambda d: (positive(d),)),
    (eigh, lambda d: (hermitian(d),)),
    (eig, lambda d: (general(SEED, (N, N), d),)),
    (inv, lambda d: (general(SEED, (N, N), d),)),
    (solve, lambda d: (general(SEED, (N, N), d),)),
)


def ratios(routine, matrices):
    """The largest ratio of one routine, over precisions and shapes."""
    most = Worst()
    for dtype in DTYPES:
        for a in matrices(dtype):
            case = f"{routine.__name__}, {dtype}, {' x '.join(map(str, a.shape))}"
            try:
                for words, value in routine(a):
                    most.add(value, f"{case}: {words} is {value:.4g} units, expected at most {ACCEPTED}")
            except np.linalg.LinAlgError as error:
                most.add(np.inf, f"{case}: expected a result, got: {error}")
    return most


# --- results that are known ---


def hadamard(order):
    """Sylvester's matrix: orthogonal but for its scale, of ones and minus ones."""
    h = np.ones((1, 1), np.int64)
    while len(h) < order:
        h = np.block([[h, h], [h, -h]])
    return h


def spectrum(symmetric):
    """(an integer matrix, its eigenvalues or singular values): H D H', rows and columns with random signs and order."""
    h, d = hadamard(ORDER), np.arange(1, ORDER + 1) * 2 - (ORDER if symmetric else 0)
    left = h * (np.where(identity.integers(SEED + 5, ORDER, 9) > 0, 1, -1))[:, None]
    order = np.argsort(identity.stream(SEED + 6, ORDER), kind="stable")
    right = left.T if symmetric else h[:, order]
    return (left * d) @ right, np.sort(d * ORDER) if symmetric else np.sort(d * ORDER)[::-1]


def say_spectrum(report):
    """Eigenvalues and singular values against the exact ones; the largest error by the bound."""
    most = Worst()
    for name, symmetric, compute in (
        ("eigenvalues", True, np.linalg.eigvalsh),
        ("singular_values", False, lambda a: np.linalg.svd(a, compute_uv=False)),
    ):
        whole, true = spectrum(symmetric)
        a = whole.astype(np.float64)
        got, bound = compute(a), ACCEPTED * ORDER * U * float(np.abs(true).max())
        ratio = np.abs(got - true) / bound
        at = int(np.argmax(ratio))
        most.add(ratio[at], f"{name}, {ORDER} x {ORDER}, number {at}: expected {int(true[at])}, got {float(got[at])!r}")
        identity.bounded(report, name, "fp64", f"{name} of H D H' of order {ORDER}, seed {SEED}", [a], got, bound,
                         ratio[at], f"Weyl, with a backward error of {ACCEPTED} n u ||A||")  # fmt: skip
    report.metric("spectrum_error", most.value, most.detail)


def pair(order, seed, bits):
    """(I + N_L, I + N_U), both with N N = 0: their inverses are I - N. Entries of N_L are less than 1."""
    eye, rows = np.eye(order), identity.stream(seed, order) % np.uint64(2) == 1
    pattern = rows[:, None] & ~rows
    low = np.tril(np.where(pattern, identity.random(seed + 1, (order, order), bits - 1), 0), -1)
    return eye + low, eye + np.triu(np.where(pattern, identity.integers(seed + 2, (order, order), bits), 0), 1)


def known():
    """(A, X, B, A^-1, L, L L^T): factors of few bits, so that elimination in any order, by any blocks, is exact."""
    low, up = pair(SMALL, SEED + 10, 8)
    d = identity.powers(SEED + 13, SMALL, 1)
    order = np.argsort(identity.stream(SEED + 14, SMALL), kind="stable")  # what pivoting has to undo
    eye, x = np.eye(SMALL), identity.odd(SEED + 15, (SMALL, 5), 16).astype(np.float64)
    square = exactly(low, up * d)
    inverse = exactly((2 * eye - up) / d[:, None], 2 * eye - low)
    return square[order], x, exactly(square, x)[order], inverse[:, order], low * d, exactly(low * d, (low * d).T)


def exactly(a, b):
    """The product of short dyadic fractions, in integers."""
    scale = 2.0**10
    whole = np.rint(a * scale).astype(np.int64) @ np.rint(b * scale).astype(np.int64)
    return whole / scale**2


def say_exact(report):
    """solve, inv and cholesky: entries that are not the exact number."""
    count, said = 0, []
    a, x, b, inverse, root, spd = known()
    for name, inputs, compute, want in (
        ("solve", [a, b], np.linalg.solve, x),
        ("inv", [a], np.linalg.inv, inverse),
        ("cholesky", [spd], np.linalg.cholesky, root),
    ):
        got = compute(*inputs)
        wrong = np.argwhere(got != want)
        count += len(wrong)
        if len(wrong):
            at = tuple(map(int, wrong[0]))
            said.append(f"{name} of order {SMALL}, entry {at}: expected {float(want[at])!r}, got {float(got[at])!r}")
        identity.exact(report, f"{name}_exact", "fp64", f"{name} of order {SMALL}, short factors, seed {SEED}", inputs,
                       got, "every partial sum, quotient and inverse is a number that the precision holds")  # fmt: skip
    report.metric("exact", count, "; ".join(said))


def main():
    """All of it, in a few seconds."""
    report = Report()
    for routine, matrices in ROUTINES:
        most = ratios(routine, matrices)
        report.metric(f"{routine.__name__}_ratio", most.value, most.detail)
    say_spectrum(report)
    say_exact(report)
    n = 64 if os.environ.get("SOVSTACK_PATIENCE", "1") != "1" else 192
    whole = identity.random(SEED + 20, (n, n))
    ready = {cholesky: whole @ whole.T + n * np.eye(n), eigh: whole + whole.T}
    for routine, _ in ROUTINES:
        a, begin = ready.get(routine, whole), time.perf_counter()
        getattr(np.linalg, routine.__name__)(*((a, a) if routine is solve else (a,)))
        report.metric(f"{routine.__name__}_seconds", time.perf_counter() - begin)
    report.done()


if __name__ == "__main__":
    sys.exit(main())

"""HPL-MxP: factors of low precision precondition GMRES in fp64, until the solution is as good as one of fp64.

Once with a matrix for which that works, once with one for which it cannot: there the answer has to be that it did not
converge. Whether an answer is right is judged by residuals in doubled precision.
"""

import sys

import identity
import numpy as np
from precise import UNIT, residual
from report import Report

try:
    import torch
except ImportError:
    torch = None

SEED = 20260401
N, BLOCK = 256, 32
STEPS = 50  # of GMRES, all together, as in the reference implementation
ACCEPTED = 16
U = UNIT["float64"]
ARITHMETIC = "fp16 operands, sums in fp32 by NumPy" if torch is None else "bf16 products by PyTorch"


def low_product(a, b):
    """A product whose operands have 16 bits, as fp32."""
    if torch is None:
        return a.astype(np.float16).astype(np.float32) @ b.astype(np.float16).astype(np.float32)
    x, y = (torch.from_numpy(np.ascontiguousarray(m)).to(torch.bfloat16) for m in (a, b))
    return (x @ y).float().numpy()


def factors(a):
    """(L and U in one, order of the rows): panels in fp32 with partial pivoting, everything else in 16 bits."""
    lu, order = a.astype(np.float32), np.arange(len(a))
    for begin in range(0, len(a), BLOCK):
        end = min(begin + BLOCK, len(a))
        for j in range(begin, end):
            pivot = j + int(np.argmax(np.abs(lu[j:, j])))
            lu[[j, pivot]], order[[j, pivot]] = lu[[pivot, j]], order[[pivot, j]]
            lu[j + 1 :, j] /= lu[j, j]
            lu[j + 1 :, j + 1 : end] -= np.outer(lu[j + 1 :, j], lu[j, j + 1 : end])
        for j in range(begin, end):
            lu[j + 1 : end, end:] -= np.outer(lu[j + 1 : end, j], lu[j, end:])
        lu[end:, end:] -= low_product(lu[end:, begin:end], lu[begin:end, end:])
    return lu.astype(np.float64), order


def apply(made, b):
    """The solution of L U x = P b, in fp64."""
    lu, order = made
    x = b[order]
    for i in range(1, len(x)):
        x[i] -= lu[i, :i] @ x[:i]
    for i in reversed(range(len(x))):
        x[i] = (x[i] - lu[i, i + 1 :] @ x[i + 1 :]) / lu[i, i]
    return x


def gmres(a, made, r, steps, wanted):
    """(a correction, steps that it took): GMRES from zero, preconditioned from the left, modified Gram-Schmidt."""
    v = [apply(made, r)]
    size = float(np.linalg.norm(v[0]))
    v[0] = v[0] / size
    h = np.zeros((steps + 1, steps))
    for k in range(steps):
        w = apply(made, a @ v[k])
        for i in range(k + 1):
            h[i, k] = w @ v[i]
            w = w - h[i, k] * v[i]
        h[k + 1, k] = np.linalg.norm(w)
        goal = np.zeros(k + 2)
        goal[0] = size
        y, *_ = np.linalg.lstsq(h[: k + 2, : k + 1], goal, rcond=None)
        left = float(np.linalg.norm(goal - h[: k + 2, : k + 1] @ y))
        if left <= wanted * size or h[k + 1, k] <= U * size:
            break
        v.append(w / h[k + 1, k])
    return np.array(v[: k + 1]).T @ y, k + 1


def unit_of(a, x, b):
    """(||A|| ||x|| + ||b||) n u, by largest sums and entries."""
    return (np.abs(a).sum(axis=1).max() * np.abs(x).max() + np.abs(b).max()) * len(b) * U


def solve(a, b):
    """(x, whether it says that it converged, steps of GMRES): what is under test; it knows fp64 only."""
    made = factors(a)
    if not np.isfinite(made[0]).all():
        return np.zeros_like(b), False, 0
    x, taken = apply(made, b), 0
    while True:
        r = b - a @ x
        size = float(np.abs(r).max() / unit_of(a, x, b))
        if size <= 1:
            return x, True, taken
        if taken >= STEPS or not np.isfinite(size):
            return x, False, taken
        d, steps = gmres(a, made, r, STEPS - taken, 2.0**-40)
        x, taken = x + d, taken + steps


def scaled_residual(a, x, b):
    """||A x - b|| / ((||A|| ||x|| + ||b||) n u), the residual in doubled precision."""
    off = residual((a, x[:, None]), (b[:, None], -np.eye(1)))
    return float(np.abs(off).max() / unit_of(a, x, b))


def good():
    """(A, x, b): the diagonal dominates; entries and b have few bits, so b is A x exactly."""
    a = identity.random(SEED, (N, N), 16)
    a[np.diag_indices(N)] = N
    x = identity.integers(SEED + 1, N, 8).astype(np.float64)
    return a, x, (a * x).sum(axis=1)


def bad():
    """(A, x, b): H D H' of orthogonal ones and powers of two; the condition is 2^44, far from what 16 bits carry."""
    h = np.ones((1, 1))
    while len(h) < N:
        h = np.block([[h, h], [h, -h]])
    d = np.ldexp(1.0, -(np.arange(N) * 45 // N).astype(np.int32))
    signs, order = np.where(identity.integers(SEED + 2, N, 9) > 0, 1.0, -1.0), identity.stream(SEED + 3, N)
    left, right = h[np.argsort(order, kind="stable")], h * signs
    a = (left * d) @ right
    x = identity.integers(SEED + 4, N, 3).astype(np.float64)
    return a, x, (a * x).sum(axis=1)


def say_good(report):
    """It has to converge, and to be right."""
    a, true, b = good()
    x, claims, steps = solve(a, b)
    size = scaled_residual(a, x, b)
    report.metric(
        "scaled_residual", size, f"n = {N}, {ARITHMETIC}, {steps} steps of GMRES: {size:.3g}, expected at most 16"
    )
    report.metric("not_converged", not claims, f"n = {N}, the diagonal dominates, and it says that it did not converge")
    report.metric("steps", steps)
    # rows of A whose diagonal exceeds the rest by so much have an inverse of at most 1 / so much (Varah 1975)
    excess = float((2 * np.abs(np.diag(a)) - np.abs(a).sum(axis=1)).min())
    bound = ACCEPTED * float(unit_of(a, x, b)) / excess
    ratio, basis = float(np.abs(x - true).max()) / bound, "16 (||A|| ||x|| + ||b||) n u ||A^-1||; Varah 1975"
    said = f"A x = b, n = {N}, seed {SEED}; {ARITHMETIC}"
    identity.bounded(report, "hpl_mxp_x", "fp64", said, [a, b], x, bound, ratio, basis)


def say_bad(report):
    """It must not say that it converged."""
    a, _, b = bad()
    x, claims, steps = solve(a, b)
    said = f"condition 2^44, after {steps} steps: expected `did not converge`; it says that it did, with a residual of "
    report.metric("false_claims", claims, said + f"{scaled_residual(a, x, b):.3g} units" if claims else "")


def main():
    """Both, in about two seconds."""
    report = Report()
    with np.errstate(all="ignore"):  # what is not finite is an answer
        say_good(report)
        say_bad(report)
    report.done()


if __name__ == "__main__":
    sys.exit(main())

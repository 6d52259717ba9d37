"""Large gemm, trsm and syrk by their Fortran names: timed, and every entry is judged.

The triangle is D1 (I + N) D2, N N = 0, with powers of two in D1 and D2: the solution of D1 (I + N) D2 X = D1 B is
D2^-1 (I - N) B. The matrix of the update has rows with one entry of half the precision's bits, and rows of shorter
ones. All bits are so few that every partial sum of `large.edge()` terms is exact.
"""

import time

import identity
import large
import numpy as np

REPEATS = 3  # of what is timed, fp64 only
# bits of N, of B; of single entries, of the others in an update
TRIANGLE = {"d": (15, 28), "s": (2, 12), "z": (14, 26), "c": (1, 12)}
UPDATE = {"d": (26, 21), "s": (12, 7), "z": (25, 20), "c": (11, 5)}


def best(kit, run):
    """(what the last run left, seconds of the fastest one)."""
    times = []
    for _ in range(REPEATS if kit.letter == "d" else 1):
        left, seconds = run()
        times.append(seconds)
    return left, min(times)


def called(kit, name, *given):
    """Seconds that a routine took."""
    start = time.perf_counter()
    kit.call(name, *given)
    return time.perf_counter() - start


def gemm(kit, n):
    """C = A B, of both kinds of operands; seconds of the faster."""
    times = []
    for case in large.cases(kit.dtype.name, n):
        a, b = (np.asfortranarray(x) for x in (case.left, case.right))

        def run(a=a, b=b):
            c = np.full((n, n), np.nan, kit.dtype, order="F")
            return c, called(kit, "gemm", "N", "N", n, n, n, kit.scalar(1), a, b, kit.scalar(0), c)

        got, seconds = best(kit, run)
        kit.add(*case.wrong(got, f"{kit.letter}gemm NN"))
        times.append(seconds)
    return min(times)


def trsm(kit, n):
    """T X = B with a lower triangle; what is above it is no number."""
    (short, long), half, name = TRIANGLE[kit.letter], n // 2, kit.dtype.name
    inner = large.whole(name, large.SEED + 11, (n, n), short)
    inner[:half], inner[:, half:] = 0, 0
    b = large.whole(name, large.SEED + 12, (n, n), long)
    d1, d2 = (identity.powers(large.SEED + 13 + i, n, large.WIDE[name]) for i in (0, 1))
    t = np.where(np.tri(n, dtype=bool), d1[:, None] * (np.eye(n) + inner) * d2, np.nan)
    t, given = (np.asfortranarray(x.astype(kit.dtype)) for x in (t, d1[:, None] * b))

    def run():
        x = given.copy(order="F")
        return x, called(kit, "trsm", "L", "L", "N", "N", n, n, kit.scalar(1), t, x)

    got, seconds = best(kit, run)
    inverse = np.eye(n, dtype=inner.dtype) - inner
    count, words = large.wrong_entries(got, inverse, b, 1 / d2)
    kit.add(count, words and f"{kit.letter}trsm LLNN, {long} bits with wide exponents, {n} x {n}, {words}")
    return seconds


def syrk(kit, n):
    """The lower triangle of A A^T, rows scaled by powers of two; it is judged with its mirror image."""
    (single, others), half, name = UPDATE[kit.letter], n // 2, kit.dtype.name
    a = large.whole(name, large.SEED + 21, (n, n), others)
    a[:half] = large.selection(large.SEED + 22, n)[:half] * large.whole(name, large.SEED + 24, (half, 1), single)
    d = identity.powers(large.SEED + 23, n, large.WIDE[name])
    given = np.asfortranarray((d[:, None] * a).astype(kit.dtype))

    def run():
        c = np.full((n, n), np.nan, kit.dtype, order="F")
        return c, called(kit, "syrk", "L", "N", n, n, kit.scalar(1), given, kit.scalar(0), c)

    got, seconds = best(kit, run)
    got = np.where(np.tri(n, dtype=bool), got, got.T)
    count, words = large.wrong_entries(got, a, a.T, d, d)
    said = f"{kit.letter}syrk LN, {single} and {others} bits with wide rows, {n} x {n}, lower triangle mirrored"
    kit.add(count, words and f"{said}, {words}")
    return seconds


def speeds(kit, n):
    """GFLOP/s by the names of metrics, and what was wrong is in the kit."""
    works = (("gemm", gemm, 2), ("trsm", trsm, 1), ("syrk", syrk, 1))
    present = [w for w in works if kit.library.find(kit.letter + w[0]) is not None]
    return {f"{kit.letter}{name}_speed": flops * 1e-9 * n**3 / work(kit, n) for name, work, flops in present}

"""Matrix products through NumPy: exact integers, componentwise bounds, and whose library computes them."""

import sys
import time

import identity
import large
import mapped
import numpy as np
from precise import UNIT, gamma, product, worst
from report import Report, Worst

SEED = 20260101
SHORT = {"float64": "fp64", "float32": "fp32"}
BITS = {"float64": 53, "float32": 24}
# Odd edges leave no kernel's remainder loop out; the others cross what libraries cut k, and m and n, into.
SHAPES = ((129, 192, 131), (31, 3001, 37))
# In one all edges are longer than any that libraries call small; longer ones still are those of `large`.
EXACT_SHAPES = ((65, 192, 67), (33, 4099, 35), (1031, 29, 67), (257, 256, 259))
REPEATS = 3  # of a timed product
WIDE = {"float64": 30, "float32": 15}  # exponents of the scaling


def widths(dtype, k):
    """Bits of A and B: with k of them, every partial sum is an integer that the precision holds."""
    both = BITS[dtype] - (k - 1).bit_length()
    narrow = both // 2 if dtype == "float64" else min(4, both // 3)  # in fp32 one must be too long for TF32
    return both - narrow, narrow


def layouts(a, b):
    """The same product in the four layouts, each another BLAS case."""
    at, bt = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    return (("A B", a, b), ("A^T B", at.T, b), ("A B^T", a, bt.T), ("A^T B^T", at.T, bt.T))


class Entries:
    """Counts entries that are not the exact number, keeps the first in words, and all results."""

    def __init__(self):
        self.count, self.words, self.results, self.inputs = 0, [], [], []

    def compare(self, name, got, want):
        """One result; integers of `want` are exact in fp64."""
        got, want = np.asarray(got), np.asarray(want).astype(np.float64)
        wrong = np.argwhere(got.astype(np.float64) != want)
        self.count += len(wrong)
        self.results.append(np.ravel(got))
        if len(wrong):
            at = tuple(int(x) for x in wrong[0])
            self.words.append(f"{name}{at}: expected {float(want[at])!r}, got {float(got[at])!r}")

    def add(self, count, words):
        """What somebody else has counted."""
        self.count += count
        self.words += [words] if words else []

    @property
    def detail(self):
        """The first of them."""
        return "; ".join(self.words[:3])


def integer_products(found, dtype, shape, swap):
    """One shape: four layouts, the same with rows, columns and sums scaled by powers of two, a vector, a dot."""
    (m, k, n), (wide, narrow) = shape, widths(dtype, shape[1])[:: -1 if swap else 1]
    a, b = identity.odd(SEED, (m, k), wide), identity.odd(SEED + 1, (k, n), narrow)
    want = a @ b  # NumPy multiplies integers itself, without BLAS
    x, y = a.astype(dtype), b.astype(dtype)
    said = f"{dtype}, {wide} by {narrow} bits, {m} x {k} x {n}, entry "
    # every term of a sum keeps its value, or is scaled as the whole sum: exact in every order
    d, rows, columns = (identity.powers(SEED + 2 + i, c, WIDE[dtype]).astype(dtype) for i, c in enumerate((k, m, n)))
    for name, left, right in layouts(x, y):
        found.compare(f"{name}, {said}", left @ right, want)
    for name, left, right in layouts(rows[:, None] * x * d, y / d[:, None] * columns):
        found.compare(f"{name} with wide exponents, {said}", left @ right, rows[:, None] * want * columns)
    found.compare(f"A b, {said}", x @ y[:, 0], want[:, 0])
    found.compare(f"a b, {said}", np.atleast_1d(x[0] @ y[:, 0]), want[0, :1])
    found.inputs += [x, y, d, rows, columns]


def exact(dtype):
    """Entries that are not the exact integer."""
    found = Entries()
    for shape in EXACT_SHAPES:
        integer_products(found, dtype, shape, swap=False)
        integer_products(found, dtype, shape, swap=True)
    k = 128
    s = identity.odd(SEED, (33, k), 22 if dtype == "float64" else 8)
    found.compare(f"S S^T, {dtype}, k = {k}, entry ", s.astype(dtype) @ s.astype(dtype).T, s @ s.T)
    found.inputs.append(s.astype(dtype))
    return found


def operands(dtype, shape, wide):
    """Random matrices with every bit of the precision; with `wide`, (A D, D^-1 B), D powers of two."""
    m, k, n = shape
    a, b = (identity.random(SEED + 5 + i, s, BITS[dtype]) for i, s in enumerate(((m, k), (k, n))))
    if wide:
        d = identity.powers(SEED + 7, k, 30)
        a, b = a * d, b / d[:, None]
    return a.astype(dtype), b.astype(dtype)


def componentwise(dtype, shape, wide):
    """(result, its bound by entry, largest |C^ - C| / (gamma_k |A||B|) over all layouts)."""
    a, b = operands(dtype, shape, wide)
    reference, most, bound = product(a, b), Worst(), gamma(shape[1], UNIT[dtype])
    for name, left, right in layouts(a, b):
        ratio, where = worst(left @ right, reference, bound)
        most.add(ratio, f"{name}, {dtype}, {' x '.join(map(str, shape))}, {where}")
    return a @ b, bound * reference[2], most


def large_products(found, dtype, n):
    """GFLOP/s of n x n products, the best of a few; of each the entries that are not the exact number are counted."""
    times = []
    for case in large.cases(dtype, n):
        for _ in range(REPEATS):
            start = time.perf_counter()
            got = case.left @ case.right
            times.append(time.perf_counter() - start)
            found.add(*case.wrong(got, "A B"))
    return 2e-9 * n**3 / min(times)


def say_exact(report, dtype, n):
    """The exact products: a metric and a number of the card; in fp64 also how fast the large ones were."""
    found = exact(dtype)
    speed = large_products(found, dtype, n)
    report.metric(f"{SHORT[dtype]}_exact", found.count, found.detail)
    shapes = ", ".join("x".join(map(str, s)) for s in EXACT_SHAPES)
    said = f"products of odd integers, {shapes}, four layouts, plain and scaled by powers of two, seed {SEED}"
    basis = "every partial sum is an integer that the precision holds"
    identity.exact(report, f"gemm_{SHORT[dtype]}_exact", SHORT[dtype], said, found.inputs,
                   np.concatenate(found.results), basis)  # fmt: skip
    if dtype == "float64":
        report.metric("fp64_speed", speed)


def say_bounded(report, dtype, wide):
    """The componentwise bound: a metric over all shapes, and a number of the card for each."""
    most, short, suffix = Worst(), SHORT[dtype], "_wide" if wide else ""
    for shape in SHAPES:
        result, bound, found = componentwise(dtype, shape, wide)
        most.add(found.value, found.detail)
        scaled = ", (A D)(D^-1 B) with D = 2^(+-30)" if wide else ""
        said = f"A B, {' x '.join(map(str, shape))}, entries of {BITS[dtype]} bits in (-1, 1){scaled}, seed {SEED}"
        identity.bounded(report, f"gemm_{short}{suffix}_k{shape[1]}", short, said, operands(dtype, shape, wide), result,
                         bound, found.value, "gamma_k |A||B|; Higham 3.5")  # fmt: skip
        if dtype == "float64" and not wide and shape is SHAPES[0]:
            k, u = shape[1], UNIT[dtype]
            report.metric("fp64_error_typical", found.value * gamma(k, u) / (k**0.5 * u))
    report.metric(f"{short}_error{suffix}", most.value, most.detail)


def main():
    """All of it, in a few seconds."""
    report = Report()
    for dtype in SHORT:
        say_exact(report, dtype, large.edge())
        for wide in (False, True):
            say_bounded(report, dtype, wide)
    wrong = mapped.wrong(mapped.MAPS.read_text(encoding="utf-8"), *mapped.locked())
    report.metric("foreign_blas", bool(wrong), wrong)
    report.done()


if __name__ == "__main__":
    sys.exit(main())

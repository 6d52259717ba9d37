"""In the subject: products of integers whose three edges are all large, and every entry of them judged exactly.

Libraries that emulate a precision, or hand work to a device, choose by size: what is right for small products says
nothing of large ones. A large product is not computed twice: C v and A (B v) are compared, modulo 2^64, for a vector
of long integers (Freivalds 1979); only rows that differ are multiplied in full.
"""

import os

import identity
import numpy as np
from precise import square, tall

SEED = 20260301
ROWS = 64  # of a wrong product that are multiplied in full
# Bits of A and of B: with k = 1024 every partial sum is an integer that the precision holds, also where a complex
# product is made of three real ones of sums; A is too long for fp32 and three bfloat16, and in fp32 for TF32.
BITS = {"float64": (28, 15), "float32": (12, 2), "complex128": (26, 14), "complex64": (12, 1)}
LONGEST = {"float64": 53, "float32": 24, "complex128": 52, "complex64": 23}
WIDE = {"float64": 30, "float32": 15, "complex128": 30, "complex64": 15}  # exponents of the scaling


def edge():
    """Edge of a large product; an emulated CPU is too slow for more than 256."""
    return 256 if os.environ.get("SOVSTACK_PATIENCE", "1") != "1" else 1024


def whole(dtype, seed, shape, bits):
    """Odd integers of so many bits, in both parts where `dtype` is complex."""
    made = identity.odd(seed, shape, bits)
    return made + 1j * identity.odd(seed + 50, shape, bits) if dtype.startswith("complex") else made


def selection(seed, k):
    """A signed permutation matrix of order k."""
    chosen = np.zeros((k, k), np.int64)
    chosen[np.argsort(identity.stream(seed, k), kind="stable"), np.arange(k)] = identity.odd(seed + 1, k, 1)
    return chosen


def wrong_entries(got, a, b, rows=None, columns=None):
    """(how many entries are not A B, or more, the first in words), A and B integers; complex ones by parts, as `tall`.

    `rows` and `columns`: powers of two that the product's rows and columns have been scaled by.
    """
    mixed = np.iscomplexobj(a) or np.iscomplexobj(b)
    a, b = (x.astype(np.complex128) if mixed else x for x in (a, b))
    got = tall(np.asarray(got).astype(np.complex128 if mixed else np.float64))
    a, b = square(a).astype(np.int64), tall(b).astype(np.int64)
    left = np.ones(len(got)) if rows is None else np.tile(rows, len(got) // len(rows))
    right = np.ones(got.shape[1]) if columns is None else columns
    with np.errstate(invalid="ignore"):
        plain = got / left[:, None] / right
        fits = np.isfinite(plain) & (np.abs(plain) <= 2.0**53) & (np.rint(plain) == plain)
    integers = np.where(fits, plain, 0).astype(np.int64)
    vector = identity.odd(SEED + 9, b.shape[1], 40)
    differ = (integers @ vector != a @ (b @ vector)) | ~fits.all(axis=1)
    said = np.flatnonzero(differ)
    if not len(said):
        return 0, ""
    want = a[said[:ROWS]] @ b
    bad = np.argwhere(plain[said[:ROWS]] != want)
    if not len(bad):
        return len(said), f"row {int(said[0])}: expected another one modulo 2^64"
    i, j = (int(x) for x in bad[0])
    row, scale = int(said[i]), left[said[i]] * right[j]
    part = ("", " real part", " imaginary part")[0 if not mixed else 1 + 2 * row // len(got)]
    where = row % (len(got) // 2) if mixed else row
    words = f"entry ({where}, {j}){part}: expected {float(want[i, j] * scale)!r}, got {float(got[row, j])!r}"
    return len(bad) + len(said[ROWS:]), words


class Case:
    """A product in a precision that holds its operands and all of its sums; `wrong` judges what came out."""

    def __init__(self, said, dtype, integers, scaled):
        self.said, self.integers = f"{dtype}, {said}, {' x '.join([str(len(integers[0]))] * 3)}", integers
        self.rows, self.columns, d = scaled
        a, b = integers
        self.left = (self.rows[:, None] * a * d).astype(dtype)
        self.right = (b / d[:, None] * self.columns).astype(dtype)

    def wrong(self, got, way):
        """As `wrong_entries`; `way` is how it was computed."""
        count, words = wrong_entries(got, *self.integers, self.rows, self.columns)
        return count, words and f"{way}, {self.said}, {words}"


def cases(dtype, n):
    """Dense integers with rows, columns and terms scaled by powers of two; numbers of full length, selected."""
    (long, short), one = BITS[dtype], np.ones(n)
    dense = whole(dtype, SEED, (n, n), long), whole(dtype, SEED + 1, (n, n), short)
    scaled = [identity.powers(SEED + 2 + i, n, WIDE[dtype]) for i in range(3)]
    yield Case(f"{long} by {short} bits with wide exponents", dtype, dense, scaled)
    full = whole(dtype, SEED + 5, (n, n), LONGEST[dtype])
    yield Case(f"{LONGEST[dtype]} bits by a signed permutation", dtype, (full, selection(SEED + 6, n)), [one] * 3)

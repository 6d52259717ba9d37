"""Routines of a BLAS by their Fortran names, in four precisions, against exact results.

Inputs are integers, so that every order of summation gives the same bits. A triangular matrix to be solved with is
(I + N) D with N N = 0 and powers of two in D: its inverse is (D^-1)(I - N), so substitution, reciprocals of the
diagonal and inverted blocks are all exact. Everything is also scaled by powers of two that no sum sees. What a routine
must not read (the other triangle, an unit diagonal, C where beta is 0, rows beyond the matrix) holds not-a-number.
"""

import identity
import numpy as np
from precise import square, tall

SEED = 20260201
M, N, K = 61, 45, 53
GAP = 3  # rows between a matrix's columns in memory
DTYPES = {"d": "float64", "s": "float32", "z": "complex128", "c": "complex64"}
SHORT = {"d": "fp64", "s": "fp32", "z": "complex_fp64", "c": "complex_fp32"}
# bits of the long and the short operand, of both in a rank-k update, of a triangle to be solved with
WIDTHS = {"d": (23, 22, 21, 18), "s": (12, 4, 7, 3), "z": (21, 20, 20, 18), "c": (12, 3, 6, 2)}
EXPONENTS = {"d": 30, "s": 12, "z": 30, "c": 12}
NAN = float("nan")
ALPHA, BETA = -2, 3
ADJOINT = {"N": lambda x: x, "T": lambda x: x.T, "C": lambda x: x.conj().T}


def times(a, b):
    """The product of integer matrices, exactly; by NumPy's own integer loop, not by a BLAS."""
    whole = square(a).astype(np.int64) @ tall(b).astype(np.int64)
    if not np.iscomplexobj(a):
        return whole.astype(np.float64)
    return whole[: len(a)] + 1j * whole[len(a) :]


class Kit:
    """What a case needs: the routines of one letter, its inputs, and where its results go."""

    def __init__(self, library, letter):
        self.library, self.letter, self.dtype = library, letter, np.dtype(DTYPES[letter])
        self.complex = self.dtype.kind == "c"
        self.long, self.short, self.square, self.narrow = WIDTHS[letter]
        self.seed, self.count, self.said, self.results, self.inputs = SEED, 0, "", {}, []

    def whole(self, shape, bits):
        """Odd integers of so many bits, in both parts; the next of the stream at every call."""
        self.seed += 1
        made = identity.odd(self.seed, shape, bits).astype(np.float64)
        if self.complex:
            self.seed += 1
            made = made + 1j * identity.odd(self.seed, shape, bits)
        return made

    def powers(self, count):
        """Powers of two."""
        self.seed += 1
        return identity.powers(self.seed, count, EXPONENTS[self.letter])

    def scalar(self, value, dtype=None):
        """A number as the routine wants it."""
        return np.array(value, dtype or self.dtype)

    def real(self, value):
        """A real number of the same precision: scalars of Hermitian updates."""
        return self.scalar(value, np.zeros(1, self.dtype).real.dtype)

    def place(self, matrix):
        """The matrix by columns, with not-a-number between them; it is a view of what the routine gets."""
        rows, columns = matrix.shape
        room = np.full((rows + GAP, columns), NAN, self.dtype, order="F")
        room[:rows] = matrix
        return room

    def triangle(self, matrix, uplo, unit=False):
        """As `place`, and what is not the triangle holds not-a-number."""
        rows = len(matrix)
        kept = np.triu(np.ones((rows, rows), bool)) if uplo == "U" else np.tril(np.ones((rows, rows), bool))
        if unit:
            np.fill_diagonal(kept, val=False)
        return self.place(np.where(kept, matrix, NAN))

    def call(self, name, *given):
        """Call the routine; arrays of two dimensions are followed by their leading dimension."""
        words = []
        for x in given:
            words += [x, x.shape[0]] if isinstance(x, np.ndarray) and x.ndim == 2 else [x]
        self.library.call(self.letter + name, *words)

    def compare(self, name, case, got, want):
        """One result with the exact one; rows beyond the matrix must still be no numbers."""
        rows = want.shape[0]
        spoilt = int(np.count_nonzero(~np.isnan(got[rows:]))) if got.ndim > 1 else 0
        got = got[:rows]
        with np.errstate(invalid="ignore"):
            wrong = np.argwhere(~((got == want) | (np.isnan(got) & np.isnan(want))))
        self.count += len(wrong) + spoilt
        self.results.setdefault(name, []).append(np.where(np.isnan(got), 0, got).ravel())
        if (len(wrong) or spoilt) and not self.said:
            at = tuple(int(i) for i in wrong[0]) if len(wrong) else (rows, 0)
            should = want[at] if len(wrong) else "nothing written below the matrix"
            shape = " x ".join(map(str, want.shape))
            place = f"{self.letter}{name} {case}, {shape} from integers, seed {SEED}, entry {at}"
            self.said = f"{place}: expected {should}, got {got[at] if len(wrong) else got}"

    def add(self, count, words):
        """What somebody else has counted."""
        self.count += count
        self.said = self.said or words


def start(shape, beta, kit):
    """(C as it goes in, what beta C adds)."""
    c = kit.whole(shape, 4)
    return (c, BETA * c) if beta else (np.full(shape, NAN, kit.dtype), np.zeros(shape))


def gemm(kit):
    """alpha op(A) op(B) + beta C."""
    for ta, tb in (("N", "N"), ("T", "N"), ("C", "T"), ("N", "C")):
        a, b, d = kit.whole((M, K), kit.long), kit.whole((K, N), kit.short), kit.powers(K)
        for beta in (0, BETA):
            c, added = start((M, N), beta, kit)
            room, want = kit.place(c), ALPHA * times(a, b) + added
            given = kit.place(ADJOINT[ta](a * d)), kit.place(ADJOINT[tb](b / d[:, None]))
            kit.inputs += given
            kit.call("gemm", ta, tb, M, N, K, kit.scalar(ALPHA), *given, kit.scalar(beta), room)
            kit.compare("gemm", f"{ta}{tb}, beta = {beta}", room, want)


def symmetric(kit, name):
    """symm, hemm: A B or B A with one triangle of A."""
    for side, uplo, beta in (("L", "U", 0), ("L", "L", BETA), ("R", "U", BETA), ("R", "L", 0)):
        order = M if side == "L" else N
        half = np.triu(kit.whole((order, order), kit.long), 1)
        diagonal = np.diag(kit.whole((order, 1), kit.long)[:, 0])
        mirror = half.conj().T if name == "hemm" else half.T
        a = half + mirror + (diagonal.real if name == "hemm" else diagonal)
        b, d = kit.whole((M, N), kit.short), kit.powers(order)
        c, added = start((M, N), beta, kit)
        # Hermitian: the imaginary part of the diagonal is taken as zero, whatever is there
        stored = (a + 7j * np.eye(order) if name == "hemm" else a) * d * d[:, None]
        left = side == "L"
        want = times(a, b) * d[:, None] if left else times(b, a) * d
        scale = d[:, None] if left else d
        room = kit.place(c * scale)
        given = kit.triangle(stored, uplo), kit.place(b / scale)
        kit.inputs += [given[0], given[1]]
        kit.call(name, side, uplo, M, N, kit.scalar(ALPHA), *given, kit.scalar(beta), room)
        kit.compare(name, f"{side}{uplo}, beta = {beta}", room, ALPHA * want + added * scale)


def half_of(matrix, uplo):
    """A triangle of it; the other one no numbers, as it went in."""
    kept = np.triu(np.ones(matrix.shape, bool)) if uplo == "U" else np.tril(np.ones(matrix.shape, bool))
    return np.where(kept, matrix, NAN)


def update(kit, name):
    """syrk, herk: A A^T; syr2k, her2k: A B^T + B A^T with A D and B D^-1. Only one triangle of C is touched."""
    two, adjoint = "2" in name, "T" if name.startswith("sy") else "C"
    for uplo, trans, beta in (("U", "N", 0), ("L", "N", BETA), ("U", adjoint, BETA), ("L", adjoint, 0)):
        a = kit.whole((N, K), kit.square)
        b, d = (kit.whole((N, K), kit.square), kit.powers(K)) if two else (a, np.ones(K))
        flipped = ADJOINT[adjoint]
        alpha = complex(ALPHA, 1) if name == "her2k" else ALPHA
        first = times(a, flipped(b))
        want = alpha * first + (np.conj(alpha) * times(b, flipped(a)) if two else 0)
        c = kit.whole((N, N), 4)
        if name.startswith("he"):
            want[np.diag_indices(N)] = want[np.diag_indices(N)].real
            added = BETA * (c - 1j * np.diag(np.diag(c).imag))
        else:
            added = BETA * c
        room = kit.triangle(c if beta else np.full((N, N), NAN), uplo)
        turn = (lambda x: x) if trans == "N" else flipped
        given = [kit.place(turn(x)) for x in ([a * d, b / d] if two else [a])]
        kit.inputs += given
        real = name.startswith("he")
        scalars = (
            kit.real(ALPHA) if real and not two else kit.scalar(alpha),
            kit.real(beta) if real else kit.scalar(beta),
        )
        kit.call(name, uplo, trans, N, K, scalars[0], *given, scalars[1], room)
        kit.compare(name, f"{uplo}{trans}, beta = {beta}", room, half_of(want + (added if beta else 0), uplo))


def nilpotent(kit, order, uplo, bits):
    """N of one triangle with N N = 0, and powers of two."""
    rows = identity.stream(kit.seed + 7, order) % np.uint64(2) == 1
    full = np.where(rows[:, None] & ~rows, kit.whole((order, order), bits), 0)
    return np.triu(full, 1) if uplo == "U" else np.tril(full, -1), identity.powers(kit.seed + 9, order, 1)


def triangular(kit, name):
    """trmm: B := alpha op(A) B; trsm: the solution of op(A) X = alpha B; from both sides."""
    for side, uplo, trans, diag in (
        ("L", "U", "N", "N"), ("L", "L", "N", "U"), ("L", "U", "T", "N"), ("L", "L", "C", "N"),
        ("R", "U", "N", "N"), ("R", "L", "N", "N"), ("R", "U", "C", "U"), ("R", "L", "T", "N"),
    ):  # fmt: skip
        order = M if side == "L" else N
        n, powers = nilpotent(kit, order, uplo, kit.narrow)
        unit = diag == "U"
        a = (np.eye(order) + n) * (1 if unit else powers)
        turned = ADJOINT[trans](a)
        x = kit.whole((M, N), kit.long)
        y = times(turned * 2, x) / 2 if side == "L" else times(x, turned * 2) / 2
        # D1 op(A) D2 with X scaled by D2^-1 and Y by D1; a unit diagonal stays one where D2 is D1^-1
        d1 = kit.powers(order)
        d2 = 1 / d1 if unit else kit.powers(order)
        stored = ADJOINT[trans](d1[:, None] * turned * d2)
        along = (lambda d: d[:, None]) if side == "L" else (lambda d: d)
        given = kit.triangle(stored, uplo, unit)
        if side == "L":
            x, y = x / along(d2), y * along(d1)
        else:
            x, y = x / along(d1), y * along(d2)
        put, want = (y, ALPHA * x) if name == "trsm" else (x, ALPHA * y)
        room = kit.place(put)
        kit.inputs += [given, room.copy()]
        kit.call(name, side, uplo, trans, diag, M, N, kit.scalar(ALPHA), given, room)
        kit.compare(name, f"{side}{uplo}{trans}{diag}", room, want)


def vectors(kit):
    """Matrix by vector, a rank-one update and inner products, with strides, also backwards."""
    a, x, y = kit.whole((M, N), kit.long), kit.whole((N, 1), kit.short), kit.whole((M, 1), 4)
    spread = np.full(2 * N, NAN, kit.dtype)
    spread[::2] = x[::-1, 0]
    room = y[:, 0].astype(kit.dtype)
    kit.call("gemv", "N", M, N, kit.scalar(ALPHA), kit.place(a), spread, -2, kit.scalar(BETA), room, 1)
    kit.compare("gemv", "N, every second, backwards", room, ALPHA * times(a, x)[:, 0] + BETA * y[:, 0])
    room, into = kit.whole((M, 1), kit.short), np.full(N, NAN, kit.dtype)
    kit.call(
        "gemv", "T", M, N, kit.scalar(ALPHA), kit.place(a), room[:, 0].astype(kit.dtype), 1, kit.scalar(0), into, 1
    )
    kit.compare("gemv", "T, beta = 0", into, ALPHA * times(a.T, room)[:, 0])
    target = kit.place(a)
    name = "gerc" if kit.complex else "ger"
    kit.call(name, M, N, kit.scalar(1), y[:, 0].astype(kit.dtype), 1, x[:, 0].astype(kit.dtype), 1, target)
    kit.compare(name, "rank one", target, a + times(y, x.conj().T))
    n, powers = nilpotent(kit, M, "L", kit.narrow)
    t, long = (np.eye(M) + n) * powers, kit.whole((M, 1), kit.long)
    room = (times(t * 2, long) / 2)[:, 0].astype(kit.dtype)
    kit.inputs += [a, x, y, t, long]
    kit.call("trsv", "L", "N", "N", M, kit.triangle(t, "L"), room, 1)
    kit.compare("trsv", "LNN", room, long[:, 0])


def exact(library, letter):
    """Everything of one precision; (the kit, routines that the library lacks)."""
    kit = Kit(library, letter)
    works = [("gemm", gemm), ("gemv", vectors), ("trmm", triangular), ("trsm", triangular), ("symm", symmetric),
             ("syrk", update), ("syr2k", update)]  # fmt: skip
    if kit.complex:
        works += [("hemm", symmetric), ("herk", update), ("her2k", update)]
    lacking = [letter + name for name, _ in works if library.find(letter + name) is None]
    for name, work in works:
        if letter + name not in lacking:
            work(kit) if work in (gemm, vectors) else work(kit, name)
    return kit, lacking

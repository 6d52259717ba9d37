"""Fourier transforms of NumPy: round trip, Parseval, and against the definition with roots of unity of 106 bits."""

import math
import sys
import time
from fractions import Fraction

import identity
import numpy as np
from precise import UNIT, gamma, product, two_product
from report import Report, Worst

SEED = 20260501
LENGTHS = (8, 60, 64, 97, 360, 512)  # powers of two, short primes, a prime that may be done by convolution
COLUMNS = 2
BITS = 256  # of the fixed point in which roots are computed
PRECISIONS = (("fp64", np.complex128, UNIT["float64"]), ("fp32", np.complex64, UNIT["float32"]))


def machin():
    """pi in fixed point: 16 arctan(1/5) - 4 arctan(1/239)."""

    def arctan(inverse):
        total, term, n = 0, (1 << BITS) // inverse, 1
        while term:
            total, term, n = total + (term // n if n % 4 == 1 else -(term // n)), term // inverse**2, n + 2
        return total

    return 16 * arctan(5) - 4 * arctan(239)


def first_root(n):
    """exp(-2 pi i / n) in fixed point, by Taylor's series."""
    angle = -2 * machin() // n
    parts, term, k = [0, 0], 1 << BITS, 0
    while term not in (0, -1):
        parts[k % 2] += term if k % 4 in (0, 1) else -term
        k += 1
        term = (term * angle >> BITS) // k
    return parts[0], parts[1]


def roots(n):
    """(high, low) of exp(-2 pi i k / n) for k < n: together about 106 bits."""
    c, s = first_root(n)
    x, y, fixed = 1 << BITS, 0, []
    for _ in range(n):
        fixed.append((x, y))
        x, y = (x * c - y * s) >> BITS, (x * s + y * c) >> BITS
    parts = [[_two_floats(v) for v in column] for column in zip(*fixed, strict=True)]
    high, low = (np.array([p[i] for p in parts[0]]) + 1j * np.array([p[i] for p in parts[1]]) for i in (0, 1))
    return high, low


def _two_floats(v):
    high = v / (1 << BITS)
    return high, (v - int(Fraction(high) * (1 << BITS))) / (1 << BITS)


def defined(x):
    """(high, low) of the transform of the columns of x, by its definition in doubled precision."""
    n = len(x)
    high, low = roots(n)
    turn = np.outer(np.arange(n), np.arange(n)) % n
    w = np.hstack([high[turn], low[turn]])
    both = np.vstack([x, x])
    re = product(np.hstack([w.real, -w.imag]), np.vstack([both.real, both.imag]))
    im = product(np.hstack([w.imag, w.real]), np.vstack([both.real, both.imag]))
    return re[0] + 1j * im[0], re[1] + 1j * im[1]


def bound(n, u):
    """Of the relative error in norm. n = 2^t: t eta / (1 - t eta), eta = mu + gamma_4 (sqrt 2 + mu) (Higham 24.2),
    roots right to mu = 2 u. A prime factor p, by its definition: sqrt(p) gamma_(2p+4); or all by a convolution of
    length m < 4 n, that is three transforms of m between entries that grow by at most 2 sqrt(n)."""
    mu = 2 * u
    eta = mu + gamma(4, u) * (2**0.5 + mu)

    def powers(t):
        return t * eta / (1 - t * eta)

    direct, rest, p = 0.0, n, 2
    while rest > 1:
        if rest % p:
            p += 1
            continue
        direct, rest = direct + (powers(1) if p == 2 else p**0.5 * gamma(2 * p + 4, u)), rest // p
    convolution = 2 * n**0.5 * 3 * powers(math.ceil(math.log2(4 * n)))
    return max(direct, convolution) if _largest_prime(n) > 11 else direct


def _largest_prime(n):
    p = 2
    while n > 1:
        if n % p:
            p += 1
        else:
            n //= p
    return p


def norm(x):
    """Of all entries, by the square root of an exact sum of squares; infinite or not-a-number as they are."""
    parts = identity.real(np.asarray(x, np.complex128))
    if not np.isfinite(parts).all():
        return float(np.linalg.norm(parts))
    square, rest = two_product(parts, parts)
    return math.sqrt(math.fsum([*square.ravel().tolist(), *rest.ravel().tolist()]))


def farthest(what, got, want, low=0.0):
    """In words: the entry of a result that is farthest from what it should be, want + low, and both of them."""
    off = np.abs((np.asarray(got, np.complex128) - want) - low)
    at = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    return f"{what}, entry {tuple(map(int, at))}: expected {want[at]}, got {got[at]}"


def given(n, complex_type):
    """Columns with every bit of the precision."""
    bits = 53 if complex_type is np.complex128 else 24
    x = identity.random(SEED + n, (n, COLUMNS), bits) + 1j * identity.random(SEED + n + 1, (n, COLUMNS), bits)
    return x.astype(complex_type)


def compare(report, short, kind, u):
    """Forward, back, Parseval and real input for every length; (largest error by the bound of each)."""
    forward, back, energy = Worst(), Worst(), Worst()
    for n in LENGTHS:
        shape = f"{short}, {n} by {COLUMNS}, seed {SEED + n}"
        x, accepted = given(n, kind), bound(n, u)
        y = np.fft.fft(x, axis=0)
        high, low = defined(x.astype(np.complex128))
        size = norm(high)
        ratio = norm((y.astype(np.complex128) - high) - low) / (accepted * size)
        told = f"the error in norm is {ratio:.3g} times the bound {accepted:.3g} ||y||"
        forward.add(ratio, f"{farthest(f'fft, {shape}', y, high, low)}; {told}")
        said = f"transforms of {COLUMNS} columns of {n}, seed {SEED}"
        basis = "t eta ||y||; Higham 24.2"
        identity.bounded(report, f"fft_{short}_n{n}", short, said, [x], y, accepted * size, ratio, basis)
        half = np.fft.rfft(x.real, axis=0)
        high, low = (part[: n // 2 + 1] for part in defined(x.real.astype(np.complex128)))
        ratio = norm((half.astype(np.complex128) - high) - low) / (accepted * norm(x.real) * n**0.5)
        forward.add(ratio, f"{farthest(f'rfft, {shape}', half, high, low)}; in norm {ratio:.3g} times the bound")
        again = np.fft.ifft(y, axis=0)
        ratio = norm(again.astype(np.complex128) - x) / (2.001 * (accepted + 2 * u) * norm(x))
        back.add(ratio, f"{farthest(f'ifft of fft, {shape}', again, x)}; in norm {ratio:.3g} times the bound")
        want, got = norm(x) * n**0.5, norm(y)
        ratio = abs(got / want - 1) / (accepted + 8 * UNIT["float64"])
        told = f"||y|| = sqrt(n) ||x||, {shape}: expected {want!r}, got {got!r}, {ratio:.3g} times the bound"
        energy.add(ratio, told)
    return forward, back, energy


def integers(report):
    """Transforms whose roots are 1, i, -1 and -i: sums of integers, in one dimension and in three."""
    count, said, inputs, results = 0, "", [], []
    for shape in ((2,), (4,), (4, 4), (2, 4, 4)):
        re, im = (identity.odd(SEED + 9 + i, shape, 40) for i in (0, 1))
        want_re, want_im = re, im
        for axis, n in enumerate(shape):
            want_re, want_im = _four(want_re, want_im, axis, n)
        x, want = re + 1j * im, want_re + 1j * want_im
        got = np.fft.fftn(x)
        wrong = np.argwhere(got != want)
        inputs, results = [*inputs, x], [*results, got.ravel()]
        if len(wrong):
            at = tuple(map(int, wrong[0]))
            place = f"shape {shape}, seed {SEED + 9}, entry {at}"
            count, said = count + len(wrong), said or f"{place}: expected {want[at]}, got {got[at]}"
    report.metric("integers_wrong", count, said)
    text = f"transforms of 40-bit integers, lengths 2 and 4, seed {SEED}"
    basis = "the roots are 1, i, -1, -i: sums of integers"
    identity.exact(report, "fft_integers", "fp64", text, inputs, np.concatenate(results), basis)


def _four(re, im, axis, n):
    """One dimension, by its definition in integers."""
    re, im = np.moveaxis(re, axis, 0), np.moveaxis(im, axis, 0)
    unit = ((1, 0), (0, -1), (-1, 0), (0, 1))  # (-i)^k
    out = []
    for k in range(n):
        turns = [unit[(j * k * (4 // n)) % 4] for j in range(n)]
        out.append((sum(c * re[j] - s * im[j] for j, (c, s) in enumerate(turns)),
                    sum(c * im[j] + s * re[j] for j, (c, s) in enumerate(turns))))  # fmt: skip
    return tuple(np.moveaxis(np.array([o[i] for o in out]), 0, axis) for i in (0, 1))


def main():
    """Both precisions, where NumPy has both."""
    report = Report()
    integers(report)
    for short, kind, u in PRECISIONS:
        if np.fft.fft(np.ones(4, kind)).dtype != kind:  # before 2.0 everything was fp64
            continue
        forward, back, energy = compare(report, short, kind, u)
        report.metric(f"{short}_error", forward.value, forward.detail)
        report.metric(f"{short}_round_trip", back.value, back.detail)
        report.metric(f"{short}_parseval", energy.value, energy.detail)
    x, begin = given(1 << 14, np.complex128), time.perf_counter()
    np.fft.fft(x, axis=0)
    report.metric("seconds", time.perf_counter() - begin)
    report.done()


if __name__ == "__main__":
    sys.exit(main())

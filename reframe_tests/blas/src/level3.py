"""The BLAS of the lock through its Fortran names: what NumPy never calls, in four precisions, exactly and by bounds."""

import sys

import identity
import large
import mapped
import numpy as np
import timed
from precise import UNIT, gamma, total
from report import Report, Worst
from routines import EXPONENTS, NAN, SEED, SHORT, K, N, exact


def fractions(kit, shape, seed):
    """Random entries with every bit of the precision, and none rounded."""
    bits = 53 if kit.letter in "dz" else 24
    made = identity.random(SEED + seed, shape, bits)
    return made + 1j * identity.random(SEED + seed + 50, shape, bits) if kit.complex else made


def gap(kit, pairs, extra):
    """(largest |sum of A B| / (|A||B|) by gamma, the bounds by entry) of a residual that should vanish."""
    high, low, magnitude = total(*pairs)
    bound = gamma((2 if kit.complex else 1) * K + extra, UNIT["float64" if kit.letter in "dz" else "float32"])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(high + low) / (bound * magnitude)
    ratio = np.where(magnitude > 0, ratio, np.where(high == 0, 0, np.inf))
    at = np.unravel_index(int(np.argmax(np.where(np.isfinite(ratio), ratio, np.inf))), ratio.shape)
    value = float(ratio[at]) if np.isfinite(ratio[at]) else float("inf")
    within, left = float((bound * magnitude)[at]), float((high + low)[at])
    words = f"entry {tuple(map(int, at))} of the residual: expected 0 to within {within:.4g}, got {left!r}"
    return value, f"{words}, {value:.3g} times the bound", bound * magnitude


def bounded_syrk(kit, wide):
    """A A^T; with `wide` half of the rows have D, half D^-1, so that small products lie beside large entries."""
    a = fractions(kit, (N, K), 1)
    if wide:
        d = identity.powers(SEED + 3, K, EXPONENTS[kit.letter])
        a = np.where((np.arange(N) % 2 == 0)[:, None], a * d, a / d)
    room = kit.triangle(np.full((N, N), NAN), "L")
    kit.call("syrk", "L", "N", N, K, kit.scalar(1), kit.place(a), kit.scalar(0), room)
    got = np.tril(np.where(np.isnan(room[:N]) & ~np.tri(N, dtype=bool), 0, room[:N]))
    got = got + np.tril(got, -1).T
    return a, got, gap(kit, [(a, a.T), (got, -np.eye(N))], 1)


def bounded_trsm(kit, wide):
    """T X = B: |B - T X| <= gamma |T||X| (Higham 8.5), and reciprocals of the diagonal are allowed."""
    t = np.tril(fractions(kit, (K, K), 11) / 64) + np.eye(K)
    b = fractions(kit, (K, N), 12)
    if wide:
        d1, d2 = (identity.powers(SEED + 13 + i, K, EXPONENTS[kit.letter]) for i in (0, 1))
        t, b = d1[:, None] * t * d2, b * d1[:, None]
    t = t.astype(kit.dtype).astype(np.complex128 if kit.complex else np.float64)
    room = kit.place(b)
    kit.call("trsm", "L", "L", "N", "N", K, N, kit.scalar(1), kit.triangle(t, "L"), room)
    return t, room[:K], gap(kit, [(t, room[:K]), (b, -np.eye(N))], 10 if kit.complex else 2)


def say_bounded(report, kit, name, work):
    """Plain and wide: the worst of both, and a number of the card for what can be compared by entries."""
    most, short = Worst(), SHORT[kit.letter]
    for wide in (False, True):
        given, got, (ratio, words, bound) = work(kit, wide)
        shape = " x ".join(map(str, np.shape(given)))
        plain = f"{kit.letter}{name}{' with wide exponents' if wide else ''}, A of {shape}, seed {SEED}"
        most.add(ratio, f"{plain}, {words}")
        if name == "syrk" and not wide:
            rows = bound.shape[0] // (2 if kit.complex else 1)
            spread = np.stack([bound[:rows], bound[rows:]], -1) if kit.complex else bound
            said = f"A A^T, {N} x {K}, seed {SEED}"
            identity.bounded(report, f"{kit.letter}{name}", short, said, [given], got, spread, ratio,
                             "gamma_(k+1) |A||A|^T by parts; Higham 3.5")  # fmt: skip
    return most


def main():
    """All of it, in a few seconds."""
    report, library = Report(), mapped.Library()
    if library.find("dgemm") is None:
        report.fault("the BLAS that NumPy has loaded has no routine dgemm_ that a program could call")
        return report.done()
    missing = []
    for letter, short in SHORT.items():
        kit, lacking = exact(library, letter)
        missing += lacking
        speeds = timed.speeds(kit, large.edge())
        for name in speeds if letter == "d" else ():
            report.metric(name, speeds[name])
        report.metric(f"{short}_exact", kit.count, kit.said)
        for name, results in kit.results.items():
            said = f"{letter}{name} of integers, all cases, plain or scaled by powers of two, seed {SEED}"
            identity.exact(report, f"{letter}{name}_exact", short, said, kit.inputs, np.concatenate(results),
                           "every sum, quotient and inverse is a number that the precision holds")  # fmt: skip
        most = Worst()
        for name, work in (("syrk", bounded_syrk), ("trsm", bounded_trsm)):
            found = say_bounded(report, kit, name, work)
            most.add(found.value, found.detail)
        report.metric(f"{short}_error", most.value, most.detail)
    report.metric("routines_missing", len(missing), ", ".join(missing))
    return report.done()


if __name__ == "__main__":
    sys.exit(main())

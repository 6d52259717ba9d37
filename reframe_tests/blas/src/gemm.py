"""Matrix products through NumPy: exact integers, componentwise bounds, and whose library computes them."""

import os
import re
import sys
import time
from pathlib import Path

import numpy as np
from precise import UNIT, gamma, product, worst
from report import Report, Worst, manifest

SEED = 20260101
SHAPE = (129, 192, 131)  # odd edges leave no kernel's remainder loop out
# bits of A, bits of B, k: together at most p = 53 or 24, so every partial sum is an exact integer
EXACT = {"float64": (23, 22, 192), "float32": (13, 4, 128)}


def odd_integers(rng, shape, bits):
    """Odd integers of exactly `bits` bits with random signs: nothing shorter holds them."""
    return (rng.integers(2 ** (bits - 2), 2 ** (bits - 1), shape) * 2 + 1) * rng.choice([-1, 1], shape)


def layouts(a, b):
    """The same product in the four layouts, each another BLAS case."""
    at, bt = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    return (("A B", a, b), ("A^T B", at.T, b), ("A B^T", a, bt.T), ("A^T B^T", at.T, bt.T))


def compare(found, name, got, want):
    """Count entries that are not the exact integer, and keep the first in words."""
    wrong = np.argwhere(np.asarray(got, np.float64) != want.astype(np.float64))
    if len(wrong):
        at = tuple(int(x) for x in wrong[0])
        found.append((len(wrong), f"{name}{at}: expected {int(want[at])}, got {float(np.asarray(got)[at])!r}"))


def exact(dtype):
    """(entries that are not the exact integer, in words): products, a symmetric one, matrix by vector, dot."""
    rng, found = np.random.default_rng(SEED), []
    bits_a, bits_b, k = EXACT[dtype]
    for wide, narrow in ((bits_a, bits_b), (bits_b, bits_a)):
        a, b = odd_integers(rng, (65, k), wide), odd_integers(rng, (k, 67), narrow)
        want = a @ b  # NumPy multiplies integers itself, without BLAS
        x, y = a.astype(dtype), b.astype(dtype)
        for name, left, right in layouts(x, y):
            compare(found, f"{name}, {dtype}, {wide} by {narrow} bits, k = {k}, entry ", left @ right, want)
        compare(found, f"A b, {dtype}, entry ", x @ y[:, 0], want[:, 0])
        compare(found, f"a b, {dtype}, entry ", np.atleast_1d(x[0] @ y[:, 0]), want[0, :1])
    s = odd_integers(rng, (33, k), 22 if dtype == "float64" else 8)
    compare(found, f"S S^T, {dtype}, k = {k}, entry ", s.astype(dtype) @ s.astype(dtype).T, s @ s.T)
    return sum(n for n, _ in found), "; ".join(text for _, text in found[:3])


def operands(dtype, wide):
    """Random matrices with entries around 1; with `wide`, (A D, D^-1 B) with D between 2^-30 and 2^30."""
    rng = np.random.default_rng(SEED + 1)
    m, k, n = SHAPE
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    if wide:
        d = 2.0 ** rng.integers(-30, 31, k)
        a, b = a * d, b / d[:, None]
    return a.astype(dtype), b.astype(dtype)


def componentwise(dtype, wide):
    """(largest |C^ - C| / (|A||B|) over all layouts as a multiple of gamma_k, in words)."""
    a, b = operands(dtype, wide)
    reference, most = product(a, b), Worst()
    for name, left, right in layouts(a, b):
        ratio, where = worst(left @ right, reference, gamma(SHAPE[1], UNIT[dtype]))
        most.add(ratio, f"{name}, {dtype}, {SHAPE[0]} x {SHAPE[1]} x {SHAPE[2]}, {where}")
    return most


def library(maps, name, bundled):
    """(what is wrong, in words or empty) with the mapped libraries, given the component of the role blas."""
    paths = sorted({m for m in re.findall(r"(/\S+)$", maps, re.M) if re.search(r"blas|blis|mkl|accelerate", m.lower())})
    own = [p for p in paths if ("numpy.libs" in p) == bundled]
    if bundled:  # a wheel brings its own
        return "" if own else "NumPy's wheel has loaded no BLAS"
    return "" if any(name in p.lower() for p in own) else f"expected {name}; loaded: {', '.join(paths) or 'no BLAS'}"


def foreign():
    """Whether NumPy computes with another BLAS than the lock's."""
    components = manifest()["components"]
    blas = next(c["name"] for c in components if c["role"] == "blas")
    provider = next((c["provider"] for c in components if c["name"] == "numpy"), "")
    return library(Path("/proc/self/maps").read_text(encoding="utf-8"), blas, provider == "wheel")


def speed(n):
    """GFLOP/s of an n x n product in fp64, best of three."""
    a = np.random.default_rng(0).standard_normal((n, n))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2e-9 * n**3 / min(times)


def main():
    """All of it, in about two seconds."""
    report = Report()
    for dtype, short in (("float64", "fp64"), ("float32", "fp32")):
        report.metric(f"{short}_exact", *exact(dtype))
        for wide, suffix in ((False, ""), (True, "_wide")):
            most = componentwise(dtype, wide)
            report.metric(f"{short}_error{suffix}", most.value, most.detail)
            if dtype == "float64" and not wide:
                k, u = SHAPE[1], UNIT[dtype]
                report.metric("fp64_error_typical", most.value * gamma(k, u) / (k**0.5 * u))
    wrong = foreign()
    report.metric("foreign_blas", bool(wrong), wrong)
    report.metric("fp64_speed", speed(int(os.environ.get("SOVSTACK_GEMM_SIZE", "1024"))))
    report.done()


if __name__ == "__main__":
    sys.exit(main())

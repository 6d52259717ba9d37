"""Matrix products on an accelerator through PyTorch: exact integers, componentwise bounds, TF32, speed.

Arguments: device (cuda, cpu), size of the large products, size of the timed ones, calibration as JSON:
{"calibrated_<word of the device's name>": [fp16, bf16]}. The references are computed on the CPU without any BLAS.
"""

import json
import sys

import numpy as np
import torch
from device import pick, seconds, switches, title
from identity import bounded, exact, odd, powers, random
from large import selection, wrong_entries
from precise import UNIT, gamma, product, worst
from report import Report, Worst

SEED = 20260101
SMALL = (129, 192, 131)  # odd edges leave no kernel's remainder loop out
SAMPLE = 48  # rows and columns of a large product that are compared with doubled precision
SHORT = {"float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
# Bits of A and of B at most, and p: every partial sum is an integer of at most p bits. A large k takes bits from A's.
EXACT = {"float64": (24, 22, 53), "float32": (14, 1, 24), "float16": (2, 2, 11), "bfloat16": (2, 1, 8)}
LONGEST = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
SPEEDS = ("float64", "float32", "bfloat16", "float16")


def integers(dtype, m, k, n):
    """A pair whose product is exact in `dtype` in every order of summation; k is cut where the precision is short."""
    wide, narrow, most = EXACT[dtype]
    k = min(k, 1 << (most - wide - narrow)) if most < 24 else k
    wide = min(wide, most - narrow - (k - 1).bit_length())
    return odd(SEED, (m, k), wide), odd(SEED + 1, (k, n), narrow)


def selected(dtype, m, k):
    """(integers as long as `dtype` holds, a signed permutation): nothing is rounded but operands that are cut."""
    return odd(SEED + 3, (m, k), LONGEST[dtype]), selection(SEED + 2, k)


def on(device, dtype, array):
    """An array on the device, in a precision that holds its values."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(getattr(torch, dtype)).to(device)


def layouts(a, b):
    """The same product in four layouts and by two more ways into the library."""
    at, bt = a.t().contiguous(), b.t().contiguous()
    yield "A B", lambda: a @ b
    yield "A^T B", lambda: at.t() @ b
    yield "A B^T", lambda: a @ bt.t()
    yield "A^T B^T", lambda: at.t() @ bt.t()
    yield "bmm", lambda: torch.bmm(a[None], b[None])[0]
    yield "linear", lambda: torch.nn.functional.linear(a, bt)


def back(tensor):
    """Its values on the host: as they are, or as fp64 where NumPy lacks the precision."""
    return (tensor.double() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()


def exactly(device, dtype, size):
    """(entries that are not the exact integer, the first of them in words; the small product's operands and result)."""
    found, kept = [], None
    for a, b in (integers(dtype, *SMALL), selected(dtype, 65, 128)):
        for name, multiply in layouts(on(device, dtype, a), on(device, dtype, b)):
            got = back(multiply())
            kept = kept or (a, b, got)
            found.append((name, a.shape, b.shape, *wrong_entries(got, a, b)))
    for a, b in (integers(dtype, size, size, size), selected(dtype, size, size)):
        got = back(on(device, dtype, a) @ on(device, dtype, b))
        found.append(("A B", a.shape, b.shape, *wrong_entries(got, a, b)))
    said = [f"{n}, {SHORT[dtype]}, {x[0]} x {x[1]} x {y[1]}, {words}" for n, x, y, _, words in found if words]
    return sum(f[3] for f in found), "; ".join(said[:3]), kept


def operands(dtype, shape, wide):
    """Random matrices, exact in `dtype`; with `wide`, (A D, D^-1 B) with D between 2^-30 and 2^30."""
    m, k, n = shape
    bits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}[dtype]
    a, b = random(SEED, (m, k), bits), random(SEED + 1, (k, n), bits)
    if wide:
        d = powers(SEED + 2, k, 30)
        a, b = a * d, b / d[:, None]
    return a, b


def bound_of(dtype, k):
    """Componentwise bound of a product of numbers of `dtype`: sums of k terms in fp64 or fp32, and a rounded result."""
    u = UNIT[dtype]
    return gamma(k, u) if dtype in ("float64", "float32") else gamma(k, UNIT["float32"]) * (1 + u) + u


def componentwise(device, dtype, wide, size, bound=None):
    """(largest |C^ - C| / (|A||B|) as a multiple of the bound, in words; the small one's operands, result, bounds)."""
    most, (a, b) = Worst(), operands(dtype, SMALL, wide)
    reference, limit = product(a, b), bound or bound_of(dtype, SMALL[1])
    kept = None
    for name, multiply in layouts(on(device, dtype, a), on(device, dtype, b)):
        got = back(multiply())
        kept = kept or (a, b, got, limit * reference[2])
        ratio, where = worst(got, reference, limit)
        most.add(ratio, f"{name}, {SHORT[dtype]}, {' x '.join(map(str, SMALL))}, {where}")
    a, b = operands(dtype, (size, size, size), wide)
    got = back(on(device, dtype, a) @ on(device, dtype, b))
    rows = np.unique(np.linspace(0, size - 1, SAMPLE).astype(int))
    ratio, where = worst(got[np.ix_(rows, rows)], product(a[rows], b[:, rows]), bound or bound_of(dtype, size))
    most.add(ratio, f"A B, {SHORT[dtype]}, {size} x {size} x {size}, of {len(rows)} rows and columns, {where}")
    return most, kept


def speed(device, dtype, size):
    """GFLOP/s of a square product."""
    a = on(device, dtype, operands(dtype, (size, size, 1), False)[0])
    return 2e-9 * size**3 / seconds(lambda: a @ a, device)


def judge_exact(report, device, size):
    """The exact integers of every precision, as metrics and numbers."""
    for dtype, short in SHORT.items():
        count, words, (a, b, got) = exactly(device, dtype, size)
        report.metric(f"{short}_exact", count, words)
        said = f"{a.shape[0]} x {a.shape[1]} x {b.shape[1]} product of odd integers, seed {SEED}, torch.matmul"
        exact(report, f"gpu_gemm_{short}_exact", short, said, (a, b), got, "every partial sum is an integer that fits")


def judge_bounds(report, device, size, calibrated):
    """Errors of every precision; of 16 bits they are judged where someone has measured the device before."""
    for dtype, short in SHORT.items():
        for wide in (False, True) if dtype in ("float64", "float32") else (False,):
            most, (a, b, got, bounds) = componentwise(device, dtype, wide, size)
            suffix = "_wide" if wide else ""
            report.metric(f"{short}_error{suffix}", most.value, most.detail)
            if dtype in ("float64", "float32"):
                said = f"{' x '.join(map(str, SMALL))} product{', D = 2^(+-30)' * wide}, seed {SEED}, torch.matmul"
                bounded(report, f"gpu_gemm_{short}{suffix}", short, said, (a, b), got, bounds, most.value,
                        "gamma_k (|A||B|); Higham, 3.5")  # fmt: skip
            elif short in calibrated:
                report.metric(f"{short}_calibrated", most.value / calibrated[short], most.detail)


def tensor_float(report, device, size, timed):
    """What fp32 is by default, and what it becomes where PyTorch may use less of it."""
    u, k = 2.0**-11, SMALL[1]
    torch.set_float32_matmul_precision("high")
    report.metric("tf32_inexact", exactly(device, "float32", size)[0])
    most, _ = componentwise(device, "float32", False, SMALL[1], 2 * u + u * u + gamma(k, UNIT["float32"]))
    report.metric("tf32_error", most.value, most.detail)
    report.metric("tf32_speed", speed(device, "float32", timed))
    torch.set_float32_matmul_precision("highest")


def calibration(name, parameters):
    """What was measured on a device before: of those whose word is in its name, the longest; {} where there is none."""
    words = name.lower().replace("-", " ").split()
    known = [key for key in parameters if key.removeprefix("calibrated_") in words]
    return dict(zip(("fp16", "bf16"), parameters[max(known, key=len)], strict=True)) if known else {}


def main(kind, size, timed, parameters):
    """All of it; fp32 is first asked for what it is without a setting."""
    report, device = Report(), pick(kind)
    switches(report)
    report.switch("gpu", title(device))
    report.metric("default_fp32_inexact", *exactly(device, "float32", int(size))[:2])
    torch.set_float32_matmul_precision("highest")
    for setting in ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"):
        setattr(torch.backends.cuda.matmul, setting, False)  # sums in fp32, also where k is split
    judge_exact(report, device, int(size))
    judge_bounds(report, device, int(size), calibration(title(device), json.loads(parameters)))
    tensor_float(report, device, int(size), int(timed))
    for dtype in SPEEDS:
        report.metric(f"{SHORT[dtype]}_speed", speed(device, dtype, int(timed)))
    report.done()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))

"""PyTorch operators in fp64 against 50 digits, in others against fp64. Argument: {"float32": [rtol, atol], ...}."""

import json
import sys

import identity
import large
import numpy as np
import torch
from precise import UNIT, gamma, product, worst
from references import EXACTLY, reference
from report import Report, Worst
from torch.nn import functional as F  # noqa: N812 - its usual name

SEED = 20260101
COUNT = 4099  # a prime: vector loops have a remainder
COUNT_FP64 = 307  # as well; decimal arithmetic is slow
SHAPE = (65, 192, 67)
SHORT = {"float64": "fp64", "float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}

# name, function, range of each argument
OPERATORS = (
    ("add", torch.add, ((-4, 4), (-4, 4))),
    ("sub", torch.sub, ((-4, 4), (-4, 4))),
    ("mul", torch.mul, ((-4, 4), (-4, 4))),
    ("div", torch.div, ((-4, 4), (0.25, 4))),
    ("maximum", torch.maximum, ((-4, 4), (-4, 4))),
    ("pow", torch.pow, ((0.5, 2), (-2, 2))),
    ("reciprocal", torch.reciprocal, ((0.1, 10),)),
    ("sqrt", torch.sqrt, ((0, 10),)),
    ("rsqrt", torch.rsqrt, ((0.1, 10),)),
    ("exp", torch.exp, ((-4, 4),)),
    ("expm1", torch.expm1, ((-2, 2),)),
    ("log", torch.log, ((0.1, 10),)),
    ("log1p", torch.log1p, ((-0.5, 4),)),
    ("sin", torch.sin, ((-6, 6),)),
    ("cos", torch.cos, ((-6, 6),)),
    ("tanh", torch.tanh, ((-4, 4),)),
    ("erf", torch.erf, ((-3, 3),)),
    ("sigmoid", torch.sigmoid, ((-6, 6),)),
    ("relu", F.relu, ((-4, 4),)),
    ("gelu", F.gelu, ((-4, 4),)),
    ("silu", F.silu, ((-4, 4),)),
)

# IEEE 754 rounds these to the nearest, and a further rounding of one that has twice the bits changes nothing
ROUNDED_ONCE = ("add", "sub", "mul", "div", "maximum", "sqrt", "relu")
SUMS_ROUNDED = "(2 u + u^2 + gamma_k(2^-24) + u) |A||B|: inputs rounded, sums in fp32, result rounded"


def arguments(ranges, dtype):
    """Random tensors, already rounded to the precision under test; a product and a sum in fp64 are all before that."""
    count, bits = (COUNT_FP64, 53) if dtype == torch.float64 else (COUNT, 24)
    drawn = [(identity.random(SEED + i, count, bits) + 1) / 2 for i in range(len(ranges))]
    made = [torch.from_numpy(low + (high - low) * x) for x, (low, high) in zip(drawn, ranges, strict=True)]
    return [
        (x if dtype == torch.float64 else x.float()).to(dtype) for x in made
    ]  # to 16 bits by the same two roundings


def values(tensor):
    """As NumPy has them; bfloat16, which it does not know, as fp32, which loses nothing."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def truth(name, function, given):
    """(high, low) of what an operator should give: of fp64 numbers by decimal arithmetic, of others in fp64."""
    if given[0].dtype == torch.float64:
        return reference(name, [t.numpy() for t in given])
    want = function(*(t.double() for t in given)).numpy()
    return want, np.zeros_like(want)


def allowed(name, given, want, rtol, atol):
    """The largest error by entry; what is lost where gelu's sum cancels is relative to its argument."""
    size = given[0].numpy() if name == "gelu" and given[0].dtype == torch.float64 else want
    return atol + rtol * np.abs(size)


def elementwise(report, kind, rtol, atol):
    """Largest error in units of what is allowed over all operators and both layouts; each a number of the card."""
    most, dtype = Worst(), getattr(torch, kind)
    for name, function, ranges in OPERATORS:
        whole, own = arguments(ranges, dtype), Worst()
        high, low = truth(name, function, whole)
        bound = allowed(name, whole, high, rtol, atol)
        for layout, step in (("contiguous", 1), ("every second", 2)):
            given, want = [t[::step] for t in whole], high[::step]
            got = function(*given).double().numpy()
            off = np.abs((got - want) - low[::step])
            ratio = np.divide(off, bound[::step], out=np.where(off == 0, 0.0, np.inf), where=bound[::step] > 0)
            at = int(np.argmax(ratio))  # the first not-a-number, if there is one
            inputs = ", ".join(repr(float(t[at])) for t in given)
            words = f"{name}({inputs}), {kind}, {layout}: expected {float(want[at])!r}, got {float(got[at])!r}"
            own.add(ratio[at], words)
        most.add(own.value, own.detail)
        inputs, got, card = [values(t) for t in whole], values(function(*whole)), f"{name}_{SHORT[kind]}"
        said = f"{name} of {len(high)} values, seed {SEED}"
        if name in ROUNDED_ONCE:
            identity.exact(report, card, SHORT[kind], said, inputs, got, "IEEE 754 rounds it to the nearest")
        else:
            basis = f"{atol} + {rtol} |y|; {'4 ulp and two roundings' if kind == 'float64' else 'torch.testing'}"
            identity.bounded(report, card, SHORT[kind], said, inputs, got, bound, own.value, basis, points=4)
    return most


def rounded_once(kinds):
    """(values of those operators that are not the nearest, the first in words): against more digits, rounded."""
    count, said = 0, ""
    for kind in kinds:
        for name, function, ranges in (o for o in OPERATORS if o[0] in ROUNDED_ONCE):
            given = arguments(ranges, getattr(torch, kind))
            got = function(*given)
            if kind == "float64":
                want = torch.from_numpy(reference(name, [t.numpy() for t in given], EXACTLY)[0])
            else:
                want = function(*(t.double() for t in given)).to(got.dtype)
            wrong = (got != want).nonzero().ravel().tolist()
            count += len(wrong)
            if wrong and not said:
                inputs = ", ".join(repr(float(t[wrong[0]])) for t in given)
                said = f"{name}({inputs}), {kind}: expected {float(want[wrong[0]])!r}, got {float(got[wrong[0]])!r}"
    return count, said


def bound_of(name, k):
    """Componentwise bound of a product: summed as it is, or with rounded inputs, sums in fp32 and a rounded result."""
    u = UNIT[name]
    return gamma(k, u) if name in ("float64", "float32") else 2 * u + u * u + gamma(k, UNIT["float32"]) + u


def products(a, b):
    """The same product by three ways into the library."""
    yield "matmul", torch.matmul(a, b)
    yield "linear", F.linear(a, b.t().contiguous())
    yield "bmm", torch.bmm(a[None], b[None])[0]


def matmul(report, kind):
    """Largest componentwise error as a multiple of its bound, plain and with wide exponents (A D)(D^-1 B)."""
    most, (m, k, n) = Worst(), SHAPE
    bits = 53 if kind == "float64" else 24  # of fp32: machines reach 16 bits from fp64 by one rounding or by two
    a, b = identity.random(SEED + 5, (m, k), bits), identity.random(SEED + 6, (k, n), bits)
    # fp16 has exponents from -24 to 15 only
    d = identity.powers(SEED + 7, k, 4 if kind == "float16" else 30)
    for said, x, y in (("", a, b), (", wide exponents", a * d, b / d[:, None])):
        left, right = (torch.from_numpy(t).to(getattr(torch, kind)) for t in (x, y))
        reference, own = product(x, y), Worst()  # of the unrounded ones: rounding them is part of the bound
        for way, got in products(left, right):
            ratio, where = worst(got.double().numpy(), reference, bound_of(kind, k))
            own.add(ratio, f"{way}, {kind}{said}, {m} x {k} x {n}, {where}")
        most.add(own.value, own.detail)
        short = SHORT[kind]
        text = f"matmul, {m} x {k} x {n}, entries of {bits} bits in (-1, 1), rounded{said}, seed {SEED}"
        basis = "gamma_k |A||B|; Higham 3.5" if kind in ("float64", "float32") else SUMS_ROUNDED
        inputs, result = [values(left), values(right)], values(torch.matmul(left, right))
        identity.bounded(report, f"matmul_{short}{'_wide' if said else ''}", short, text, inputs, result,
                         bound_of(kind, k) * reference[2], own.value, basis)  # fmt: skip
    return most


def integers(report):
    """(wrong entries, the first in words) of products of integers that a precision holds, sums that fp32 holds."""
    count, said = 0, ""
    for kind, wide, narrow in (("float64", 23, 22), ("float32", 13, 3), ("bfloat16", 8, 8), ("float16", 11, 5)):
        m, k, n = SHAPE
        a, b = identity.odd(SEED + 8, (m, k), wide), identity.odd(SEED + 9, (k, n), narrow)
        dtype, scales = getattr(torch, kind), (2.0**-wide, 2.0**-narrow)  # fp16 ends at 65504
        left, right = (torch.from_numpy(t * scale).to(dtype) for t, scale in zip((a, b), scales, strict=True))
        # the sums are exact in 24 bits; then one rounding to the nearest, the same on every machine
        want = torch.from_numpy((a @ b) * (scales[0] * scales[1])).to(dtype)
        try:
            got = torch.matmul(left, right)
        except RuntimeError as error:
            if kind != "float16" or "not implemented for" not in str(error):
                report.fault(f"matmul of integers in {kind}: {error}")
            continue
        wrong = (got.double() != want.double()).nonzero().tolist()
        count += len(wrong)
        if wrong:
            i, j = wrong[0]
            said = said or f"{kind}, entry ({i}, {j}): expected {float(want[i, j])!r}, got {float(got[i, j])!r}"
        text = f"matmul of odd integers of {wide} by {narrow} bits, scaled, {m} x {k} x {n}, seed {SEED}"
        basis = "every partial sum is a number that the sum's precision holds; one rounding"
        inputs = [values(left), values(right)]
        identity.exact(report, f"matmul_{SHORT[kind]}_exact", SHORT[kind], text, inputs, values(got), basis)
    return count, said


def large_products():
    """(entries of large products that are not the exact number, the first in words)."""
    count, said = 0, ""
    for kind in ("float64", "float32"):
        for case in large.cases(kind, large.edge()):
            left, right = map(torch.from_numpy, (case.left, case.right))
            wrong, words = case.wrong(torch.matmul(left, right).numpy(), "matmul")
            count, said = count + wrong, said or words
    return count, said


def main():
    """All precisions; fp16 where this build has it."""
    torch.set_grad_enabled(False)
    report, tolerances = Report(), json.loads(sys.argv[1])
    tasks = [(f"elementwise_{n}", elementwise, (n, *t)) for n, t in tolerances.items()]
    tasks += [(f"matmul_{n}", matmul, (n,)) for n in SHORT]
    for name, measure, given in tasks:
        try:
            most = measure(report, *given)
        except RuntimeError as error:
            if not (name.endswith("float16") and "not implemented for" in str(error)) or name.endswith("bfloat16"):
                report.fault(f"{name}: {error}")
            continue
        report.metric(name, most.value, most.detail)
    (count, said), (more, words) = integers(report), large_products()
    report.metric("matmul_exact", count + more, said or words)
    report.metric("not_nearest", *rounded_once(tolerances))
    report.metric("operators", len(OPERATORS))
    report.done()


if __name__ == "__main__":
    main()

"""PyTorch operators in each precision against fp64. Argument: {"float32": [rtol, atol], ...}."""

import json
import sys

import numpy as np
import torch
from precise import UNIT, gamma, product, worst
from report import Report, Worst
from torch.nn import functional as F  # noqa: N812 - its usual name

SEED = 20260101
COUNT = 4099  # a prime: vector loops have a remainder
SHAPE = (65, 192, 67)

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


def arguments(ranges, dtype):
    """Random tensors, already rounded to the precision under test."""
    rng = np.random.default_rng(SEED)
    return [torch.from_numpy(rng.uniform(low, high, COUNT)).to(dtype) for low, high in ranges]


def elementwise(dtype, rtol, atol):
    """(largest |y - y64| / (atol + rtol |y64|) over all operators and both layouts, in words)."""
    most = Worst()
    for name, function, ranges in OPERATORS:
        whole = arguments(ranges, dtype)
        for layout, given in (("contiguous", whole), ("every second", [t[::2] for t in whole])):
            got, want = function(*given).double(), function(*(t.double() for t in given))
            ratio = ((got - want).abs() / (atol + rtol * want.abs())).numpy()
            at = int(np.argmax(ratio))  # the first not-a-number, if there is one
            inputs = ", ".join(repr(float(t[at])) for t in given)
            most.add(ratio[at], f"{name}({inputs}), {layout}: expected {float(want[at])!r}, got {float(got[at])!r}")
    return most


def bound_of(name, k):
    """Componentwise bound of a product: summed as it is, or with rounded inputs, sums in fp32 and a rounded result."""
    u = UNIT[name]
    return gamma(k, u) if name in ("float64", "float32") else 2 * u + u * u + gamma(k, UNIT["float32"]) + u


def products(a, b):
    """The same product by three ways into the library."""
    yield "matmul", torch.matmul(a, b)
    yield "linear", F.linear(a, b.t().contiguous())
    yield "bmm", torch.bmm(a[None], b[None])[0]


def matmul(name):
    """(largest componentwise error as a multiple of its bound, in words)."""
    rng, dtype = np.random.default_rng(SEED), getattr(torch, name)
    m, k, n = SHAPE
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    if name == "float32":
        a, b = a.astype(np.float32), b.astype(np.float32)
    reference, most = product(a, b), Worst()
    for way, got in products(torch.from_numpy(a).to(dtype), torch.from_numpy(b).to(dtype)):
        ratio, where = worst(got.double().numpy(), reference, bound_of(name, k))
        most.add(ratio, f"{way}, {name}, {m} x {k} x {n}, {where}")
    return most


def main():
    """All precisions; fp16 where this build has it."""
    torch.set_grad_enabled(False)
    report, tolerances = Report(), json.loads(sys.argv[1])
    tasks = [(f"elementwise_{n}", elementwise, (getattr(torch, n), *t)) for n, t in tolerances.items()]
    tasks += [(f"matmul_{n}", matmul, (n,)) for n in ("float64", "float32", "bfloat16", "float16")]
    for name, measure, given in tasks:
        try:
            most = measure(*given)
        except RuntimeError as error:
            if not (name.endswith("float16") and "not implemented for" in str(error)) or name.endswith("bfloat16"):
                report.fault(f"{name}: {error}")
            continue
        report.metric(name, most.value, most.detail)
    report.metric("operators", len(OPERATORS))
    report.done()


if __name__ == "__main__":
    main()

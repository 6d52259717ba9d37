"""PyTorch's operators on fp64 numbers with 50 digits, by decimal arithmetic: no library of the subject's is asked.

50 digits are three times fp64's. The series stop below 10^-60 of their sums, and what cancels in the ranges that are
compared takes four of the 60 digits that are carried.
"""

from decimal import Decimal, localcontext

import numpy as np

CARRIED = 60
# so many that sums and products are exact, and that no quotient or root is taken for the middle of two numbers
EXACTLY = 130
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230782")
_TINY = Decimal(10) ** -CARRIED


def series(term, ratio):
    """The sum of a series, of its first term and the ratio of the n-th to the one before."""
    total, n = term, 0
    while abs(term) > _TINY * abs(total):
        n += 1
        term *= ratio(n)
        total += term
    return total


def sin(x):
    """By Taylor; |x| is at most 6, so that terms of 65 cancel."""
    return series(x, lambda n: -x * x / (2 * n * (2 * n + 1)))


def cos(x):
    """The same."""
    return series(Decimal(1), lambda n: -x * x / (2 * n * (2 * n - 1)))


def erf(x):
    """2 / sqrt(pi) exp(-x^2) times the sum of 2^n x^(2n+1) / (2n+1)!!, where nothing cancels."""
    return 2 / PI.sqrt() * (-x * x).exp() * series(x, lambda n: 2 * x * x / (2 * n + 1))


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return 1 / (1 + (-x).exp())


FUNCTIONS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "maximum": max,
    "pow": lambda x, y: (y * x.ln()).exp(),
    "reciprocal": lambda x: 1 / x,
    "sqrt": lambda x: x.sqrt(),
    "rsqrt": lambda x: 1 / x.sqrt(),
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.exp() - 1,
    "log": lambda x: x.ln(),
    "log1p": lambda x: (1 + x).ln(),
    "sin": sin,
    "cos": cos,
    "tanh": lambda x: 1 - 2 / ((2 * x).exp() + 1),
    "erf": erf,
    "sigmoid": sigmoid,
    "relu": lambda x: max(x, Decimal(0)),
    "gelu": lambda x: x / 2 * (1 + erf(x / Decimal(2).sqrt())),
    "silu": lambda x: x * sigmoid(x),
}


def reference(name, columns, digits=CARRIED):
    """(high, low): their sum is the function of each row of fp64 numbers, high is it rounded to the nearest."""
    with localcontext() as context:
        context.prec = digits
        values = [FUNCTIONS[name](*map(Decimal, row)) for row in zip(*(c.tolist() for c in columns), strict=True)]
        high = [float(v) for v in values]
        low = [float(v - Decimal(h)) for v, h in zip(values, high, strict=True)]
    return np.array(high), np.array(low)

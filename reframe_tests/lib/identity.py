"""In the subject: a result as a line for the numerical identity card, so that two machines' results can be compared.

Not called `numbers`: NumPy imports the standard library's module of that name, and this folder comes first.
"""

import hashlib
import itertools

import numpy as np

POINTS = 8  # entries of a result that are kept
PARTS = 16  # that a result is cut into, each with a digest of its own: they say where two machines differ
_STEP, _MIX, _STIR = (np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def digest(*arrays):
    """SHA-256 of arrays' types, shapes and little-endian bytes."""
    state = hashlib.sha256()
    for array in map(np.asarray, arrays):
        state.update(f"{array.dtype.name}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return state.hexdigest()


def real(array):
    """A complex array as a real one, with parts along a new last axis."""
    array = np.asarray(array)
    return np.stack([array.real, array.imag], -1) if np.iscomplexobj(array) else array


def entries(result, bound=0.0, most=POINTS):
    """Some entries of a result, evenly spread: where, value, bound; a complex one by parts."""
    parts = real(result)
    flat, bounds = np.ravel(parts), np.ravel(np.broadcast_to(np.asarray(bound, np.float64), parts.shape))
    chosen = sorted({int(i) for i in np.linspace(0, flat.size - 1, min(most, flat.size))})
    return [
        [",".join(map(str, np.unravel_index(i, parts.shape))) or "0", float(flat[i]).hex(), float(bounds[i]).hex()]
        for i in chosen
    ]


def parts(result):
    """The first digits of SHA-256 of each of as many equal parts of a result, as little-endian bytes."""
    flat = np.ravel(real(result))
    flat = flat.astype(flat.dtype.newbyteorder("<"), copy=False)
    edges = [i * flat.size // PARTS for i in range(PARTS + 1)] if flat.size >= PARTS else range(flat.size + 1)
    return [hashlib.sha256(flat[i:j].tobytes()).hexdigest()[:8] for i, j in itertools.pairwise(edges)]


def exact(report, name, precision, said, inputs, result, basis):
    """A result that has the same bits on every machine; the sign of a zero, which the order of a sum decides, aside."""
    result = np.asarray(result)
    result = result + result.dtype.type(0)
    report.number(
        name, kind="exact", precision=precision, said=said, inputs=digest(*inputs), digest=digest(result),
        count=int(result.size), points=entries(result), parts=parts(result), ratio=None, basis=basis,
    )  # fmt: skip


def bounded(report, name, precision, said, inputs, result, bound, ratio, basis, points=POINTS):
    """A result whose every entry is within `bound` (absolute; an array of its shape, or a number) of the truth.

    `ratio`: the largest error as a multiple of its bound, where the truth is known. A complex result is taken by parts.
    """
    report.number(
        name, kind="bounded", precision=precision, said=said, inputs=digest(*inputs), digest=digest(result),
        count=int(np.size(real(result))), points=entries(result, bound, points), parts=parts(result),
        ratio=None if ratio is None else float(ratio), basis=basis,
    )  # fmt: skip


def stream(seed, shape):
    """64 random bits each, by SplitMix64: integer arithmetic only, so the same with every NumPy, and easy in C."""
    count = int(np.prod(shape, dtype=np.int64))
    z = np.arange(1, count + 1, dtype=np.uint64) * _STEP + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * _MIX
    z = (z ^ (z >> np.uint64(27))) * _STIR
    return (z ^ (z >> np.uint64(31))).reshape(shape)


def integers(seed, shape, bits):
    """Odd integers between -2^bits and 2^bits, none more likely than another."""
    return (stream(seed, shape) >> np.uint64(64 - bits)).astype(np.int64) * 2 + 1 - (1 << bits)


def odd(seed, shape, bits):
    """Odd integers of exactly `bits` bits with random signs: nothing shorter holds them."""
    drawn = stream(seed, shape)
    if bits < 3:  # 1 and 3 alone have so few
        whole = np.full(shape, 2 * bits - 1, np.int64)
    else:
        whole = (drawn >> np.uint64(66 - bits)).astype(np.int64) * 2 + 1 + (1 << (bits - 1))
    return np.where(drawn & np.uint64(1), -whole, whole)


def random(seed, shape, bits=24):
    """Random numbers in (-1, 1), odd multiples of 2^-bits (at most 53): the same on every machine, never rounded."""
    return integers(seed, shape, bits) / float(1 << bits)


def powers(seed, shape, most):
    """Random powers of two between 2^-most and 2^most."""
    exponents = (stream(seed, shape) >> np.uint64(32)).astype(np.int64) % (2 * most + 1) - most
    return np.ldexp(1.0, exponents.astype(np.int32))

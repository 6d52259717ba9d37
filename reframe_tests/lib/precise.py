"""Inside the image: products of matrices in doubled precision, and how far a computed one is from them.

Error-free transformations (Dekker, Knuth; Ogita, Rump, Oishi 2005) on whole arrays, without any BLAS: the reference
of a BLAS must not come from it.
"""

import numpy as np

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
_SPLITTER = 134217729.0  # 2^27 + 1


def gamma(k, u):
    """The bound k u / (1 - k u) of a sum of k products."""
    return k * u / (1.0 - k * u)


def two_sum(a, b):
    """s + e == a + b exactly, s the rounded sum."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def split(a):
    """a == high + low exactly, each of at most 26 bits."""
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


def two_product(a, b):
    """p + e == a b exactly, p the rounded product."""
    p = a * b
    (ah, al), (bh, bl) = split(a), split(b)
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def product(a, b):
    """(high, low, |A||B|): A B as an unevaluated sum high + low with about 106 bits, and the product of magnitudes."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    (ah, al), (bh, bl) = split(a), split(b)
    high = np.zeros((a.shape[0], b.shape[1]))
    low, magnitude = np.zeros_like(high), np.zeros_like(high)
    for t in range(a.shape[1]):
        p = np.multiply.outer(a[:, t], b[t])
        x, y, z, w = ah[:, t, None], al[:, t, None], bh[t], bl[t]
        e = ((x * z - p) + x * w + y * z) + y * w
        high, s = two_sum(high, p)
        low += s + e
        magnitude += np.abs(p)
    high, s = two_sum(high, low)
    return high, s, magnitude


def error(computed, reference):
    """Per entry: |computed - reference| / (|A||B|); infinite where the computed one is no number."""
    high, low, magnitude = reference
    computed = np.asarray(computed, np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs((computed - high) - low)
    ratio = np.divide(difference, magnitude, out=np.where(difference > 0, np.inf, 0.0), where=magnitude > 0)
    return np.where(np.isfinite(computed), ratio, np.inf)


def worst(computed, reference, bound):
    """(largest error as a multiple of the bound, where it is and what it should have been)."""
    ratio = error(computed, reference) / bound
    i, j = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    got, want = float(np.asarray(computed)[i, j]), float(reference[0][i, j])
    return float(ratio[i, j]), f"entry ({i}, {j}): expected {want!r}, got {got!r}, {ratio[i, j]:.3g} times the bound"


# --- complex numbers, as matrices of real ones ---


def tall(z):
    """[Re; Im] of a complex matrix: what `square` multiplies."""
    return np.vstack([z.real, z.imag]) if np.iscomplexobj(z) else np.asarray(z, np.float64)


def square(z):
    """[[Re, -Im], [Im, Re]]: `square(A) @ tall(B)` is `tall(A B)`."""
    return np.block([[z.real, -z.imag], [z.imag, z.real]]) if np.iscomplexobj(z) else np.asarray(z, np.float64)


def complete(*arrays):
    """All of them complex if one is, otherwise as they are, so that `square` and `tall` fit each other."""
    mixed = any(map(np.iscomplexobj, arrays))
    return [np.asarray(x, np.complex128 if mixed else np.float64) for x in arrays]


def total(*pairs):
    """`product` of the sum of products A B; complex ones by parts, as `tall`. A residual cancels, and stays right."""
    flat = complete(*(x for pair in pairs for x in pair))
    lefts, rights = [square(x) for x in flat[0::2]], [tall(x) for x in flat[1::2]]
    return product(np.hstack(lefts), np.vstack(rights))


def scaled(a, factors):
    """(p, e): p + e is the matrix with its columns times real factors, exactly."""
    if not np.iscomplexobj(a):
        return two_product(np.asarray(a, np.float64), np.asarray(factors, np.float64))
    (pr, er), (pi, ei) = (two_product(part.astype(np.float64), factors) for part in (a.real, a.imag))
    return pr + 1j * pi, er + 1j * ei


def residual(*pairs):
    """The sum of products A B, with the error of about one rounding of itself; complex where an input is."""
    high, low, _ = total(*pairs)
    value = high + low
    if not any(np.iscomplexobj(x) for pair in pairs for x in pair):
        return value
    half = value.shape[0] // 2
    return value[:half] + 1j * value[half:]


def norm1(a):
    """The largest sum of magnitudes of a column."""
    return float(np.abs(a).sum(axis=0).max())

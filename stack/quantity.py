"""Ring 0. Numbers as a person reads them: three or four significant digits, a unit, and never a false equality."""

from __future__ import annotations

import math

_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def number(value: float, digits: int = 4) -> str:
    """`digits` significant digits; whole numbers below 10^7 in full; `NaN` and infinity by name."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1e6:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        whole, dot, part = f"{value:,.{places}f}".partition(".")
        return whole + (dot + part).rstrip("0").rstrip(".")
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def pair(value: float, bound: float) -> tuple[str, str]:
    """A value and its bound, with as many digits as it takes to tell them apart when they differ."""
    for digits in range(4, 18):
        shown = number(value, digits), number(bound, digits)
        if shown[0] != shown[1] or value == bound or math.isnan(value):
            break
    return shown


def ratio(value: float, bound: float | None) -> float | None:
    """`value / bound`; None where that says nothing: no bound, not a number, or a bound of 0 that is exceeded."""
    if bound is None or not (math.isfinite(value) and math.isfinite(bound)):
        return None
    if bound == 0:
        return 0.0 if value == 0 else None
    quotient = value / bound
    return quotient if bound > 0 and math.isfinite(quotient) else None


def size(octets: float) -> str:
    """Bytes in decimal units, as disks and downloads are sold: `410 MB`."""
    for unit, name in _SIZES:
        if octets >= unit:
            return f"{number(octets / unit, 3)} {name}"
    return f"{number(octets)} B"


def duration(seconds: float) -> str:
    """Seconds as `42 ms`, `3.2 s`, `3 min 24 s` or `1 h 02 min`."""
    if not math.isfinite(seconds):
        return number(seconds) + " s"
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"

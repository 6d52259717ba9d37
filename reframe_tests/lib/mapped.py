"""In the subject: which BLAS this process has loaded, and its routines, also those that NumPy has no name for."""

import ctypes
import re
from pathlib import Path

import numpy as np
from report import manifest

MAPS = Path("/proc/self/maps")
_BLAS = r"blas|blis|mkl|accelerate|armpl|sci_"
# how a Fortran name is spelled: plainly, and in the wheels of NumPy and SciPy
SPELLINGS = ("{}_", "scipy_{}_64_", "scipy_{}_", "{}_64_")


def paths(maps):
    """Mapped files that are a BLAS by their name."""
    names = {m for m in re.findall(r"(/\S+)$", maps, re.M) if re.search(_BLAS, m.rsplit("/", 1)[-1].lower())}
    return sorted(names)


def own(maps, name, bundled):
    """Those that NumPy should compute with: of the component `name`, or what its wheel brings."""
    if bundled:
        return [p for p in paths(maps) if "numpy.libs" in p]
    return [p for p in paths(maps) if name in p.lower() and "numpy.libs" not in p]


def wrong(maps, name, bundled):
    """What is wrong with the mapped libraries, in words, or empty."""
    if own(maps, name, bundled):
        return ""
    if bundled:
        return "NumPy's wheel has loaded no BLAS"
    return f"expected {name or 'a BLAS'}; loaded: {', '.join(paths(maps)) or 'no BLAS'}"


def locked():
    """(name of the component of the role blas, whether NumPy is a wheel that brings its own).

    Of software that is not ours nobody says which it should be: then it is the one that NumPy has loaded.
    """
    components = manifest()["components"]
    provider = next((c["provider"] for c in components if c["name"] == "numpy"), "")
    if provider == "site":
        return "", any("numpy.libs" in path for path in paths(MAPS.read_text(encoding="utf-8")))
    return next(c["name"] for c in components if c["role"] == "blas"), provider == "wheel"


class Library:
    """Routines of the loaded BLAS by their Fortran names, found as the loader finds them: a preloaded one first."""

    def __init__(self):
        np.dot(np.ones(2), np.ones(2))
        for path in own(MAPS.read_text(encoding="utf-8"), *locked()):
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        self.all = ctypes.CDLL(None)

    def find(self, name):
        """A routine, or None."""
        for spelling in SPELLINGS:
            found = getattr(self.all, spelling.format(name), None)
            if found is not None:
                return found
        return None

    def call(self, name, *given):
        """Call it: a letter for a character, an int for an integer, and arrays, also for scalars."""
        kept = [_passed(x) for x in given]
        lengths = [ctypes.c_size_t(1) for x in given if isinstance(x, str)]
        routine = self.find(name)
        routine.restype = None
        routine(*(pointer for _, pointer in kept), *lengths)


def _passed(x):
    """(what must stay alive, its address)."""
    if isinstance(x, str):
        made = ctypes.c_char_p(x.encode())
        return made, made
    if isinstance(x, int):
        made = ctypes.c_int64(x)  # where integers have 32 bits, its lower half, which comes first, is the number
        return made, ctypes.byref(made)
    return x, x.ctypes.data_as(ctypes.c_void_p)

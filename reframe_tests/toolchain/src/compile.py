"""Compile and run one program per language, and compare what it prints with what was computed by hand.

Arguments: compilers that are known to be absent. A language that has none other is not tried.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from report import Report

HERE = Path(__file__).resolve().parent
PATIENCE = 300 * int(os.environ.get("SOVSTACK_PATIENCE", "1"))  # seconds
# language, compilers (the first that is there), source, flags, what it prints
PROGRAMS = (
    ("C", ("gcc", "cc", "clang"), "hello.c", (), "hello C 5050"),
    ("C++", ("g++", "c++", "clang++"), "hello.cpp", (), "hello C++ 5050 caught"),
    ("Fortran", ("gfortran", "flang", "flang-new"), "hello.f90", (), "hello Fortran 5050"),
    ("OpenMP", ("gcc", "cc", "clang"), "openmp.c", ("-fopenmp",), "hello OpenMP 5050 2"),
)


def there(compilers):
    """The first that is on PATH; None without any."""
    return next((c for c in compilers if shutil.which(c)), None)


def attempt(language, compilers, source, flags, expected):
    """What is wrong; empty when nothing is."""
    compiler = there(compilers)
    if compiler is None:
        return f"{language}: no compiler ({', '.join(compilers)})"
    binary = str(Path.cwd() / source.replace(".", "_"))
    for argv in ([compiler, "-O2", *flags, "-o", binary, str(HERE / source)], [binary]):
        try:
            ran = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{language}: {' '.join(argv)}: {error}"
        if ran.returncode:
            return f"{language}: {' '.join(argv)} ended with status {ran.returncode}: {ran.stderr.strip()[-400:]}"
    said = " ".join(ran.stdout.split())
    return "" if said == expected else f"{language}: {source} should print {expected!r}, it printed {said[:200]!r}"


def main(*absent):
    """Every language, but those that are known to be absent."""
    report = Report()
    asked = [program for program in PROGRAMS if there(program[1]) or not set(absent) & set(program[1])]
    wrong = [text for program in asked if (text := attempt(*program))]
    report.metric("programs", len(asked))
    report.metric("failed_programs", len(wrong), "; ".join(wrong))
    report.done()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

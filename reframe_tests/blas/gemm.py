"""Matrix products through NumPy, and the routines that NumPy never calls, are what the lock's BLAS must give."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems


@rfm.simple_test
class Gemm(SuiteCheck):
    """Exact integers, componentwise bounds against doubled precision, wide exponents."""

    descr = "Matrix products in fp64 and fp32 against exact and doubled-precision references"
    valid_systems = systems("Gemm")
    tags = {"ci", "precision"}
    threads = 2
    program = ["{python}", "{suite}/blas/src/gemm.py"]


@rfm.simple_test
class Blas(SuiteCheck):
    """The rest of the BLAS by its Fortran names, in four precisions."""

    descr = "BLAS of levels 1 to 3 in fp64, fp32 and complex: exact integers, and bounds against doubled precision"
    valid_systems = systems("Blas")
    tags = {"ci", "precision"}
    threads = 2
    program = ["{python}", "{suite}/blas/src/level3.py"]

"""Matrix products through NumPy are what the lock's BLAS must give."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from image_check import ImageCheck, systems


@rfm.simple_test
class Gemm(ImageCheck):
    """Exact integers, componentwise bounds against doubled precision, wide exponents."""

    descr = "Matrix products in fp64 and fp32 against exact and doubled-precision references"
    valid_systems = systems("Gemm")
    tags = {"ci", "precision"}
    threads = 2
    program = ["python3", "{suite}/blas/src/gemm.py"]

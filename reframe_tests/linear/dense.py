"""LAPACK through NumPy, and mixed precision with refinement."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems


@rfm.simple_test
class Lapack(SuiteCheck):
    """Ratios of LAPACK's own tests, exact factors, known spectra."""

    descr = "svd, qr, cholesky, eigenvalues, inverse and solve: residuals in doubled precision, and exact results"
    valid_systems = systems("Lapack")
    tags = {"ci", "precision"}
    threads = 2
    program = ["{python}", "{suite}/linear/src/lapack.py"]


@rfm.simple_test
class HplMxp(SuiteCheck):
    """A solution that is as good as one of fp64, or the answer that there is none."""

    descr = "HPL-MxP: factors of 16 bits, GMRES in fp64, and a matrix that must not be said to converge"
    valid_systems = systems("HplMxp")
    tags = {"ci", "precision"}
    threads = 2
    program = ["{python}", "{suite}/linear/src/hpl_mxp.py"]

"""Fourier transforms of NumPy, and of FFTW in C."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import COMPILERS, SuiteCheck, systems


@rfm.simple_test
class FourierTransform(SuiteCheck):
    """Against the definition with roots of 106 bits."""

    descr = "Fourier transforms of NumPy in fp64 and fp32: against the definition, there and back, exact integers"
    valid_systems = systems("FourierTransform")
    tags = {"ci", "precision"}
    program = ["{python}", "{suite}/fft/src/transform.py"]


@rfm.simple_test
class FftwTransform(SuiteCheck):
    """Against the definition in 113 bits."""

    descr = "Fourier transforms of FFTW in fp64, called from C"
    valid_systems = systems("FftwTransform")
    tags = {"ci", "precision"}
    prepare = [
        ["sh", "{suite}/lib/compile.sh", COMPILERS, "{work}/fftw", "{suite}/fft/src/fftw.c", "pkg:fftw3", "-lfftw3"]
    ]
    program = ["{work}/fftw"]

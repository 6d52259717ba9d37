"""The image's compilers make programs that run in it."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems


@rfm.simple_test
class Compilers(SuiteCheck):
    """Compiles and runs one program per language."""

    descr = "C, C++, Fortran and OpenMP programs compile and run"
    valid_systems = systems("Compilers")
    tags = {"ci", "smoke"}
    threads = 2
    program = ["{python}", "{suite}/toolchain/src/compile.py"]

"""The image's compilers make programs that run in it."""

import sys
from pathlib import Path

import reframe as rfm
from reframe.core.builtins import run_after

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, manifest, systems


@rfm.simple_test
class Compilers(SuiteCheck):
    """Compiles and runs one program per language: of software that is not ours, per language that it has."""

    descr = "C, C++, Fortran and OpenMP programs compile and run"
    valid_systems = systems("Compilers")
    tags = {"ci", "smoke"}
    threads = 2

    @run_after("setup")
    def tell(self):
        """Of software that is not ours, a compiler that it did not have when it was asked is none to miss."""
        absent = {name for component in manifest()["components"] for name in component.get("absent", ())}
        self.program = ["{python}", "{suite}/toolchain/src/compile.py", *sorted(absent)]

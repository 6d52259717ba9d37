"""How fast the memory is, and whether what was moved is right."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import COMPILERS, SuiteCheck, systems


@rfm.simple_test
class Stream(SuiteCheck):
    """STREAM's kernels in C with OpenMP, on every core that the check may have."""

    descr = "STREAM copy, scale, add and triad: every value exact, and the bandwidth"
    valid_systems = systems("Stream")
    tags = {"ci", "perf"}
    prepare = [["sh", "{suite}/lib/compile.sh", COMPILERS, "{work}/stream", "{suite}/memory/src/stream.c", "-O3"]]
    program = ["{work}/stream"]
    threads = 2

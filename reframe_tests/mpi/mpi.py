"""Two ranks inside the image exchange messages, from C and from Python."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems


@rfm.simple_test
class MpiProgram(SuiteCheck):
    """A C program: compiled by the image's wrapper, started by the image's launcher."""

    descr = "A compiled MPI program: exact integer all-reduce and a ring"
    valid_systems = systems("MpiProgram")
    tags = {"ci", "mpi"}
    prepare = [["mpicc", "-O2", "-o", "{work}/ring", "{suite}/mpi/src/ring.c"]]
    program = ["{work}/ring", "{ranks}"]
    ranks = 2


@rfm.simple_test
class Mpi4py(SuiteCheck):
    """A Python program over NumPy buffers."""

    descr = "mpi4py on several ranks: ping-pong and exact all-reduce"
    valid_systems = systems("Mpi4py")
    tags = {"ci", "mpi", "perf"}
    program = ["{python}", "{suite}/mpi/src/pingpong.py", "{ranks}"]
    ranks = 2

"""Two ranks inside the image exchange messages, from C and from Python."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from image_check import ImageCheck, systems

BUILD_AND_RUN = "mpicc -O2 -o ring {suite}/mpi/src/ring.c && exec mpiexec -n 2 ./ring 2"


@rfm.simple_test
class MpiProgram(ImageCheck):
    """A C program: compiled by the image's wrapper, started by the image's launcher."""

    descr = "A compiled MPI program: exact integer all-reduce and a ring"
    valid_systems = systems("MpiProgram")
    tags = {"ci", "mpi"}
    program = ["sh", "-c", BUILD_AND_RUN]


@rfm.simple_test
class Mpi4py(ImageCheck):
    """A Python program over NumPy buffers."""

    descr = "mpi4py on two ranks: ping-pong and exact all-reduce"
    valid_systems = systems("Mpi4py")
    tags = {"ci", "mpi", "perf"}
    program = ["mpiexec", "-n", "2", "python3", "{suite}/mpi/src/pingpong.py", "2"]

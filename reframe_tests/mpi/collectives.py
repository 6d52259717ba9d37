"""Messages and collectives at several sizes: what arrives is right, and how long it takes."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems


@rfm.simple_test
class MpiCollectives(SuiteCheck):
    """Point to point, bcast, allgather, alltoall, reduce_scatter and allreduce from C."""

    descr = "MPI point to point and collectives, 8 B to 1 MiB: exact integers, bounded sums, latency and bandwidth"
    valid_systems = systems("MpiCollectives")
    tags = {"ci", "mpi", "perf"}
    ranks = 2
    prepare = [["sh", "{suite}/lib/compile.sh", "mpicc", "{work}/collectives", "{suite}/mpi/src/collectives.c", "-O2"]]
    program = ["{work}/collectives", "{ranks}"]

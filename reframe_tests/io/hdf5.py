"""One file that all ranks write and read."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems

# Where it is: what a distribution calls the parallel one, and what it is called where there is no other.
LINK = ["pkg:hdf5-openmpi", "pkg:hdf5-mpich", "pkg:hdf5-mpi", "pkg:hdf5", "-lhdf5"]


@rfm.simple_test
class Hdf5Parallel(SuiteCheck):
    """Written by rows and read by columns, through MPI-IO."""

    descr = "Parallel HDF5: written by rows, read by columns, seen by h5dump"
    valid_systems = systems("Hdf5Parallel")
    tags = {"ci", "mpi", "io", "perf"}
    prepare = [["sh", "{suite}/lib/compile.sh", "mpicc", "{work}/parallel", "{suite}/io/src/parallel.c", *LINK]]
    ranks = 2
    program = ["{work}/parallel", "{ranks}", "{work}/parallel.h5"]

"""Distributed dense linear algebra with solutions that are known."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems

LINK = [
    "pkg:scalapack-openmpi",
    "pkg:scalapack-mpich",
    "pkg:scalapack",
    "-lscalapack-openmpi",
    "-lscalapack-mpich",
    "-lscalapack",
    "-lscalapack -llapack -lblas",
]


@rfm.simple_test
class ScaLapack(SuiteCheck):
    """A system of whole numbers, and a matrix whose eigenvalues have a formula."""

    descr = "ScaLAPACK: a system of whole numbers and known eigenvalues"
    valid_systems = systems("ScaLapack")
    tags = {"ci", "mpi", "precision"}
    prepare = [["sh", "{suite}/lib/compile.sh", "mpicc", "{work}/dense", "{suite}/scalapack/src/dense.c", *LINK]]
    ranks = 2
    program = ["{work}/dense", "{ranks}"]

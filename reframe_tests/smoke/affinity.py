"""Ranks and threads run where they were bound."""

import sys
from pathlib import Path

import reframe as rfm
from reframe.core.builtins import run_after

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import COMPILERS, SuiteCheck, systems

SOURCE = "{suite}/smoke/src/affinity.c"
BIND_THREADS = {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}
BIND_RANKS = {
    "PRTE_MCA_rmaps_default_mapping_policy": "core",
    "PRTE_MCA_hwloc_default_binding_policy": "core",
    "OMPI_MCA_rmaps_base_mapping_policy": "core",
    "OMPI_MCA_hwloc_base_binding_policy": "core",
}


@rfm.simple_test
class ThreadAffinity(SuiteCheck):
    """OpenMP's threads, each on a core of its own."""

    descr = "Threads are on cores of their own, inside the mask of their process"
    valid_systems = systems("ThreadAffinity")
    tags = {"ci", "affinity"}
    threads = 2
    prepare = [["sh", "{suite}/lib/compile.sh", COMPILERS, "{work}/affinity", SOURCE, "-DALONE"]]
    program = ["{work}/affinity", "1", "{threads}", "threads"]

    def environment(self, told):
        """OpenMP is asked for compact binding."""
        return {**super().environment(told), **BIND_THREADS}


@rfm.simple_test
class RankAffinity(SuiteCheck):
    """Ranks of MPI, each on a core of its own where the launcher was asked for that."""

    descr = "Ranks are bound as the launcher was asked to, and their threads inside"
    valid_systems = systems("RankAffinity")
    tags = {"ci", "affinity", "mpi"}
    ranks = 2
    prepare = [["sh", "{suite}/lib/compile.sh", "mpicc", "{work}/affinity", SOURCE]]
    program = ["{work}/affinity", "{ranks}", "{threads}"]
    asked = False

    @run_after("setup")
    def ask(self):
        """Open MPI's launcher takes its policies from the environment; with too few cores it would refuse."""
        here = self.current_partition
        cores = here.processor.num_cpus or 0
        self.asked = "local" in here.features and "openmpi" in here.features and cores >= self.ranks
        if self.asked:
            self.program = [*self.program, "ranks"]

    def environment(self, told):
        """The launcher is asked to bind each rank to a core."""
        return {**super().environment(told), **(BIND_RANKS if self.asked else {})}

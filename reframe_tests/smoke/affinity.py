"""Ranks and threads run where they were bound."""

import re
import subprocess
import sys
from pathlib import Path

import reframe as rfm
from reframe.core.builtins import run_after

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import COMPILERS, SuiteCheck, subject, systems

SOURCE = "{suite}/smoke/src/affinity.c"
BIND_THREADS = {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}
BIND_RANKS = {
    "PRTE_MCA_rmaps_default_mapping_policy": "core",
    "PRTE_MCA_hwloc_default_binding_policy": "core",
    "OMPI_MCA_rmaps_base_mapping_policy": "core",
    "OMPI_MCA_hwloc_base_binding_policy": "core",
}
HYDRA = ["-bind-to", "core"]
SRUN = ["--cpu-bind=cores"]
PATIENCE = 20  # seconds that Slurm has for an answer


def slurm_binds():
    """Whether Slurm can bind tasks to cores: a plugin of it does."""
    argv = ["timeout", str(PATIENCE), "scontrol", "show", "config"]
    said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    return re.search(r"^TaskPlugin\s*=.*\baffinity\b", said, re.MULTILINE) is not None


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
    ranks = packed = 2  # on one node, where they could get in each other's way
    prepare = [["sh", "{suite}/lib/compile.sh", "mpicc", "{work}/affinity", SOURCE]]
    program = ["{work}/affinity", "{ranks}", "{threads}"]
    policies = {}

    @run_after("setup")
    def ask(self):
        """Each launcher is asked in its own words. Open MPI's would refuse where there are too few cores."""
        here, slurm = self.current_partition, subject()["launch"] == "srun"
        if slurm and slurm_binds():
            self.program = [*self.program, "ranks", "apart"]
            self.binding, self.num_tasks_per_core = SRUN, 1
        elif not slurm and (here.processor.num_cores or here.processor.num_cpus or 0) >= self.ranks:
            self.policies = BIND_RANKS if "openmpi" in here.features else {}
            self.binding = HYDRA if "mpich" in here.features else []
            self.program = [*self.program, *(["ranks"] if self.policies or self.binding else [])]

    def environment(self, told):
        """Open MPI's launcher takes its policies from the environment."""
        return {**super().environment(told), **self.policies}

"""What every check has in common: it runs a program in the subject and judges the numbers that it prints.

The subject is an image, or software of the machine itself. The caller says which with three environment variables:
SOVSTACK_SUBJECT (JSON: how a program is started in it), SOVSTACK_MANIFEST (JSON: components, roles, versions), and, to
prove that checks can fail, SOVSTACK_PRELOAD (a shared library).
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import reframe as rfm
import reframe.utility.sanity as sn
from reframe.core.builtins import run_after, run_before, sanity_function, variable
from reframe.core.exceptions import SanityError

sys.path.append(str(Path(__file__).resolve().parent))
from asked import (
    ALONE,
    COMPILERS,
    INSIDE,
    PROTOCOL,
    RANK,
    SUITE,
    TAIL_LINES,
    beyond,
    in_one_piece,
    laid_out,
    limits,
    manifest,
    messages,
    printed,
    read_yaml,
    seen,
    subject,
    systems,
)

__all__ = ["COMPILERS", "SuiteCheck", "limits", "manifest", "systems"]

# What a rank is given, and who could say how many there are.
UNITS = {
    "core": "core a rank, and the settings do not say how many a node has: `num_cpus`",
    "socket": "socket a rank, and nobody says how many a node has",
    "numa": "NUMA domain a rank, and nobody says how many a node has",
    "device": "device a rank, and nobody says how many a node has: in the profile, `count` under `accelerators`",
}

# Such variables of the caller's would get into an image whatever else is shut out. One is left: it tells an emulator.
_LEAKS = re.compile(r"(APPTAINER|SINGULARITY)(ENV_(?!QEMU_CPU$).*|_BIND|_BINDPATH|_MOUNT|_OVERLAY)")
for _name in filter(_LEAKS.fullmatch, list(os.environ)):
    del os.environ[_name]


class SuiteCheck(rfm.RunOnlyRegressionTest):
    """Base. `program`: argv in the subject, where `{suite}` is the suite's folder, `{work}` a folder to write in,
    `{python}` the subject's Python, `{ranks}` and `{threads}` how many. `prepare`: argvs that are run before it, once.
    `ranks`: under MPI, so many; with `forks` only a scheduler starts them, and elsewhere the program does so itself.
    `unit`: what of a machine gets a rank where a run asked for a scale: core, numa, socket, device or node; `packed`:
    ranks on a node, then; `least`: fewer ranks test nothing, so that units share them; `units`: of a node, that were
    asked for. `binding`: words for what launches the ranks. `judged`: by the emulator of the machine, which nodes need
    not have for any other check."""

    program = variable(list, value=[], loggable=False)
    prepare = variable(list, value=[], loggable=False)
    ranks = variable(int, value=0, loggable=False)
    forks = variable(bool, value=False, loggable=False)
    threads = variable(int, value=1, loggable=False)
    judged = variable(bool, value=False, loggable=False)
    unit = variable(str, value="core", loggable=False)
    packed = variable(int, value=0, loggable=False)
    least = variable(int, value=1, loggable=False)
    units = variable(int, value=0, loggable=False)
    binding = variable(list, value=[], loggable=False)
    incomplete = variable(list, value=[], loggable=False)
    faults = variable(list, value=[], loggable=True)
    numbers = variable(list, value=[], loggable=True)
    nodes = variable(list, value=[], loggable=True)
    origins = variable(dict, value={}, loggable=True)
    tail = variable(str, value="", loggable=True)

    valid_prog_environs = ["*"]
    sourcesdir = None
    time_limit = "10m"
    tags = {"ci"}

    @run_after("init")
    def tag_scale(self):
        """Early, so that ReFrame's own choice of tags (`-t 1_node`) finds it."""
        if scale := subject().get("scale"):
            self.tags |= {scale}

    @run_after("setup")
    def take_resources(self):
        """Under a scheduler every rank is a task of it, on different nodes; an emulator needs more time."""
        told = subject()
        self.time_limit *= told["patience"]
        self.take_scale(told.get("scale"))
        if told["launch"] == "srun":
            self.num_tasks = self.ranks or 1
            self.num_tasks_per_node = self.packed or -(-self.num_tasks // told["nodes"])
            self.num_cpus_per_task = self.threads
            if told["minutes"]:
                self.time_limit = min(self.time_limit, 60 * told["minutes"])
            self.max_pending_time = f"{told['pending']}s"

    def take_scale(self, name):
        """As many ranks as the scale that was asked for has compute units, or as many threads."""
        if not name:
            return
        scale = read_yaml(SUITE / "scales.yaml")["scales"][name]
        node = self.node(scale)
        if self.ranks:
            if self.unit != "node" and not node[self.unit]:
                self.refuse(f"the scale {name} gives every {UNITS[self.unit]}")
            ranks, self.packed, self.threads = laid_out(scale, self.unit, node)
            self.units, self.ranks = self.packed, max(ranks, self.least)
            if ranks < self.least:
                self.threads = max(self.threads * self.packed // self.least, 1)
                self.packed = -(-self.least // scale["nodes"])
        elif self.threads > 1:
            self.threads = laid_out(scale, "node", node)[2]

    def node(self, scale):
        """How many of each compute unit a node has; 0 where the settings do not say. Where a scale takes more cores
        than there are, their hardware threads count."""
        has = self.current_partition.processor
        cores = has.num_cores or has.num_cpus or 0
        if max(scale.get("cores", 1), scale.get("part", 1)) > cores:
            cores = has.num_cpus or 0
        devices = sum(device.num_devices or 0 for device in self.current_partition.devices)
        return {"core": cores, "socket": has.num_sockets or 0, "numa": has.num_numa_nodes or 0, "device": devices}

    def refuse(self, why):
        """Fail before anything runs: a check that took less than it was asked for would pass for the whole."""
        self.faults = [why]
        raise SanityError(why)

    def environment(self, told):
        """Variables of the subject; where it is an image, nothing of the host's own environment gets there."""
        inside = told["kind"] == "image"
        return {
            **self.paths(told, inside),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "OMP_NUM_THREADS": str(self.threads),
            "SOVSTACK_MANIFEST": f"{INSIDE}/manifest.json" if inside else seen(told, os.environ["SOVSTACK_MANIFEST"]),
            "SOVSTACK_SUITE": f"{INSIDE}/suite" if inside else seen(told, SUITE),
            "SOVSTACK_PATIENCE": str(told["patience"]),
            "TMPDIR": "/tmp",
            **({"SOVSTACK_LAUNCHED": "1"} if told["launch"] == "srun" and self.ranks else ALONE),
            **{k: v for k, v in told["variables"].items() if k != "PYTHONPATH"},
            **self.preloaded(inside),
        }

    def paths(self, told, inside):
        """Where Python finds the suite's own modules, before what the subject itself has there."""
        own = f"{INSIDE}/suite/lib" if inside else f"{seen(told, SUITE)}/lib"
        return {"PYTHONPATH": ":".join(filter(None, (own, told["variables"].get("PYTHONPATH"))))}

    def preloaded(self, inside):
        """What makes the loader take the library that proves that a check can fail."""
        library = os.environ.get("SOVSTACK_PRELOAD")
        return {"LD_PRELOAD": f"{INSIDE}/preload.so" if inside else library} if library else {}

    def binds(self, told):
        """Folders and files of the host that are seen in an image: `source:target[:ro]`."""
        found = {str(SUITE): "suite:ro", os.environ["SOVSTACK_MANIFEST"]: "manifest.json:ro", self.stagedir: "work"}
        if library := os.environ.get("SOVSTACK_PRELOAD"):
            found[library] = "preload.so:ro"
        return [*(f"{path}:{INSIDE}/{name}" for path, name in found.items()), *(told["binds"] if self.judged else ())]

    def within(self, told, words, spread=False):
        """The argv on the host that runs an argv in the subject; `spread`: as one of several ranks."""
        inside = told["kind"] == "image"
        places = {
            "{suite}": f"{INSIDE}/suite" if inside else seen(told, SUITE),
            "{work}": f"{INSIDE}/work" if inside else seen(told, self.stagedir),
            "{python}": told["python"],
            "{ranks}": str(self.ranks or 1),
            "{threads}": str(self.threads),
            "{units}": str(self.units),
        }
        for name, place in places.items():
            words = [word.replace(name, place) for word in words]
        variables = [f"{k}={v}" for k, v in self.environment(told).items()]
        if not inside:
            return [*told["prefix"], "env", "-C", places["{work}"], *variables, *words]
        options = [word for v in variables for word in ("--env", in_one_piece(v))]
        options += [word for b in self.binds(told) for word in ("--bind", b)]
        # Ranks that a launcher started share their machine's memory, and see each other's processes.
        apart = ["--cleanenv", "--no-home", "--no-mount", "cwd"] if spread else ["--containall"]
        start = [*told["prefix"], told["apptainer"], "-q", "exec", *apart, *told["options"], *options]
        return [*start, "--pwd", f"{INSIDE}/work", told["image"], *words]

    @run_before("run")
    def in_the_subject(self):
        """One command on a machine alone; under a scheduler the preparation comes first, then its launcher."""
        told, words = subject(), list(self.program)
        spread = told["launch"] == "srun"
        if self.ranks and not spread and not self.forks:
            words = [*told["mpiexec"], *self.binding, "-n", str(self.ranks), *words]
        if self.prepare and not spread:
            words = ["sh", "-c", " && ".join([*map(shlex.join, self.prepare), f"exec {shlex.join(words)}"])]
        if self.prepare and spread:
            self.prerun_cmds = [shlex.join(self.within(told, argv)) for argv in self.prepare]
        argv = self.within(told, words, spread and self.ranks > 0)
        if spread:
            argv = ["sh", "-c", RANK, "rank", *argv]
        self.executable, self.executable_opts = shlex.quote(argv[0]), [shlex.quote(word) for word in argv[1:]]
        if spread:
            self.job.launcher.options = (
                [*told["srun"], *self.binding] if self.ranks else ["--nodes=1", "--ntasks=1", "--mpi=none"]
            )

    @run_before("sanity")
    def read_numbers(self):
        """Turn printed metrics into ReFrame's performance variables and references, and what is wrong into words."""
        out, err = (printed(Path(self.stagedir, str(name))) for name in (self.job.stdout, self.job.stderr))
        said, known = messages(out), limits(type(self).__name__)["metrics"]
        lines = [[x for x in text.splitlines() if not x.startswith(PROTOCOL)] for text in (out, err)]
        self.tail = "\n".join(line for some in lines for line in some[-TAIL_LINES:])
        measured = {m["name"]: m for m in said if m["sovstack"] == "metric"}
        self.numbers = [m for m in said if m["sovstack"] in ("number", "switch")]
        self.nodes = sorted({m["node"] for m in said if m["sovstack"] == "place"})
        wrong = [m["text"] for m in said if m["sovstack"] == "fault"]
        wrong += [f"{n} is not in thresholds.yaml" for n in measured if n not in known]
        if any(m["sovstack"] == "done" for m in said):
            wrong += [f"{n} was not measured" for n, e in known.items() if n not in measured and not e.get("optional")]
        else:
            last = next(
                (line for some in reversed(lines) for line in reversed(some) if line.strip()), "it printed nothing"
            )
            how = f"status {self.job.exitcode}" if self.job.exitcode is not None else f"the job is {self.job.state}"
            if self.job.state == "CANCELLED":
                how += f", by somebody or because it had no nodes after {subject()['pending']} s"
            wrong.append(f"the program did not come to its end ({how}): {last.strip()[:500]}")
        wrong += self.misplaced()
        self.incomplete = wrong
        self.faults = wrong + self.judge({n: m for n, m in measured.items() if n in known}, known)

    def misplaced(self):
        """Where a scheduler put the ranks: on fewer nodes than were asked for, messages went through no network."""
        wanted = -(-self.ranks // self.num_tasks_per_node) if self.ranks and self.num_tasks_per_node else 0
        if len(self.nodes) >= wanted:
            return []
        return [f"the {self.ranks} ranks were on {', '.join(self.nodes) or 'no node'}, expected {wanted} nodes"]

    def judge(self, measured, known):
        """Give the numbers and their bounds to ReFrame; what is beyond its bound, in words."""
        references, wrong = {}, []
        for name, message in measured.items():
            value, entry = float(message["value"]), known[name]
            bound, unit = entry.get("bound"), entry["unit"]
            references[name] = (bound or 0, None, None if bound is None else 0, unit)
            self.perf_variables[name] = sn.make_performance_function(sn.defer(value), unit)
            self.origins[name] = entry["origin"]
            wrong.append(beyond(name, value, entry, message.get("detail", "")))
        self.reference = {"*": references}
        return [text for text in wrong if text]

    @sanity_function
    def came_to_its_end(self):
        """What keeps the numbers from being complete. A number beyond its bound fails later, as performance."""
        return sn.assert_true(
            not self.incomplete, msg="; ".join(self.incomplete)[:2000].replace("{", "(").replace("}", ")")
        )

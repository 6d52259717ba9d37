"""What every check of an image has in common: it runs a program inside the image and judges the numbers it prints.

The caller says what is under test with four environment variables: SOVSTACK_IMAGE (a SIF file), SOVSTACK_MANIFEST
(JSON: components, roles, versions), and, to prove that checks can fail, SOVSTACK_PRELOAD (a shared library).
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import reframe as rfm
import reframe.utility.sanity as sn
from reframe.core.builtins import run_before, sanity_function, variable

SUITE = Path(__file__).resolve().parent
INSIDE = "/sovstack"
TAIL_LINES = 30
PROTOCOL = '{"sovstack":'

# Both families of MPI start two ranks as root, on one core, without a network and without fighting over cores.
MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_btl": "^tcp",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}


def limits(check):
    """The entry of one check in `thresholds.yaml`."""
    from ruamel.yaml import YAML

    data = YAML(typ="safe", pure=True).load((SUITE / "thresholds.yaml").read_text(encoding="utf-8"))
    if data["schema"] != 1:
        raise ValueError(f"thresholds.yaml: schema {data['schema']} is not known")
    return data["checks"][check]


def systems(check):
    """The features that a partition must have for a check, as ReFrame's `valid_systems`; never a system's name."""
    return [" ".join(f"+{need}" for need in ("image", *limits(check)["needs"]))]


def messages(text):
    """The JSON lines that a check program printed among everything else."""
    found = []
    for line in text.splitlines():
        if line.startswith(PROTOCOL):
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"sovstack": "fault", "text": f"a broken line: {line[:200]}"})
    return found


def beyond(name, value, entry, detail):
    """What is wrong with a number, in words; None when it is within its bound."""
    bound = entry.get("bound")
    if bound is None or value <= bound:
        return None
    said = f"{name} is {value:.6g} {entry['unit']}, accepted up to {bound}"
    return f"{said}: {detail}" if detail else said


def in_double_quotes(text):
    """Escaped for where ReFrame itself writes the double quotes."""
    return "".join("\\" + c if c in '"\\$`' else c for c in text)


class ImageCheck(rfm.RunOnlyRegressionTest):
    """Base: `program` is the argv inside the image, paths relative to the suite's folder start with `{suite}`."""

    program = variable(list, value=[], loggable=False)
    threads = variable(int, value=1, loggable=False)
    incomplete = variable(list, value=[], loggable=False)
    faults = variable(list, value=[], loggable=True)
    origins = variable(dict, value={}, loggable=True)
    tail = variable(str, value="", loggable=True)

    valid_prog_environs = ["*"]
    sourcesdir = None
    time_limit = "10m"
    tags = {"ci"}

    def environment(self):
        """Variables inside the image; nothing of the host's own environment gets there."""
        library = os.environ.get("SOVSTACK_PRELOAD")
        return {
            "PYTHONPATH": f"{INSIDE}/suite/lib",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "OMP_NUM_THREADS": str(self.threads),
            "SOVSTACK_MANIFEST": f"{INSIDE}/manifest.json",
            "SOVSTACK_SUITE": f"{INSIDE}/suite",
            "TMPDIR": "/tmp",
            **MPI,
            **({"LD_PRELOAD": f"{INSIDE}/preload.so"} if library else {}),
        }

    @run_before("run")
    def inside_the_image(self):
        """The partition says which container platform; the suite and the manifest are bound read-only."""
        binds = {str(SUITE): "suite", os.environ["SOVSTACK_MANIFEST"]: "manifest.json"}
        if library := os.environ.get("SOVSTACK_PRELOAD"):
            binds[library] = "preload.so"
        platform = self.container_platform
        platform.image = shlex.quote(os.environ["SOVSTACK_IMAGE"])
        platform.mount_points = [(in_double_quotes(path), f"{INSIDE}/{name}:ro") for path, name in binds.items()]
        variables = [f"{k}={v}" for k, v in self.environment().items()]
        platform.options = ["--containall", *(f"--env {shlex.quote(v)}" for v in variables)]
        platform.command = shlex.join(word.replace("{suite}", f"{INSIDE}/suite") for word in self.program)

    @run_before("sanity")
    def read_numbers(self):
        """Turn printed metrics into ReFrame's performance variables and references, and what is wrong into words."""
        out, err = (Path(self.stagedir, name).read_text(encoding="utf-8", errors="replace")
                    for name in (str(self.job.stdout), str(self.job.stderr)))  # fmt: skip
        said, known = messages(out), limits(type(self).__name__)["metrics"]
        lines = [[x for x in text.splitlines() if not x.startswith(PROTOCOL)] for text in (out, err)]
        self.tail = "\n".join(line for some in lines for line in some[-TAIL_LINES:])
        measured = {m["name"]: m for m in said if m["sovstack"] == "metric"}
        wrong = [m["text"] for m in said if m["sovstack"] == "fault"]
        wrong += [f"{n} is not in thresholds.yaml" for n in measured if n not in known]
        if any(m["sovstack"] == "done" for m in said):
            wrong += [f"{n} was not measured" for n, e in known.items() if n not in measured and not e.get("optional")]
        else:
            last = next(
                (line for some in reversed(lines) for line in reversed(some) if line.strip()), "it printed nothing"
            )
            wrong.append(f"the program did not come to its end (status {self.job.exitcode}): {last.strip()[:500]}")
        self.incomplete = wrong
        self.faults = wrong + self.judge({n: m for n, m in measured.items() if n in known}, known)

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

"""What the suite was asked for, its bounds, and how a program's lines are read: all that needs no ReFrame."""

from __future__ import annotations

import json
import os
from pathlib import Path

SUITE = Path(__file__).resolve().parent
INSIDE = "/sovstack"
TAIL_LINES = 30
PROTOCOL = '{"sovstack":'
COMPILERS = "gcc cc clang"
"""Of C: the first that is there is taken."""

# Both families of MPI start ranks as root, on one core, without a network and without fighting over cores.
ALONE = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_btl": "^tcp",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}


def read_yaml(path):
    """Plain data of one of the suite's own files."""
    from ruamel.yaml import YAML

    data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    if data["schema"] != 1:
        raise ValueError(f"{path}: schema {data['schema']} is not known")
    return data


def limits(check):
    """The entry of one check in the `thresholds.yaml` of its folder."""
    for path in sorted(SUITE.glob("*/thresholds.yaml")):
        found = read_yaml(path)["checks"].get(check)
        if found is not None:
            return found
    raise KeyError(f"{check} has no thresholds")


def systems(check):
    """The features that a partition must have for a check, as ReFrame's `valid_systems`; never a system's name."""
    entry, scale = limits(check), subject().get("scale")
    words = [f"+{need}" for need in entry["needs"]] + [f"-{other}" for other in entry.get("unless", ())]
    words += [f"+scale_{scale}"] if scale else []
    return [" ".join(words) or "*"]


def laid_out(scale, unit, node):
    """(ranks, ranks on a node, cores of each) of a scale, one rank for every compute unit that it takes.

    `unit`: core, numa, socket, device or node; `node`: how many of each a node has.
    """
    cores = max(node.get("core") or 1, 1)
    taken = scale.get("cores") or max(cores // scale.get("part", 1), 1)
    units = {"core": cores, "node": 1}.get(unit) or node.get(unit) or 1
    each = taken if unit == "core" else max(units * taken // cores, 1)
    return scale["nodes"] * each, each, max(taken // each, 1)


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


def printed(path):
    """What a program printed; nothing where it was never started."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def beyond(name, value, entry, detail):
    """What is wrong with a number, in words; None when it is within its bound."""
    bound = entry.get("bound")
    if bound is None or value <= bound:
        return None
    said = f"{name} is {value:.6g} {entry['unit']}, accepted up to {bound}"
    return f"{said}: {detail}" if detail else said


# Under a scheduler its launcher starts each rank, which tells its node; what joins the ranks has to get into an image.
# PMIx's server has its files in a folder of the node.
RANK = """\
printf '{"sovstack": "place", "rank": "%s", "node": "%s"}\\n' "${SLURM_PROCID:-}" "${SLURMD_NODENAME:-$(uname -n)}"
export RANK="${SLURM_PROCID:-0}" WORLD_SIZE="${SLURM_NTASKS:-1}" LOCAL_RANK="${SLURM_LOCALID:-0}"
export SOVSTACK_NODES="${SLURM_STEP_NODELIST:-}" SOVSTACK_LAUNCHER="${SLURM_LAUNCH_NODE_IPADDR:-}"
export SOVSTACK_JOB="${SLURM_JOB_ID:-}.${SLURM_STEP_ID:-}"
joins='PMI[A-Z0-9_]*\\|RANK\\|WORLD_SIZE\\|LOCAL_RANK\\|MASTER_[A-Z]*\\|SOVSTACK_[NLJ][A-Z]*'
for name in $(env | sed -n "s/^\\($joins\\)=.*/\\1/p"); do
  eval "export APPTAINERENV_$name=\\"\\$$name\\""
done
[ -z "${PMIX_SERVER_TMPDIR:-}" ] || export APPTAINER_BIND="$PMIX_SERVER_TMPDIR"
exec "$@"
"""


def in_one_piece(variable):
    """A NAME=value for Apptainer's --env, which splits at commas where there is a second equals sign."""
    return '"' + variable.replace('"', '""') + '"' if variable.count("=") > 1 else variable


def subject():
    """How programs are started in what is under test."""
    return json.loads(Path(os.environ["SOVSTACK_SUBJECT"]).read_text(encoding="utf-8"))


def manifest():
    """What is known of what is under test: components, roles, versions."""
    return json.loads(Path(os.environ["SOVSTACK_MANIFEST"]).read_text(encoding="utf-8"))


def seen(told, path):
    """Where a path of this machine is where the subject's programs run: elsewhere, in another root file system."""
    found = next((source for source in told["seen"] if f"{path}/".startswith(f"{source}/")), None)
    return str(path) if found is None else told["seen"][found] + str(path)[len(found) :]

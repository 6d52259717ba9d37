"""Programs of MPI in a real image: as they are, with a wrong MPI before the right one, and without being bound."""

from __future__ import annotations

import ast
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stack import verify
from tests.reframe_tests.programs import SUITE

pytestmark = pytest.mark.image
# A check: its program in C and the file that says how it is linked; or its program in Python.
PROGRAMS = {
    "MpiCollectives": ("mpi/src/collectives.c", ""),
    "MpiProgram": ("mpi/src/ring.c", ""),
    "Mpi4py": ("mpi/src/pingpong.py", ""),
    "ScaLapack": ("scalapack/src/dense.c", "scalapack/scalapack.py"),
    "Hdf5Parallel": ("io/src/parallel.c", "io/hdf5.py"),
}
BIND = {"PRTE_MCA_rmaps_default_mapping_policy": "core", "PRTE_MCA_hwloc_default_binding_policy": "core"}


class Inside:
    """Runs programs in the image as the suite does on a machine alone."""

    def __init__(self, apptainer: str, image: Path, work: Path, alone: dict[str, str]) -> None:
        self.start = [apptainer, "-q", "exec", "--containall", "--bind", f"{SUITE}:/sovstack/suite:ro",
                      "--bind", f"{work}:/sovstack/work", "--pwd", "/sovstack/work"]  # fmt: skip
        self.work, self.image = work, str(image)
        self.alone = {**alone, "SOVSTACK_SUITE": "/sovstack/suite", "OMP_NUM_THREADS": "1"}

    def run(self, *argv: str, **env: str) -> str:
        variables = [word for k, v in {**self.alone, **env}.items() for word in ("--env", f"{k}={v}")]
        ran = subprocess.run([*self.start, *variables, self.image, *argv], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def compiled(self, source: str, *ways: str) -> str:
        made = f"/sovstack/work/{Path(source).stem}"
        self.run("sh", "/sovstack/suite/lib/compile.sh", "mpicc", made, f"/sovstack/suite/{source}", *ways)
        return made

    def has(self, *argv: str) -> bool:
        ran = subprocess.run([*self.start, self.image, *argv], capture_output=True, check=False)
        return ran.returncode == 0


@pytest.fixture
def inside(apptainer: str, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    monkeypatch.syspath_prepend(str(SUITE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Inside(apptainer, image, tmp_path, importlib.import_module("suite").ALONE)


def told(output: str) -> dict[str, dict[str, Any]]:
    """What a program printed for the suite, by name."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"sovstack":')]
    assert lines[-1] == {"sovstack": "done"}
    return {line["name"]: line for line in lines[:-1] if line["sovstack"] != "fault"}


def test_collectives_are_exact_on_any_number_of_ranks(inside: Inside) -> None:
    program = inside.compiled("mpi/src/collectives.c")
    for ranks in ("1", "2", "3"):
        found = told(inside.run("mpiexec", "-n", ranks, program, ranks))
        assert {n: m["value"] for n, m in found.items() if n.endswith(("_wrong", "_missing")) and m["value"]} == {}
        assert found["allreduce_error"]["value"] <= 1
        assert found["mpi_allreduce_int64"]["kind"] == "exact"
        assert found["mpi_allreduce_fp64"]["ratio"] <= 1
    missing = told(inside.run("mpiexec", "-n", "2", program, "4"))
    assert missing["ranks_missing"]["value"] == 2


def ways(file: str) -> list[str]:
    """How a check links its program: what its file calls LINK."""
    tree = ast.parse((SUITE / file).read_text()) if file else ast.Module([], [])
    named = [node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LINK"]
    return [way for node in named for way in ast.literal_eval(node.value)]


def started(inside: Inside, check: str) -> list[str]:
    """The program of a check, ready to be run; or a skip where the image has not what it needs."""
    source, linked = PROGRAMS[check]
    if source.endswith(".py"):
        if not inside.has("python3", "-c", "import mpi4py, numpy"):
            pytest.skip("the image has no mpi4py: set SOVSTACK_TEST_IMAGE to one of ai-hpc")
        inside.alone |= {"PYTHONPATH": "/sovstack/suite/lib", "SOVSTACK_MANIFEST": "/sovstack/work/manifest.json"}
        inside.work.joinpath("manifest.json").write_text('{"components": []}')
        return ["python3", f"/sovstack/suite/{source}", "2"]
    name = ways(linked)[-1].split()[0].removeprefix("-l") if linked else ""
    if name and not inside.has("sh", "-c", f"find /usr/lib /opt -name 'lib{name}*.so' | grep -q ."):
        pytest.skip(f"the image has no {name}: set SOVSTACK_TEST_IMAGE to one of hpc-mpi")
    return [inside.compiled(source, *ways(linked)), "2", "/sovstack/work/parallel.h5"]


def preloaded(inside: Inside, wrong: str) -> dict[str, str]:
    """The variable that puts a wrong library before all; none for none. The image's MPI comes with it."""
    if not wrong:
        return {}
    source, name = ("wrong_blas.c", "FP32") if wrong == "BLAS" else ("wrong_mpi.c", wrong)
    shutil.copy(Path(__file__).with_name(source), inside.work)
    options = ["-O2", "-shared", "-fPIC", "-ffreestanding", "-Wl,-z,lazy", f"-DWRONG={name}"]
    inside.run("mpicc", *options, "-o", f"{wrong}.so", source)
    return {"LD_PRELOAD": f"/sovstack/work/{wrong}.so"}


def beyond(inside: Inside, check: str, wrong: str) -> dict[str, str]:
    """The metrics of a check that are beyond their bound, and what is said of each, with a wrong library before all."""
    argv = started(inside, check)
    found = told(inside.run("mpiexec", "-n", "2", *argv, **preloaded(inside, wrong)))
    home = PROGRAMS[check][0].split("/")[0]
    limits = verify.thresholds({home: (SUITE / home / verify.THRESHOLDS).read_text()}).checks[check].metrics
    assert {name for name, limit in limits.items() if not limit.optional} <= set(found)
    bounds = {name: limit.bound for name, limit in limits.items() if limit.bound is not None and name in found}
    return {name: str(found[name]["detail"]) for name, bound in bounds.items() if not found[name]["value"] <= bound}


@pytest.mark.parametrize("check", sorted(PROGRAMS))
def test_an_honest_library_passes(check: str, inside: Inside) -> None:
    assert beyond(inside, check, "") == {}


RING = "100000 values of 8 bytes, 2 ranks, rank"
SUMS = ("allreduce_wrong", "allreduce_error")
EIGEN = ("eigen_ratio", "orthogonality_ratio", "eigenvalue_ratio")


@pytest.mark.parametrize(
    ("wrong", "check", "caught"),
    [
        ("SUMS", "MpiCollectives", {"allreduce_wrong": "128 values a rank, rank 0 of 2, value 127: "}),
        ("SUMS", "MpiProgram", {"allreduce_wrong": f"{RING} 0, value 99999: "}),
        ("SUMS", "Mpi4py", {"allreduce_wrong": "100000 values a rank, rank 0 of 2, value 99999: "}),
        ("SECOND", "MpiCollectives", dict(zip(SUMS, ("rank 1 of 2, value 0: ",) * 2, strict=True))),
        ("SECOND", "MpiProgram", {"allreduce_wrong": f"{RING} 1, value 0: "}),
        ("SECOND", "Mpi4py", dict(zip(SUMS, ("rank 1 of 2, value 0: ",) * 2, strict=True))),
        ("MESSAGES", "MpiCollectives", {"point_to_point_wrong": "8192 values a rank, rank 0 of 2, value 8191: "}),
        ("NO_SUMS", "MpiProgram", {"allreduce_wrong": f"{RING} 0, value 0: "}),
        ("MESSAGES", "MpiProgram", {"ring_wrong": f"{RING} 0, value 99999: "}),
        ("MESSAGES", "Mpi4py", {"pingpong_wrong": "1048576 bytes, pattern 0, rank 0 of 2, byte 1048575: "}),
        ("WRITES", "Hdf5Parallel", {"wrong_values": "128 by 192 values, read by rank 0 of 2, row 0, column 0: "}),
        ("SOLVE", "ScaLapack", {"solve_ratio": "row 127 of", "solve_error": ": x[127]: expected 4 to within "}),
        (
            "EIGEN",
            "ScaLapack",
            dict(
                zip(
                    EIGEN,
                    ("number 126", "of Z'Z: expected 1 to within 4", "126: expected 743.65698986973"),
                    strict=True,
                )
            ),
        ),
        ("LOST", "ScaLapack", {"eigen_ratio": "got nan", "orthogonality_ratio": "got it off by nan"}),
        ("BLAS", "ScaLapack", dict.fromkeys((*EIGEN, "solve_ratio", "solve_error"), "n = 128, blocks of 16")),
    ],
)
def test_a_wrong_library_is_caught(wrong: str, check: str, caught: dict[str, str], inside: Inside) -> None:
    found = beyond(inside, check, wrong)
    assert set(found) == set(caught)
    assert [said for name, said in found.items() if caught[name] not in said or "expected " not in said] == []


def test_ranks_that_share_a_core_are_told(inside: Inside) -> None:
    program = inside.compiled("smoke/src/affinity.c")
    bound = told(inside.run("mpiexec", "-n", "2", program, "2", "1", "ranks", **BIND))
    assert {n: m["value"] for n, m in bound.items() if m["value"]} == {"asked_to_bind": 1}
    free = told(inside.run("mpiexec", "-n", "2", program, "2", "1", "ranks"))
    assert free["ranks_overlap"]["value"] == 1
    assert "may both run on" in free["ranks_overlap"]["detail"]


def test_every_file_of_the_image_finds_its_libraries(inside: Inside) -> None:
    found = told(inside.run("sh", "/sovstack/suite/smoke/src/linkage.sh", OMP_NUM_THREADS="2"))
    assert {n: m["value"] for n, m in found.items() if n != "files"} == {
        "missing_libraries": 0,
        "missing_versions": 0,
        "foreign_libraries": 0,
        "host_libraries": 0,
    }
    assert found["files"]["value"] > 500

"""Programs of MPI in a real image: as they are, with a wrong MPI before the right one, and without being bound."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reframe_tests.programs import SUITE

pytestmark = pytest.mark.image
BIND = {"PRTE_MCA_rmaps_default_mapping_policy": "core", "PRTE_MCA_hwloc_default_binding_policy": "core"}


class Inside:
    """Runs programs in the image as the suite does on a machine alone."""

    def __init__(self, apptainer: str, image: Path, work: Path, alone: dict[str, str]) -> None:
        self.start = [apptainer, "-q", "exec", "--containall", "--bind", f"{SUITE}:/sovstack/suite:ro",
                      "--bind", f"{work}:/sovstack/work", "--pwd", "/sovstack/work"]  # fmt: skip
        self.image, self.alone = str(image), {**alone, "SOVSTACK_SUITE": "/sovstack/suite", "OMP_NUM_THREADS": "1"}

    def run(self, *argv: str, **env: str) -> str:
        variables = [word for k, v in {**self.alone, **env}.items() for word in ("--env", f"{k}={v}")]
        ran = subprocess.run([*self.start, *variables, self.image, *argv], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def compiled(self, source: str) -> str:
        made = f"/sovstack/work/{Path(source).stem}"
        self.run("sh", "/sovstack/suite/lib/compile.sh", "mpicc", made, f"/sovstack/suite/{source}")
        return made


@pytest.fixture
def inside(apptainer: str, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    monkeypatch.syspath_prepend(str(SUITE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Inside(apptainer, image, tmp_path, importlib.import_module("suite").ALONE)


def told(output: str) -> dict[str, dict[str, Any]]:
    """What a program printed for the suite, by name."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"sovstack":')]
    assert lines[-1] == {"sovstack": "done"}
    return {line["name"]: line for line in lines[:-1]}


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


def test_a_wrong_mpi_is_told(inside: Inside, tmp_path: Path) -> None:
    if not (compiler := shutil.which("cc")):
        pytest.skip("needs a C compiler: apt-get install gcc")
    source, library = Path(__file__).with_name("wrong_mpi.c"), tmp_path / "wrong_mpi.so"
    options = ["-O2", "-shared", "-fPIC", "-nostdlib", "-ffreestanding"]
    subprocess.run([compiler, *options, "-o", library, source], check=True)
    program = inside.compiled("mpi/src/collectives.c")
    found = told(inside.run("mpiexec", "-n", "2", program, "2", LD_PRELOAD="/sovstack/work/wrong_mpi.so"))
    assert {name for name, line in found.items() if name.endswith("_wrong") and line["value"]} == {"allreduce_wrong"}
    words = found["allreduce_wrong"]["detail"]
    assert words.startswith("128 values a rank, rank 0, value 127: expected ")


def test_ranks_that_share_a_core_are_told(inside: Inside) -> None:
    program = inside.compiled("smoke/src/affinity.c")
    bound = told(inside.run("mpiexec", "-n", "2", program, "2", "1", "ranks", **BIND))
    assert {n: m["value"] for n, m in bound.items() if m["value"]} == {}
    free = told(inside.run("mpiexec", "-n", "2", program, "2", "1", "ranks"))
    assert free["ranks_overlap"]["value"] == 1
    assert "may both run on" in free["ranks_overlap"]["detail"]


def test_every_file_of_the_image_finds_its_libraries(inside: Inside) -> None:
    found = told(inside.run("sh", "/sovstack/suite/smoke/src/linkage.sh", OMP_NUM_THREADS="2"))
    assert {n: m["value"] for n, m in found.items() if n != "files"} == {
        "missing_libraries": 0,
        "foreign_libraries": 0,
        "host_libraries": 0,
    }
    assert found["files"]["value"] > 500

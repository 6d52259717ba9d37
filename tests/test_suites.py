"""`suite` as a user types it, and the options that say where checks run."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.command import sovstack
from tests.conftest import RECORDED


def test_the_list_says_what_would_run_and_what_is_lacking(tmp_path: Path) -> None:
    done = sovstack("suite", "--list", "--json", "--quiet", "--build-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    left = {row["check"]: row["left_out"] for row in data["checks"]}
    assert "python" in data["found"]["components"] and "no site" in left["Versions"]
    assert "image" in left["InstructionSet"]
    assert isinstance(data["found"]["notes"], list)
    assert list(tmp_path.iterdir()) == []
    text = sovstack("suite", "--list", "--quiet", "--build-dir", tmp_path).stdout
    assert "no lock to hold them against" in text and "left out: it needs" in text


def test_the_list_of_one_check_has_that_one(tmp_path: Path) -> None:
    done = sovstack("suite", "--list", "--check", "Versions", "--json", "--quiet", "--build-dir", tmp_path)
    assert [row["check"] for row in json.loads(done.stdout)["checks"]] == ["Versions"]


@pytest.mark.xdist_group("reframe")
def test_a_run_is_compared_with_the_last_one(tmp_path: Path) -> None:
    told = sovstack("suite", "--list", "--check", "FourierTransform", "--json", "--quiet", "--build-dir", tmp_path)
    if json.loads(told.stdout)["checks"][0]["left_out"]:
        pytest.skip("this machine's Python has no NumPy: python3 -m pip install numpy")
    words = ("suite", "--check", "FourierTransform", "--json", "--quiet", "--build-dir", tmp_path)
    refused = sovstack(*words, "--since", "0001")
    assert (refused.returncode, refused.stdout) == (2, "") and "nothing was measured here before" in refused.stderr
    first = sovstack(*words, "--repeat", "2", "--compare")
    assert first.returncode == 0, first.stderr
    comparison = json.loads(first.stdout)["comparison"]
    assert (comparison["before"], comparison["regressions"]) == ([], [])
    second = json.loads(sovstack(*words, "--repeat", "2", "--since", "last").stdout)["comparison"]
    assert (second["before"], second["comparable"]) == ([comparison["now"]], True)
    assert {n["said"] for n in second["numbers"]} == {"cannot tell"}
    assert "FourierTransform" in (tmp_path / "suite/machine/history.html").read_text()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("suite", "--nodes", "2"), 2, "--nodes is for checks that a scheduler runs (add --scheduler slurm)"),
        (("suite", "--scheduler", "pbs"), 2, "checks cannot be run by 'pbs'"),
        (("suite", "--image", "no.sif"), 2, "no.sif: no such file"),
        (("suite", "--load", "openmpi"), 2, "--modules names a tree"),
        (("suite", "--modules", "/no/such", "--load", "a"), 2, "there is no module tree /no/such"),
        (("suite", "--check", "Gemmm"), 2, "did you mean 'Gemm'"),
        (("suite", "--check", "GpuGemm"), 2, "the check GpuGemm needs"),
        (("suite", "--list", "--check", "Gemmm"), 2, "did you mean 'Gemm'"),
        (("suite", "--list", "--python", "/no/python"), 2, "no Python answers as /no/python"),
        (("suite", "--preload", "/no/lib.so"), 2, "/no/lib.so is not a file"),
        (("suite", "--preload", "/etc/passwd", "--compare"), 2, "what a preloaded library does is not kept"),
        (("suite", "--scale", "2_node"), 2, "did you mean '2_nodes'"),
        (("suite", "--scale", "2_nodes"), 2, "take a smaller one, or more nodes"),
        (("suite", "--repeat", "0"), 2, "--repeat"),
        (("verify", "laptop", "--pending", "5"), 2, "--pending is for checks that a scheduler runs"),
        (("verify", "laptop", "--scheduler", "flux"), 2, "checks cannot be run by 'flux'"),
        (("verify", "laptop", "--native"), 2, "nothing of ai-hpc/laptop"),
        (("verify", "laptop", "numerics", "--native"), 2, "there is no tree of numerics/laptop"),
        (("verify", "laptop"), 2, "sovstack build laptop ai-hpc"),
    ],
)
def test_what_is_wrong_is_told(words: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    done = sovstack(*words, SOVSTACK_BUILD_DIR=str(tmp_path))
    assert message in done.stderr, done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.image
def test_an_image_is_judged_without_a_controller(image: Path, tmp_path: Path) -> None:
    """Slurm's programs answer as theirs do where nobody listens; `test_placing` asks the real ones."""
    said = (RECORDED / "slurm/no-controller.txt").read_text()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "srun", "squeue", "scancel", "sinfo"):
        (programs / name).write_text(f"#!/bin/sh\necho {shlex.quote(said.strip())} >&2\nexit 1\n")
        (programs / name).chmod(0o755)
    words = ("suite", "--image", image, "--scheduler", "slurm", "--build-dir", tmp_path)
    path = f"{programs}:{os.environ['PATH']}"
    two = sovstack(*words, "--check", "Linkage", "--check", "MpiProgram", "--json", PATH=path)
    assert two.returncode == 1 and "Slurm does not answer" in two.stderr, two.stderr
    found = {check["name"]: check for check in json.loads(two.stdout)["checks"]}
    assert {name: check["result"] for name, check in found.items()} == {"Linkage": "pass", "MpiProgram": "fail"}
    assert found["MpiProgram"]["reason"].startswith("Slurm does not answer")
    for more in (("--check", "MpiProgram"), ("--check", "Linkage", "--compare")):
        none = sovstack(*words, *more, PATH=path)
        assert none.returncode == 3 and "Slurm does not answer" in none.stderr
    listed = sovstack(*words, "--list", PATH=path).stdout
    assert "needs nodes: Slurm does not answer" in listed and "Linkage" in listed

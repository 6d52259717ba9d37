"""`suite` as a user types it, and the options that say where checks run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import sovstack


def test_the_list_says_what_would_run_and_what_is_lacking(tmp_path: Path) -> None:
    done = sovstack("suite", "--list", "--json", "--quiet", "--build-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    left = {row["check"]: row["left_out"] for row in data["checks"]}
    assert "python" in data["found"]["components"] and "no site" in left["Versions"]
    assert "image" in left["InstructionSet"]
    assert list(tmp_path.iterdir()) == []
    text = sovstack("suite", "--list", "--quiet", "--build-dir", tmp_path).stdout
    assert "no lock to hold them against" in text and "left out: it needs" in text


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

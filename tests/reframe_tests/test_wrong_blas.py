"""Wrong BLAS libraries, preloaded under this machine's NumPy: each is caught, by what it should be caught by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack import verify
from tests.reframe_tests.programs import SUITE

pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")
SOURCE = Path(__file__).with_name("wrong_blas.c")
PROGRAMS = {
    "Gemm": ("blas", "gemm.py"),
    "Blas": ("blas", "level3.py"),
    "Lapack": ("linear", "lapack.py"),
    "HplMxp": ("linear", "hpl_mxp.py"),
    "FourierTransform": ("fft", "transform.py"),
}
MANIFEST = {
    "components": [{"name": "openblas", "role": "blas", "provider": "wheel"}, {"name": "numpy", "provider": "wheel"}]
}


def beyond(check: str, folder: Path, preload: Path | None = None, patience: int = 2) -> set[str]:
    """Metrics of a check that are beyond their bound, on this machine's NumPy; as on an emulated CPU, unless told."""
    home, program = PROGRAMS[check]
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(MANIFEST))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SUITE / "lib"), "PYTHONDONTWRITEBYTECODE": "1",
           "SOVSTACK_MANIFEST": str(manifest), "SOVSTACK_PATIENCE": str(patience), "OMP_NUM_THREADS": "2"}  # fmt: skip
    if preload:
        env["LD_PRELOAD"] = str(preload)
    argv = [sys.executable, str(SUITE / home / "src" / program)]
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert lines[-1] == {"sovstack": "done"}, ran.stderr
    text = (SUITE / home / verify.THRESHOLDS).read_text()
    limits = verify.thresholds({home: text}).checks[check].metrics
    measured = {m["name"]: m["value"] for m in lines if m["sovstack"] == "metric"}
    assert {name for name, limit in limits.items() if not limit.optional} <= set(measured) <= set(limits)
    bounds = {name: limits[name].bound for name in measured}
    over = {name for name, b in bounds.items() if b is not None and not measured[name] <= b}
    said = {m["name"]: m["detail"] for m in lines if m["sovstack"] == "metric"}
    assert all("expected" in said[name] for name in over), said
    return over


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wrong")


@pytest.mark.parametrize("check", sorted(PROGRAMS))
def test_an_honest_library_passes(check: str, folder: Path) -> None:
    assert beyond(check, folder) == set()


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler: apt-get install gcc")
@pytest.mark.parametrize(
    ("wrong", "check", "caught"),
    [
        ("FP32", "Gemm", {"fp64_exact", "fp64_error", "fp64_error_wide"}),
        ("FP32", "Blas", {"fp64_exact"}),
        ("BF16X3", "Gemm", {"fp64_exact", "fp64_error", "fp64_error_wide"}),
        ("TF32", "Gemm", {"fp32_exact", "fp32_error", "fp32_error_wide"}),
        ("SLICES", "Gemm", {"fp64_exact", "fp64_error_wide"}),  # a test in norm lets it pass
        ("LARGE_K", "Gemm", {"fp64_exact", "fp64_error", "fp64_error_wide"}),
        ("LARGE_K", "Blas", set()),
        ("TRSM", "Gemm", set()),
        ("TRSM", "Blas", {"fp64_exact", "fp64_error"}),
        ("SYRK", "Blas", {"fp64_exact", "fp64_error"}),
        ("FP32 above 140", "Gemm", {"fp64_exact"}),
        ("FP32 above 140", "Blas", {"fp64_exact"}),
        ("FP32 above 1000", "Gemm", {"fp64_exact"}),
        ("TF32 above 140", "Gemm", {"fp32_exact"}),
        ("TF32 above 140", "Blas", {"fp32_exact"}),
        ("TRSM above 140", "Blas", {"fp64_exact"}),
        ("SYRK above 140", "Blas", {"fp64_exact"}),
    ],
)
def test_a_wrong_library_is_caught(wrong: str, check: str, caught: set[str], folder: Path) -> None:
    kind, _, edge = wrong.partition(" above ")
    library = folder / f"{kind}{edge}.so"
    if not library.is_file():
        options = ["-O2", "-shared", "-fPIC", "-nostdlib", "-ffreestanding", f"-DWRONG={kind}", f"-DABOVE={edge or 0}"]
        subprocess.run(["cc", *options, "-o", library, SOURCE], check=True)
    # only on a real CPU is a product so large
    assert beyond(check, folder, library, patience=1 if int(edge or 0) > 256 else 2) == caught

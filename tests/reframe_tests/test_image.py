"""The whole suite by ReFrame inside a real image, and a broken library that it must see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack import outcome, verify
from stack.catalogue import Catalogue
from stack.host import checks, detect
from stack.host.run import run
from stack.lock import Component, Lock, OsLock
from stack.plan import Plan
from stack.render import reframe
from stack.verdict import Verdict
from tests.reframe_tests.programs import SUITE

pytestmark = pytest.mark.image
PROBE = """
import json, re, subprocess, sys
for name, argv in json.load(sys.stdin).items():
    text = subprocess.run(argv, capture_output=True, text=True).stdout
    print(name, (re.findall(r"[0-9]+(?:[.][0-9]+)+", text) or ["none"])[0])
"""


@pytest.fixture(scope="module")
def lock(laptop: Plan, catalogue: Catalogue, image: Path, apptainer: str) -> Lock:
    """A lock with the versions that the image itself states; the suite's own comparison has tests of its own."""
    wanted = {c.component: list(catalogue.recipes[c.component].verify.version) for c in laptop.choices}
    ran = subprocess.run([apptainer, "-q", "exec", "--containall", str(image), "python3", "-c", PROBE],
                         input=json.dumps(wanted), capture_output=True, text=True, check=True)  # fmt: skip
    versions = dict(line.split() for line in ran.stdout.splitlines())
    components = tuple(
        Component(name=c.component, role=c.role, provider=c.provider, version=versions[c.component])
        for c in laptop.choices
    )
    system = OsLock(system="debian-13", architecture="amd64", suites=(), requested=(), packages=())
    return Lock(
        schema=1, environment="ai-hpc", profile="laptop", target="t", components=components, os=system, inputs={}
    )


def checked(
    folder: Path,
    laptop: Plan,
    catalogue: Catalogue,
    lock: Lock,
    image: Path,
    apptainer: str,
    preload: Path | None = None,
    only: tuple[str, ...] = (),
) -> Verdict:
    folder.mkdir(exist_ok=True)
    settings, manifest, subject = (folder / f"{name}.json" for name in ("settings", "manifest", "subject"))
    settings.write_text(reframe.settings(laptop, detect.facts(), reframe.Where()).files[reframe.PATH].text)
    manifest.write_text(verify.manifest(lock, catalogue))
    subject.write_text(verify.Start("image", apptainer=apptainer, image=str(image)).text)
    paths = verify.Paths(sys.executable, str(SUITE), str(settings), str(manifest), str(subject), str(folder),
                         str(preload) if preload else None, programs=(str(Path(apptainer).parent),))  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}
    (folder / "home").mkdir(exist_ok=True)
    (command,) = verify.commands(paths, env, only)
    result = run(command, check=False)
    assert list((folder / "home").rglob("reports*")) == []
    assert Path(paths.report).is_file(), result.tail
    expected = verify.expected(checks.limits(), reframe.features(laptop, reframe.Where()), "c", only)
    about = outcome.Subject("c", "0" * 64, "1" * 64, "2" * 64, "2026-01-01T00:00:00Z", "here", expected=expected)
    verdict = outcome.parse(Path(paths.report).read_text(), about)
    assert (result.returncode == 0) is verdict.passed
    return verdict


def wrong_library(folder: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: apt-get install gcc")
    made = folder / "wrong_blas.so"
    source = Path(__file__).with_name("wrong_blas.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-nostdlib", "-ffreestanding", "-o", made, source], check=True)
    return made


def results(verdict: Verdict) -> dict[str, str]:
    return {c.name: c.result for c in verdict.checks}


def test_a_good_image_passes_every_check(
    tmp_path: Path, laptop: Plan, catalogue: Catalogue, lock: Lock, image: Path, apptainer: str
) -> None:
    verdict = checked(tmp_path / "run", laptop, catalogue, lock, image, apptainer)
    assert verdict.passed, [(c.name, c.reason, c.output) for c in verdict.checks if c.result != "pass"]
    assert {"Gemm", "MpiProgram", "TorchTraining"} <= {c.name for c in verdict.checks}


def test_a_wrong_blas_fails_what_multiplies_and_nothing_else(
    tmp_path: Path, laptop: Plan, catalogue: Catalogue, lock: Lock, image: Path, apptainer: str
) -> None:
    library = wrong_library(tmp_path)
    verdict = checked(tmp_path / "run", laptop, catalogue, lock, image, apptainer, library)
    wrong = {"Gemm", "Blas", "Lapack", "HplMxp", "TorchOperators"}  # what has products in fp64
    assert results(verdict) == {c.name: "fail" if c.name in wrong else "pass" for c in verdict.checks}
    beyond = {(c.name, m.name) for c in verdict.checks for m in c.metrics if not m.ok}
    assert {name for name in beyond if name[0] not in ("Lapack", "HplMxp")} == {
        ("Gemm", "fp64_exact"), ("Gemm", "fp64_error"), ("Gemm", "fp64_error_wide"), ("Blas", "fp64_exact"),
        ("TorchOperators", "matmul_float64"), ("TorchOperators", "matmul_exact")}  # fmt: skip
    assert ("HplMxp", "not_converged") in beyond
    assert not any(name == "false_claims" for _, name in beyond)


def test_a_wrong_version_fails(
    tmp_path: Path, laptop: Plan, catalogue: Catalogue, lock: Lock, image: Path, apptainer: str
) -> None:
    other = tuple(c.model_copy(update={"version": "1.0.99"}) if c.name == "numpy" else c for c in lock.components)
    verdict = checked(tmp_path, laptop, catalogue, lock.model_copy(update={"components": other}), image, apptainer,
                      only=("Versions",))  # fmt: skip
    (made,) = verdict.checks
    assert made.result == "fail"
    assert "numpy: expected version 1.0.99, it says" in made.reason

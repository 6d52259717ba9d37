"""A plain `pip install` brings the documents, the data and the suite along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT, environment


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip unpacks it, away from the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wheel = next(folder.glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def call(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "stack", *words]
    env = environment(PYTHONPATH=str(installed))
    return subprocess.run(argv, cwd=installed.parent, env=env, capture_output=True, text=True, check=False)


def test_everything_is_found_after_a_plain_install(installed: Path) -> None:
    places = ("profiles", "environments", "recipes", "containers", "stack/data/facts", "stack/data")
    names = ("licences.yaml" if place == "stack/data" else "*.yaml" for place in places)
    checkout = sum(1 for place, name in zip(places, names, strict=True) for _ in (ROOT / place).glob(name))
    done = call(installed, "check")
    assert (done.returncode, done.stdout) == (0, f"{checkout} documents checked, no fault\n")


def test_an_installed_program_plans_and_renders(installed: Path, tmp_path: Path) -> None:
    assert call(installed, "plan", "laptop").returncode == 0
    done = call(installed, "render", "laptop", "--build-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ai-hpc").is_dir()


def test_the_suite_travels_with_the_program(installed: Path) -> None:
    here = sorted(
        p.relative_to(ROOT / "reframe_tests")
        for p in (ROOT / "reframe_tests").rglob("*.[cpyf]*")
        if "__pycache__" not in p.parts
    )
    there = installed / "stack/share/reframe_tests"
    assert here
    assert all((there / p).is_file() for p in here)

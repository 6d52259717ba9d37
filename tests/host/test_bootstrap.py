"""The bootstrap, run as the Makefile runs it, on a small project in a folder of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("stack/host/bootstrap.py", "stack/data/host.yaml", "stack/__init__.py")
PROJECT = """\
[build-system]
requires = ["{requires}"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "small"
version = "1"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has the bootstrap, and asks for a build package that only an index has."""
    for part in PARTS:
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(requires="hatchling"))
    return tmp_path


def module(project: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", project / PARTS[0])
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def bootstrap(
    project: Path, *arguments: str, prefix: tuple[str, ...] = (), **env: str
) -> subprocess.CompletedProcess[str]:
    argv = [*prefix, sys.executable, str(project / PARTS[0]), str(project / "v"), *arguments]
    settings = {**os.environ, **env}
    return subprocess.run(argv, env=settings, capture_output=True, text=True, check=False, timeout=300)


def stamped(project: Path, **changes: object) -> Path:
    """An environment that a completed run left."""
    made = module(project)
    (project / "v/bin").mkdir(parents=True)
    (project / "v/bin/python").symlink_to(sys.executable)
    stamp = {"fingerprint": made.fingerprint(), "extras": ["dev"], "python": sys.version, **changes}
    (project / "v" / made.STAMP).write_text(json.dumps(stamp))
    return project / "v" / str(made.STAMP)


def test_a_second_run_does_nothing(project: Path) -> None:
    stamped(project)
    done = bootstrap(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_makes_an_environment_current(project: Path) -> None:
    stamp, made = stamped(project), module(project)
    assert made.current(project / "v", [])
    assert made.current(project / "v", ["dev"])
    assert not made.current(project / "v", ["dev", "docs"])
    stamp.write_text(stamp.read_text()[:-5])
    assert not made.current(project / "v", [])


@pytest.mark.parametrize("part", ["pyproject.toml", "stack/__init__.py"])
def test_a_changed_project_is_installed_again(project: Path, part: str) -> None:
    stamped(project)
    with (project / part).open("a") as handle:
        handle.write("# changed\n")
    assert not module(project).current(project / "v", [])


def test_an_environment_whose_python_is_gone_is_not_current(project: Path) -> None:
    stamped(project)
    (project / "v/bin/python").unlink()
    assert not module(project).current(project / "v", [])


def test_no_network_is_one_message_and_leaves_nothing_that_passes_for_whole(project: Path) -> None:
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces (unshare -rn true)")
    done = bootstrap(project, prefix=("unshare", "-rn"), PIP_RETRIES="1", PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="")
    assert done.returncode == 3
    assert done.stderr.startswith("error: could not install the Python packages: the package index cannot be reached")
    assert done.stderr.count("\n") == 2
    assert not module(project).current(project / "v", [])


def test_a_run_that_fails_takes_the_old_stamp_away(project: Path) -> None:
    stamp = stamped(project, fingerprint="of another time", python="of another time")
    (project / "pyproject.toml").write_text("this is not TOML")
    done = bootstrap(project)
    assert done.returncode == 3
    assert "could not install the Python packages" in done.stderr
    assert not stamp.exists()


def test_without_venv_an_ordinary_user_gets_one_line_with_every_package(project: Path, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-U", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces (unshare -U true)")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ensurepip.py").write_text("raise ImportError('as on a system that packages it apart')\n")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = bootstrap(project, prefix=(shutil.which("unshare") or "", "-U"), PYTHONPATH=str(hidden), PATH=str(hidden))
    assert done.returncode == 3, done.stderr
    assert "cannot make virtual environments" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "apt-get install" in line]
    assert {"python3-venv", "mmdebstrap", "uidmap"} <= set(line.split())
    assert "squashfs-tools" not in line


def test_an_older_python_looks_for_a_newer_one(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = module(project)
    assert made.interpreter((3, 11)) == sys.executable
    monkeypatch.setenv("PATH", str(tmp_path))
    assert made.interpreter((9, 1)) is None
    newer = tmp_path / "python9.2"
    newer.write_text("#!/bin/sh\n")
    newer.chmod(0o755)
    assert made.interpreter((9, 1)) == str(newer)


def test_wrong_arguments_are_told(project: Path) -> None:
    done = subprocess.run([sys.executable, project / PARTS[0]], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


@pytest.mark.image
def test_an_environment_is_made_refreshed_and_kept(project: Path) -> None:
    """With the user's own package index: made, then extended by an extra, then left alone."""
    text = (project / "pyproject.toml").read_text().replace('build-backend = "backend"\nbackend-path = ["."]', "")
    text = text.replace("[project]", 'build-backend = "hatchling.build"\n[project]')
    text += (
        '[project.optional-dependencies]\ndev = ["iniconfig"]\n[tool.hatch.build.targets.wheel]\npackages = ["stack"]\n'
    )
    (project / "pyproject.toml").write_text(text)
    (project / "stack/host/parsed.py").write_text(
        "import sys, pathlib\npathlib.Path('read').write_text(str(sys.argv))\n"
    )
    first = bootstrap(project)
    assert first.returncode == 0, first.stderr
    assert str(project / "stack/data/host.yaml") in (project / "read").read_text()
    assert list(project.glob("stack/__pycache__/__init__.*.pyc"))
    assert "installing the program" in first.stdout
    assert bootstrap(project, "dev").returncode == 0
    assert bootstrap(project).stdout == ""
    check = "import iniconfig, stack; print(stack.__file__)"
    told = subprocess.run([project / "v/bin/python", "-c", check], capture_output=True, text=True, check=True, cwd="/")
    assert told.stdout.strip() == str(project / "stack/__init__.py")

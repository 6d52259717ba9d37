"""`sovstack audit`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack.errors import ExitCode
from tests.command import sovstack

AUTHOR = "Example HPC <sbom@example.org>"


def test_an_audit_writes_the_sboms_and_says_the_levels(tmp_path: Path) -> None:
    done = sovstack("audit", "generic-x86", "numerics", "--build-dir", tmp_path, SOVSTACK_AUTHOR=AUTHOR)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "compute      level" in done.stdout
    assert "data         not assessed" in done.stdout
    (folder,) = tmp_path.glob("numerics/generic-x86/*/audit")
    assert {p.name for p in folder.iterdir()} >= {"sbom.cdx.json", "sbom.spdx.json", "audit.json", "audit.html"}
    assert json.loads((folder / "sbom.cdx.json").read_text())["metadata"]["manufacturer"]["name"] == "Example HPC"


def test_as_json_it_is_what_is_kept(tmp_path: Path) -> None:
    done = sovstack("audit", "generic-x86", "numerics", "--build-dir", tmp_path, "--json", SOVSTACK_AUTHOR=AUTHOR)
    (kept,) = tmp_path.glob("numerics/generic-x86/*/audit/audit.json")
    assert done.stdout == kept.read_text()
    data = json.loads(done.stdout)
    assert data["gaps"] == []
    assert [layer["name"] for layer in data["levels"]] == ["compute", "software", "operational", "data", "model"]


def test_without_an_author_the_sbom_says_so(tmp_path: Path) -> None:
    data = json.loads(sovstack("audit", "generic-x86", "numerics", "--build-dir", tmp_path, "--json").stdout)
    assert {"field": "author", "component": ""} in data["gaps"]


def test_a_profiles_contact_answers_for_it_and_makes_no_lock_stale(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "profiles").mkdir(parents=True)
    shipped = Path("profiles/generic-x86.yaml").resolve().read_text()
    (root / "profiles/generic-x86.yaml").write_text(shipped + "contact: {name: A Site, url: 'https://site.example/'}\n")
    words = ("audit", "generic-x86", "numerics", "--build-dir", tmp_path / "build", "--root", root)
    done = sovstack(*words)
    assert done.returncode == ExitCode.OK, done.stderr
    (folder,) = tmp_path.glob("build/numerics/generic-x86/*/audit")
    maker = json.loads((folder / "sbom.cdx.json").read_text())["metadata"]["manufacturer"]
    assert maker == {"name": "A Site", "url": ["https://site.example/"]}
    assert not json.loads((folder / "audit.json").read_text())["gaps"]


def test_a_breach_ends_with_one_and_names_rule_package_path_and_alternatives(tmp_path: Path) -> None:
    done = sovstack("audit", "csc-lumi-g", "ai-hpc", "--build-dir", tmp_path, SOVSTACK_AUTHOR=AUTHOR)
    assert done.returncode == ExitCode.CHECK_FAILED
    assert "error: unknown-licence: cray-mpich" in done.stdout
    assert "through " in done.stdout
    assert "open alternatives: " in done.stdout


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = sovstack("audit", "generic-x86", "numerics", "--build-dir", tmp_path, "--dry-run", SOVSTACK_AUTHOR=AUTHOR)
    assert done.returncode == ExitCode.OK
    assert not list(tmp_path.rglob("audit"))


def test_all_are_a_table(tmp_path: Path) -> None:
    words = ("audit", "generic-x86", "numerics", "--all", "--build-dir", tmp_path, "-q")
    done = sovstack(*words, SOVSTACK_AUTHOR=AUTHOR)
    assert done.returncode == ExitCode.OK, done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("numerics/generic-x86/")]) == 3


@pytest.mark.parametrize(
    ("words", "who", "said"),
    [
        (("audit",), AUTHOR, "name PROFILE and ENVIRONMENT"),
        (("audit", "laptop", "numerics"), AUTHOR, "there is no lock of numerics/laptop/"),
        (("audit", "generic-x86", "numerics"), "nobody", "names no author"),
        (("audit", "generic-x68"), AUTHOR, "generic-x86"),
    ],
)
def test_bad_input_ends_with_two_and_a_remedy(tmp_path: Path, words: tuple[str, ...], who: str, said: str) -> None:
    done = sovstack(*words, "--build-dir", tmp_path, SOVSTACK_AUTHOR=who)
    assert done.returncode == ExitCode.BAD_INPUT, done.stdout
    assert said in done.stderr

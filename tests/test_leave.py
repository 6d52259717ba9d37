"""`exit-test` as a user types it, with the shipped documents and facts; nothing is locked here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack import exit_test
from tests.command import sovstack

AMD = ("exit-test", "generic-x86", "ai-hpc", "--forbid", "amd", "--partition", "amd")


@pytest.fixture
def build(tmp_path: Path) -> tuple[str, str]:
    return ("--build-dir", str(tmp_path))


def test_an_exit_is_code_0_with_a_plan_and_a_record(build: tuple[str, str], tmp_path: Path) -> None:
    done = sovstack(*AMD, *build)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "exit test: ai-hpc on generic-x86/debian13-x86_64_v3-gfx942 without AMD"
    assert lines[1].startswith("an exit exists: generic-x86/debian13-x86_64_v3-sm90 (partition nvidia); its lock ")
    assert "  accelerator: AMD Instinct MI300X -> NVIDIA H100" in lines
    assert any(line.split()[:1] == ["rccl"] and line.endswith("nccl") for line in lines)
    record = tmp_path / "exit-test/ai-hpc/generic-x86/debian13-x86_64_v3-gfx942/amd.json"
    assert exit_test.parse(record.read_text(), "record").result == "moves"
    again = sovstack(*AMD, *build, "--json")
    assert again.returncode == 0 and json.loads(again.stdout) == json.loads(record.read_text())
    assert "reused" in again.stderr
    assert "reused" not in sovstack(*AMD, *build, "--fresh").stderr


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(build: tuple[str, str], tmp_path: Path) -> None:
    done = sovstack(*AMD, *build, "--dry-run")
    assert done.returncode == 0 and "has nothing of AMD" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_exit_is_code_1(build: tuple[str, str], tmp_path: Path) -> None:
    """A site's own facts forbid the NumPy that every lock has: nothing is left to plan."""
    (tmp_path / "site/facts").mkdir(parents=True)
    (tmp_path / "site/facts/mine.yaml").write_text(
        "schema: 1\nkind: spack\npackages:\n  py-numpy:\n    licence: MIT\n    class: osi\n"
        "    redistribution: {source: allowed, binary: allowed}\n    reach: {cpu: any}\n    steward: hpe\n"
    )
    words = ("exit-test", "csc-lumi-g", "ai-hpc", "--forbid", "hpe", "--root", tmp_path / "site")
    done = sovstack(*words, *build)
    assert done.returncode == 1, done.stderr
    assert "NO EXIT: csc-lumi-g/sles15-zen3-gfx90a cannot be locked without" in done.stdout
    assert "nobody can supply numpy" in done.stdout
    assert "bsc-marenostrum5-acc/rhel9-sapphirerapids-sm90 has of" in done.stdout  # which has no Cray MPICH
    assert "is open and runs anywhere: py-numpy" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("generic-x86", "ai-hpc", "--forbid", "nvidja"), "did you mean 'nvidia'?"),
        (("generic-x86", "ai-hpc", "--forbid", "slurm-schedm"), "slurm-schedmd"),
        (("generic-x86", "ai-hpc"), "name a profile and one vendor, or say --all"),
        (("generic-x86", "ai-hpc", "--forbid", "amd", "--forbid", "arm"), "one vendor"),
        (("--forbid", "amd"), "name a profile"),
        (("nosuch", "ai-hpc", "--forbid", "amd"), "no profile 'nosuch'"),
        (("generic-x86", "nosuch", "--forbid", "amd"), "no environment 'nosuch'"),
        (("generic-x86", "ai-hpc", "--forbid", "amd", "--partition", "nosuch"), "no partition 'nosuch'"),
        (("--all", "generic-x86", "--partition", "amd"), "--partition is for one exit test"),
        (("--all", "--dry-run"), "--dry-run is for one exit test"),
        (("--all", "nosuch"), "nosuch"),
    ],
)
def test_bad_words_are_code_2_with_a_remedy(words: tuple[str, ...], said: str, build: tuple[str, str]) -> None:
    done = sovstack("exit-test", *words, *build)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_all_gives_a_table_and_goes_on_from_its_records(build: tuple[str, str], tmp_path: Path) -> None:
    """An environment's name may stand alone; RISC-V has nothing of these two."""
    words = ("exit-test", "--all", "generic-riscv", "ai-hpc", "--forbid", "arm", "--forbid", "amd", *build)
    done = sovstack(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "without amd, arm: all of them stay\n"
    made = json.loads(sovstack(*words, "--json").stdout)
    assert [r["result"] for r in made["records"]] == ["stays", "stays"] and made["failed"] == []
    assert sovstack(*words).stderr.count("reused") == 2
    alone = sovstack("exit-test", "--all", "ai-hpc", "--forbid", "arm", *build)
    assert alone.returncode == 0, alone.stderr
    assert "to generic-riscv/debian13-riscv64" in alone.stdout and alone.stdout.count("\n") == 17

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from stack import __version__
from tests.command import ROOT, SITE, argv, environment, sovstack

VERBS = ("check", "schema", "plan", "why", "render", "lock", "build", "verify", "up", "doctor")


def test_the_version_is_told() -> None:
    assert sovstack("--version").stdout == f"sovstack {__version__}\n"


def test_the_version_imports_nothing_heavy() -> None:
    script = "import sys; sys.argv[1:] = ['--version']; from stack.__main__ import main; main(); print(*sys.modules)"
    env = environment()
    done = subprocess.run([argv()[0], "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"typer", "pydantic", "ruamel", "reframe", "archspec", "jinja2"} & set(done.stdout.split())


def test_help_imports_only_the_command_line() -> None:
    script = "import sys; from stack.cli import run; run(['--help']); print(*sys.modules)"
    env = environment()
    done = subprocess.run([argv()[0], "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"pydantic", "ruamel", "reframe", "archspec", "jinja2"} & set(done.stdout.split())


def test_help_names_every_verb() -> None:
    text = sovstack("--help").stdout
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    done = sovstack(verb, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("plan", "laptpo"), "did you mean 'laptop'"),
        (("plan", "laptop", "ai-hcp"), "did you mean 'ai-hpc'"),
        (("why", "laptop", "ai-hpc", "pytorhc"), "did you mean 'pytorch'"),
        (("plan", "laptop", "--partition", "gpu"), "no partition 'gpu'"),
        (("plan", "laptop", "--arch", "amr64"), "unknown architecture 'amr64' (did you mean 'arm64'?)"),
        (("plan", "no/such.yaml"), "no/such.yaml: no such file"),
        (("schema", "profil"), "did you mean 'profile'"),
        (("plan", "laptop", "--root", "/no/such/folder"), "is not a folder"),
        (("frobnicate",), "No such command"),
        (("up",), "Missing argument"),
        (("verify", "laptop", "--build-dir", "/tmp/nothing-was-built-here"), "there is no image"),
        (("build", "laptop", "--locked", "--build-dir", "/tmp/nothing-was-built-here"), "does not exist"),
    ],
)
def test_a_wrong_word_is_exit_code_2_and_one_clear_line(words: tuple[str, ...], message: str) -> None:
    done = sovstack(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("word", "target"), [("arm64", "aarch64"), ("aarch64", "aarch64"), ("riscv64", "riscv64")])
def test_an_architecture_has_a_cell_of_its_own(word: str, target: str) -> None:
    plan = json.loads(sovstack("plan", "laptop", "--arch", word, "--json").stdout)
    assert (plan["target"], plan["accelerator"]) == (f"debian13-{target}", None)
    done = sovstack("build", "laptop", "--arch", word, "--locked", "--build-dir", "/tmp/nothing-was-built-here")
    if done.returncode == 2:  # where such programs run at all
        assert f"`sovstack lock laptop ai-hpc --arch {target}` makes it" in done.stderr


def test_check_reports_every_fault_and_exit_code_2(tmp_path: Path) -> None:
    bad = tmp_path / "profiles/bad.yaml"
    bad.parent.mkdir()
    bad.write_text("schema: 1\nname: bad\ndescription: x\nimages: debian-13\npartitions: {default: {}}\n")
    done = sovstack("check", bad)
    assert done.returncode == 2
    assert f"{bad}:4:1: unknown key 'images' (did you mean 'image'?)" in done.stderr
    answer = json.loads(sovstack("check", bad, "--json").stdout)
    assert answer["checked"] == 1
    assert answer["faults"][0] | {"remedy": ""} == {
        "what": "unknown key 'images'",
        "file": str(bad),
        "line": 4,
        "column": 1,
        "remedy": "",
    }


def test_what_ships_has_no_fault() -> None:
    done = sovstack("check")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_sites_own_documents_come_first(tmp_path: Path) -> None:
    text = (ROOT / "environments/ai-hpc.yaml").read_text()
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/ai-hpc.yaml").write_text(text.replace("  pytorch: {}\n", ""))
    components = {
        c["component"]
        for c in json.loads(sovstack("plan", "laptop", "--json", "--root", tmp_path).stdout)["components"]
    }
    assert "pytorch" not in components
    by_variable = json.loads(sovstack("plan", "laptop", "--json", SOVSTACK_ROOT=str(tmp_path)).stdout)
    assert {c["component"] for c in by_variable["components"]} == components


def test_plan_and_why_answer_as_json() -> None:
    plan = json.loads(sovstack("plan", "gpu", "--root", SITE, "--json").stdout)
    assert plan["accelerator"] == "nvidia-h100"
    choice = json.loads(sovstack("why", "gpu", "ai-hpc", "pytorch", "--root", SITE, "--json").stdout)
    assert (choice["provider"], choice["project"]) == ("wheel", "torch")
    assert {r["provider"] for r in choice["rejected"]} == {"site", "os", "source"}


def test_render_writes_and_dry_run_does_not(tmp_path: Path) -> None:
    dry = sovstack("render", "laptop", "--build-dir", tmp_path / "dry", "--dry-run")
    assert dry.returncode == 0
    assert not (tmp_path / "dry").exists()
    done = sovstack("render", "laptop", "--build-dir", tmp_path / "real", "--json")
    files = [Path(p) for p in json.loads(done.stdout)["files"]]
    assert {p.name for p in files} >= {"spack.yaml", "settings.json", "ai-hpc.def", "mpirun"}
    assert all(p.is_file() for p in files)


def test_a_stale_lock_is_told_without_a_mirror(tmp_path: Path) -> None:
    done = sovstack("lock", "laptop", "--check", "--build-dir", tmp_path)
    assert done.returncode == 1
    assert "does not exist" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_every_shell(shell: str) -> None:
    done = subprocess.run(
        argv(),
        env=environment(_SOVSTACK_COMPLETE=f"source_{shell}"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "sovstack" in done.stdout


def test_completion_offers_profiles_and_environments() -> None:
    def offers(line: str, position: int) -> list[str]:
        env = environment(_SOVSTACK_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(position))
        return subprocess.run(argv(), env=env, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()

    assert "laptop" in offers("sovstack plan lap", 2)
    assert "ai-hpc" in offers("sovstack plan laptop ai", 3)
    assert set(offers("sovstack ", 1)) >= set(VERBS)


def test_an_interrupt_is_exit_code_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = argv("lock", "laptop", "--build-dir", tmp_path)
    with subprocess.Popen(words, env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        child.stderr.readline()  # the first stage has begun
        time.sleep(0.3)
        os.kill(child.pid, signal.SIGINT)
        rest = child.stderr.read()
    assert child.returncode == 130
    assert "goes on where this one stopped" in rest
    assert "Traceback" not in rest

"""Spack's installation and its calls: real git on tiny repositories, and a `spack` that prints what it was given."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from stack.catalogue import Catalogue, Upstream
from stack.errors import ExitCode, StackError
from stack.host import spack
from stack.host.run import run
from stack.host.spack import Spack
from tests.command import sovstack

PROGRAM = '#!/bin/sh\nmkdir -p misc && echo made >> misc/calls\necho "$@"\nenv\n'
USER = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
NOWHERE = "http://127.0.0.1:9/spack.git"
LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


def git(folder: Path, *words: str) -> str:
    env = {k: v for k, v in os.environ.items() if k not in LOCAL}
    done = subprocess.run(
        ["git", "-C", folder, *words], env={**env, **USER}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(folder: Path, name: str, text: str) -> str:
    """A repository with one file in one commit, whose digits are given back."""
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def urls(tmp_path: Path) -> dict[str, str]:
    return {"spack": str(tmp_path / "from/spack"), "packages": str(tmp_path / "from/packages")}


@pytest.fixture
def pinned(tmp_path: Path, urls: dict[str, str], catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Commits of tiny repositories instead of Spack's, a solver that is there already, and an empty data folder."""
    if not shutil.which("git"):
        pytest.skip("needs git: apt-get install git")
    for name in os.environ:
        if name.startswith(("SOVSTACK_", "SPACK_", "GIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    known = catalogue.upstream
    commits = {
        "spack": repository(Path(urls["spack"]), "bin/spack", PROGRAM),
        "packages": repository(Path(urls["packages"]), f"{known.packages.folder}/repo.yaml", "repo: {}\n"),
    }
    made = known.model_copy(
        update={
            "spack": known.spack.model_copy(update={"commit": commits["spack"]}),
            "packages": known.packages.model_copy(update={"commit": commits["packages"]}),
        }
    )
    (spack.solver_folder(spack.home(made), made) / made.solver.project).mkdir(parents=True)
    return made


def install(pinned: Upstream, urls: dict[str, str]) -> Spack:
    return spack.install(pinned, urls, lambda _line: None)


def refused(pinned: Upstream, urls: dict[str, str]) -> StackError:
    with pytest.raises(StackError) as caught:
        install(pinned, urls)
    assert not [p.name for p in spack.home(pinned).iterdir() if "partial" in p.name]
    assert spack.find(pinned) is None
    return caught.value


def test_the_commits_are_fetched_verified_and_found_again(pinned: Upstream, urls: dict[str, str]) -> None:
    assert spack.find(pinned) is None
    made = install(pinned, urls)
    assert git(made.home / "spack", "rev-parse", "HEAD") == pinned.spack.commit
    assert made.packages.is_dir()
    assert spack.find(pinned) == made
    assert install(pinned, dict.fromkeys(urls, NOWHERE)) == made  # nothing is fetched twice
    newer = pinned.model_copy(update={"solver": pinned.solver.model_copy(update={"version": "99.1"})})
    assert spack.find(newer) is None  # another solver may give another answer


def test_a_commit_that_is_not_there(pinned: Upstream, urls: dict[str, str]) -> None:
    absent = pinned.model_copy(update={"spack": pinned.spack.model_copy(update={"commit": "a" * 40})})
    (spack.solver_folder(spack.home(absent), absent) / absent.solver.project).mkdir(parents=True)
    error = refused(absent, urls)
    assert error.exit_code == ExitCode.HOST
    assert f"aaaaaaaaaaaa could not be fetched from {urls['spack']}: " in str(error)
    assert "--spack-git and --packages-git" in str(error)


@pytest.mark.parametrize("place", [NOWHERE, "{tmp}/data", "{tmp}/nothing", "--upload-pack=touch {tmp}/harm"])
def test_a_place_that_gives_nothing(place: str, tmp_path: Path, pinned: Upstream, urls: dict[str, str]) -> None:
    where = place.format(tmp=tmp_path)
    error = refused(pinned, {**urls, "spack": where})
    assert error.exit_code == ExitCode.HOST
    assert len(error.faults) == 1 and "\n" not in str(error) and where in str(error)
    assert not (tmp_path / "harm").exists()


def test_without_git(pinned: Upstream, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "git is not installed" in str(refused(pinned, urls))


def test_without_a_package_index(pinned: Upstream, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    (spack.solver_folder(spack.home(pinned), pinned) / pinned.solver.project).rmdir()
    spack.solver_folder(spack.home(pinned), pinned).rmdir()
    for name in [n for n in os.environ if n.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    error = refused(pinned, urls)
    assert error.exit_code == ExitCode.HOST
    assert "Spack's solver could not be had" in str(error) and "\n" not in str(error)


def test_a_folder_that_cannot_be_written(
    pinned: Upstream, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(StackError) as caught:
        install(pinned, urls)
    assert caught.value.exit_code == ExitCode.HOST


def test_what_a_killed_installation_left_is_removed(pinned: Upstream, urls: dict[str, str]) -> None:
    left = spack.home(pinned) / ".spack.partial-12345"
    (left / "bin").mkdir(parents=True)
    (left / "bin/spack").write_text("half")
    made = install(pinned, urls)
    assert not left.exists() and made.program.read_text() == PROGRAM


def test_a_damaged_installation_says_what_to_remove(pinned: Upstream, urls: dict[str, str]) -> None:
    (spack.home(pinned) / "spack").mkdir()
    with pytest.raises(StackError, match=f"is damaged .*rm -r {spack.home(pinned)}"):
        install(pinned, urls)


def test_two_installations_at_once(pinned: Upstream, urls: dict[str, str]) -> None:
    said: list[str] = []
    found: list[Spack] = []
    both = [threading.Thread(target=lambda: found.append(spack.install(pinned, urls, said.append))) for _ in "ab"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(found) == 2 and found[0] == found[1]
    assert sum(line.startswith("fetching") for line in said) == 2  # each repository once


def test_a_repository_of_the_callers_is_not_touched(
    pinned: Upstream, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = repository(tmp_path / "own", "file", "text")
    for name, value in zip(LOCAL, (".git", ".", ".git/index"), strict=True):
        monkeypatch.setenv(name, str(tmp_path / "own" / value))
    made = install(pinned, urls)
    assert made.program.is_file()
    assert git(tmp_path / "own", "rev-parse", "HEAD") == head
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == [".git", "file"]


def test_neither_the_users_hooks_nor_another_end_of_line(
    pinned: Upstream, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "template/hooks/post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/harm\n")
    hook.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[init]\ntemplateDir = {tmp_path}/template\n[core]\nautocrlf = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert install(pinned, urls).program.read_bytes() == PROGRAM.encode()
    assert not (tmp_path / "harm").exists()


def test_a_path_is_of_the_callers_folder(
    pinned: Upstream, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = spack.origins(pinned, {}, {"spack": "from/spack", "packages": "./from/packages"})
    assert made == urls


def test_where_it_is_fetched_from(pinned: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {"spack": pinned.spack.git, "packages": pinned.packages.git}
    mirrors = {"spack": "https://mirror.example/s", "debian": "https://mirror.example/d"}
    nothing: dict[str, str | None] = {"spack": None, "packages": None}
    assert spack.origins(pinned, {}, nothing) == usual
    assert spack.origins(pinned, mirrors, nothing) == {**usual, "spack": "https://mirror.example/s"}
    monkeypatch.setenv("SOVSTACK_SPACK_GIT", "https://env.example/s")
    monkeypatch.setenv("SOVSTACK_PACKAGES_GIT", "")
    assert spack.origins(pinned, mirrors, nothing) == {**usual, "spack": "https://env.example/s"}
    chosen = {**nothing, "spack": "https://option.example/s"}
    assert spack.origins(pinned, mirrors, chosen)["spack"] == "https://option.example/s"


def test_bootstrap_names_what_it_would_run_and_runs_nothing(tmp_path: Path) -> None:
    done = sovstack("bootstrap", "--dry-run", "--spack-git", "/some/where", XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "fetch --quiet --depth=1 --no-tags -- /some/where " in done.stdout
    assert "pip install" in done.stdout.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_bootstrap_that_cannot_fetch_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    words = ("--spack-git", NOWHERE, "--packages-git", NOWHERE)
    done = sovstack("bootstrap", "--quiet", *words, XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


# --- calls ---


def called(made: Spack, folder: Path) -> str:
    folder.mkdir()
    settings = spack.scope(made, folder)
    return run(made.command(("solve", "it"), "ask", folder, scope=settings, release=folder / "release")).stdout


HOSTILE = {
    "SPACK_ENV": "/user/env",
    "SPACK_ROOT": "/user/spack",
    "SPACK_SYSTEM_CONFIG_PATH": "/user/etc",
    "SPACK_CONCRETIZER_REQUIRE_CHECKSUM": "",  # Spack asks only whether it is there
    "SPACK_SOLVER_RANDOMIZATION": "1",
    "SPACK_USER_CONFIG_PATH": "/user/config",
    "ARCHSPEC_CPU_DIR": "/user/cpus",
    "PYTHONPATH": "/user/python",
    "PYTHONSTARTUP": "/user/startup.py",
    "PYTHONOPTIMIZE": "2",
}


def test_nothing_of_the_callers_settings_reaches_spack(
    pinned: Upstream, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install(pinned, urls)
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    lines = called(made, tmp_path / "call").splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    assert not [line for line in lines if "/user/" in line]
    assert not {"SPACK_ENV", "SPACK_CONCRETIZER_REQUIRE_CHECKSUM", "SPACK_SOLVER_RANDOMIZATION", "PYTHONOPTIMIZE"} & {
        *told
    }
    assert told["SPACK_DISABLE_LOCAL_CONFIG"] == "1"
    assert told["SPACK_USER_CONFIG_PATH"].startswith(str(tmp_path / "call"))
    assert told["PYTHONPATH"] == str(spack.solver_folder(made.home, made.upstream))
    assert told["UNIXCONFDIR"] == str(tmp_path / "call/release")
    assert told["https_proxy"] == "http://proxy.example"  # the machine's way out is no setting of Spack's
    assert "-E solve it" in lines[0]


def test_the_settings_of_a_call_are_in_its_folder_and_name_our_packages_first(
    pinned: Upstream, urls: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "site/recipes/spack_repo/ours").mkdir(parents=True)
    (tmp_path / "site/recipes/spack_repo/ours/repo.yaml").write_text("repo: {}")
    install(pinned, urls)
    made = spack.find(pinned, (tmp_path / "site",))
    assert made
    settings = spack.scope(made, tmp_path / "call", config={"build_jobs": 3})
    repos = (settings / "repos.yaml").read_text()
    assert repos.index("recipes/spack_repo/ours") < repos.index(pinned.packages.folder)
    config = (settings / "config.yaml").read_text()
    assert '"build_jobs": 3' in config and f'"misc_cache": "{tmp_path}/call/misc"' in config
    assert '"enable": false' in (settings / "bootstrap.yaml").read_text()


def test_a_sites_packages_hide_the_shipped_ones(tmp_path: Path) -> None:
    for place in ("site/recipes/spack_repo/ours", "shipped/recipes/spack_repo/ours", "shipped/recipes/spack_repo/more"):
        (tmp_path / place / "packages/a").mkdir(parents=True)
        (tmp_path / place / "repo.yaml").write_text(place)
    (tmp_path / "shipped/recipes/spack_repo/notes").mkdir()  # without repo.yaml it is none
    found = spack.overlays((tmp_path / "site", tmp_path / "shipped"))
    names = [str(p.relative_to(tmp_path)) for p in found]
    assert sorted(names) == ["shipped/recipes/spack_repo/more", "site/recipes/spack_repo/ours"]


def test_the_digest_of_our_packages_is_that_of_their_files(tmp_path: Path) -> None:
    package = tmp_path / "ours/packages/a/package.py"
    package.parent.mkdir(parents=True)
    package.write_text("1")
    first = spack.overlay_digest((tmp_path / "ours",))
    (package.parent / "__pycache__").mkdir()
    (package.parent / "__pycache__/package.pyc").write_text("x")
    assert spack.overlay_digest((tmp_path / "ours",)) == first
    package.write_text("2")
    assert spack.overlay_digest((tmp_path / "ours",)) != first


def test_the_index_is_made_once(pinned: Upstream, urls: dict[str, str]) -> None:
    made = install(pinned, urls)
    first = spack.ready(made, lambda _line: None)
    assert spack.ready(made, lambda _line: None) == first
    assert (first / "calls").read_text() == "made\n"
    assert not list(first.parent.parent.glob(".*.partial-*"))


def test_an_index_that_cannot_be_made_leaves_none(pinned: Upstream, urls: dict[str, str]) -> None:
    made = install(pinned, urls)
    made.program.write_text("#!/bin/sh\necho broken package\nexit 1\n")
    with pytest.raises(StackError, match="broken package"):
        spack.ready(made, lambda _line: None)
    made.program.write_text(PROGRAM)
    assert (spack.ready(made, lambda _line: None) / "calls").is_file()


def test_no_password_of_a_place_is_said(pinned: Upstream) -> None:
    told: list[str] = []
    place = "http://me:secret@127.0.0.1:9/spack.git"
    with pytest.raises(StackError, match=r"could not be fetched from http://127\.0\.0\.1:9/spack\.git") as caught:
        spack.install(pinned, {"spack": place, "packages": place}, told.append)
    assert "secret" not in f"{told} {caught.value}"

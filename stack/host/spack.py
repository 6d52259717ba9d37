"""Spack: fetched by git at a pinned commit into the user's own folder, and run there, away from anyone's settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.artifact import Command, digest, public
from stack.catalogue import Repository, Upstream
from stack.errors import StackError, bad_input, host_lacks
from stack.host import files
from stack.host.library import PACKAGE, shipped
from stack.host.run import Sink, failed, run

OVERLAY = "recipes/spack_repo"  # our own packages: only what upstream lacks
SCRIPTS = PACKAGE / "inside_spack"
_GIT = {"spack": "SOVSTACK_SPACK_GIT", "packages": "SOVSTACK_PACKAGES_GIT"}
# A shell where somebody works with Spack has its settings in variables, of which Spack asks only whether they exist.
_SETTINGS = re.compile("SPACK_|ARCHSPEC_|PYTHON")
# In a hook of git these are set, and git would work on that repository; see `git rev-parse --local-env-vars`.
_REPOSITORY = re.compile(
    "GIT_(DIR|WORK_TREE|IMPLICIT_WORK_TREE|COMMON_DIR|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PREFIX"
    "|NAMESPACE|GRAFT_FILE|SHALLOW_FILE|NO_REPLACE_OBJECTS|REPLACE_REF_BASE|TEMPLATE_DIR)"
)


@dataclass(frozen=True)
class Spack:
    """An installed Spack. `packages`: the repository's folder; `overlays`: folders of our own repositories."""

    upstream: Upstream
    home: Path
    overlays: tuple[Path, ...]

    @property
    def program(self) -> Path:
        """The command."""
        return self.home / "spack/bin/spack"

    @property
    def packages(self) -> Path:
        """The package repository that a scope names."""
        return self.home / "packages" / self.upstream.packages.folder

    @property
    def overlay(self) -> str:
        """Digest of our own packages."""
        return overlay_digest(self.overlays)

    def environment(self, folder: Path, release: Path | None = None) -> dict[str, str]:
        """Variables that keep everything in `folder` and nothing of the user's or the system's settings.

        `release`: a folder with the `os-release` of the OS that Spack shall take this machine for.
        """
        made = {
            "SPACK_PYTHON": sys.executable,
            "PYTHONPATH": str(solver_folder(self.home, self.upstream)),
            "PYTHONNOUSERSITE": "1",
            "SPACK_DISABLE_LOCAL_CONFIG": "1",
            "SPACK_USER_CONFIG_PATH": str(folder / "config"),
            "SPACK_USER_CACHE_PATH": str(folder / "cache"),
            "SPACK_SKIP_MODULES": "1",
            "TMPDIR": str(folder / "tmp"),
        }
        return {**made, "UNIXCONFDIR": str(release), "UNIXUSRLIBDIR": str(release)} if release else made

    def command(
        self, arguments: tuple[str, ...], purpose: str, folder: Path, *, scope: Path, env: Path | None = None,
        release: Path | None = None,
    ) -> Command:  # fmt: skip
        """A call of Spack. `scope`: folder of its settings (see `scope`); `env`: the environment's folder."""
        active = ("-e", str(env)) if env else ("-E",)
        settings = self.environment(folder, release)
        argv = (str(self.program), "--color", "never", "-C", str(scope), *active, *arguments)
        return Command((*_without(_SETTINGS, settings), *argv), purpose, cwd=str(folder), env=settings)

    def script(self, name: str) -> str:
        """Path of one of our scripts for `spack python`."""
        return str(SCRIPTS / f"{name}.py")


def _without(pattern: re.Pattern[str], ours: Container[str] = ()) -> tuple[str, ...]:
    """Beginning of a command that does not get the caller's variables of these names, our own excepted."""
    found = sorted(name for name in os.environ if pattern.match(name) and name not in ours)
    return ("env", *(word for name in found for word in ("-u", name))) if found else ()


def outside(more: str = "GIT_DIR$", ours: Container[str] = ()) -> tuple[str, ...]:
    """Beginning of a git command that works on the repository it is told and no other; `more`: names to forget too."""
    return _without(re.compile(f"{_REPOSITORY.pattern}|{more}"), ours)


def scope(spack: Spack, folder: Path, **more: Mapping[str, object]) -> Path:
    """Write the settings of a call into `folder`/scope; `more`: section -> content, `config`'s joined with ours."""
    sections: dict[str, object] = {
        "repos": {f"{name}:": str(path) for name, path in _repositories(spack).items()},
        "bootstrap": {"enable": False},
        **more,
        "config": {
            "misc_cache": str(folder / "misc"),
            "source_cache": str(folder / "sources"),
            "build_stage": [str(folder / "stage")],
            "install_tree": {"root": str(folder / "installed")},
            **more.get("config", {}),
        },
    }
    made = folder / "scope"
    for name, content in sections.items():
        files.write_text(made / f"{name}.yaml", json.dumps({name: content}, indent=2) + "\n")  # repos: order counts
    for needed in ("tmp", "cache", "config"):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    return made


def _repositories(spack: Spack) -> dict[str, Path]:
    """Ours first: Spack takes a package from the first repository that has it."""
    return {**{p.name: p for p in spack.overlays}, "builtin": spack.packages}


def overlays(roots: tuple[Path, ...]) -> tuple[Path, ...]:
    """Folders of package repositories below `recipes/spack_repo/`, a site's own before the shipped ones."""
    found = (p.parent for root in roots for p in sorted((root / OVERLAY).glob("*/repo.yaml")))
    return tuple({p.name: p for p in reversed(list(found))}.values())[::-1]


def overlay_digest(folders: tuple[Path, ...]) -> str:
    """Digest of every file of our own packages."""
    found = {
        f"{folder.name}/{p.relative_to(folder)}": files.sha256(p)
        for folder in folders
        for p in sorted(folder.rglob("*"))
        if p.is_file() and "__pycache__" not in p.parts
    }
    return digest(found)


def home(upstream: Upstream) -> Path:
    """Where this pair of commits is installed."""
    name = f"{upstream.spack.commit[:12]}-{upstream.packages.commit[:12]}"
    return files.user_folder("XDG_DATA_HOME", ".local/share") / "spack" / name


def solver_folder(place: Path, upstream: Upstream) -> Path:
    """Where the solver is, for the Python that runs us."""
    solver = upstream.solver
    return place / f"{solver.project}-{solver.version}-{sys.implementation.cache_tag}"


def find(upstream: Upstream, roots: tuple[Path, ...] | None = None) -> Spack | None:
    """The installed Spack; each part was moved into place whole, after its commit was verified."""
    place = home(upstream)
    found = Spack(upstream, place, overlays(roots or (shipped(),)))
    parts = (found.program, found.packages / "repo.yaml", solver_folder(place, upstream) / upstream.solver.project)
    return found if all(p.exists() for p in parts) else None


def origins(upstream: Upstream, mirrors: Mapping[str, str], chosen: Mapping[str, str | None]) -> dict[str, str]:
    """Where each repository is fetched from: the command line's word, the environment's, the profile's, upstream."""
    usual = {"spack": upstream.spack.git, "packages": upstream.packages.git}
    return {n: _place(chosen.get(n) or os.environ.get(_GIT[n]) or mirrors.get(n) or u) for n, u in usual.items()}


def _place(url: str) -> str:
    """git runs in another folder than ours: a path is made whole."""
    return os.path.abspath(url) if os.path.isdir(url) else url  # noqa: PTH100, PTH112 - links stay as the user wrote them


def install(upstream: Upstream, urls: Mapping[str, str], sink: Sink, roots: tuple[Path, ...] | None = None) -> Spack:
    """Put Spack, its packages and its solver into the user's own folder; what is there already stays."""
    place = home(upstream)
    with files.exclusive(place, lambda holder: sink(f"waiting for {holder}, which installs Spack")):
        files.clean_partials(place)
        for name, repository in (("spack", upstream.spack), ("packages", upstream.packages)):
            if not (place / name).exists():
                _checkout(place / name, repository, urls[name], sink)
        if not solver_folder(place, upstream).exists():
            _solver(upstream, solver_folder(place, upstream), sink)
    made = find(upstream, roots)
    if made is None:
        raise host_lacks(f"{place} is damaged", f"remove it, and run `sovstack bootstrap` again: rm -r {place}")
    return made


def commands(upstream: Upstream, urls: Mapping[str, str]) -> tuple[Command, ...]:
    """What an installation runs."""
    place = home(upstream)
    parts = (("spack", upstream.spack), ("packages", upstream.packages))
    fetched = [c for n, r in parts for c in _git(place / n, r, urls[n])]
    return (*fetched, _pip(upstream, solver_folder(place, upstream)))


def _git(folder: Path, repository: Repository, url: str) -> tuple[Command, ...]:
    """Only the one commit: the whole history is twenty times as large."""
    env = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    clean = _without(_REPOSITORY, env)
    # Neither the user's hooks nor another end of line: the files are the commit's.
    settings = ("-c", "advice.detachedHead=false", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false")
    git = (*clean, "git", *settings, "-C", str(folder))
    return (
        Command((*clean, "git", "init", "--quiet", "--template=", str(folder)), "make room for a repository", env=env),
        Command((*git, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, repository.commit), "fetch", env=env),
        Command((*git, "checkout", "--quiet", "--detach", repository.commit), "check the commit out", env=env),
    )


def _checkout(folder: Path, repository: Repository, url: str, sink: Sink) -> None:
    if not shutil.which("git"):
        raise host_lacks("git is not installed (needed to fetch Spack)", "as root: apt-get install git")
    sink(f"fetching {public(url)} at {repository.commit[:12]}")
    with files.beside(folder) as partial:
        for command in _git(partial, repository, url):
            result = run(command, sink, check=False)
            if result.returncode:
                raise failed(command, result) if result.full else _unreachable(url, repository, result.tail)
        asked = (*_without(_REPOSITORY), "git", "-C", str(partial), "rev-parse", "HEAD")
        head = run(Command(asked, "read the commit")).stdout.strip()
        if head != repository.commit:
            raise bad_input(f"{public(url)} gave commit {head}, and {repository.commit} was asked for")


def _unreachable(url: str, repository: Repository, said: str) -> StackError:
    last = " ".join(said.replace(url, public(url)).split())[-300:]
    what = f"{repository.commit[:12]} could not be fetched from {public(url)}: {last}"
    return host_lacks(what, "name another place: --spack-git and --packages-git, or mirrors: in the profile")


def _pip(upstream: Upstream, folder: Path) -> Command:
    wanted = f"{upstream.solver.project}=={upstream.solver.version}"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-user", "--progress-bar", "off")
    return Command((*pip, "--only-binary=:all:", "--target", str(folder), wanted), "install Spack's solver")


def _solver(upstream: Upstream, folder: Path, sink: Sink) -> None:
    sink(f"installing {upstream.solver.project} {upstream.solver.version}")
    with files.beside(folder) as partial:
        result = run(_pip(upstream, partial), sink, check=False)
        if result.returncode:
            last = result.tail.strip().splitlines()[-1:] or [""]
            raise host_lacks(f"Spack's solver could not be had: {last[0]}", "check the network, and pip's settings")


def ready(spack: Spack, sink: Sink) -> Path:
    """The folder of the repositories' indexes, made once and copied for every solve: a solve that is killed in the
    middle of writing an index can then harm nobody."""
    place = spack.home / "index" / spack.overlay[:16]
    if not place.exists():
        sink("reading the package repository")
        with files.exclusive(place.parent, lambda _holder: None):
            if not place.exists():
                with files.beside(place) as partial:
                    settings = scope(spack, partial)
                    run(
                        spack.command(("python", spack.script("index")), "read the repository", partial, scope=settings)
                    )
    return place / "misc"

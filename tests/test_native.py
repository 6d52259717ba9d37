"""A lock made here names what the target would name: equal to a native solve, whatever the host and its settings."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.host import locking, namespace, resolving, spack
from stack.host.cells import Cell
from stack.host.library import Library
from stack.host.spack import Spack
from tests import native
from tests.command import ROOT, SITE, argv, environment, sovstack
from tests.test_up import processes_below

pytestmark = [pytest.mark.image, pytest.mark.xdist_group("native"), pytest.mark.usefixtures("able")]
PROFILES = {"amd64": "generic-x86", "arm64": "generic-arm"}  # for riscv64 the solver is on no package index
WORDS = ("kernels", "--root", SITE)
LOCKS = ("stack.lock.json", "spack.lock")

# What a host says of itself, and the tools that it has: each is told otherwise, where a lock could look.
OTHER_HOST = """\
set -eu
hostname elsewhere
for path in os-release cpuinfo nothing; do test -e "$1/$path"; done
mount --bind "$1/os-release" "$(realpath /etc/os-release)"
mount --bind "$1/cpuinfo" /proc/cpuinfo
for tool in gcc cc ld; do
    path=$(command -v $tool) && mount --bind "$1/nothing" "$(realpath "$path")"
done
shift
exec "$@"
"""
OS_RELEASE = 'ID=opensuse-leap\nVERSION_ID="15.6"\nNAME="openSUSE Leap"\n'
CPUINFO = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nflags\t\t: fpu mmx sse sse2 lm\n\n"


@dataclass(frozen=True)
class Locked:
    """A lock as this host makes it, when nothing disturbs it."""

    build: Path
    cell: Cell

    def texts(self) -> list[bytes]:
        return texts(self.build)


def texts(build: Path) -> list[bytes]:
    """Both files of the one lock in a build folder."""
    return [next(build.glob(f"kernels/*/*/{name}")).read_bytes() for name in LOCKS]


def lock(profile: str, build: Path) -> Locked:
    done = sovstack("lock", profile, *WORDS, "--build-dir", build)
    assert done.returncode == 0, done.stderr
    return Locked(build, native.open_(profile, "kernels", build))


@pytest.fixture(scope="module")
def locked(able: None, real_spack: Spack, tmp_path_factory: pytest.TempPathFactory) -> Locked:
    return lock("generic-x86", tmp_path_factory.mktemp("locked"))


@pytest.mark.parametrize("architecture", PROFILES)
def test_every_hash_is_the_targets_own(
    architecture: str, real_spack: Spack, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made = native.open_(PROFILES[architecture], "kernels", tmp_path)
    family = made.plan.target.family
    if native.foreign(family) and architecture not in os.environ.get("SOVSTACK_TEST_NATIVE", "").split(","):
        pytest.skip(
            f"about eight minutes under emulation: SOVSTACK_TEST_NATIVE={architecture} make test PYTEST='-k native'"
        )
    if native.foreign(family) and not native.emulator(family):
        pytest.skip(f"qemu-{family}-static is not installed (as root: apt-get install qemu-user-static)")
    usual = architecture == "amd64"
    here: Locked = request.getfixturevalue("locked") if usual else lock(PROFILES[architecture], tmp_path / "build")
    whole = locking.read(here.cell)
    assert whole and whole.spack and whole.spack.hashes == "native"
    place = tmp_path / "native"
    (place / "work").mkdir(parents=True)
    try:
        root = native.make_root(here.cell, whole, place)
        native.make_solver(here.cell, place / "work/solver")
        there = native.concretize(here.cell, whole, real_spack, root, place / "work")
    finally:
        native.remove(place / "root", family)
    named = {f"{n.name}@{n.version}": n.hash for n in whole.spack.nodes}
    assert {"bzip2", "cuda", "gcc-runtime", "glibc", "openblas"} <= {name.partition("@")[0] for name in named}
    assert named == there
    assert here.texts()[1] == (place / "work/env/spack.lock").read_bytes()


@contextlib.contextmanager
def started(build: Path, *prefix: str, umask: int = -1, **extra: str) -> Iterator[subprocess.Popen[str]]:
    words = [*prefix, *argv("lock", "generic-x86", *WORDS, "--build-dir", build)]
    env = environment(**extra)
    with subprocess.Popen(words, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True, umask=umask) as child:
        yield child


def folders(library: Library) -> dict[str, str]:
    """Where this user's Spack and package files are, for a call that has another home."""
    return {
        "XDG_DATA_HOME": str(spack.home(library.catalogue.upstream).parents[2]),
        "XDG_CACHE_HOME": str(resolving.cache().parent),
    }


def elsewhere(folder: Path) -> tuple[str, ...]:
    """A prefix for a host with another name, distribution, machine and processor, and without a compiler."""
    folder.mkdir()
    for name, text in {"os-release": OS_RELEASE, "cpuinfo": CPUINFO, "nothing": ""}.items():
        (folder / name).write_text(text)
    return (*namespace.find(), "unshare", "--uts", "sh", "-c", OTHER_HOST, "sh", str(folder), "setarch", "i686")


def test_the_host_and_its_settings_leave_no_trace(locked: Locked, library: Library, tmp_path: Path) -> None:
    """Two at once, too: neither disturbs the other."""
    builds, homes = (tmp_path / "a", tmp_path / "an other"), (tmp_path / "h1", tmp_path / "h2")
    for home in homes:
        (home / ".spack").mkdir(parents=True)
        (home / ".spack/packages.yaml").write_text("packages: {all: {require: [cflags=-O0]}}\n")
    first = {"HOME": str(homes[0]), "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "CC": "clang"}
    second = {"HOME": str(homes[1]), "PYTHONHASHSEED": "2", "TZ": "America/Lima", "LC_ALL": "C", "COLUMNS": "40"}
    with (
        started(builds[0], *elsewhere(tmp_path / "host"), umask=0o077, **first, **folders(library)) as one,
        started(builds[1], umask=0, **second, **folders(library)) as other,
    ):
        said = [child.communicate()[1] for child in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), said
    assert [texts(build) for build in builds] == [locked.texts()] * 2


def until(happened: Callable[[], object]) -> None:
    """Wait, at most two minutes."""
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_a_killed_solve_leaves_nothing_broken(locked: Locked, tmp_path: Path) -> None:
    build = tmp_path / "build"
    for patience in (0, 6):
        with started(build) as child:
            until(lambda: list(build.glob("kernels/*/*/solve/question.json")) and processes_below(build / "kernels"))
            time.sleep(patience)
            child.kill()
        until(lambda: not processes_below(build))
        assert not [p for name in LOCKS for p in build.rglob(name)]
    done = sovstack("lock", "generic-x86", *WORDS, "--build-dir", build)
    assert done.returncode == 0, done.stderr
    assert texts(build) == locked.texts()
    assert not list(build.glob("kernels/*/*/solve"))

"""A real build from source, small: one program that prints where it was installed, in a build root of Debian's."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import archspec.cpu
import pytest

from stack import closure
from stack.artifact import Command
from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.host import apptainer, apt, files, namespace, solving, source_build, spack
from stack.host.run import run
from stack.host.source_build import SourceJob
from stack.host.spack import Spack
from stack.lock import OsPackage
from stack.plan import Plan
from stack.render.spack import Solve

# One job for the module: on another worker its root and tree would be made a second time.
pytestmark = pytest.mark.xdist_group("source_build")

SYSTEM = "debian-13"
PREFIX = "/opt/sovstack/greetings"
EPOCH = 1767225600
PROGRAM = b'#include <stdio.h>\nint main(void) { puts("hello from " PREFIX); return 0; }\n'
RECIPE = '''
from spack_repo.builtin.build_systems.generic import Package

from spack.package import *


class Greeting(Package):
    """Without `depends_on("c")`, since Spack's compiler wrapper would have to be fetched then."""

    homepage = "https://example.org/"
    url = "https://example.org/greeting-1.0.tar.gz"
    version("1.0", sha256="{sha256}")

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        Executable("/usr/bin/gcc")(f'-DPREFIX="{{prefix}}"', "greeting.c", "-o", join_path(prefix.bin, "greeting"))
'''


@pytest.fixture(scope="module")
def job(catalogue: Catalogue, laptop: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceJob]:
    """A job of one package of our own, everything it needs at hand."""
    base = tmp_path_factory.mktemp("source")
    tar = tarball()
    overlay = _overlay(base, hashlib.sha256(tar).hexdigest())
    store(base / "mirror", tar)
    installed = spack.find(catalogue.upstream)
    if installed is None:
        pytest.skip("Spack is not installed: run `sovstack bootstrap`, then `make test PYTEST='-k source_build'`")
    if not apptainer.tool("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed (as root: apt-get install mmdebstrap), see `sovstack doctor`")
    ours = dataclasses.replace(installed, overlays=(overlay,))
    try:
        prefix = namespace.find()
        packages, fetched = packages_of(catalogue)
    except StackError as error:
        pytest.skip(f"no build root can be made here: {error}")
    environment, lock = _solved(ours, laptop, base)
    yield SourceJob(
        spack=ours, name="greetings", environment=environment, lock=lock,
        container=catalogue.containers[SYSTEM], architecture=packages[0].architecture, packages=packages,
        fetch=lambda: fetched, mmdebstrap=apptainer.tool("mmdebstrap") or "", namespace=prefix,
        mirror=base / "mirror", cache=base / "cache", folder=base / "cell", prefix=PREFIX, epoch=EPOCH, jobs=2,
    )  # fmt: skip
    run(Command((*prefix, "rm", "-rf", str(base / "cell")), "clear up"))
    shutil.rmtree(installed.home / "index" / ours.overlay[:16], ignore_errors=True)


def tarball() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("greeting-1.0/greeting.c")
        info.size = len(PROGRAM)
        tar.addfile(info, io.BytesIO(PROGRAM))
    return subprocess.run(["gzip", "-n"], input=out.getvalue(), capture_output=True, check=True).stdout


def _overlay(base: Path, sha256: str) -> Path:
    folder = base / "spack_repo/greetings"
    files.write_text(folder / "repo.yaml", "repo: {namespace: greetings, api: v2.2}\n")
    files.write_text(folder / "packages/greeting/package.py", RECIPE.format(sha256=sha256))
    return folder


def store(mirror: Path, data: bytes) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    place = mirror / "_source-cache/archive" / sha256[:2] / f"{sha256}.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)


def packages_of(catalogue: Catalogue) -> tuple[tuple[OsPackage, ...], dict[str, Path]]:
    system = catalogue.systems[SYSTEM]
    architecture = system.architectures[str(archspec.cpu.host().family)]
    chosen = apt.sources(system, apt.mirrors(system, {}))
    private = apt.open_apt(architecture, chosen, system.keys)
    private.update(print)
    found = closure.installed(private.closure(["?essential", "gcc", "libc6-dev", "python3", "patchelf"]))
    stanzas = private.show([f"{name}={version}" for name, version, _ in found])
    packages = closure.packages(stanzas, found)
    ordered = sorted(packages, key=lambda p: p.architecture == "all")
    return tuple(ordered), private.download_files(packages, apt.cache_folder(), print)


def _solved(installed: Spack, plan: Plan, base: Path) -> tuple[str, str]:
    family = str(archspec.cpu.host().family)
    target = f"target={family}"
    text = f"""\
spack:
  specs: [greeting {target}]
  view: true
  concretizer: {{unify: true, reuse: false, targets: {{host_compatible: false, granularity: microarchitectures}}}}
  packages: {{all: {{require: [{target}]}}}}
"""
    release = 'ID=debian\nVERSION_ID="13"\nNAME="debian"\n'
    version = installed.upstream.spack.version
    known = {"linker": "/lib64/ld.so", "libc": "2.41", "libc_prefix": "/usr"}
    facts = {"version": version, "target": family, **known}
    question = Solve(text, release, facts, "0" * 64)
    return text, solving.solve(installed, question, plan, base / "solve", base / "solve.log", print).text


def _inside(job: SourceJob, *argv: str) -> str:
    return run(source_build.room(job).command(argv, "try what was built")).stdout.strip()


def _greeting(job: SourceJob) -> str:
    """What the program says. A path inside one is moved by putting slashes before it: a shorter one must fill it."""
    return re.sub("/+", "/", _inside(job, f"{job.prefix}/view/bin/greeting"))


def test_a_lock_is_built_offline_cached_unpacked_and_packed(job: SourceJob) -> None:
    built = source_build.make(job, print)
    assert list(built.seconds) == ["greeting@1.0"]
    assert _greeting(job).startswith(f"hello from {PREFIX}/software/greeting-1.0-")
    with tarfile.open(built.tar) as tar:
        found = {m.name: m for m in tar}
    assert found["opt/sovstack/greetings/view/bin/greeting"].isreg()  # no link, whose long target could be misread
    assert found["opt/sovstack/greetings/modules/Core/greetings.lua"].isreg()
    assert {(m.uid, m.gid, m.mtime) for m in found.values()} == {(0, 0, EPOCH)}
    assert not [name for name in found if ".spack-db" in name or "install_environment" in name]
    assert source_build.make(job, print) == built  # nothing is done twice


def test_a_fresh_tree_is_filled_from_the_cache_alone_wherever_it_is(job: SourceJob, tmp_path: Path) -> None:
    source_build.make(job, print)
    away = f"/srv/{'far/' * 8}away"
    other = dataclasses.replace(job, prefix=away, mirror=tmp_path)  # an empty mirror: nothing can be compiled
    source_build.unpack(other, print)
    assert _greeting(other).startswith(f"hello from {away}/software/greeting-1.0-")


def test_the_network_is_not_there_and_the_root_is_not_written(job: SourceJob) -> None:
    source_build.make_root(job, print)
    routes = _inside(job, "cat", "/proc/net/route", "/proc/net/dev")
    assert [line.partition(":")[0].strip() for line in routes.splitlines() if ":" in line] == ["lo"]
    assert "Read-only" in _inside(job, "sh", "-c", "touch /usr/new 2>&1 || :")


def test_a_source_that_is_not_there_or_not_the_right_one_is_named(job: SourceJob, tmp_path: Path) -> None:
    bare = dataclasses.replace(job, cache=tmp_path / "cache", mirror=tmp_path / "mirror")
    for former in ("tree", "spack/sources"):
        shutil.rmtree(job.folder / former, ignore_errors=True)
    (tmp_path / "mirror").mkdir()
    with pytest.raises(StackError, match=r"greeting@1\.0: the mirror does not have its source"):
        source_build.install(bare, print)
    for path in (job.mirror).rglob("*.tar.gz"):
        wrong = bare.mirror / path.relative_to(job.mirror)
        wrong.parent.mkdir(parents=True)
        wrong.write_bytes(b"something else")
    with pytest.raises(StackError, match="is something else"):
        source_build.install(bare, print)
    shutil.rmtree(bare.mirror)
    shutil.copytree(job.mirror, bare.mirror)
    assert list(source_build.install(bare, print)) == ["greeting@1.0"]


def test_a_killed_build_leaves_no_process(job: SourceJob) -> None:
    source_build.make_root(job, print)
    mark = f"sleep-{os.getpid()}"
    argv = source_build.room(job).command(("sh", "-c", f"sleep 300; : {mark}"), "wait").argv
    code = "import sys; from stack.artifact import Command; from stack.host.run import run"
    code += "; run(Command(tuple(sys.argv[1:]), 'wait'))"
    child = subprocess.Popen([sys.executable, "-c", code, *argv])
    _until(lambda: len(_running(mark)) > 1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    _until(lambda: not _running(mark))


def _until(true: Callable[[], bool]) -> None:
    for _ in range(100):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within ten seconds")


def _running(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mark in text and path.parent.name != str(os.getpid()):
            found.append(text)
    return found

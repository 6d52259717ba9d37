"""Small real builds from source: packages of one's own, a mirror that has theirs, and a build root of Debian's."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import archspec.cpu
import pytest

from stack import closure
from stack.artifact import Command
from stack.errors import StackError
from stack.host import apptainer, apt, files, namespace, solving
from stack.host.run import run
from stack.host.source_job import SourceJob
from stack.host.spack import Spack
from stack.lock import OsPackage
from stack.plan import Plan
from stack.render.spack import Solve

EPOCH = 1767225600
PROGRAM = b'#include <stdio.h>\nint main(void) { puts("hello from " PREFIX); return 0; }\n'
RECIPE = '''
from spack_repo.builtin.build_systems.generic import Package

from spack.package import *


class {name}(Package):
    """Without `depends_on("c")`, since Spack's compiler wrapper would have to be fetched then."""

    homepage = "https://example.org/"
    url = "https://example.org/greeting-1.0.tar.gz"
    version("1.0", sha256="{sha256}")

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        {install}
'''


@contextmanager
def job(
    name: str, installs: Mapping[str, str], installed: Spack, plan: Plan, base: Path, jobs: int
) -> Iterator[SourceJob]:
    """A job of packages of our own with everything it needs at hand; `installs`: package -> a line of its recipe."""
    if not apptainer.tool("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed (as root: apt-get install mmdebstrap), see `sovstack doctor`")
    ours = dataclasses.replace(installed, overlays=(_overlay(name, installs, base),))
    try:
        prefix = namespace.find()
        packages, fetched = _packages(plan)
    except StackError as error:
        pytest.skip(f"no build root can be made here: {error}")
    environment, lock = _solved(ours, plan, base, tuple(installs))
    try:
        yield SourceJob(
            spack=ours, name=name, environment=environment, lock=lock, container=plan.container,
            architecture=packages[0].architecture, packages=packages, fetch=lambda: fetched,
            mmdebstrap=apptainer.tool("mmdebstrap") or "", namespace=prefix, mirror=base / "mirror",
            cache=base / "cache", folder=base / "cell", prefix=f"/opt/sovstack/{name}", epoch=EPOCH, jobs=jobs,
        )  # fmt: skip
    finally:
        run(Command((*prefix, "rm", "-rf", str(base / "cell")), "clear up"))
        shutil.rmtree(installed.home / "index" / ours.overlay[:16], ignore_errors=True)


def _overlay(name: str, installs: Mapping[str, str], base: Path) -> Path:
    """A repository of the packages, and a mirror with the one source of all of them."""
    data = _tarball()
    sha256 = hashlib.sha256(data).hexdigest()
    place = base / "mirror/_source-cache/archive" / sha256[:2] / f"{sha256}.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    folder = base / "spack_repo" / name
    files.write_text(folder / "repo.yaml", f"repo: {{namespace: {name}, api: v2.2}}\n")
    for package, install in installs.items():
        text = RECIPE.format(name=package.title(), sha256=sha256, install=install)
        files.write_text(folder / f"packages/{package}/package.py", text)
    return folder


def _tarball() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("greeting-1.0/greeting.c")
        info.size = len(PROGRAM)
        tar.addfile(info, io.BytesIO(PROGRAM))
    return subprocess.run(["gzip", "-n"], input=out.getvalue(), capture_output=True, check=True).stdout


def _packages(plan: Plan) -> tuple[tuple[OsPackage, ...], dict[str, Path]]:
    system = plan.target.os
    architecture = system.architectures[str(archspec.cpu.host().family)]
    private = apt.open_apt(architecture, apt.sources(system, apt.mirrors(system, {})), system.keys)
    private.update(print)
    found = closure.installed(private.closure(["?essential", "gcc", "libc6-dev", "python3", "patchelf"]))
    stanzas = private.show([f"{name}={version}" for name, version, _ in found])
    packages = closure.packages(stanzas, found)
    ordered = sorted(packages, key=lambda p: p.architecture == "all")
    return tuple(ordered), private.download_files(packages, apt.cache_folder(), print)


def _solved(installed: Spack, plan: Plan, base: Path, names: tuple[str, ...]) -> tuple[str, str]:
    family = str(archspec.cpu.host().family)
    target = f"target={family}"
    text = f"""\
spack:
  specs: [{", ".join(f"{name} {target}" for name in names)}]
  view: true
  concretizer: {{unify: true, reuse: false, targets: {{host_compatible: false, granularity: microarchitectures}}}}
  packages: {{all: {{require: [{target}]}}}}
"""
    known = {"linker": "/lib64/ld.so", "libc": "2.41", "libc_prefix": "/usr", "target": family}
    facts = {"version": installed.upstream.spack.version, **known}
    question = Solve(text, 'ID=debian\nVERSION_ID="13"\nNAME="debian"\n', facts, "0" * 64)
    return text, solving.solve(installed, question, plan, base / "solve", base / "solve.log", print).text

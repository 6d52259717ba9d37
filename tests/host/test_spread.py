"""One build over two nodes of a real Slurm: Spack's own locks share the packages out."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import archspec.cpu
import pytest

from stack.artifact import Command
from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.host import apptainer, files, namespace, solving, source_build, spack
from stack.host.run import run
from stack.host.source_build import SourceJob, Spread
from stack.plan import Plan
from stack.profile import Scheduler
from stack.render.spack import Solve
from tests import slurm
from tests.host.test_source_build import EPOCH, SYSTEM, packages_of, store, tarball
from tests.slurm import Cluster

NAMES = ("first", "second", "third", "fourth")
RECIPE = '''
from spack_repo.builtin.build_systems.generic import Package

from spack.package import *


class {name}(Package):
    """Takes its time."""

    homepage = "https://example.org/"
    url = "https://example.org/greeting-1.0.tar.gz"
    version("1.0", sha256="{sha256}")

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        Executable("/usr/bin/sleep")("8")
        install("greeting.c", prefix.bin)
'''


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture(scope="module")
def job(catalogue: Catalogue, laptop: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceJob]:
    installed = spack.find(catalogue.upstream)
    if installed is None:
        pytest.skip("Spack is not installed: run `sovstack bootstrap`, then `make test PYTEST='-k spread'`")
    if not apptainer.tool("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed (as root: apt-get install mmdebstrap), see `sovstack doctor`")
    base = tmp_path_factory.mktemp("spread")
    data = tarball()
    folder = base / "spack_repo/spread"
    files.write_text(folder / "repo.yaml", "repo: {namespace: spread, api: v2.2}\n")
    for name in NAMES:
        text = RECIPE.format(name=name.title(), sha256=hashlib.sha256(data).hexdigest())
        files.write_text(folder / f"packages/{name}/package.py", text)
    store(base / "mirror", data)
    ours = dataclasses.replace(installed, overlays=(folder,))
    try:
        prefix = namespace.find()
        packages, fetched = packages_of(catalogue)
    except StackError as error:
        pytest.skip(f"no build root can be made here: {error}")
    environment, lock = _solved(ours, laptop, base)
    yield SourceJob(
        spack=ours, name="spread", environment=environment, lock=lock, container=catalogue.containers[SYSTEM],
        architecture=packages[0].architecture, packages=packages, fetch=lambda: fetched,
        mmdebstrap=apptainer.tool("mmdebstrap") or "", namespace=prefix, mirror=base / "mirror", cache=base / "cache",
        folder=base / "cell", prefix="/opt/sovstack/spread", epoch=EPOCH, jobs=1,
        spread=Spread(Scheduler(kind="slurm"), nodes=2, minutes=10),
    )  # fmt: skip
    run(Command((*prefix, "rm", "-rf", str(base / "cell")), "clear up"))
    shutil.rmtree(installed.home / "index" / ours.overlay[:16], ignore_errors=True)


def _solved(installed: spack.Spack, plan: Plan, base: Path) -> tuple[str, str]:
    family = str(archspec.cpu.host().family)
    target = f"target={family}"
    specs = ", ".join(f"{name} {target}" for name in NAMES)
    text = f"""\
spack:
  specs: [{specs}]
  view: true
  concretizer: {{unify: true, reuse: false, targets: {{host_compatible: false, granularity: microarchitectures}}}}
  packages: {{all: {{require: [{target}]}}}}
"""
    known = {"linker": "/lib64/ld.so", "libc": "2.41", "libc_prefix": "/usr", "target": family}
    facts = {"version": installed.upstream.spack.version, **known}
    question = Solve(text, 'ID=debian\nVERSION_ID="13"\nNAME="debian"\n', facts, "0" * 64)
    return text, solving.solve(installed, question, plan, base / "solve", base / "solve.log", print).text


def test_two_nodes_share_the_packages_out(job: SourceJob, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    built = source_build.make(job, lambda _line: None)
    assert all(built.seconds[f"{name}@1.0"] >= 8 for name in NAMES)
    output = next(job.folder.glob("sovstack-spread-*.log")).read_text()
    began = [set(re.findall(rf"^{task}: \[ \] \S+ (\w+)@1\.0 install", output, re.MULTILINE)) for task in (0, 1)]
    assert all(began), "one node did nothing"
    assert began[0] | began[1] == set(NAMES)
    assert not began[0] & began[1], "a package was built twice"

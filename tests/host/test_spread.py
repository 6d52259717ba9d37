"""One build over two nodes of a real Slurm: Spack's own locks share the packages out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest

from stack.host import source_build
from stack.host.source_job import SourceJob, Spread
from stack.host.spack import Spack
from stack.plan import Plan
from stack.profile import Scheduler
from tests import slurm
from tests.host import building
from tests.slurm import Cluster

NAMES = ("first", "second", "third", "fourth")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture(scope="module")
def job(real_spack: Spack, laptop: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceJob]:
    """Four packages that take their time."""
    installs = dict.fromkeys(NAMES, 'Executable("/usr/bin/sleep")("8")')
    base = tmp_path_factory.mktemp("spread")
    with building.job("spread", installs, real_spack, laptop, base, jobs=1) as made:
        yield dataclasses.replace(made, spread=Spread(Scheduler(kind="slurm"), nodes=2, minutes=10))


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

"""Ranks that Slurm starts are bound to cores where it can do that, and nothing is demanded where it cannot."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from stack import outcome, verify
from stack.host import detect, placing
from stack.host.placing import Place
from stack.host.run import run
from stack.plan import Plan
from stack.profile import Scheduler
from stack.render import reframe
from stack.verdict import Check
from tests import slurm
from tests.reframe_tests.programs import SUITE

PMIX = "the fixture's Slurm has no PMIx: on Debian, apt-get install libpmix-dev"


@pytest.mark.parametrize(
    ("said", "binds"),
    [
        ("TaskPlugin              = task/affinity,task/cgroup\n", True),
        ("TaskPlugin              = task/cgroup\nTaskPluginParam = affinity\n", False),
        ("TaskPlugin              = task/none\n", False),
        ("slurm_load_ctl_conf error: Unable to contact slurm controller\n", False),
    ],
)
def test_slurm_binds_where_it_has_the_plugin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, binds: bool
) -> None:
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\ncat <<'EOF'\n{said}EOF\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "subject.json").write_text("{}")
    monkeypatch.setenv("SOVSTACK_SUBJECT", str(tmp_path / "subject.json"))
    monkeypatch.syspath_prepend(str(SUITE))
    monkeypatch.syspath_prepend(str(SUITE / "smoke"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    try:
        assert importlib.import_module("affinity").slurm_binds() is binds
    finally:
        sys.modules.pop("affinity", None)


def checked(folder: Path, laptop: Plan, image: Path, apptainer: str, suite: Path = SUITE) -> Check:
    """RankAffinity of an image, by the Slurm that is up."""
    place = Place(cluster=placing.cluster("slurm", 2, Scheduler()))
    assert place.cluster
    folder.mkdir()
    files = {name: folder / f"{name}.json" for name in ("settings", "manifest", "subject")}
    settings = reframe.settings(laptop, detect.facts(), place.where(reframe.Where()))
    files["settings"].write_text(settings.files[reframe.PATH].text)
    files["manifest"].write_text(json.dumps({"schema": 1, "cell": "c", "components": [], "roles": {}}))
    network = {"OMPI_MCA_btl": "self,sm,tcp", "OMPI_MCA_btl_tcp_if_include": "lo"}
    begin = verify.Start("image", apptainer=apptainer, image=str(image), variables=network)
    files["subject"].write_text(place.cluster.start(begin, "pmix").text)
    settings_at, manifest, subject = (str(file) for file in files.values())
    paths = verify.Paths(sys.executable, str(suite), settings_at, manifest, subject, str(folder),
                         programs=(str(Path(apptainer).parent),))  # fmt: skip
    (command,) = verify.commands(paths, {"PATH": os.environ["PATH"]}, ("RankAffinity",))
    run(command, check=False)
    only = ("RankAffinity",)
    about = outcome.Subject("c", "0" * 64, "1" * 64, "2" * 64, "2026-01-01T00:00:00Z", "here", expected=only)
    return outcome.parse(Path(paths.report).read_text(), about).checks[0]


def numbers(check: Check) -> dict[str, float]:
    return {m.name: m.value for m in check.metrics}


@pytest.mark.image
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_ranks_are_bound_where_slurm_can(
    monkeypatch: pytest.MonkeyPatch, laptop: Plan, image: Path, apptainer: str, tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """A Slurm that binds; one that says so and is told not to, which is caught; one that cannot, which passes."""
    plain, cpus = slurm.configuration, len(os.sched_getaffinity(0))

    def of(plugin: str) -> None:
        def configuration(folder: Path, nodes: tuple[str, ...], _cpus: int, ports: list[int]) -> str:
            return plain(folder, nodes, cpus, ports).replace("TaskPlugin=task/none", f"TaskPlugin={plugin}")

        monkeypatch.setattr(slurm, "configuration", configuration)

    of("task/affinity")
    with slurm.cluster(tmp_path_factory.mktemp("affinity")) as made:
        monkeypatch.setenv("SLURM_CONF", made.environment["SLURM_CONF"])
        if made.run("srun", "--mpi=pmix", "-N1", "-n2", "true").returncode:
            pytest.skip(PMIX)
        bound = checked(tmp_path / "bound", laptop, image, apptainer)
        assert bound.result == "pass", (bound.reason, bound.output)
        assert (numbers(bound)["asked_to_bind"], numbers(bound)["ranks_overlap"], len(bound.nodes)) == (1, 0, 1)
        copy = Path(shutil.copytree(SUITE, tmp_path / "suite", ignore=shutil.ignore_patterns("__pycache__")))
        text = (copy / "smoke/affinity.py").read_text()
        (copy / "smoke/affinity.py").write_text(text.replace("--cpu-bind=cores", "--cpu-bind=none"))
        free = checked(tmp_path / "free", laptop, image, apptainer, copy)
        assert free.result == "fail" and numbers(free)["ranks_overlap"] == 1, (free.reason, free.output)
        assert "may both run on" in free.reason
    of("task/none")
    with slurm.cluster(tmp_path_factory.mktemp("none")) as made:
        monkeypatch.setenv("SLURM_CONF", made.environment["SLURM_CONF"])
        unable = checked(tmp_path / "unable", laptop, image, apptainer)
        assert unable.result == "pass", (unable.reason, unable.output)
        assert numbers(unable)["asked_to_bind"] == 0 and "ranks_overlap" not in numbers(unable)

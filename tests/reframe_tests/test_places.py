"""Where the suite runs its programs: under Slurm, in another root file system, and on nodes that are not the wanted."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack import outcome, verify
from stack.catalogue import Catalogue
from stack.host import detect, placing, suite_checks, suiting
from stack.host.placing import Place
from stack.host.run import run
from stack.host.suiting import Asked
from stack.plan import Plan
from stack.profile import Scheduler
from stack.render import reframe
from tests import slurm
from tests.reframe_tests.programs import SUITE

PMIX = "the fixture's Slurm has no PMIx: on Debian, apt-get install libpmix-dev"


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The suite's base module."""
    monkeypatch.syspath_prepend(str(SUITE))
    yield importlib.import_module("suite")
    sys.modules.pop("suite", None)


def test_paths_are_told_as_they_are_seen_there(base: Any) -> None:
    told = {"seen": {"/b/reframe": "/sovstack/reframe"}}
    assert base.seen(told, "/b/reframe/run/x") == "/sovstack/reframe/run/x"
    assert base.seen(told, "/b/reframe") == "/sovstack/reframe"
    assert base.seen(told, "/b/reframes/x") == "/b/reframes/x"
    assert base.seen({"seen": {}}, "/b") == "/b"


@pytest.mark.parametrize(
    ("variable", "given"),
    [
        ("A=b,c", "A=b,c"),  # Apptainer splits nothing where there is one equals sign
        ("QEMU_CPU=max,pauth-impdef=on", '"QEMU_CPU=max,pauth-impdef=on"'),
        ('X=a="b",c', '"X=a=""b"",c"'),
    ],
)
def test_a_variable_with_commas_stays_in_one_piece(base: Any, variable: str, given: str) -> None:
    assert base.in_one_piece(variable) == given


def test_a_rank_tells_its_node_and_hands_on_what_joins_it(base: Any) -> None:
    env = {"PATH": os.environ["PATH"], "SLURM_PROCID": "1", "SLURMD_NODENAME": "n2", "PMIX_RANK": "1",
           "PMI_ODD": "a b'$(id)", "PMIX_SERVER_TMPDIR": "/t/pmix", "SECRET": "x"}  # fmt: skip
    argv = ["sh", "-c", base.RANK, "rank", "env"]
    said = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    assert base.messages(said) == [{"sovstack": "place", "rank": "1", "node": "n2"}]
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    assert found["APPTAINERENV_PMI_ODD"] == "a b'$(id)"
    assert (found["APPTAINERENV_PMIX_RANK"], found["APPTAINER_BIND"]) == ("1", "/t/pmix")
    assert "APPTAINERENV_SECRET" not in found


def test_ranks_on_one_node_are_no_test_of_a_network(base: Any) -> None:
    def misplaced(per_node: int | None, *nodes: str) -> Any:
        return base.SuiteCheck.misplaced(SimpleNamespace(ranks=2, num_tasks_per_node=per_node, nodes=nodes))

    assert misplaced(1, "n1") == ["the 2 ranks were on n1, expected 2 nodes"]
    assert misplaced(1, "n1", "n2") == [] == misplaced(2, "n1")
    assert misplaced(None) == []  # not under a scheduler


def test_what_a_caller_would_put_into_every_image_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("APPTAINERENV_LD_PRELOAD", "SINGULARITYENV_PYTHONPATH", "APPTAINER_BIND", "SINGULARITY_BINDPATH",
             "APPTAINER_MOUNT", "APPTAINER_OVERLAY")  # fmt: skip
    kept = ("APPTAINERENV_QEMU_CPU", "APPTAINER_CACHEDIR", "MY_APPTAINERENV_X")
    for name in (*given, *kept):
        monkeypatch.setenv(name, "x")
    monkeypatch.syspath_prepend(str(SUITE))
    importlib.import_module("suite")
    sys.modules.pop("suite")
    assert [name for name in given if name in os.environ] == []
    assert [name for name in kept if name not in os.environ] == []


def test_the_emulator_is_bound_for_the_check_that_it_judges_alone(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVSTACK_MANIFEST", "/b/manifest.json")
    told = {"binds": ["/usr/bin/qemu:/q:ro"]}

    def bound(judged: bool) -> set[str]:
        return {*base.SuiteCheck.binds(SimpleNamespace(judged=judged, stagedir="/s"), told)}

    assert bound(True) - bound(False) == {*told["binds"]}
    judging = [path.name for path in SUITE.rglob("*.py") if "\n    judged = True\n" in path.read_text()]
    assert judging == ["instructions.py"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", made.environment["SLURM_CONF"])
        yield made


def test_a_check_of_one_task_is_a_job(cluster: slurm.Cluster, catalogue: Catalogue, tmp_path: Path) -> None:
    place = Place(cluster=placing.cluster("slurm", 2, Scheduler()))
    subject = suiting.open_subject(Asked(place=place, build_dir=tmp_path), catalogue)
    if "numpy" not in subject.features:
        pytest.skip("this machine's Python has no NumPy: python3 -m pip install numpy")
    assert {"slurm", "nodes"} <= {*subject.features}
    verdict = suite_checks.check(subject, lambda _line: None, ("FourierTransform",))
    (check,) = verdict.checks
    assert check.result == "pass", (check.reason, check.output)
    assert len(check.nodes) == 1 and set(check.nodes) <= {"n1", "n2"}
    assert "by Slurm" in verdict.host and "--scheduler slurm" in check.reproduce


def test_a_job_that_never_gets_nodes_fails_in_words(
    cluster: slurm.Cluster, catalogue: Catalogue, tmp_path: Path
) -> None:  # fmt: skip
    place = Place(cluster=placing.cluster("slurm", 2, Scheduler()))
    subject = suiting.open_subject(Asked(place=place, build_dir=tmp_path), catalogue)
    if "numpy" not in subject.features:
        pytest.skip("this machine's Python has no NumPy: python3 -m pip install numpy")
    hurried = replace(subject, begin=replace(subject.begin, pending=3))
    state = ("scontrol", "update", "nodename=n[1-2]", "reason=test")
    assert cluster.run(*state, "state=drain").returncode == 0
    try:
        verdict = suite_checks.check(hurried, lambda _line: None, ("FourierTransform",))
    finally:
        assert cluster.run(*state, "state=resume").returncode == 0
    assert "no nodes after 3 s" in verdict.checks[0].reason and not verdict.passed
    assert cluster.run("squeue", "--noheader").stdout == ""


@pytest.mark.image
def test_ranks_of_an_image_are_on_two_nodes(
    cluster: slurm.Cluster, laptop: Plan, catalogue: Catalogue, image: Path, apptainer: str, tmp_path: Path
) -> None:
    """Open MPI over PMIx; which network, is what a site says."""
    if cluster.run("srun", "--mpi=pmix", "-N2", "-n2", "true").returncode:
        pytest.skip(PMIX)
    place = Place(cluster=placing.cluster("slurm", 2, Scheduler()))
    assert place.cluster and catalogue.recipes["openmpi"].launch["slurm"] in place.cluster.speaks
    network = {"OMPI_MCA_btl": "self,sm,tcp", "OMPI_MCA_btl_tcp_if_include": "lo"}
    begin = verify.Start("image", apptainer=apptainer, image=str(image), variables=network)
    where = place.where(reframe.Where())
    files = {name: tmp_path / f"{name}.json" for name in ("settings", "manifest", "subject")}
    files["settings"].write_text(reframe.settings(laptop, detect.facts(), where).files[reframe.PATH].text)
    files["manifest"].write_text(json.dumps({"schema": 1, "cell": "c", "components": [], "roles": {}}))
    files["subject"].write_text(place.cluster.start(begin, "pmix").text)
    settings, manifest, subject = (str(file) for file in files.values())
    paths = verify.Paths(sys.executable, str(SUITE), settings, manifest, subject, str(tmp_path),
                         programs=(str(Path(apptainer).parent),))  # fmt: skip
    only = ("MpiProgram", "Mpi4py")
    (command,) = verify.commands(paths, {"PATH": os.environ["PATH"]}, only)
    result = run(command, check=False)
    about = outcome.Subject("c", "0" * 64, "1" * 64, "2" * 64, "2026-01-01T00:00:00Z", "here", expected=only)
    verdict = outcome.parse(Path(paths.report).read_text(), about)
    assert verdict.passed, (result.tail, [(c.name, c.reason, c.output) for c in verdict.checks])
    assert {c.name: c.nodes for c in verdict.checks} == dict.fromkeys(only, ("n1", "n2"))

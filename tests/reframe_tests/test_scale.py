"""Scales from what was found of a machine, through ReFrame's settings and ReFrame itself, to the ranks of a check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from stack import verify
from stack.host import checks
from stack.render import reframe
from stack.target import HostFacts
from tests.reframe_tests import programs
from tests.reframe_tests.programs import SUITE

# 64 cores of two threads in 2 sockets and 8 NUMA domains.
FACTS = HostFacts("debian-13", "Debian 13", "zen3", 128, 256.0, (("10de", "2330"),) * 4, 2,
                  tuple(hex(0xFFFFFFFF00000000FFFFFFFF << 32 * i) for i in range(2)),
                  tuple(hex(0xFF00000000000000FF << 8 * i) for i in range(8)))  # fmt: skip
HERE = (reframe.Devices("nvidia", "sm90", here=4, node=2),)
HOLDS = ("mpi", "openmpi", "compilers", "pytorch", "numpy", "mpi4py", "nvidia", "sm90")
ABOUT = reframe.System("s", "a system", "default", "debian13-zen3-sm90", "zen3", "c", HOLDS, HERE)
ONLY = "^(MpiProgram|GpuMpi|Stream|OfUnit)$"
OF_UNIT = """
import sys
sys.path.insert(0, {suite!r})
import reframe as rfm
import suite


@rfm.simple_test
class OfUnit(suite.SuiteCheck):
    valid_systems = ["*"]
    ranks, unit, program = 2, {unit!r}, ["true"]
"""


@dataclass(frozen=True)
class Said:
    """What a dry run of ReFrame said, and the script of each check's job."""

    text: str
    scripts: dict[str, str]

    def ranks(self, check: str) -> int:
        words = self.scripts[check].split()
        return int(words[words.index("-n") + 1])

    def threads(self, check: str) -> int:
        return int(self.scripts[check].split("OMP_NUM_THREADS=")[1].split()[0])


def asked(
    folder: Path, scale: str, *words: str, about: reframe.System = ABOUT, facts: HostFacts = FACTS, unit: str = "core",
    slurm: bool = False,
) -> Said:  # fmt: skip
    """ReFrame with the settings of a machine and a scale; `unit` of a check of our own beside the suite's."""
    folder.mkdir(exist_ok=True)
    where = reframe.Where("native", accelerated=True, scales=tuple(checks.sizes().scales), nodes=2,
                          scheduler="slurm" if slurm else "local")  # fmt: skip
    begin = verify.Start("native", scale=scale, launch="srun" if slurm else "local", nodes=2)
    texts = {"settings": reframe.settings_of(about, facts, where).files[reframe.PATH].text, "subject": begin.text,
             "manifest": json.dumps({"schema": 1, "cell": "c", "components": [], "roles": {}})}  # fmt: skip
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text)
    (folder / "of_unit.py").write_text(OF_UNIT.format(suite=str(SUITE), unit=unit))
    env = {**os.environ, "SOVSTACK_SUBJECT": str(folder / "subject.json"), "PYTHONDONTWRITEBYTECODE": "1",
           "SOVSTACK_MANIFEST": str(folder / "manifest.json"), "HOME": str(folder)}  # fmt: skip
    argv = [sys.executable, "-c", verify.START, "-C", "settings.json", "-c", str(SUITE / "mpi"), "-c",
            str(SUITE / "gpu"), "-c", str(SUITE / "memory"), "-c", "of_unit.py", *words]  # fmt: skip
    ran = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return Said(ran.stdout + ran.stderr, {p.parent.name: p.read_text() for p in folder.rglob("rfm_job.sh")})


def dry(folder: Path, scale: str, **more: Any) -> Said:
    return asked(folder, scale, "--dry-run", "-n", ONLY, **more)


def test_every_core_and_device_that_was_found_gets_a_rank(tmp_path: Path) -> None:
    said = dry(tmp_path, "1_node", unit="socket")
    assert (said.ranks("MpiProgram"), said.threads("MpiProgram")) == (64, 1), said.text
    assert (said.ranks("GpuMpi"), said.threads("GpuMpi")) == (4, 16)
    assert "mpi.py cuda 4 4" in said.scripts["GpuMpi"]  # ranks, and devices that they are to be on
    assert (said.ranks("OfUnit"), said.threads("OfUnit")) == (2, 32)
    assert said.threads("Stream") == 64


def test_a_part_of_a_node_has_its_part_of_the_units(tmp_path: Path) -> None:
    said = dry(tmp_path, "1_4_node", unit="numa")
    assert (said.ranks("OfUnit"), said.threads("OfUnit")) == (2, 8), said.text
    assert (said.ranks("GpuMpi"), said.ranks("MpiProgram")) == (1 + 1, 16)  # one device has two ranks, to have messages
    assert "mpi.py cuda 2 1" in said.scripts["GpuMpi"]


def test_threads_are_cores_where_a_scale_takes_more_than_there_are(tmp_path: Path) -> None:
    few = replace(FACTS, cores=4, sockets=("0xf",), numa=("0xf",))
    assert dry(tmp_path / "a", "4_cores", facts=few).ranks("MpiProgram") == 4
    assert dry(tmp_path / "b", "1_node", facts=few).ranks("MpiProgram") == 2


def test_what_nobody_says_is_no_one(tmp_path: Path) -> None:
    """One rank would pass for a device that nobody counted."""
    about = replace(ABOUT, devices=())
    said = dry(tmp_path, "1_node", about=about, facts=replace(FACTS, sockets=()), unit="socket")
    for check, unit in {"GpuMpi": "device", "OfUnit": "socket"}.items():
        assert check not in said.scripts or "-n" not in said.scripts[check].split()
        assert f"the scale 1_node gives every {unit} a rank, and nobody says how many a node has" in said.text
    assert said.ranks("MpiProgram") == 64


def test_reframes_own_choice_of_tags_finds_a_scale(tmp_path: Path) -> None:
    assert "- GpuMpi" in asked(tmp_path / "a", "1_node", "-l", "-t", "1_node").text
    assert "Found 0 check(s)" in asked(tmp_path / "b", "1_node", "-l", "-t", "2_nodes").text
    assert "Found 0 check(s)" in asked(tmp_path / "c", "", "-l", "-t", "1_node").text


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program of GpuMpi; what is tried of it needs neither of these."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(MPI=None))
    monkeypatch.delitem(sys.modules, "device", raising=False)
    return programs.load(monkeypatch, "gpu/src/mpi.py")


def test_ranks_on_fewer_devices_than_asked_are_told(messages: ModuleType) -> None:
    places = [("n1", "a"), ("n1", "a"), ("n2", "a"), ("n2", "b")]
    assert messages.fewer(places, 2) == ["the ranks of n1 were on 1 devices, expected 2: a"]
    assert messages.fewer(places, 1) == [] == messages.fewer(places, 0)
    assert messages.fewer([("n1", ""), ("n1", "")], 2) == []  # PyTorch does not say which device

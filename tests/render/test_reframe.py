"""ReFrame's settings: ReFrame's own schema and ReFrame itself accept them, and they name what the image holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import reframe as reframe_package

from stack.catalogue import Catalogue
from stack.plan import Plan
from stack.profile import Partition
from stack.render import reframe
from stack.target import HostFacts

GOLDEN = Path(__file__).parent.parent / "golden" / "reframe" / "settings.json"
FACTS = HostFacts("debian-12", "Debian GNU/Linux 12 (bookworm)", "zen2", 2, 23.5, ())
HERE = reframe.Where()


def made(plan: Plan, facts: HostFacts = FACTS, where: reframe.Where = HERE) -> dict[str, object]:
    data = json.loads(reframe.settings(plan, facts, where).files[reframe.PATH].text)
    assert isinstance(data, dict)
    return data


def test_golden(laptop: Plan) -> None:
    text = reframe.settings(laptop, FACTS, HERE).files[reframe.PATH].text
    if os.environ.get("SOVSTACK_REGOLDEN"):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_reframes_schema_accepts_it(laptop: Plan) -> None:
    schema = json.loads((Path(reframe_package.INSTALL_PREFIX) / "reframe/schemas/config.json").read_text())
    jsonschema.validate(made(laptop), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**made(laptop), "unknown": 1}, schema)


def test_reframe_itself_reads_it(laptop: Plan, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    folder.mkdir()
    (folder / "settings.json").write_text(reframe.settings(laptop, FACTS, HERE).files[reframe.PATH].text)
    argv = [sys.executable, "-c", "from reframe.frontend.cli import main; main()", "-C", "settings.json",
            "--show-config=systems/0/name"]  # fmt: skip
    env = {**os.environ, "HOME": str(home), "TMPDIR": str(folder)}
    ran = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"laptop"' in ran.stdout
    assert list(home.iterdir()) == []


def test_features_are_components_and_roles(laptop: Plan) -> None:
    features = reframe.features(laptop, HERE)
    assert {"image", "numpy", "pytorch", "mpi4py", "mpi", "openmpi", "blas", "compilers", "x86_64"} <= set(features)
    assert not {"nvidia", "gpu", "emulated", "native", "nodes"} & set(features)


def test_features_say_what_the_checks_run_on(laptop: Plan) -> None:
    there = reframe.Where("native", "slurm", nodes=2, accelerated=True, emulated=True)
    features = set(reframe.features(laptop, there))
    assert {"native", "slurm", "gpu", "emulated", "nodes"} <= features
    assert not {"image", "local"} & features


def test_under_slurm_srun_starts_what_the_site_may_use(laptop: Plan) -> None:
    systems = made(laptop, where=reframe.Where(scheduler="slurm", access=("--account=a",)))["systems"]
    assert isinstance(systems, list)
    part = systems[0]["partitions"][0]
    assert (part["launcher"], part["access"]) == ("srun", ["--account=a"])


def part_of(data: dict[str, object]) -> dict[str, Any]:
    systems = data["systems"]
    assert isinstance(systems, list)
    found: dict[str, Any] = systems[0]["partitions"][0]
    return found


def test_the_layout_of_this_machine_is_told(laptop: Plan) -> None:
    facts = replace(FACTS, cores=8, threads=2, sockets=("0x33", "0xcc"), numa=("0x33", "0x44", "0x88"))
    part = part_of(made(laptop, facts))
    assert part["processor"] == {
        "arch": "x86_64_v3", "num_cpus": 8, "num_cpus_per_core": 2, "num_sockets": 2, "num_cpus_per_socket": 4,
        "topology": {"sockets": ["0x33", "0xcc"], "numa_nodes": ["0x33", "0x44", "0x88"]},
    }  # fmt: skip
    assert "devices" not in part and "unknown" not in part["extras"]
    schema = json.loads((Path(reframe_package.INSTALL_PREFIX) / "reframe/schemas/config.json").read_text())
    jsonschema.validate(made(laptop, facts), schema)


def accelerated(laptop: Plan, catalogue: Catalogue, named: object) -> Plan:
    """The same for an accelerator that this machine has, and a profile with `named` of them."""
    entry = catalogue.hardware.accelerators["nvidia-h100"]
    partition = Partition.model_validate({"cpu": {"cores": 72}, "accelerators": named})
    return replace(
        laptop,
        vendor=catalogue.hardware.vendors["nvidia"],
        target=replace(laptop.target, accelerator=entry, accelerator_name="nvidia-h100"),
        profile=laptop.profile.model_copy(update={"partitions": {"default": partition}}),
    )


def test_devices_are_counted_here_and_of_nodes_the_profile_says(laptop: Plan, catalogue: Catalogue) -> None:
    plan = accelerated(laptop, catalogue, [{"model": "nvidia-h100", "count": 4}])
    facts = replace(FACTS, threads=2, sockets=("0x3",), accelerators=(("1a03", "2000"), *[("10de", "2330")] * 2))
    here = part_of(made(plan, facts, reframe.Where(accelerated=True)))
    device = {"type": "gpu", "arch": "sm90", "model": "nvidia", "num_devices": 2}
    assert here["devices"] == [device]
    node = part_of(made(plan, facts, reframe.Where(accelerated=True, scheduler="slurm")))
    assert node["devices"] == [device | {"num_devices": 4}]
    assert node["processor"] == {"arch": "x86_64_v3", "num_cpus": 72}
    assert node["extras"]["unknown"] == ["sockets", "NUMA domains"]


def test_what_nobody_says_of_a_node_is_left_out_and_said(laptop: Plan, catalogue: Catalogue) -> None:
    facts = replace(FACTS, sockets=("0x3",), numa=("0x3",), accelerators=(("10de", "2330"),))
    plan = accelerated(laptop, catalogue, "host")
    hosts = Partition.model_validate({"accelerators": "host"})
    plan = replace(plan, profile=plan.profile.model_copy(update={"partitions": {"default": hosts}}))
    node = part_of(made(plan, facts, reframe.Where(accelerated=True, scheduler="slurm")))
    assert "devices" not in node and "num_sockets" not in node["processor"]
    guessed = "cores of a node: those of the machine that sends the jobs are taken"
    assert node["extras"]["unknown"] == [guessed, "sockets", "NUMA domains", "devices"]


def test_devices_of_software_that_is_no_cell(catalogue: Catalogue) -> None:
    models = [catalogue.hardware.accelerators[name] for name in ("nvidia-h100", "nvidia-h100", "nvidia-a100")]
    assert reframe.counted(models) == (reframe.Devices("nvidia", "sm90", 2), reframe.Devices("nvidia", "sm80", 1))


def test_a_name_with_a_dot_is_a_word(laptop: Plan) -> None:
    profile = laptop.profile.model_copy(update={"name": "site.two"})
    systems = made(replace(laptop, profile=profile))["systems"]
    assert isinstance(systems, list)
    assert systems[0]["name"] == "site_two"


@pytest.mark.parametrize(("cores", "jobs"), [(0, 1), (1, 1), (2, 2), (64, 2)])
def test_jobs_at_once(laptop: Plan, cores: int, jobs: int) -> None:
    systems = made(laptop, replace(FACTS, cores=cores))["systems"]
    assert isinstance(systems, list)
    assert systems[0]["max_local_jobs"] == systems[0]["partitions"][0]["max_jobs"] == jobs


def test_no_path_leaves_the_folder(laptop: Plan) -> None:
    text = reframe.settings(laptop, FACTS, HERE).files[reframe.PATH].text
    assert "HOME" not in text
    assert '"/' not in text

"""Which target is nearest, and what moving there changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import migration
from stack.catalogue import Catalogue
from stack.exit_test import Counterparts, Exits, Scheduler
from stack.host.leaving import Office
from stack.host.library import Library, shipped
from tests.leaving import facts, forbid, package, released

NOWHERE = Path("/nonexistent")
EXITS = Exits(
    schema=1,  # type: ignore[call-arg]
    schedulers={
        "slurm": Scheduler(title="Slurm", steward="slurm-schedmd", open=True),
        "flux": Scheduler(title="Flux", steward="club", open=True),
        "pbs": Scheduler(title="Closed", steward="unheard-of", open=False),
    },
    counterparts=(
        Counterparts(work="collectives", accelerator=True, packages=("nccl", "rccl")),
        Counterparts(work="sums", packages=("cuda", "openblas")),
        Counterparts(work="ray tracing", accelerator=True, packages=("cudnn",)),
    ),
)


@pytest.fixture(scope="module")
def office() -> Office:
    return Office(Library((shipped(),)), NOWHERE, facts())


def order(office: Office, profile: str, partition: str) -> list[str]:
    cell = released(profile, partition, "ai-hpc", NOWHERE)[0]
    return [f"{c.plan.profile.name}/{c.plan.target.partition}/{c.plan.target.name}" for _s, c in office.places(cell)]


def test_the_same_target_is_nearest_then_the_profiles_own_then_the_same_os(office: Office) -> None:
    found = order(office, "generic-x86", "nvidia")
    assert found[:3] == [
        "generic-x86/nvidia/debian13-x86_64_v3-sm90",
        "generic-x86/amd/debian13-x86_64_v3-gfx942",  # another vendor's accelerator is kept
        "generic-x86/cpu/debian13-x86_64_v3",
    ]
    assert found[3] == "generic-arm/nvidia/debian13-neoverse_v2-sm90"
    places = [f.rpartition("/")[2] for f in found]
    assert max(i for i, p in enumerate(places) if p.startswith("debian13-")) < places.index("rhel9-sapphirerapids")


def test_without_an_accelerator_none_is_sought_and_the_open_instruction_set_comes_first(office: Office) -> None:
    found = order(office, "generic-arm", "cpu")
    assert found[0] == "generic-arm/cpu/debian13-armv8.2a"
    other = [f for f in found if "generic-arm" not in f]
    assert other[0] == "generic-riscv/cpu/debian13-riscv64"
    assert other.index("generic-x86/cpu/debian13-x86_64_v3") < other.index("generic-x86/amd/debian13-x86_64_v3-gfx942")


def test_a_partitions_cpu_alone_is_a_target_where_no_partition_is_that(office: Office) -> None:
    assert "generic-arm/nvidia/debian13-neoverse_v2" in order(office, "generic-arm", "nvidia")
    # The `cpu` partition is the same cell as the processors of the two others.
    assert len([f for f in order(office, "generic-x86", "nvidia") if f.endswith("debian13-x86_64_v3")]) == 1


def test_the_reasons_are_in_words(office: Office) -> None:
    home = released("generic-x86", "nvidia", "ai-hpc", NOWHERE)[0].plan
    there = released("csc-lumi-g", "lumi-c", "ai-hpc", NOWHERE)[0].plan
    words = migration.step(home, there, office.library.catalogue.hardware).words
    assert words[0] == "another profile, csc-lumi-g" and words[1].startswith("another OS, SUSE")
    assert words[2:4] == ("the same instruction set", "no accelerator")


def test_what_changes_between_two_accelerators(catalogue: Catalogue) -> None:
    before, after = (released("generic-x86", p, "ai-hpc", NOWHERE) for p in ("nvidia", "amd"))
    known = facts(spack={"nccl": package("nvidia"), "cudnn": package("nvidia"), "cuda": package("nvidia"),
                         "cusparselt": package("nvidia", "proprietary"), "nvtx": package("nvidia"),
                         "rccl": package("club", "osi")})  # fmt: skip
    ban = forbid("nvidia", known, catalogue)
    found = migration.compare((before[0].plan, before[1]), (after[0].plan, after[1]), ban, EXITS)
    fates = {g.name: (g.fate, g.replaced_by, g.work) for g in found.forbidden}
    assert fates["nccl"] == ("replaced", ("rccl",), "collectives")
    assert fates["cudnn"] == ("lost", (), "ray tracing")
    assert fates["cuda"] == ("replaced", ("openblas",), "sums")
    assert fates["cusparselt"] == ("dropped", (), None)
    assert fates["nvtx"] == ("kept", (), None)
    rows = {r.before.name: (r.before, r.after) for r in found.components if r.before}
    assert rows["gcc"][0] == rows["gcc"][1]
    old, new = rows["openmpi"]
    assert new and "+cuda" in old.package and "+rocm" in new.package
    (torch,) = [f for f in found.features if f.package == "py-torch"]
    assert {"+cuda", "+magma"} <= set(torch.lost) and "+rocm" in torch.gained
    assert next(n for n in found.new if n.name == "rccl").steward == "club"
    assert "spack nccl 2.27.5" in " ".join(found.gone) or any(g.startswith("spack nccl ") for g in found.gone)
    assert "spack hip" in found.unknown and "spack rccl" not in found.unknown
    # Both have an Open MPI that reaches the accelerator: the same reason, so nothing is lost; magma is.
    whys = {p.why for p in found.promises}
    assert "messages between GPUs would go through the host's memory" not in whys
    assert "decompositions of matrices would run on the host" in whys


def test_what_a_target_refuses_is_told_from_what_it_is_not_asked_for(catalogue: Catalogue) -> None:
    before, after = released("generic-arm", "cpu", "ai-hpc", NOWHERE), released(
        "generic-riscv", "cpu", "ai-hpc", NOWHERE)  # fmt: skip
    ban = forbid("arm", facts(), catalogue)
    found = migration.compare((before[0].plan, before[1]), (after[0].plan, after[1]), ban, EXITS)
    (mkldnn,) = found.promises
    assert mkldnn.what == "py-torch +mkldnn" and mkldnn.failed  # the same is noted of riscv64, and does not hold


def test_another_component_takes_the_role(catalogue: Catalogue) -> None:
    cell, lock = released("csc-lumi-g", "lumi-g", "hpc-mpi", NOWHERE)
    other, there = released("bsc-marenostrum5-acc", "acc", "hpc-mpi", NOWHERE)
    ban = forbid("hpe", facts(), catalogue)
    found = migration.compare((cell.plan, lock), (other.plan, there), ban, EXITS)
    (row,) = [r for r in found.components if r.role == "mpi"]
    assert row.before and row.after and (row.before.name, row.after.name) == ("cray-mpich", "openmpi")
    assert len([r for r in found.components if r.before is None]) == 0


def test_work_of_an_accelerator_is_none_where_there_is_none(catalogue: Catalogue) -> None:
    cell, lock = released("generic-x86", "cpu", "numerics", NOWHERE)
    ban = forbid("nvidia", facts(debian={"libxnvctrl": package("nvidia")}), catalogue)
    exits = EXITS.model_copy(
        update={"counterparts": (Counterparts(work="state", accelerator=True, packages=("libxnvctrl",)),)}
    )
    bare = lock.model_copy(update={"os": lock.os.model_copy(update={"packages": ()}), "tools": None})
    (gone,) = migration.compare((cell.plan, lock), (cell.plan, bare), ban, exits).forbidden
    assert gone.fate == "dropped" and gone.through[0] in lock.os.requested


def test_the_scheduler_is_a_note_with_open_alternatives(catalogue: Catalogue) -> None:
    plan = released("generic-x86", "cpu", "ai-hpc", NOWHERE)[0].plan
    (note,) = migration.notes(plan, forbid("nvidia", facts(), catalogue), EXITS)
    assert note.startswith("the scheduler, Slurm, is steered by NVIDIA") and note.endswith("open alternatives: Flux")
    riscv = released("generic-riscv", "cpu", "ai-hpc", NOWHERE)[0].plan
    assert migration.notes(riscv, forbid("amd", facts(), catalogue), EXITS) == ()
    unheard = EXITS.model_copy(update={"schedulers": {"slurm": EXITS.schedulers["pbs"]}})
    assert migration.notes(riscv, forbid("amd", facts(), catalogue), unheard) == (
        "who decides about the scheduler, Closed, is not known",
    )


def test_a_shared_instruction_set_leaves_the_other_makers(catalogue: Catalogue) -> None:
    plan = released("generic-x86", "cpu", "ai-hpc", NOWHERE)[0].plan
    (note,) = migration.notes(plan, forbid("intel", facts(), catalogue), EXITS)
    assert note == "x86_64_v3 is Intel's too: the processors have to be AMD's"
    zen3 = released("csc-lumi-g", "lumi-c", "ai-hpc", NOWHERE)[0].plan
    assert migration.notes(zen3, forbid("intel", facts(), catalogue), EXITS) == ()


def test_nodes_that_may_be_the_vendors_are_a_note(catalogue: Catalogue) -> None:
    plan = released("jsc-jupiter", "grace", "ai-hpc", NOWHERE)[0].plan
    notes = migration.notes(plan, forbid("nvidia", facts(), catalogue), EXITS)
    assert "NVIDIA makes processors of neoverse_v2: the nodes have to be somebody else's" in notes


def test_what_the_machines_own_software_used_of_the_nodes_is_a_note() -> None:
    plan = released("csc-lumi-g", "lumi-g", "hpc-mpi", NOWHERE)[0].plan
    other = released("bsc-marenostrum5-acc", "acc", "hpc-mpi", NOWHERE)[0].plan
    from dataclasses import replace

    there = replace(plan, choices=other.choices)
    (note,) = migration.left_behind(plan, there)
    assert "slingshot-11" in note and "cray-mpich" in note
    assert migration.left_behind(plan, plan) == () == migration.left_behind(plan, other)

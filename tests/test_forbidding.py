"""What is forbidden with a vendor: packages, processors, accelerators; and what is found in a lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import forbidding
from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.lock import OsPackage
from stack.target import HostFacts, resolve
from tests.leaving import facts, forbid, package, released

NOWHERE = Path("/nonexistent")


def test_a_package_is_forbidden_by_its_stewards_vendor_or_by_the_steward(catalogue: Catalogue) -> None:
    known = facts(spack={"cuda": package("nvidia"), "slurm": package("slurm-schedmd"), "zlib": package("club"),
                         "xz": package()}, wheel={"nvidia-nccl": package("nvidia")})  # fmt: skip
    vendor, owner = forbid("nvidia", known, catalogue), forbid("slurm-schedmd", known, catalogue)
    assert vendor.packages == {"spack": ("cuda", "slurm"), "debian": (), "wheel": ("nvidia-nccl",)}
    assert owner.packages["spack"] == ("slurm",)
    assert vendor.takes("wheel", "NVIDIA_nccl") and not vendor.takes("debian", "cuda")
    assert not vendor.takes("spack", "nobody-knows")
    assert vendor.title == "NVIDIA" and owner.title == "SchedMD"
    assert vendor.digest != owner.digest


def test_an_unknown_name_has_the_nearest_one_as_its_remedy(catalogue: Catalogue) -> None:
    with pytest.raises(StackError, match=r"unknown vendor or steward 'nvidja' .*'nvidia'"):
        forbid("nvidja", facts(), catalogue)
    with pytest.raises(StackError, match="slurm-schedmd"):
        forbid("slurm-schedm", facts(), catalogue)
    with pytest.raises(StackError, match=r"vendors: amd, .*intel"):
        forbid("qqqqqqqqqqqq", facts(), catalogue)


@pytest.mark.parametrize(
    ("profile", "partition", "name", "why"),
    [
        ("generic-x86", "nvidia", "nvidia", "H100 is NVIDIA's"),
        ("generic-x86", "nvidia", "amd", ""),
        ("generic-x86", "cpu", "intel", ""),  # two make x86-64: one is left
        ("generic-x86", "cpu", "amd", ""),
        ("bsc-marenostrum5-acc", "gpp", "intel", "sapphirerapids is Intel's"),
        ("csc-lumi-g", "lumi-c", "amd", "zen3 is AMD's"),
        ("macc-deucalion-arm", "arm", "fujitsu", "a64fx is Fujitsu's"),
        ("macc-deucalion-arm", "arm", "arm", "nobody makes aarch64 without Arm's leave"),
        ("generic-arm", "cpu", "arm", "nobody makes aarch64 without Arm's leave"),
        ("jsc-jupiter", "grace", "nvidia", ""),  # Arm's design, which others make too
        ("generic-riscv", "cpu", "arm", ""),
    ],
)
def test_hardware_goes_with_its_maker_and_a_family_with_its_last_owner(
    catalogue: Catalogue, profile: str, partition: str, name: str, why: str
) -> None:
    from stack.host.library import Library, shipped

    site = Library((shipped(),)).profile(profile)[1]
    part = partition if partition in site.partitions else next(iter(site.partitions))
    target = resolve(site, part, catalogue, HostFacts())
    assert forbidding.unusable(target, forbid(name, facts(), catalogue)) == why


def test_every_microarchitecture_has_a_maker_in_the_data_or_is_nobodys(catalogue: Catalogue) -> None:
    import archspec.cpu

    vendors = {t.vendor for t in archspec.cpu.TARGETS.values()} - {"generic"}
    known = {v for m in catalogue.hardware.makers.values() for v in m.archspec}
    assert vendors == known
    assert forbidding.maker("x86_64_v3", catalogue.hardware) == ""
    assert set(catalogue.hardware.implementers) <= set(archspec.cpu.TARGETS)
    named = [*catalogue.hardware.implementers.values(), *(f.licensors for f in catalogue.hardware.families.values())]
    assert {n for names in named for n in names} <= set(catalogue.hardware.makers)


def os_package(name: str, source: str = "", **control: str) -> OsPackage:
    fields = {k.replace("_", "-"): v for k, v in control.items()}
    return OsPackage(name=name, version="1", architecture="amd64", filename="a.deb", size=1, sha256="0" * 64,
                     source=f"{source or name} (1)", control=fields)  # fmt: skip


def test_dependencies_are_followed_through_alternatives_and_what_provides() -> None:
    every = (
        os_package("aa", Depends="bb (>= 1), cc | dd:any, awk", Pre_Depends="ee"),
        *(os_package(n) for n in ("bb", "dd", "ee")),
        os_package("mawk", Provides="awk"),
    )
    assert forbidding.depends(every)["aa"] == ("ee", "bb", "dd", "mawk")


def test_what_is_forbidden_in_a_lock_is_found_with_a_way_to_it(catalogue: Catalogue) -> None:
    _cell, lock = released("generic-x86", "nvidia", "ai-hpc", NOWHERE)
    known = facts(spack={"nccl": package("nvidia"), "rccl": package("nvidia")}, debian={"zlib": package("nvidia")})
    ban = forbid("nvidia", known, catalogue)
    nccl, zlib = sorted(forbidding.found(lock, ban), key=lambda f: f.name)
    assert (nccl.kind, nccl.name, nccl.through) == ("spack", "nccl", ("py-torch", "nccl"))
    assert zlib.kind == "debian" and zlib.through[0] in lock.os.requested and zlib.through[-1].startswith("zlib1g")
    assert lock.tools and "cmake" in lock.tools.requested and "cmake" not in zlib.through  # the image before its tools
    clean = forbid("hpe", known, catalogue)
    assert forbidding.found(lock, clean) == ()


def test_the_sites_own_is_found_though_no_graph_has_it(catalogue: Catalogue) -> None:
    _cell, lock = released("csc-lumi-g", "lumi-g", "hpc-mpi", NOWHERE)
    bare = lock.model_copy(update={"spack": None})
    ban = forbid("hpe", facts(spack={"cray-mpich": package("hpe")}), catalogue)
    (one,) = forbidding.found(bare, ban)
    assert (one.kind, one.name, one.version) == ("spack", "cray-mpich", "8.1.29")


def test_what_is_open_and_runs_anywhere_is_told_apart(catalogue: Catalogue) -> None:
    from stack.facts import Reach

    known = facts(spack={"nvtx": package("nvidia"), "cuda": package("nvidia", "proprietary"),
                         "nccl": package("nvidia", "osi", Reach(cpu="any", accelerator=("nvidia",)))})  # fmt: skip
    ban = forbid("nvidia", known, catalogue)
    lock = released("generic-x86", "nvidia", "ai-hpc", NOWHERE)[1]
    assert [f.name for f in forbidding.found(lock, ban) if forbidding.free(f, ban)] == ["nvtx"]

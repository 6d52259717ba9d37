from __future__ import annotations

from dataclasses import replace

import pytest

from stack import target as targets
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.host.library import Library
from stack.profile import Accelerators, Cpu, Partition, Profile
from stack.target import HostFacts
from tests.conftest import FACTS


def _profile(library: Library, **partition: object) -> Profile:
    base = library.profile("laptop")[1]
    part = Partition.model_validate(partition)
    return base.model_copy(update={"partitions": {"default": part}})


@pytest.mark.parametrize(
    ("wanted", "found", "name"),
    [
        ("host-level", "zen2", "debian13-x86_64_v3"),
        ("host", "zen2", "debian13-zen2"),
        ("neoverse_v2", "zen2", "debian13-neoverse_v2"),
        ("host-level", "u74mc", "debian13-riscv64"),
        ("sapphirerapids", "", "debian13-sapphirerapids"),
    ],
)
def test_the_cpu_is_named_or_found(library: Library, catalogue: Catalogue, wanted: str, found: str, name: str) -> None:
    profile = _profile(library, cpu=Cpu(microarchitecture=wanted))
    facts = replace(FACTS, microarchitecture=found)
    assert targets.resolve(profile, "default", catalogue, facts).name == name


def test_an_accelerator_found_on_the_bus_is_in_the_target(library: Library, catalogue: Catalogue) -> None:
    facts = replace(FACTS, accelerators=(("10de", "2330"), ("1234", "1111")))
    target = targets.resolve(library.profile("laptop")[1], "default", catalogue, facts)
    assert (target.name, target.vendor, target.accelerator_name) == ("debian13-x86_64_v3-sm90", "nvidia", "nvidia-h100")


def test_a_named_accelerator_wins_over_what_is_found(library: Library, catalogue: Catalogue) -> None:
    profile = _profile(library, accelerators=(Accelerators(model="amd-mi300x", count=8),))
    facts = replace(FACTS, accelerators=(("10de", "2330"),))
    assert targets.resolve(profile, "default", catalogue, facts).name == "debian13-x86_64_v3-gfx942"


def test_a_known_vendors_unknown_device_is_reported(catalogue: Catalogue) -> None:
    facts = HostFacts(accelerators=(("10de", "ffff"), ("8086", "0001")))
    assert targets.found_accelerators(catalogue, facts) == ([], ["10de:ffff"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpu": Cpu(microarchitecture="zen22")}, "did you mean 'zen2'"),
        ({"accelerators": (Accelerators(model="nvidia-h1000"),)}, "did you mean 'nvidia-h100'"),
        ({"cpu": Cpu(microarchitecture="power9")}, "did you mean 'ppc64le'"),
        ({"cpu": Cpu(microarchitecture="sparc")}, "no packages for sparc"),
    ],
)
def test_unknown_hardware_is_refused(
    library: Library, catalogue: Catalogue, change: dict[str, object], message: str
) -> None:
    profile = _profile(library, **change)
    with pytest.raises(StackError, match=message):
        targets.resolve(profile, "default", catalogue, FACTS)


def test_a_cpu_that_cannot_be_told_is_the_hosts_fault(library: Library, catalogue: Catalogue) -> None:
    with pytest.raises(StackError) as caught:
        targets.resolve(library.profile("laptop")[1], "default", catalogue, HostFacts())
    assert caught.value.exit_code == ExitCode.HOST


def test_an_unknown_partition_is_refused(library: Library, catalogue: Catalogue) -> None:
    with pytest.raises(StackError, match="no partition 'gpu'"):
        targets.resolve(library.profile("laptop")[1], "gpu", catalogue, FACTS)


@pytest.mark.parametrize("os", ["rhel-8", "sles-15"])
def test_a_machines_own_os_is_the_target(library: Library, catalogue: Catalogue, os: str) -> None:
    profile = _profile(library, cpu=Cpu(microarchitecture="zen3")).model_copy(
        update={"os": os, "build_for": "machine", "image": "debian-13"}
    )
    target = targets.resolve(profile, "default", catalogue, FACTS)
    assert target.native and target.os.name == os
    assert target.name == f"{os.replace('-', '')}-zen3"


def test_the_os_of_this_machine_is_taken_where_the_profile_says_host(library: Library, catalogue: Catalogue) -> None:
    profile = _profile(library, cpu=Cpu(microarchitecture="zen3")).model_copy(
        update={"build_for": "machine", "os": "host"}
    )
    assert targets.resolve(profile, "default", catalogue, replace(FACTS, os="rhel-9")).os.name == "rhel-9"
    with pytest.raises(StackError, match="no data file describes the operating system 'plan9-4'"):
        targets.resolve(profile, "default", catalogue, replace(FACTS, os="plan9-4"))


@pytest.mark.parametrize(
    ("cpu", "linker"),
    [
        ("zen3", "/lib64/ld-linux-x86-64.so.2"),
        ("a64fx", "/lib/ld-linux-aarch64.so.1"),
        ("riscv64", "/lib/ld-linux-riscv64-lp64d.so.1"),
    ],
)
def test_the_linker_is_the_familys(library: Library, catalogue: Catalogue, cpu: str, linker: str) -> None:
    profile = _profile(library, cpu=Cpu(microarchitecture=cpu))
    assert targets.resolve(profile, "default", catalogue, FACTS).linker == linker


def test_every_shipped_profile_has_a_target_for_each_partition(library: Library, catalogue: Catalogue) -> None:
    names = set()
    for name in library.files("profiles"):
        site = library.profile(name)[1]
        for partition in site.partitions:
            target = targets.resolve(site, partition, catalogue, FACTS)
            assert target.linker and target.partition == partition
            names.add(target.name)
    assert len(names) > 10

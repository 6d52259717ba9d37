"""What images expect of a host: of the released locks, and where something is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stack import contract, lock, plan, target
from stack.catalogue import Catalogue
from stack.contract import Contract, Site
from stack.host.library import Library
from stack.lock import Lock, WheelFile, WheelLock
from stack.render import apptainer
from stack.target import HostFacts

LOCKS = Path(__file__).parent.parent / "environments" / "locks"
FACTS = HostFacts("debian-13", "Debian 13", "x86_64_v3", 2, 16.0, ())
GOLDEN = Path(__file__).parent / "golden"


def planned(library: Library, catalogue: Catalogue, profile: str, environment: str, partition: str) -> plan.Plan:
    found = library.profile(profile)[1]
    made = target.resolve(found, partition, catalogue, FACTS)
    return plan.make(found, library.environment(environment)[1], made, catalogue)


def released(cell: str) -> Lock:
    return lock.parse((LOCKS / cell / "stack.lock.json").read_text(), cell)


def test_packages_of_a_distribution_ask_for_the_least_of_their_family(library: Library, catalogue: Catalogue) -> None:
    made = {name: contract.make(planned(library, catalogue, "laptop", name, "default"), None, "/x").cpu.baseline
            for name in ("hpc-mpi", "numerics")}  # fmt: skip
    assert made == {"hpc-mpi": "x86_64_v2", "numerics": "x86_64_v3"}


def test_an_nvidia_image_names_its_driver_and_what_the_host_brings(library: Library, catalogue: Catalogue) -> None:
    made = contract.make(
        planned(library, catalogue, "generic-x86", "ai-hpc", "nvidia"),
        released("ai-hpc/generic-x86/debian13-x86_64_v3-sm90"),
        "/opt/sovstack/ai-hpc",
    )
    assert made.accelerator
    found = made.accelerator
    assert (found.runtime, found.driver, found.option) == ("cuda 12.9.1", "525", "--nv")
    assert found.evidence.startswith("https://docs.nvidia.com/")
    assert "libcuda.so.1" in made.libraries
    assert "libcuda.so.1" not in made.shadows
    assert (made.cpu.baseline, made.kernel) == ("x86_64_v3", "3.2")
    assert (made.libc.version, made.libc.package) == ("2.41", "libc6 2.41-12+deb13u4")
    assert made.mpi
    assert (made.mpi.version, made.mpi.launch, made.mpi.protocol) == ("5.0.10", {"slurm": "pmix"}, {"pmix": "6.1.0"})
    assert made.folders == ("/opt/sovstack/ai-hpc",)
    assert made.line == (
        "x86_64_v3; Linux 3.2 or later; openmpi 5.0.10 (slurm: pmix); nvidia sm90, driver 525 or later; "
        "bound libraries need no more than glibc 2.41"
    )


def test_an_amd_image_brings_its_own_libraries(library: Library, catalogue: Catalogue) -> None:
    of = planned(library, catalogue, "generic-x86", "ai-hpc", "amd")
    made = contract.make(of, released("ai-hpc/generic-x86/debian13-x86_64_v3-gfx942"), "/x")
    assert made.accelerator
    assert (made.accelerator.runtime, made.accelerator.driver) == ("hip 6.3.3", "6.1")
    assert made.libraries == ()
    assert "libdrm.so.2" in made.shadows
    assert made.accelerator.devices == ("/dev/kfd", "/dev/dri")


def test_the_distributions_mpi_tells_what_it_speaks(laptop: plan.Plan, library: Library, catalogue: Catalogue) -> None:
    of = planned(library, catalogue, "generic-x86", "numerics", "cpu")
    made = contract.make(of, released("numerics/generic-x86/debian13-x86_64_v3"), "/opt/sovstack/numerics")
    assert made.mpi
    assert made.mpi.protocol == {"pmix": "5.0.7"}
    assert made.accelerator is None
    without = contract.make(laptop, None, "/opt/sovstack/ai-hpc")
    assert without.mpi
    assert (without.mpi.version, without.mpi.protocol, without.libc.package) == ("", {}, "")
    assert without.folders == ()


def with_wheel(version: str, project: str = "nvidia_cuda_runtime_cu12") -> WheelLock:
    file = WheelFile(project=project, version=version, filename=f"{project}-{version}.whl", sha256="0" * 64)
    return WheelLock(python="3.13", platforms=("manylinux_2_28_x86_64",), requested=(), files=(file,))


@pytest.mark.parametrize(
    ("wheel", "runtime", "driver"),
    [
        (with_wheel("12.6.77"), "nvidia_cuda_runtime_cu12 12.6.77", "525"),
        (with_wheel("13.0.1", "nvidia-cuda-runtime"), "nvidia-cuda-runtime 13.0.1", "580"),
        (with_wheel("14.0"), "nvidia_cuda_runtime_cu12 14.0", ""),
        (with_wheel("120.1"), "nvidia_cuda_runtime_cu12 120.1", ""),
        (with_wheel("12.6", "numpy"), "", ""),
        (None, "", ""),
    ],
)
def test_a_runtime_of_wheels_has_its_driver_too(
    library: Library, catalogue: Catalogue, wheel: WheelLock | None, runtime: str, driver: str
) -> None:
    of = planned(library, catalogue, str(GOLDEN / "nvidia-h100" / "nvidia-h100.yaml"), "ai-hpc", "default")
    locked = released("ai-hpc/generic-x86/debian13-x86_64_v3-sm90").model_copy(update={"spack": None, "wheels": wheel})
    made = contract.make(of, locked, "/x")
    assert made.accelerator
    assert (made.accelerator.runtime, made.accelerator.driver) == (runtime, driver)
    assert ("how old it may be is not known" in made.line) is (driver == "")
    assert made.folders == (of.target.os.site_packages,)


def test_what_the_site_brings_has_to_be_bound(library: Library, catalogue: Catalogue) -> None:
    of = planned(library, catalogue, str(GOLDEN / "site-mpi" / "site-mpi.yaml"), "ai-hpc", "default")
    made = contract.make(of, None, "/x")
    assert made.site == (Site(name="mpich", version="8.1.29", folder="/opt/cray/pe/mpich/8.1.29/ofi/gnu/12.3"),)


def test_it_stands_in_the_image_and_in_its_labels(laptop: plan.Plan) -> None:
    inside = apptainer.metadata(laptop, None).files["opt/sovstack/contract.json"].text
    read = Contract.model_validate_json(inside)
    assert read == apptainer.host_contract(laptop, None)
    assert apptainer.labels(laptop, None)["org.sovstack.contract"] == read.line
    assert json.loads(inside)["schema"] == 1


def test_a_family_without_a_known_kernel_claims_none(laptop: plan.Plan) -> None:
    unknown = replace(laptop, target=replace(laptop.target, kernel=""))
    made = contract.make(unknown, None, "/x")
    assert made.kernel == ""
    assert "Linux" not in made.line


def test_every_driver_has_its_evidence(catalogue: Catalogue) -> None:
    hosts = [v.host for v in catalogue.hardware.vendors.values() if v.host]
    assert len(hosts) == 2
    for driver in (d for host in hosts for d in host.drivers):
        assert driver.evidence.startswith("https://")
    assert all(family.kernel for family in catalogue.hardware.families.values())

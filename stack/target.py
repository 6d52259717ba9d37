"""Ring 2. Profile + what was found on the machine -> the target that is built for."""

from __future__ import annotations

from dataclasses import dataclass

from stack.catalogue import Catalogue, Os
from stack.document import did_you_mean
from stack.errors import bad_input, host_lacks
from stack.hardware import Accelerator
from stack.profile import Partition, Profile


@dataclass(frozen=True)
class HostFacts:
    """What detection found. `accelerators`: PCI (vendor, device) pairs of display and compute devices; `threads`: of a
    core, 0 where that is not known; `sockets` and `numa`: the CPUs of each, as masks in hexadecimal."""

    os: str = ""
    os_title: str = ""
    microarchitecture: str = ""
    cores: int = 0
    memory_gib: float = 0.0
    accelerators: tuple[tuple[str, str], ...] = ()
    threads: int = 0
    sockets: tuple[str, ...] = ()
    numa: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """OS + microarchitecture + accelerator, written `debian13-x86_64_v3-sm90`.

    `linker`: path of the family's dynamic linker; `native`: built for the machine's own OS, not for an image;
    `kernel`: the oldest that its C library runs on; `least`: the microarchitecture that its packages run on.
    """

    os: Os
    microarchitecture: str
    family: str
    accelerator: Accelerator | None
    accelerator_name: str | None
    partition: str
    linker: str = ""
    native: bool = False
    kernel: str = ""
    least: str = ""

    @property
    def name(self) -> str:
        """As written in folders, reports and tags."""
        parts = [self.os.label, self.microarchitecture]
        return "-".join([*parts, self.accelerator.arch] if self.accelerator else parts)

    @property
    def architecture(self) -> str:
        """The distribution's word for the CPU family, `amd64` for example."""
        return self.os.architectures[self.family]

    @property
    def vendor(self) -> str:
        """The accelerator's vendor, or `none`."""
        return self.accelerator.vendor if self.accelerator else "none"


def resolve(profile: Profile, partition: str, catalogue: Catalogue, facts: HostFacts, family: str = "") -> Target:
    """The target of one partition. Raises `StackError` for a name that no data file knows.

    `family`: what is built for instead of the partition's hardware: any processor of that family, and no accelerator.
    """
    part = _partition(profile, partition)
    native = profile.build_for == "machine"
    if family:
        part = _any_of(family, part, profile)
    system = _machine_os(profile, catalogue, facts) if native else _image_os(profile, catalogue)
    microarchitecture, family = _cpu(part.cpu.microarchitecture, facts)
    if family not in system.architectures:
        raise bad_input(
            f"{system.title} has no packages for {family}", remedy=did_you_mean(family, system.architectures)
        )
    name = _accelerator_name(part, catalogue, facts)
    if name is not None and name not in catalogue.hardware.accelerators:
        raise bad_input(f"unknown accelerator {name!r}", remedy=did_you_mean(name, catalogue.hardware.accelerators))
    accelerator = catalogue.hardware.accelerators[name] if name else None
    known = catalogue.hardware.families.get(family)
    linker, kernel = (known.linker, known.kernel or "") if known else ("", "")
    least = known.least if known and known.least else family
    return Target(system, microarchitecture, family, accelerator, name, partition, linker, native, kernel, least)


def _any_of(family: str, part: Partition, profile: Profile) -> Partition:
    if profile.build_for == "machine":
        what = f"{profile.name} is built for the machine's own OS, which has the architecture that it has"
        raise bad_input(what, remedy="leave --arch out, or build for an image: build_for: image")
    cpu = part.cpu.model_copy(update={"microarchitecture": family})
    return part.model_copy(update={"cpu": cpu, "accelerators": ()})


def _image_os(profile: Profile, catalogue: Catalogue) -> Os:
    container = catalogue.containers.get(profile.image)
    if container is None:
        raise bad_input(f"unknown image {profile.image!r}", remedy=did_you_mean(profile.image, catalogue.containers))
    return catalogue.systems[container.os]


def _machine_os(profile: Profile, catalogue: Catalogue, facts: HostFacts) -> Os:
    name = facts.os if profile.os == "host" else profile.os
    if name not in catalogue.systems:
        what = f"no data file describes the operating system {name!r} of {profile.name}"
        raise bad_input(what, remedy=did_you_mean(name, catalogue.systems) or "build for an image: build_for: image")
    return catalogue.systems[name]


def _partition(profile: Profile, partition: str) -> Partition:
    if partition not in profile.partitions:
        raise bad_input(
            f"profile {profile.name} has no partition {partition!r}", remedy=did_you_mean(partition, profile.partitions)
        )
    return profile.partitions[partition]


def known_microarchitectures() -> tuple[str, ...]:
    """Every name archspec knows."""
    import archspec.cpu

    return tuple(sorted(archspec.cpu.TARGETS))


def _cpu(wanted: str, facts: HostFacts) -> tuple[str, str]:
    import archspec.cpu

    name = facts.microarchitecture if wanted in ("host", "host-level") else wanted
    if not name:
        raise host_lacks("the CPU of this machine could not be told", "name its microarchitecture in the profile")
    if name not in archspec.cpu.TARGETS:
        raise bad_input(f"unknown microarchitecture {name!r}", remedy=did_you_mean(name, archspec.cpu.TARGETS))
    found = archspec.cpu.TARGETS[name]
    return str(found.generic if wanted == "host-level" else found), str(found.family)


def found_accelerators(catalogue: Catalogue, facts: HostFacts) -> tuple[list[str], list[str]]:
    """Model names of what was found, and the `vendor:device` ids of a known vendor's devices that no entry names."""
    vendors = {v.pci: name for name, v in catalogue.hardware.vendors.items()}
    models = {
        (catalogue.hardware.vendors[a.vendor].pci, d): n
        for n, a in catalogue.hardware.accelerators.items()
        for d in a.pci
    }
    known = [models[pair] for pair in facts.accelerators if pair in models]
    unknown = [":".join(pair) for pair in facts.accelerators if pair not in models and pair[0] in vendors]
    return known, unknown


def _accelerator_name(part: Partition, catalogue: Catalogue, facts: HostFacts) -> str | None:
    if part.accelerators != "host":
        return part.accelerators[0].model if part.accelerators else None
    known, _unknown = found_accelerators(catalogue, facts)
    return known[0] if known else None

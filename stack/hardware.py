"""Ring 1. Hardware as data: CPU families and who may make them, makers, accelerators, and how a CPU is emulated."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from stack.recipe import Architecture, Schema1, WheelProject
from stack.words import AbsolutePath, Line, Means, Model, Name, Url, Version

PciId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4}$"), Means("a PCI id of four hex digits, quoted")]
Option = Annotated[str, StringConstraints(pattern=r"^--[a-z]{1,30}$"), Means("an option such as '--nv'")]
Bytes = Annotated[
    str, StringConstraints(pattern=r"^([0-9a-f]{2}){4,64}$"), Means("bytes in hex digits, two each (4 to 64 bytes)")
]
Cpu = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(,[+-]?[a-z0-9_.-]+(=[a-z0-9]+)?)*$", max_length=300),
    Means("a CPU of QEMU's, with properties after commas: 'max,pauth-impdef=on'"),
]
Microarchitecture = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_.]{1,40}$"), Means("the name of a microarchitecture")
]
LibraryName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_+-]+\.so(\.[0-9]+)*$", max_length=100),
    Means("the name that a library is asked for by, such as 'libm.so.6'"),
]
GlobPath = Annotated[
    str,
    StringConstraints(pattern=r"^/[A-Za-z0-9/*._-]+$", max_length=300),
    Means("an absolute path, where '*' stands for any text"),
]


class Driver(Model):
    """The oldest driver that a runtime (all versions that begin so) works with, and where its maker says that."""

    runtime: Version
    least: Version
    evidence: Url


class Bound(Model):
    """What software for an accelerator in an image expects of the host, beyond the container tool's option.

    `libraries`: the host's own, bound into `folder`; `shadows`: such as are bound where the host has them, before the
    image's own; `devices`: files that are passed through; `package`, `projects`: what the runtime is, where Spack built
    it and as wheels.
    """

    folder: AbsolutePath
    libraries: tuple[LibraryName, ...] = ()
    shadows: tuple[LibraryName, ...] = ()
    devices: tuple[GlobPath, ...] = ()
    package: Name
    projects: tuple[WheelProject, ...] = ()
    drivers: tuple[Driver, ...] = ()


class Vendor(Model):
    """A maker of accelerators; `pci`: its PCI vendor id, `container_option`: what makes Apptainer pass the device."""

    label: Line
    pci: PciId
    container_option: Option | None = None
    spack_variant: Architecture = Field(description="the variant that selects the model in Spack")
    host: Bound | None = None


class Accelerator(Model):
    """One model of accelerator; `arch` as written in target names, `spack` as its Spack variant wants it."""

    vendor: Name
    label: Line
    arch: Name
    spack: Architecture
    memory_gib: Annotated[int, Field(ge=1, le=1 << 16)]
    pci: tuple[PciId, ...] = ()


class Emulator(Model):
    """How QEMU runs a family's programs on a machine of another one.

    `magic` and `mask`: how the kernel tells such a program by its first bytes.
    """

    program: Name
    magic: Bytes
    mask: Bytes
    cpu: Cpu | None = Field(None, description="the CPU that it is fastest with; its own choice if left out")
    baselines: dict[Microarchitecture, Cpu] = Field(
        {},
        description="microarchitecture -> a CPU of QEMU's that has its instructions, and no more where it has one",
    )

    @model_validator(mode="after")
    def _alike(self) -> Emulator:
        if len(self.magic) != len(self.mask):
            raise ValueError("has a mask that is not as long as its magic")
        return self


class Family(Model):
    """A CPU family: where its ABI puts the dynamic linker, which is how Spack tells the C library.

    `licensors`: makers by whose leave alone it is made; it can be had while one of them is left, and without any it is
    open to everyone.
    """

    linker: AbsolutePath
    kernel: Version | None = Field(None, description="the oldest that the C library of its distributions runs on")
    least: Name | None = Field(None, description="the microarchitecture that a distribution's packages run on")
    licensors: tuple[Name, ...] = ()
    emulator: Emulator | None = None


class Maker(Model):
    """Who designs processors; `archspec`: what archspec calls the vendor of its microarchitectures."""

    label: Line
    archspec: tuple[Line, ...] = Field(min_length=1)


class Hardware(Model):
    """`stack/data/hardware.yaml`."""

    schema_version: Schema1
    families: dict[Architecture, Family]
    makers: dict[Name, Maker] = Field({})
    implementers: dict[Architecture, tuple[Name, ...]] = Field(
        {}, description="microarchitecture -> makers that put another's design into chips of their own"
    )
    vendors: dict[Name, Vendor]
    accelerators: dict[Name, Accelerator]

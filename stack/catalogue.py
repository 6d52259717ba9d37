"""Ring 1. Typed look-ups over the data files: recipes, hardware, operating systems, containers, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from stack.words import AbsolutePath, Line, Model, Name, Package, Spec, Url, Version

Schema1 = Annotated[Literal[1], Field(alias="schema")]
PciId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4}$")]


class Vendor(Model):
    """A maker of accelerators; `pci` is its PCI vendor id, `container_option` what Apptainer needs to pass the device."""

    label: Line
    pci: PciId
    container_option: Annotated[str, StringConstraints(pattern=r"^--[a-z]+$")] | None = None


class Accelerator(Model):
    """One model of accelerator; `arch` as written in target names, `spack` as its Spack variant wants it."""

    vendor: Name
    label: Line
    arch: Name
    spack: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")]
    memory_gib: int
    pci: tuple[PciId, ...] = ()


class Hardware(Model):
    """`stack/data/hardware.yaml`."""

    schema_version: Schema1
    vendors: dict[Name, Vendor]
    accelerators: dict[Name, Accelerator]


class Archive(Model):
    """One package archive of a distribution. The mirror is the one that the machine uses for any of `host_suites`."""

    suites: tuple[Name, ...]
    components: tuple[Name, ...]
    host_suites: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z*/-]+$")], ...]


class Native(Model):
    """Native packages that supply a component."""

    packages: tuple[Package, ...] = Field(min_length=1)
    version_of: Package | None = Field(None, description="the package whose version counts; the first otherwise")
    version: Version
    spec: Spec | None = Field(None, description="what Spack is told it is, without the version")
    components: tuple[Name, ...] = Field((), description="archive components needed beyond the usual")


class OsComponent(Native):
    """A component in a distribution, and what replaces it for a vendor's accelerator."""

    accelerators: dict[Name, Native] = {}


class Keyring(Model):
    """Public keys that sign the distribution's index, on the building host."""

    path: AbsolutePath
    package: Package


class Os(Model):
    """`stack/data/os/<name>.yaml`."""

    schema_version: Schema1
    name: Name
    label: Name = Field(description="as written in target names")
    title: Line
    codename: Name
    python: Annotated[str, StringConstraints(pattern=r"^3\.[0-9]+$")]
    architectures: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")], Name]
    glibc: Version
    keyring: Keyring
    archives: dict[Name, Archive]
    components: dict[Name, OsComponent]


class Source(Model):
    """Spack builds it. `{arch}` in an accelerator's variants is the accelerator's `spack` name."""

    spec: Spec
    variants: Spec | None = None
    accelerators: dict[Name, Spec] = {}


class Wheel(Model):
    """A Python wheel. `vendors` lists accelerators the project's wheels reach; `none` for those with a CPU build."""

    project: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$")]
    version: Version | None = None
    vendors: tuple[Name, ...] = ("none",)


class OsProvider(Model):
    """The distribution's package; which, stands in the file of the distribution."""


class SiteProvider(Model):
    """The machine's own; where, stands in the profile."""

    spec: Spec


class Providers(Model):
    """How each provider supplies a component; an absent one cannot."""

    source: Source | None = None
    os: OsProvider | None = None
    wheel: Wheel | None = None
    site: SiteProvider | None = None


class Assertion(Model):
    """Something that must hold of the solved graph."""

    node: Name
    has: Spec | None = None
    absent: bool = False
    when: Name | None = None
    why: Line


class Verify(Model):
    """How an installed component states its own version: the command's output holds it, whole."""

    version: tuple[Line, ...] = Field(min_length=1)


class Recipe(Model):
    """`recipes/<name>.yaml`."""

    schema_version: Schema1
    name: Name
    summary: Line
    homepage: Url
    role: Name | None = None
    accelerated: bool = Field(False, description="must be built for the accelerator, where there is one")
    needs: tuple[Name, ...] = Field((), description="components or roles that must be in the plan with it")
    commands: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]*$")], ...] = ()
    providers: Providers
    verify: Verify
    assertions: tuple[Assertion, ...] = ()


class Container(Model):
    """`containers/<name>.yaml`: the base of an image."""

    schema_version: Schema1
    name: Name
    os: Name
    selections: tuple[Annotated[str, StringConstraints(pattern=r"^[?a-z()]+$")], ...] = ()
    packages: tuple[Package, ...] = ()
    exclude: tuple[Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9/*._-]+$")], ...] = ()
    include: tuple[Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9/*._-]+$")], ...] = ()
    compression_level: Annotated[int, Field(ge=1, le=22)]
    environment: dict[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")], Line] = {}


class Defaults(Model):
    """`stack/data/defaults.yaml`: every option's declared default."""

    schema_version: Schema1
    environment: Name
    providers: tuple[Literal["source", "os", "wheel", "site"], ...]
    roles: dict[Name, Name]
    source_date_epoch: int


@dataclass(frozen=True)
class Catalogue:
    """All data, by name."""

    recipes: Mapping[str, Recipe]
    hardware: Hardware
    systems: Mapping[str, Os]
    containers: Mapping[str, Container]
    defaults: Defaults

    @property
    def roles(self) -> Mapping[str, tuple[str, ...]]:
        """Role -> the components that can fill it."""
        names = sorted({r.role for r in self.recipes.values() if r.role})
        return {role: tuple(sorted(n for n, r in self.recipes.items() if r.role == role)) for role in names}

"""Ring 1. Typed look-ups over the data files: recipes, hardware, operating systems, containers, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from stack.artifact import digest
from stack.errors import bad_input
from stack.hardware import GlobPath, Hardware
from stack.recipe import Architecture, Compilers, Recipe, Schema1, WheelProject
from stack.words import AbsolutePath, FilePath, Line, Means, Model, Name, Package, Spec, Url, Version

Suite = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z*/-]{0,63}$"), Means("the name of a suite")]
PythonVersion = Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,3}$"), Means("a version such as '3.13', quoted")]
AptPattern = Annotated[
    str, StringConstraints(pattern=r"^[?a-z()]{1,100}$"), Means("an apt pattern such as '?essential'")
]
VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64),
    Means("the name of a variable (upper-case letters, digits and '_')"),
]


class Archive(Model):
    """One package archive of a distribution. The mirror is the one that the machine uses for any of `host_suites`."""

    suites: tuple[Name, ...]
    components: tuple[Name, ...]
    host_suites: tuple[Suite, ...]
    origins: tuple[Line, ...] = Field((), description="as the Release file says; others use the same suite names")


class Native(Model):
    """Native packages that supply a component."""

    packages: tuple[Package, ...] = Field(min_length=1)
    version_of: Package | None = Field(None, description="the package whose version counts; the first otherwise")
    version: Version
    spec: Spec | None = Field(None, description="what Spack is told it is, without the version")
    prefix: AbsolutePath = Field("/usr", description="where it is installed")
    compilers: Compilers = Field({}, description="language -> command, where the recipe's are called otherwise here")
    development: tuple[Package, ...] = Field((), description="what building against it needs besides")
    components: tuple[Name, ...] = Field((), description="archive components needed beyond the usual")
    built_for: dict[Name, tuple[Name, ...]] = Field({}, description="role -> the only components it works with")


class OsComponent(Native):
    """A component in a distribution, and what replaces it for a vendor's accelerator."""

    accelerators: dict[Name, Native] = Field({})
    refused: dict[Name, Line] = Field(
        {}, description="vendor -> why its packages cannot be used although there are some"
    )


class Keyring(Model):
    """Public keys that sign the distribution's index, on the building host."""

    path: AbsolutePath
    package: Package


class Tool(Model):
    """A build tool of a distribution, which Spack may use instead of building one."""

    packages: tuple[Package, ...] = Field(min_length=1)
    version: Version
    spec: Spec | None = Field(None, description="what Spack is told it is; nothing for what Spack itself runs")


class Release(Model):
    """`ID` and `VERSION_ID` of `/etc/os-release`, from which Spack makes its name of the OS."""

    id: Name
    version: Version


class Libc(Model):
    """The C library as Spack calls it, and the package that it is."""

    spack: Name
    package: Package


class Os(Model):
    """`stack/data/os/<name>.yaml`. One without `archives` can be locked for, and no image be made of it."""

    schema_version: Schema1
    name: Name
    label: Name = Field(description="as written in target names")
    title: Line
    release: Release
    architectures: dict[Architecture, Architecture | Name]
    glibc: Version
    libc_prefix: AbsolutePath = Field(
        "/usr", description="where the C library is: `/` where /lib is no link to /usr/lib"
    )
    libc: Libc | None = Field(None, description="which package the C library is")
    codename: Name | None = None
    python: PythonVersion | None = None
    site_packages: AbsolutePath | None = Field(None, description="where Python looks for wheels that an image brings")
    keyring: Keyring | None = None
    archives: dict[Name, Archive] = Field({})
    components: dict[Name, OsComponent]
    tools: dict[Name, Tool] = Field({}, description="build tools that Spack takes from the distribution")

    @property
    def keys(self) -> Keyring:
        """The keys of its package index; raises `StackError` for a distribution whose packages cannot be had."""
        if self.keyring is None:
            raise bad_input(f"packages of {self.title} cannot be had", remedy="build on the machine itself")
        return self.keyring


class Container(Model):
    """`containers/<name>.yaml`: the base of an image."""

    schema_version: Schema1
    name: Name
    os: Name
    selections: tuple[AptPattern, ...] = ()
    packages: tuple[Package, ...] = ()
    exclude: tuple[GlobPath, ...] = ()
    include: tuple[GlobPath, ...] = ()
    compression_level: Annotated[int, Field(ge=1, le=22)]
    environment: dict[VariableName, Line] = Field({})
    files: dict[FilePath, tuple[Line, ...]] = Field({}, description="path -> lines, written over what is there")


class Repository(Model):
    """A git repository at one commit. `folder`: where in it the packages are; `tag`: what people call the commit."""

    git: Url
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$"), Means("a commit of 40 hex digits")]
    version: Version
    folder: Annotated[str, StringConstraints(pattern=r"^[a-z_]+(/[a-z_]+)*$", max_length=200), Means("a folder")] = "."


class Solver(Model):
    """The Python project that Spack's concretizer calls."""

    project: WheelProject
    version: Version


class Upstream(Model):
    """`stack/data/upstream.yaml`: what is taken from upstream, at which commit."""

    schema_version: Schema1
    spack: Repository
    packages: Repository
    solver: Solver


class Defaults(Model):
    """`stack/data/defaults.yaml`: every option's declared default."""

    schema_version: Schema1
    environment: Name
    providers: tuple[Literal["source", "os", "wheel", "site"], ...]
    roles: dict[Name, Name]
    source_date_epoch: Annotated[int, Field(ge=0, le=1 << 33)]


# What only tells of a component, or tests it, decides no lock.
_TELLS = {"summary", "homepage", "commands", "aliases", "launch", "verify", "title"}


@dataclass(frozen=True)
class Catalogue:
    """All data, by name."""

    recipes: Mapping[str, Recipe]
    hardware: Hardware
    systems: Mapping[str, Os]
    containers: Mapping[str, Container]
    defaults: Defaults
    upstream: Upstream

    @cached_property
    def _digests(self) -> dict[tuple[int, ...], tuple[tuple[Model, ...], str]]:
        """Models by identity; kept beside their digest, so that no other can get the same one."""
        return {}

    def digest_of(self, parts: Model | tuple[Model, ...]) -> str:
        """Digest of what decides a lock in a model, or in several; taken once for each."""
        models = parts if isinstance(parts, tuple) else (parts,)
        key = (isinstance(parts, tuple), *map(id, models))
        if key not in self._digests:
            dumped = [m.model_dump(mode="json", by_alias=True, exclude=_TELLS) for m in models]
            self._digests[key] = (models, digest(dumped if isinstance(parts, tuple) else dumped[0]))
        return self._digests[key][1]

    @property
    def roles(self) -> Mapping[str, tuple[str, ...]]:
        """Role -> the components that can fill it."""
        names = sorted({r.role for r in self.recipes.values() if r.role})
        return {role: tuple(sorted(n for n, r in self.recipes.items() if r.role == role)) for role in names}

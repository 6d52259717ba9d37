"""What the program needs of a host: programs, their packages, and where its own Apptainer comes from (data, typed)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from stack.catalogue import Os
from stack.errors import Faults
from stack.host.files import read_text
from stack.recipe import Schema1
from stack.words import AbsolutePath, Line, Model, Name, Package, Version

FILE = Path(__file__).resolve().parent.parent / "data" / "host.yaml"
M = TypeVar("M", bound=Model)
Program = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.+-]*$")]
Pattern = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.*-]+$")]


class Python(Model):
    """The interpreter, and the packages that bring it and its `venv`."""

    minimum: tuple[int, int]
    packages: tuple[Package, ...]


class Needed(Model):
    """A program; a `bundled` one comes with our own Apptainer and is never asked of an administrator."""

    package: Package
    purpose: Line
    users: Literal["all", "ordinary"] = "all"
    bundled: bool = False


class Modules(Model):
    """The module system, which is optional; any of `paths` shows that it is there."""

    package: Package
    paths: tuple[AbsolutePath, ...]


class Emulation(Model):
    """The package that brings QEMU's user emulation, and the one that registers it for the whole machine."""

    package: Package
    registers: Package


class OwnApptainer(Model):
    """Where our own Apptainer comes from. Of the closure of `packages`, what matches `unpack` is unpacked."""

    minimum: Version = Field(description="an older one on PATH is not used")
    system: Name = Field(description="whose keyring and mirror")
    archive: Name
    suites: tuple[Name, ...]
    components: tuple[Name, ...]
    architectures: tuple[Name, ...]
    packages: tuple[Package, ...]
    unpack: tuple[Pattern, ...]
    may_lag: bool = Field(False, description="take a signed index past its date: a rolling suite's expires in a week")


class Needs(Model):
    """`stack/data/host.yaml`."""

    schema_version: Schema1
    python: Python
    programs: dict[Program, Needed]
    squashfs_minimum: Version
    modules: Modules
    emulation: Emulation
    devices: dict[AbsolutePath, Line]
    development: dict[Program, Package] = Field(description="program -> package: what the tests use besides")
    disk_gib: Annotated[int, Field(ge=1)]
    apptainer: OwnApptainer


@cache
def needs(path: Path = FILE) -> Needs:
    """Read and check the data. It is written as JSON, which is YAML too, so that the bootstrap can read it bare."""
    return _read(path, Needs)


@cache
def tool_system() -> Os:
    """The distribution that our own Apptainer comes from."""
    return _read(FILE.parent / "os" / f"{needs().apptainer.system}.yaml", Os)


def _read(path: Path, model: type[M]) -> M:
    from stack.document import read

    faults = Faults()
    made = read(read_text(path, 1 << 20), path.name, model, faults)
    faults.raise_if_any()
    assert made  # noqa: S101 - no faults
    return made[1]

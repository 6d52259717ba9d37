"""Ring 3. The whole resolved graph of one cell with hashes: OS packages and wheels (and Spack nodes, when it has any)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from stack.artifact import canonical_json, digest
from stack.catalogue import Catalogue
from stack.errors import Fault, Faults, Position, StackError, bad_input
from stack.plan import Choice, Plan, matches
from stack.words import Digest, Model, Name

# What apt needs to install from a lock alone; descriptions and maintainers stay out of it.
CONTROL = ("Pre-Depends", "Depends", "Provides", "Conflicts", "Breaks", "Replaces", "Multi-Arch", "Essential",
           "Protected", "Important", "Priority", "Section", "Installed-Size")  # fmt: skip


class OsPackage(Model):
    """One package file of a distribution, as its signed index states it."""

    name: str
    version: str
    architecture: str
    filename: str = Field(description="last part of its path in the archive")
    size: int
    sha256: Digest
    source: str = Field(description="name and version of the source package")
    control: dict[str, str]


class OsLock(Model):
    """The closure inside one distribution. `requested` is what the closure is of."""

    system: Name
    architecture: Name
    suites: tuple[str, ...]
    requested: tuple[str, ...]
    packages: tuple[OsPackage, ...]


class WheelFile(Model):
    """One wheel, as the index states it."""

    project: str
    version: str
    filename: str
    sha256: Digest


class WheelLock(Model):
    """Wheels for one interpreter and platform."""

    python: str
    platforms: tuple[str, ...]
    requested: tuple[str, ...]
    files: tuple[WheelFile, ...]


class Component(Model):
    """A component of the environment with the version that the lock gives it."""

    name: Name
    role: str | None
    provider: Literal["source", "os", "wheel", "site"]
    version: str = Field(description="upstream's version: what the software says of itself")
    package: str = Field("", description="package and its full version, where a package supplies it")
    spec: str = ""
    prefix: str = "/usr"


class Lock(Model):
    """`stack.lock.json`."""

    schema_version: Literal[1] = Field(1, alias="schema")
    environment: Name
    profile: Name
    target: str
    components: tuple[Component, ...]
    os: OsLock
    wheels: WheelLock | None = None
    spack: None = None
    inputs: dict[str, Digest]

    def text(self) -> str:
        """Canonical JSON: equal locks, equal bytes."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text; it names everything built from this lock."""
        return digest(self.text())

    @property
    def cell(self) -> str:
        """`environment/profile/target`."""
        return f"{self.environment}/{self.profile}/{self.target}"

    def component(self, name: str) -> Component:
        """A locked component by name; KeyError when there is none."""
        return next(c for c in self.components if c.name == name)

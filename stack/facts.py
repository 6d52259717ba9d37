"""Ring 1. What is known of packages beyond their own metadata: licence, redistribution, hardware, who steers them.

Every statement has its evidence and the date on which that was looked at. `unknown` is an answer, and never a pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, model_validator

from stack.document import did_you_mean
from stack.errors import Faults, Position
from stack.recipe import Schema1
from stack.words import Digest, Line, Means, Model, Name, Url

Kind = Literal["spack", "debian", "wheel"]
"""Whose names the packages of a file are: Spack's packages, Debian's source packages, Python projects."""

Expression = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9(][A-Za-z0-9.+() -]*[A-Za-z0-9.+)]$", max_length=2000),
    Means("an SPDX licence expression, or `unknown`"),
]
LicenceClass = Literal["osi", "source-available", "proprietary", "unknown"]
May = Literal["allowed", "conditional", "forbidden", "unknown"]
Cpu = Literal["x86_64", "aarch64", "riscv64", "ppc64le"]
Device = Literal["nvidia", "amd", "intel-gpu"]
Governance = Literal["foundation", "community", "multi-vendor", "academic", "public", "single-vendor", "unknown"]
Day = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$"), Means("a day, 2026-11-21")]
PackageName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9+._-]*[A-Za-z0-9+])?$", max_length=128),
    Means("the name of a package"),
]
Country = Annotated[
    str, StringConstraints(pattern=r"^([A-Z]{2}|international|unknown)$"), Means("a country's code (ISO 3166)")
]


class Evidence(Model):
    """Where a statement was read: a page, or a file inside an archive that its hash names."""

    of: tuple[Literal["licence", "redistribution", "reach", "steward"], ...] = ("licence",)
    url: Url | None = None
    archive: Line | None = Field(None, description="file name of an archive")
    sha256: Digest | None = Field(None, description="the archive's")
    path: Line | None = Field(None, description="file in the archive")
    date: Day

    @model_validator(mode="after")
    def _somewhere(self) -> Evidence:
        inside = (self.archive, self.sha256, self.path)
        if (self.url is None) == (None in inside) or (self.url and any(inside)):
            raise ValueError("is a url, or an archive with its sha256 and a path in it")
        return self


class Redistribution(Model):
    """What the licence says of handing on; `conditional`: only with what the licence asks for."""

    source: May
    binary: May


class Reach(Model):
    """Hardware it runs on. `cpu`: the only families, or `any`; `accelerator`: those it is for, or `none`."""

    cpu: Literal["any", "unknown"] | tuple[Cpu, ...]
    accelerator: Literal["none", "unknown"] | tuple[Device, ...] = "none"


class PackageFacts(Model):
    """One package."""

    licence: Expression
    licence_class: LicenceClass = Field(alias="class")
    redistribution: Redistribution
    reach: Reach
    homepage: Url | None = Field(None, description="of whoever makes it: the component's creator in an SBOM")
    steward: Name | None = Field(None, description="an entry of stewards.yaml")
    note: Line | None = None
    evidence: tuple[Evidence, ...] = ()


class FactsFile(Model):
    """`stack/data/facts/<name>.yaml`."""

    schema_version: Schema1
    kind: Kind
    packages: dict[PackageName, PackageFacts]


class Steward(Model):
    """Who decides about a project. `vendor`: the maker of hardware that it belongs to, as `--forbid` names it."""

    title: Line
    jurisdiction: Country
    governance: Governance
    vendor: Name | None = None
    contact: Url
    note: Line | None = None
    evidence: tuple[Evidence, ...] = ()


class Stewards(Model):
    """`stack/data/facts/stewards.yaml`."""

    schema_version: Schema1
    stewards: dict[Name, Steward]


@dataclass(frozen=True)
class Facts:
    """Everything that is known of packages, by whose names they have."""

    packages: Mapping[Kind, Mapping[str, PackageFacts]]
    stewards: Mapping[str, Steward]

    def of(self, kind: Kind, name: str) -> PackageFacts | None:
        """What is known of a package; a Python project by any spelling of its name."""
        return self.packages[kind].get(re.sub(r"[-_.]+", "-", name).lower() if kind == "wheel" else name)

    def steward(self, facts: PackageFacts | None) -> Steward | None:
        """Who decides about a package, where that is known."""
        return self.stewards.get(facts.steward) if facts and facts.steward else None

    def vendor(self, facts: PackageFacts | None) -> str | None:
        """The maker of hardware that a package's steward belongs to."""
        found = self.steward(facts)
        return found.vendor if found else None


KINDS: tuple[Kind, ...] = get_args(Kind)


def join(roots: Iterable[Iterable[tuple[str, FactsFile]]], stewards: Mapping[str, Steward], faults: Faults) -> Facts:
    """The files of facts as one; a later root's package hides an earlier root's. Twice in one root is a fault, and so
    is a steward that nobody knows."""
    packages: dict[Kind, dict[str, PackageFacts]] = {kind: {} for kind in KINDS}
    for files in roots:
        homes: dict[tuple[Kind, str], str] = {}
        for path, found in files:
            for name, facts in found.packages.items():
                other = homes.setdefault((found.kind, name), path)
                if other != path:
                    faults.add(f"{name} ({found.kind}) has facts in {other} too", Position(path), "keep one of them")
                if facts.steward and facts.steward not in stewards:
                    remedy = did_you_mean(facts.steward, stewards) or "add it to stewards.yaml"
                    faults.add(f"unknown steward {facts.steward!r} of {name}", Position(path), remedy)
                packages[found.kind][name] = facts
    return Facts(packages, stewards)

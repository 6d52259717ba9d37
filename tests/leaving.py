"""Facts that are made up, for the tests of leaving a vendor: what the shipped files say of it may change."""

from __future__ import annotations

from pathlib import Path

from stack.catalogue import Catalogue
from stack.facts import Facts, Kind, LicenceClass, PackageFacts, Reach, Redistribution, Steward
from stack.forbidding import Ban, ban
from stack.host.cells import Cell, open_cell
from stack.host.library import Library, shipped
from stack.host.locking import current
from stack.lock import Lock

ALLOWED = Redistribution(source="allowed", binary="allowed")


def package(
    steward: str | None = None, licence_class: LicenceClass = "osi", reach: Reach | None = None
) -> PackageFacts:
    return PackageFacts.model_validate(
        {
            "licence": "MIT",
            "class": licence_class,
            "redistribution": ALLOWED,
            "reach": reach or Reach(cpu="any"),
            "steward": steward,
        }
    )


def steward(title: str, vendor: str | None = None) -> Steward:
    return Steward(
        title=title, jurisdiction="unknown", governance="unknown", contact="https://example.org/", vendor=vendor
    )


def facts(**named: dict[str, PackageFacts]) -> Facts:
    """Facts of packages by kind; the stewards are three."""
    packages: dict[Kind, dict[str, PackageFacts]] = {"spack": {}, "debian": {}, "wheel": {}}
    stewards = {"nvidia": steward("NVIDIA", "nvidia"), "hpe": steward("HPE", "hpe"), "club": steward("A club"),
                "slurm-schedmd": steward("SchedMD", "nvidia")}  # fmt: skip
    return Facts({**packages, **named}, stewards)  # type: ignore[dict-item]


def forbid(name: str, known: Facts, catalogue: Catalogue) -> Ban:
    return ban(name, known, catalogue.hardware)


def released(profile: str, partition: str, environment: str, build: Path) -> tuple[Cell, Lock]:
    """A cell of ours, and its lock as it is handed on."""
    cell = open_cell(Library((shipped(),)), profile, environment, partition, build)
    return cell, next(lock for _path, lock in current(cell))

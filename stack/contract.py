"""Ring 4. Plan and lock -> what an image expects of a host: `contract.json` in it, which the linkage check reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stack.hardware import Driver
from stack.lock import Lock, upstream
from stack.plan import Plan, matches
from stack.words import Model

FILE = "contract.json"


class Cpu(Model):
    """The host's processor has every instruction of `baseline` (archspec's name)."""

    family: str
    baseline: str


class Libc(Model):
    """The C library inside. What a host binds in runs with this one, and may not need a newer one."""

    name: str
    version: str
    package: str = Field("", description="the package in the lock, with its whole version")


class Mpi(Model):
    """The MPI inside. `launch`: scheduler -> what starts its ranks; `protocol`: the version that it speaks of that."""

    name: str
    version: str
    launch: dict[str, str] = Field({})
    protocol: dict[str, str] = Field({})


class Accelerator(Model):
    """What software for an accelerator takes from the host, and the oldest driver that works with its runtime."""

    vendor: str
    arch: str
    option: str = Field("", description="of the container tool: it passes the device")
    runtime: str = Field("", description="package or project, and version; empty where the lock has none")
    driver: str = Field("", description="the oldest; empty where no data file says")
    evidence: str = Field("", description="where the vendor says so")
    devices: tuple[str, ...] = ()
    folder: str = Field("", description="where the host's libraries are bound")


class Site(Model):
    """Software that the site brings: it is not in the image, and its folder has to be bound in."""

    name: str
    version: str
    folder: str


class Contract(Model):
    """`contract.json`.

    `libraries`: a host must bring; `shadows`: are taken from the host where it has them, before the image's own;
    `folders`: where libraries are the image's own, though no package of the distribution has them.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    cell: str
    cpu: Cpu
    kernel: str = Field("", description="the oldest that the C library inside runs on")
    libc: Libc
    mpi: Mpi | None = None
    accelerator: Accelerator | None = None
    site: tuple[Site, ...] = ()
    libraries: tuple[str, ...] = ()
    shadows: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The whole in a line, for people."""
        parts = [self.cpu.baseline, f"Linux {self.kernel} or later" if self.kernel else ""]
        if self.mpi:
            ways = ", ".join(f"{name}: {way}" for name, way in sorted(self.mpi.launch.items()))
            parts.append(f"{self.mpi.name} {self.mpi.version}".strip() + (f" ({ways})" if ways else ""))
        if self.accelerator:
            found = self.accelerator
            driver = f"driver {found.driver} or later" if found.driver else "a driver (how old it may be is not known)"
            parts.append(f"{found.vendor} {found.arch}, {driver}")
        parts.append(f"bound libraries need no more than {self.libc.name} {self.libc.version}")
        return "; ".join(part for part in parts if part)


def make(plan: Plan, lock: Lock | None, software: str) -> Contract:
    """The contract of a plan's image, without versions where there is no lock; `software`: where Spack's builds are."""
    target, host = plan.target, plan.vendor.host if plan.vendor else None
    wheels = target.os.site_packages if any(c.provider == "wheel" for c in plan.choices) else None
    own = ((software,) if plan.built else ()) + ((wheels,) if wheels else ())
    return Contract(
        schema=1,
        cell=plan.cell,
        cpu=Cpu(family=target.family, baseline=plan.baseline),
        kernel=target.kernel,
        libc=_libc(plan, lock),
        mpi=_mpi(plan, lock),
        accelerator=_accelerator(plan, lock),
        site=tuple(
            Site(name=c.component, version=c.version, folder=c.prefix) for c in plan.choices if c.provider == "site"
        ),
        libraries=host.libraries if host else (),
        shadows=host.shadows if host else (),
        folders=own,
    )


def _libc(plan: Plan, lock: Lock | None) -> Libc:
    system = plan.target.os
    name, package = (system.libc.spack, system.libc.package) if system.libc else ("libc", "")
    found = next((p for p in lock.os.packages if p.name == package), None) if lock else None
    return Libc(name=name, version=system.glibc, package=f"{found.name} {found.version}" if found else "")


def _mpi(plan: Plan, lock: Lock | None) -> Mpi | None:
    chosen = next((c for c in plan.choices if c.role == "mpi"), None)
    if chosen is None:
        return None
    launch = plan.recipes[chosen.component].launch
    version = lock.component(chosen.component).version if lock else ""
    spoken = {way: _spoken(way, lock) for way in launch.values()} if lock else {}
    return Mpi(name=chosen.component, version=version, launch=launch, protocol={k: v for k, v in spoken.items() if v})


def _spoken(protocol: str, lock: Lock) -> str:
    """The version of the library that has a protocol's name, as built or as the distribution's source package."""
    built = lock.spack.named(protocol) if lock.spack else ()
    if built:
        return built[0].version
    packaged = (p for p in lock.os.packages if p.source.split()[:1] == [protocol])
    return next((upstream(p.version) for p in packaged), "")


def _accelerator(plan: Plan, lock: Lock | None) -> Accelerator | None:
    made, vendor = plan.target.accelerator, plan.vendor
    if made is None or vendor is None:
        return None
    name, version = _runtime(plan, lock)
    driver = _driver(vendor.host.drivers, version) if vendor.host else None
    return Accelerator(
        vendor=made.vendor,
        arch=made.arch,
        option=vendor.container_option or "",
        runtime=f"{name} {version}".strip(),
        driver=driver.least if driver else "",
        evidence=driver.evidence if driver else "",
        devices=vendor.host.devices if vendor.host else (),
        folder=vendor.host.folder if vendor.host else "",
    )


def _runtime(plan: Plan, lock: Lock | None) -> tuple[str, str]:
    """Name and version of the accelerator's runtime in the lock; empty where it has none."""
    host = plan.vendor.host if plan.vendor else None
    if lock is None or host is None:
        return "", ""
    nodes = lock.spack.named(host.package) if lock.spack else ()
    if nodes:
        return host.package, nodes[0].version
    files = lock.wheels.files if lock.wheels else ()
    found = next((f for f in files if f.project.lower().replace("_", "-") in host.projects), None)
    return (found.project, found.version) if found else ("", "")


def _driver(drivers: tuple[Driver, ...], version: str) -> Driver | None:
    return next((d for d in drivers if version and matches(version, d.runtime)), None)

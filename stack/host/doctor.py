"""What this machine has of what the program needs, what is missing, and the one line that gets it."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stack.artifact import Command
from stack.catalogue import Os
from stack.errors import ExitCode, Fault, StackError, host_lacks
from stack.hardware import Hardware
from stack.host import apptainer, emulating
from stack.host.apt_output import OFFLINE, unreachable
from stack.host.needs import Needed, Needs, needs, tool_system
from stack.host.run import Result, Sink, failed, run, which

State = Literal["present", "missing", "unusable", "optional"]
ID_RANGE = 65536  # what a root file system's users need


@dataclass(frozen=True)
class Finding:
    """One thing needed. `missing`: `package` brings it; `unusable`: only `remedy` does; `optional`: not needed."""

    what: str
    state: State
    detail: str = ""
    remedy: str = ""
    package: str = ""

    @property
    def stops(self) -> bool:
        """Whether nothing can be built before this is mended."""
        return self.state in ("missing", "unusable")


def examine(
    build_folder: Path | None = None,
    *,
    system: Os | None = None,
    data: Needs | None = None,
    root: bool | None = None,
    sys: Path = Path("/proc/sys"),
) -> tuple[Finding, ...]:
    """Look at everything; nothing is changed and nothing raised. `system`: whose images are to be built."""
    data = data or needs()
    is_root = os.geteuid() == 0 if root is None else root
    return (
        *(_program(name, item) for name, item in data.programs.items() if item.users == "all" or not is_root),
        *_squashfs(data),
        keyring(system or tool_system()),
        _apptainer(data),
        namespaces(sys, needed=not is_root or not apptainer.capabilities_complete()),
        fuse(),
        *(() if is_root else (ids(),)),
        disk(build_folder or Path("build"), data),
        _modules(data),
        _devices(data),
    )


def _program(name: str, item: Needed) -> Finding:
    found = apptainer.tool(name) if item.bundled else which(name)
    if found:
        return Finding(name, "present", found)
    if item.bundled:
        return Finding(name, "optional", "comes with our own Apptainer when that is installed", package=item.package)
    return Finding(name, "missing", f"needed to {item.purpose}", f"apt-get install {item.package}", item.package)


def _squashfs(data: Needs) -> Iterator[Finding]:
    found = apptainer.tool("mksquashfs")
    text = _output(found, "-version") if found else ""
    match = re.search(r"mksquashfs version (\d[\d.]*)", text)
    if found and not apptainer.at_least(match[1] if match else None, data.squashfs_minimum):
        what = f"{found} is {match[1] if match else 'of unknown version'}; {data.squashfs_minimum} reads tar"
        yield Finding("mksquashfs -tar", "unusable", what, "upgrade squashfs-tools, or take the old one off PATH")


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def keyring(system: Os) -> Finding:
    """The keys that sign the distribution's index."""
    if system.keyring is None:
        return Finding(
            f"keys of {system.title}", "optional", "its packages cannot be had, so images of it are not built"
        )
    name, package = f"keys of {system.title}", system.keys.package
    if os.access(system.keys.path, os.R_OK):
        return Finding(name, "present", system.keys.path)
    return Finding(name, "missing", f"no {system.keys.path}", f"apt-get install {package}", package)


def _apptainer(data: Needs) -> Finding:
    found = apptainer.find(data)
    if found is None:
        return Finding("apptainer", "optional", "not installed yet: `sovstack up` installs it, without root")
    told = apptainer.version(found)
    if told is None:
        remedy = "remove that folder: the next `sovstack up` installs it again"
        return Finding("apptainer", "unusable", f"{found} does not run", remedy)
    return Finding("apptainer", "present", f"{told}, {found}")


def namespaces(sys: Path, *, needed: bool = True) -> Finding:
    """User namespaces, by making one; when that fails, the kernel setting that forbids it."""
    name = "user namespaces"
    works = subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False) if which("unshare") else None
    if works is not None and works.returncode == 0:
        return Finding(name, "present", "unshare -Ur works")
    if not needed:
        return Finding(name, "optional", "not available; root with every capability does without")
    for setting, forbids, allows in (
        ("user/max_user_namespaces", "0", "15000"),
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        if _setting(sys / setting) == forbids:
            remedy = f"as root: sysctl -w {setting.replace('/', '.')}={allows}"
            return Finding(name, "unusable", f"forbidden by {setting.replace('/', '.')}={forbids}", remedy)
    told = works.stderr.decode(errors="replace").strip() if works else "there is no `unshare` program"
    return Finding(
        name,
        "unusable",
        told,
        "start the container with user namespaces allowed (seccomp, AppArmor); a chroot forbids them",
    )


def _setting(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def fuse(path: Path = Path("/dev/fuse")) -> Finding:
    """FUSE, which mounts an image without root, by opening the device."""
    name = "FUSE"
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        remedy = f"as root: modprobe fuse; in a container, start it with --device {path}"
        return Finding(name, "unusable", f"there is no {path}", remedy)
    except PermissionError:
        return Finding(name, "unusable", f"{path} may not be opened", f"as root: chmod 666 {path}")
    except OSError as error:
        return Finding(name, "unusable", f"{path}: {error.strerror}", "as root: modprobe fuse")
    return Finding(name, "present", str(path))


def ids(etc: Path = Path("/etc"), user: str | None = None) -> Finding:
    """A range of subordinate user and group ids for an ordinary user."""
    name, user = "subordinate ids", user or getpass.getuser()
    short = [f for f in ("subuid", "subgid") if _granted(etc / f, user) < ID_RANGE]
    if not short:
        return Finding(name, "present", f"{user} has a range in subuid and subgid")
    remedy = f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
    return Finding(
        name, "unusable", f"{user} has no range of {ID_RANGE} in {' and '.join(f'/etc/{f}' for f in short)}", remedy
    )


def _granted(path: Path, user: str) -> int:
    """The largest range of one user; 0 when there is none or the file cannot be read."""
    rows = [line.split(":") for line in (_setting(path) or "").splitlines()]
    counts = [int(r[2]) for r in rows if len(r) == 3 and r[0] in (user, str(os.getuid())) and r[2].isdigit()]
    return max(counts, default=0)


def disk(build: Path, data: Needs) -> Finding:
    """Room where images are built."""
    there = build.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding("disk", "unusable", f"{there} is no folder that you may write", "use another --build-dir")
    free = shutil.disk_usage(there).free / 2**30
    detail = f"{free:.1f} GiB free in {there}"
    if free < data.disk_gib:
        return Finding("disk", "unusable", f"{detail}; {data.disk_gib} GiB are needed", "free some, or use --build-dir")
    return Finding("disk", "present", detail)


def _modules(data: Needs) -> Finding:
    found = os.environ.get("LMOD_CMD") or next((p for p in data.modules.paths if Path(p).exists()), None)
    if found:
        return Finding("Lmod", "present", found)
    package = data.modules.package
    return Finding("Lmod", "optional", "absent: `module load` needs it", f"apt-get install {package}", package)


def _devices(data: Needs) -> Finding:
    found = [f"{what} ({path})" for path, what in data.devices.items() if Path(path).exists()]
    return Finding("GPU", "present" if found else "optional", ", ".join(found) or "none with a driver")


def emulated(family: str, hardware: Hardware) -> Finding:
    """Whether programs of a CPU family run here: they are this machine's own, or are emulated."""
    name = f"programs of {family}"
    try:
        found = emulating.needed(family, hardware)
    except StackError as error:
        fault = error.faults[0]
        return Finding(name, "unusable", fault.what, fault.remedy)
    where = "in a namespace of our own" if found and found.line else "by the whole machine"
    return Finding(name, "present", f"{found.text}, registered {where}" if found else "are this machine's own")


def missing_packages(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Packages of what is missing, sorted."""
    return tuple(sorted({f.package for f in findings if f.state == "missing" and f.package}))


def apt_line(packages: Sequence[str]) -> str:
    """The one line that an administrator has to run; empty when there is nothing to install."""
    return f"apt-get update && apt-get install --no-install-recommends {' '.join(packages)}" if packages else ""


def require(findings: Sequence[Finding]) -> None:
    """Raise one error (exit code 3) with everything that stops a build: packages in one line, then each other thing."""
    packages = missing_packages(findings)
    faults = []
    if any(f.what == "apt-get" and f.state == "missing" for f in findings):
        remedy = "images are made of distribution packages: use a machine, or a container, that has apt"
        raise host_lacks("apt-get is not installed: this machine has no apt", remedy)
    if packages:
        names = ", ".join(f.what for f in findings if f.state == "missing")
        faults.append(Fault(f"missing: {names}", None, f"as root: {apt_line(packages)}"))
    faults += [Fault(f"{f.what}: {f.detail}", None, f.remedy) for f in findings if f.state == "unusable"]
    if faults:
        raise StackError(faults, ExitCode.HOST)


def commands(packages: Sequence[str]) -> tuple[Command, ...]:
    """What root runs to install packages on the host."""
    env = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    options = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=12", "-o", "APT::Update::Error-Mode=any")
    return (
        Command(("apt-get", *options, "update"), "update the host's package index", env=env),
        Command(("apt-get", *options, "install", "-y", "--no-install-recommends", *packages),
                f"install {', '.join(packages)}", env=env),
    )  # fmt: skip


def ensure(sink: Sink, build_folder: Path | None = None, *, system: Os | None = None) -> tuple[Finding, ...]:
    """Examine; as root, install missing packages; raise for whatever then still stops a build."""
    findings = examine(build_folder, system=system)
    packages = missing_packages(findings)
    if packages and os.geteuid() == 0 and which("apt-get"):
        for command in commands(packages):
            sink(command.purpose)
            result = run(command, sink, check=False)
            if result.returncode != 0:
                raise _explained(command, result)
        findings = examine(build_folder, system=system)
    require(findings)
    return findings


def _explained(command: Command, result: Result) -> StackError:
    if unreachable(result.stdout):
        return host_lacks(f"could not {command.purpose}: the package mirror cannot be reached", OFFLINE)
    return failed(command, result)

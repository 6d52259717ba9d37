"""What this machine is: OS, CPU and how its cores are laid out, memory, accelerators on the PCI bus."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path

from stack.target import HostFacts

_DISPLAY_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")  # VGA, 3D, other display, processing accelerator


def facts(sys: Path = Path("/sys")) -> HostFacts:
    """Everything found; what cannot be told stays empty."""
    import archspec.cpu

    release = _os_release()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    name = "-".join(v for v in (release.get("ID", ""), release.get("VERSION_ID", "")) if v)
    cpus = frozenset(os.sched_getaffinity(0))
    return HostFacts(
        name,
        release.get("PRETTY_NAME", ""),
        str(archspec.cpu.host()),
        len(cpus),
        round(pages / 2**30, 1),
        accelerators(sys),
        threads(sys, cpus),
        sockets(sys, cpus),
        numa(sys, cpus),
    )


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def threads(sys: Path, cpus: frozenset[int]) -> int:
    """How many of these CPUs are one core; 0 where the kernel does not say, or cores differ in that."""
    listed = [_list(sys / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") & cpus for cpu in cpus]
    sizes = {len(siblings) for siblings in listed}
    return sizes.pop() if len(sizes) == 1 else 0


def sockets(sys: Path, cpus: frozenset[int]) -> tuple[str, ...]:
    """The CPUs of each socket; none where the kernel does not say which socket a CPU is in."""
    found: dict[int, set[int]] = {}
    for cpu in cpus:
        text = _read(sys / f"devices/system/cpu/cpu{cpu}/topology/physical_package_id")
        if not text.isdigit():  # -1 where the firmware does not tell
            return ()
        found.setdefault(int(text), set()).add(cpu)
    return _masks(found.values())


def numa(sys: Path, cpus: frozenset[int]) -> tuple[str, ...]:
    """The CPUs of each NUMA domain that has any."""
    listed = (_list(path) & cpus for path in (sys / "devices/system/node").glob("node[0-9]*/cpulist"))
    return _masks(domain for domain in listed if domain)


def _masks(groups: Iterable[Iterable[int]]) -> tuple[str, ...]:
    return tuple(hex(mask) for mask in sorted(sum(1 << cpu for cpu in group) for group in groups))


def _list(path: Path) -> set[int]:
    """The numbers of a list as Linux writes it: 0-3,8."""
    ranges = re.findall(r"(\d+)(?:-(\d+))?", _read(path))
    return {number for first, last in ranges for number in range(int(first), int(last or first) + 1)}


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def accelerators(sys: Path) -> tuple[tuple[str, str], ...]:
    """PCI (vendor, device) ids, four hex digits each, of display and compute devices."""
    found = []
    for device in sorted((sys / "bus/pci/devices").glob("*")):
        try:
            kind, vendor, model = ((device / f).read_text().strip() for f in ("class", "vendor", "device"))
        except OSError:
            continue
        if kind[:6] in _DISPLAY_CLASSES:
            found.append((vendor.removeprefix("0x"), model.removeprefix("0x")))
    return tuple(found)

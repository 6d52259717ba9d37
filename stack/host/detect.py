"""What this machine is: OS, CPU, memory, accelerators on the PCI bus."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from stack.target import HostFacts

_DISPLAY_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")  # VGA, 3D, other display, processing accelerator


def facts(sys: Path = Path("/sys")) -> HostFacts:
    """Everything found; what cannot be told stays empty."""
    import archspec.cpu

    release = _os_release()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    name = "-".join(v for v in (release.get("ID", ""), release.get("VERSION_ID", "")) if v)
    return HostFacts(
        name,
        release.get("PRETTY_NAME", ""),
        str(archspec.cpu.host()),
        len(os.sched_getaffinity(0)),
        round(pages / 2**30, 1),
        accelerators(sys),
    )


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


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

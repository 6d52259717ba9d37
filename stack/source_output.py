"""Ring 4. What Spack says of packages while it installs them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """What Spack says of one package. `phase`: what it does now; empty when it is done, after `seconds`."""

    package: str
    phase: str
    seconds: int

    def __str__(self) -> str:
        return f"{self.package}: {self.phase}" if self.phase else f"{self.package} in {self.seconds} s"


_STEP = re.compile(r"^\[(?P<mark>[ +e])\] [a-z2-7]{7} (?P<package>\S+) (?P<rest>\S+) \((?P<time>[0-9hms]+)\)$")


def step(line: str) -> Step | None:
    """Read a line of Spack's installer; None for a line of another kind and for what the system brings."""
    found = _STEP.match(line.strip())
    if found is None or found["mark"] == "e":
        return None
    units = {"h": 3600, "m": 60, "s": 1}
    seconds = sum(int(n) * units[u] for n, u in re.findall(r"(\d+)([hms])", found["time"]))
    return Step(found["package"], "" if found["mark"] == "+" else found["rest"], seconds)


def times(output: str) -> dict[str, int]:
    """Package -> seconds, of everything that an installation finished. One of several nodes takes the time, the others
    find it done."""
    found: dict[str, int] = {}
    for done in filter(None, map(step, output.splitlines())):
        if not done.phase:
            found[done.package] = max(done.seconds, found.get(done.package, 0))
    return found


_FAILED = re.compile(r"^(?P<package>\S+)/[a-z2-7]{32}: \S+$", re.MULTILINE)
_WHY = {
    "All fetchers failed for spack-stage-": "the mirror does not have its source",
    r"checksum failed for \S*/spack-stage-": "what the mirror has for its source is something else",
}


def failures(output: str) -> dict[str, str]:
    """Package -> what is known of why, of everything that an installation says it could not install."""
    _before, _, listed = output.rpartition("The following packages failed to install:")
    return {package: _why(package, output) for package in _FAILED.findall(listed)}


def _why(package: str, output: str) -> str:
    stage = re.escape(package.replace("@", "-", 1)) + "-"
    return next((meaning for told, meaning in _WHY.items() if re.search(told + stage, output)), "it does not build")

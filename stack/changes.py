"""Ring 3. What changed between two locks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stack.lock import Lock


@dataclass(frozen=True)
class Change:
    """One package or component that differs between two locks; None where a lock does not have it."""

    kind: str
    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"+ {self.name} {self.new} ({self.kind})"
        if self.new is None:
            return f"- {self.name} {self.old} ({self.kind})"
        return f"~ {self.name} {self.old} -> {self.new} ({self.kind})"


def between(old: Lock, new: Lock) -> tuple[Change, ...]:
    """What changed, components first."""
    sides = [_versions(lock) for lock in (old, new)]
    keys = sorted({*sides[0], *sides[1]}, key=lambda k: (k[0] != "component", k))
    changes = (Change(kind, name, sides[0].get((kind, name)), sides[1].get((kind, name))) for kind, name in keys)
    return tuple(c for c in changes if c.old != c.new)


def _versions(lock: Lock) -> dict[tuple[str, str], str]:
    components = {("component", c.name): f"{c.version} from {c.provider}" for c in lock.components}
    packages = _unique(("OS package", p.name, p.version, p.sha256) for p in lock.os.packages)
    wheels = _unique(("wheel", w.project, w.version, w.sha256) for w in (lock.wheels.files if lock.wheels else ()))
    tools = _unique(("build tool", p.name, p.version, p.sha256) for p in (lock.tools.packages if lock.tools else ()))
    nodes = lock.spack.nodes if lock.spack else ()
    built = {("Spack package", f"{n.name}/{n.hash[:7]}"): n.version for n in nodes}
    return {**components, **packages, **tools, **wheels, **built}


def _unique(rows: Iterable[tuple[str, str, str, str]]) -> dict[tuple[str, str], str]:
    """The version, with the hash's first digits: the same version with other bytes is a change too."""
    return {(kind, name): f"{version} [{sha256[:8]}]" for kind, name, version, sha256 in rows}

"""What a build with no network proved: that it can be done, and whether it gave the same bytes again."""

from __future__ import annotations

from stack.artifact import canonical_json
from stack.host import clock, files
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.source_build import Built
from stack.lock import Lock

NOTE = "rebuild.json"


def note(cell: Cell, lock: Lock, earlier: Image | None, made: Image, built: Built | None) -> None:
    """Keep that the image was built with no network, and how that compares with the earlier build of the same lock."""
    record = {
        "lock": lock.digest,
        "image": made.sha256,
        "date": clock.now(),
        "host": cell.facts.os_title,
        "same": _same(lock, earlier, made, built),
    }
    files.write_text(cell.folder / NOTE, canonical_json(record))


def _same(lock: Lock, earlier: Image | None, made: Image, built: Built | None) -> bool | None:
    """Whether the bytes are those of the earlier build; None where there was none, or packages came from a cache."""
    if earlier is None or earlier.lock != made.lock:
        return None
    nodes = {n.name for n in lock.spack.nodes if not n.external} if lock.spack else set()
    compiled = set(built.seconds) if built else set()
    return earlier.sha256 == made.sha256 if _covers(compiled, nodes) else None


def _covers(compiled: set[str], nodes: set[str]) -> bool:
    return nodes <= {word.partition("@")[0].partition("/")[0] for word in compiled}

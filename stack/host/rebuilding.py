"""What a build with no network proved: that it can be done, and whether it gave the same bytes again."""

from __future__ import annotations

from stack.artifact import canonical_json
from stack.host import clock, files
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.run import Sink
from stack.host.software import Options
from stack.host.source_build import Built
from stack.lock import Lock

NOTE = "rebuild.json"


def note(
    cell: Cell, lock: Lock, earlier: Image | None, made: Image, built: Built | None, options: Options, sink: Sink
) -> None:
    """Tell how the image compares with the one that stood there, and keep that it was built with no network."""
    if options.fresh and earlier:
        same = "the same bytes again" if earlier.sha256 == made.sha256 else f"other bytes than before: {earlier.sha256}"
        sink(f"{same}, {made.sha256}")
    if not options.offline:
        return
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
    nodes = {f"{n.name}@{n.version}" for n in lock.spack.nodes if not n.external} if lock.spack else set()
    compiled = set(built.seconds) if built else set()
    return earlier.sha256 == made.sha256 if nodes <= compiled else None

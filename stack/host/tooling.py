"""The tools of a build: seen to be there, or installed as far as this user may, and called by their paths."""

from __future__ import annotations

from stack import build
from stack.errors import host_lacks
from stack.host import apptainer, doctor, emulating, namespace, software
from stack.host.cells import Cell
from stack.host.run import Sink

APPTAINER = "`sovstack up` installs it, without root"


def ready(cell: Cell, sink: Sink, *, offline: bool) -> None:
    """See that a build can run here; raises with all that is missing. Offline, nothing is installed."""
    folder, system = cell.build_dir, cell.plan.target.os
    if offline:
        doctor.require(doctor.examine(folder, system=system))
    else:
        doctor.ensure(sink, folder, system=system)
    if emulating.of(cell) is None:
        namespace.find()  # asked before anything is fetched; of an emulated build that was asked above
    if apptainer.find():
        return
    if offline:
        raise host_lacks("Apptainer is not installed, and --offline fetches nothing", APPTAINER)
    apptainer.install(sink, cell.plan.profile.mirrors)


def tools(cell: Cell, *, offline: bool, dry: bool) -> build.Tools:
    """Where the tools are, and the namespace in which they run: offline, one without a network."""
    emulated = emulating.of(cell)
    found = emulated.building if emulated else _namespace(dry)
    return build.Tools(
        apptainer.tool("mmdebstrap") or "mmdebstrap",
        apptainer.tool("mksquashfs") or "mksquashfs",
        str(apptainer.find() or "apptainer"),
        apptainer.environment(),
        software.without_network(found) if offline else found,
        emulated is not None,
    )


def _namespace(dry: bool) -> tuple[str, ...]:
    return namespace.candidates()[0] if dry else namespace.find()

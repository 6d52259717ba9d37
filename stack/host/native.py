"""Software of a cell without its image: the tree that was built for a prefix, loaded as modules.

Where this machine has the target's operating system and the tree stands at its prefix, programs run as they are.
Elsewhere they run in the target's own root file system, the one that the tree was built in: a folder, and no image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from stack import buildroot, source, verify
from stack.buildroot import Bind, Room
from stack.errors import StackError, bad_input, host_lacks
from stack.host import checks, emulating, files, lmod, locking, namespace
from stack.host.cells import Cell
from stack.host.library import shown
from stack.host.placing import Place
from stack.host.source_build import Built
from stack.lock import Lock

SUITE = f"{buildroot.INSIDE}/suite"
RUN = f"{buildroot.INSIDE}/reframe"
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Tree:
    """What `build` put together: its folder, the prefix that it is for, and what it is."""

    folder: Path
    prefix: str
    built: Built

    @property
    def modules(self) -> Path:
        """The folder for `module use`."""
        return self.folder / "modules/Core"


def standing(cell: Cell) -> tuple[Lock, Tree]:
    """The tree that is there, and its lock; raises where there is none, or it is of another lock."""
    plan = cell.plan
    again = f"`sovstack build {cell.said} --prefix /a/folder` builds it"
    if not plan.built:
        what = f"nothing of {plan.cell} is built from source, so it has no modules"
        raise bad_input(what, remedy="leave --native out")
    place, lock = cell.folder / "source", locking.read(cell)
    record = files.read_record(place / "software.json")
    if lock is None or not isinstance(record, dict) or not (place / f"software/modules/Core/{cell.name}.lua").is_file():
        raise bad_input(f"there is no tree of {plan.cell} in {shown(cell.build_dir)}", remedy=again)
    try:
        source.same(_text(cell.lock_path.with_name(locking.SPACK_LOCK)), _text(place / "spack/unpack/env/spack.lock"))
    except StackError:
        raise bad_input(f"the tree of {plan.cell} is of another lock than the one beside it", remedy=again) from None
    built = Built(place / "software.tar", str(record.get("sha256")), {})
    return lock, Tree(place / "software", _prefix(place, again), built)


def _text(path: Path) -> str:
    return files.read_text(path, MAX_BYTES)


def _prefix(place: Path, again: str) -> str:
    try:
        told = json.loads(_text(place / "spack/unpack/scope/config.yaml"))
        return str(told["config"]["install_tree"]["root"]).removesuffix("/software")
    except (ValueError, KeyError, TypeError):
        raise bad_input(f"{place} does not say what prefix its tree is for", remedy=again) from None


def start(cell: Cell, tree: Tree, place: Place) -> verify.Start:
    """How programs of the tree are started. Raises where modules do not load, or nothing can run it here."""
    if cell.plan.target.family != emulating.here():
        what = f"software for {cell.plan.target.family} is checked natively on such a machine"
        raise host_lacks(what, "leave --native out: an image can be checked under an emulator")
    begin = _as_it_is(cell, tree) if at_home(cell, tree) else _in_its_root(cell, tree)
    if place.cluster is None:
        return begin
    if begin.prefix:
        what = f"the nodes would need {cell.plan.target.os.title}, and the tree at {tree.prefix}"
        raise host_lacks(what, "leave --scheduler out: here it is checked in its own root file system")
    return place.cluster.start(begin, checks.launching(cell))


def at_home(cell: Cell, tree: Tree) -> bool:
    """Whether this machine has the target's operating system, and the tree stands at its prefix."""
    at = Path(tree.prefix, "modules/Core", f"{cell.name}.lua")
    return cell.facts.os == cell.plan.target.os.name and at.is_file()


def _as_it_is(cell: Cell, tree: Tree) -> verify.Start:
    loaded = lmod.load(Path(tree.prefix, "modules/Core"), (cell.name,))
    return verify.Start("native", variables=loaded | checks.passed())


def _in_its_root(cell: Cell, tree: Tree) -> verify.Start:
    root = cell.folder / "source/root"
    if not root.is_dir():
        again = f"`sovstack build {cell.said}` makes it"
        raise bad_input(f"the root file system that {cell.plan.cell} was built in is gone", remedy=again)
    loaded = lmod.load(tree.modules, (cell.name,), {"PATH": buildroot.PATH})
    seen = {str(checks.suite()): SUITE, str(cell.folder / "reframe"): RUN}
    binds = (
        Bind(str(tree.folder), tree.prefix),
        Bind(str(checks.suite()), SUITE),
        Bind(str(cell.folder / "reframe"), RUN, writable=True),
        Bind(str(cell.folder / "source/spack"), buildroot.WORK, writable=True),
    )
    room = Room(namespace.find(), str(root), binds, cell.catalogue.defaults.source_date_epoch, shares=True)
    prefix = room.command((), "run a check").argv
    return verify.Start("native", variables=loaded | checks.passed(), prefix=prefix, seen=seen)

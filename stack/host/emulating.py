"""Running programs of another CPU family here: by what the machine registered itself, or in a namespace of our own."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stack import emulation
from stack.artifact import Command
from stack.errors import StackError, host_lacks
from stack.hardware import Emulator, Hardware
from stack.host import namespace
from stack.host.needs import needs
from stack.host.run import run, which

if TYPE_CHECKING:
    from stack.host.cells import Cell

_USER = ("unshare", "--user", "--map-root-user", "--mount")
_UNUSABLE = frozenset(":,\\\n")  # in a path that the kernel, or Apptainer, splits
_SHOWN = "/sovstack"  # where an image shows what the suite brings
_INTERPRETER = 3  # of an ELF program header: it names a dynamic linker


@dataclass(frozen=True)
class Emulation:
    """How a family's programs run here. `line`: what a namespace of our own registers, empty where the machine has it.

    `building`: a prefix in which a build is root over a range of ids, and such programs run; `checking`: one for the
    checks, in which processes have the numbers that they have outside.
    """

    emulator: Emulator
    version: str
    line: str
    building: tuple[str, ...]
    checking: tuple[str, ...]

    @property
    def text(self) -> str:
        """The emulator in words."""
        return emulation.described(self.emulator, self.version)


@dataclass(frozen=True)
class Judge:
    """What looks for instructions that a target does not have: an emulator that does not have them either.

    `cpu` is empty where the emulator has no such CPU, `program` is None where there is none.
    """

    cpu: str
    program: Path | None

    @property
    def manifest(self) -> dict[str, str]:
        """For the suite: the CPU, and the emulator's file name."""
        return {"cpu": self.cpu, "program": self.program.name if self.program else ""}

    @property
    def binds(self) -> tuple[str, ...]:
        """What of the host an image has to show: the static emulator, which runs in any root."""
        return (f"{self.program}:{_SHOWN}/{self.program.name}:ro",) if self.program else ()

    def able(self, *, emulated: bool) -> bool:
        """Whether it can look: where everything is emulated, so is this, as another CPU."""
        return bool(self.cpu and (self.program or emulated))


def judge(cell: Cell) -> Judge:
    """The emulator that has no more instructions than a host of the cell's image must have."""
    plan = cell.plan
    return judge_of(cell.catalogue.hardware, plan.target.family, plan.baseline, built=plan.built)


def judge_of(hardware: Hardware, family: str, baseline: str, *, built: bool) -> Judge:
    """The same of a CPU; of what is `built` from source no lesser one will do."""
    found = hardware.families[family].emulator if family in hardware.families else None
    return Judge(emulation.baseline(baseline, found, built=built), static(found)) if found else Judge("", None)


def here() -> str:
    """The CPU family of this machine."""
    import archspec.cpu

    return str(archspec.cpu.host().family)


def of(cell: Cell) -> Emulation | None:
    """How the cell's programs run here where they are of another family; None where they are of this machine's."""
    return needed(cell.plan.target.family, cell.catalogue.hardware)


def needed(family: str, hardware: Hardware) -> Emulation | None:
    """The same of a family. Raises `StackError` (exit code 3) where its programs cannot run here."""
    if family == here():
        return None
    found = hardware.families[family].emulator if family in hardware.families else None
    if found is None:
        raise host_lacks(f"programs of {family} cannot be run on {here()}", f"use a machine of {family}")
    return find(family, found)


@cache
def _tried(family: str, data: str) -> Emulation:
    return _find(family, Emulator.model_validate_json(data))


def find(family: str, emulator: Emulator) -> Emulation:
    """Look, and try, once in a process. Raises `StackError` (exit code 3) with what is missing."""
    return _tried(family, emulator.model_dump_json())


def _find(family: str, emulator: Emulator) -> Emulation:
    entry = registered(emulator)
    if entry:
        interpreter = re.search(r"^interpreter (.+)$", entry, re.MULTILINE)
        said = version(Path(interpreter[1])) if interpreter else ""
        building = emulation.with_variables(namespace.find(), emulator)
        return Emulation(emulator, said, "", building, emulation.for_images((), emulator, own=False))
    own = static(emulator)
    if own is None:
        what = f"programs of {family} cannot be run on {here()}: there is no static {emulator.program} on PATH"
        raise host_lacks(what, f"as root: apt-get install --no-install-recommends {needs().emulation.package}")
    line = emulation.register_line(emulator, str(own))
    user = _namespace(family, emulator, line)
    building = emulation.with_variables(emulation.registered(user, line), emulator)
    # A user's own id alone is mapped: nothing that the checks write is then anybody else's.
    checks = _USER if user == namespace.USER else emulation.keep_ids("--mount")
    checking = emulation.for_images(emulation.registered(checks, line), emulator, own=True)
    return Emulation(emulator, version(own), line, building, checking)


def _namespace(family: str, emulator: Emulator, line: str) -> tuple[str, ...]:
    """The first namespace of our own in which QEMU can be registered; raises with why there is none."""
    kept = (emulation.keep_ids(*namespace.OWN),) if os.geteuid() == 0 else ()
    try:
        user = namespace.find((*kept, namespace.USER))
        prefix = emulation.registered(user, line)
        shown = run(Command((*prefix, "cat", f"{emulation.BINFMT}/{emulator.program}"), "register QEMU"), check=False)
        if shown.returncode == 0 and emulation.handles(shown.stdout, emulator):
            return user
        why = " ".join(shown.tail.split())
    except StackError as error:
        why = str(error)
    release = os.uname().release
    old = "" if emulation.new_enough(release) else f"; Linux {release} has it for the whole machine alone, from 6.7 on"
    data = needs().emulation
    remedy = f"as root, for the whole machine: apt-get install --no-install-recommends {data.package} {data.registers}"
    raise host_lacks(f"{emulator.program} cannot be registered for programs of {family}: {why}{old}", remedy)


def registered(emulator: Emulator, folder: Path = Path(emulation.BINFMT)) -> str:
    """The entry with which the machine itself runs the family's programs, in any root; empty where there is none."""
    try:
        if (folder / "status").read_text().strip() != "enabled":
            return ""
        entries = sorted(p for p in folder.iterdir() if p.name not in ("register", "status"))
        texts = [p.read_text() for p in entries]
    except OSError:
        return ""
    return next((text for text in texts if emulation.handles(text, emulator)), "")


def static(emulator: Emulator) -> Path | None:
    """The emulator as a static program, which runs in any root; None where there is none on PATH."""
    found = (which(name) for name in (f"{emulator.program}-static", emulator.program))
    paths = (Path(p).resolve() for p in found if p)
    return next((p for p in paths if not set(str(p)) & _UNUSABLE and _is_static(p)), None)


def _is_static(path: Path) -> bool:
    """Whether a 64-bit ELF program asks for no dynamic linker."""
    try:
        with path.open("rb") as handle:
            head = handle.read(64)
            if head[:5] != b"\x7fELF\x02" or len(head) < 64:
                return False
            order = "<" if head[5] == 1 else ">"
            (start,) = struct.unpack_from(f"{order}Q", head, 32)
            size, count = struct.unpack_from(f"{order}HH", head, 54)
            handle.seek(start)
            table = handle.read(size * count)
        kinds = [struct.unpack_from(f"{order}I", table, i * size)[0] for i in range(count)]
    except (OSError, struct.error):
        return False
    return len(table) == size * count > 0 and _INTERPRETER not in kinds


def version(path: Path) -> str:
    """What the emulator says of itself, `7.2.22` for example; empty where it says nothing."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"\bversion (\d[\w.+~-]*)", done.stdout)
    return match[1] if match else ""

"""A native solve: plain `spack concretize` inside the target's own root file system, made of a lock's packages.

Nothing is told to that Spack: it reads the OS, runs the compiler and the dynamic linker, and names what it found. A
foreign architecture runs under qemu's user emulation, known to a user namespace of our own alone.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

from stack import build
from stack.artifact import Command
from stack.host import apptainer, files, image, namespace, pip, resolving, spack
from stack.host.cells import Cell, open_cell
from stack.host.library import Library, shipped
from stack.host.run import run
from stack.host.spack import Spack
from stack.lock import Lock
from tests.command import SITE

_ELF = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00{machine}\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_MACHINES = {"aarch64": r"\xb7", "riscv64": r"\xf3"}
# Pointer authentication in full takes two thirds of the time of an emulated Arm.
_CPUS = {"aarch64": "max,pauth-impdef=on"}
_IDS = "0 0 65536\n"
_NEWUSER = 0x10000000  # CLONE_NEWUSER; Python has `os.unshare` from 3.12 on

_SOLVE = """\
set -eu
root=$1
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind "$2" "$root/mnt"
mount --bind "$3" "$root/opt"
mount -o remount,bind,ro "$root/opt"
shift 3
exec chroot "$root" "$@"
"""


def open_(profile: str, environment: str, build_dir: Path) -> Cell:
    """A cell of the project's own documents and those of the tests."""
    return open_cell(Library((SITE, shipped())), profile, environment, None, build_dir)


def emulator(family: str) -> str | None:
    """Path of qemu for a family of processors that this machine is not; None where it is missing."""
    return apptainer.tool(f"qemu-{family}-static")


def foreign(family: str) -> bool:
    """Whether the family's programs need an emulator here."""
    return family != os.uname().machine


def prefix(family: str) -> tuple[str, ...]:
    """A namespace in which we are root and the family's programs run."""
    if not foreign(family):
        return namespace.find()
    magic = _ELF.format(machine=_MACHINES[family])
    rule = f":{family}:M::{magic}:{_MASK}:{emulator(family)}:OF"  # F: found also where the file system is another
    place = "/proc/sys/fs/binfmt_misc"
    words = f"mount -t binfmt_misc binfmt_misc {place} && printf %s {shlex.quote(rule)} > {place}/register"
    own = (sys.executable, __file__) if os.geteuid() == 0 else namespace.USER
    return (*own, *(namespace.ROOT if os.geteuid() == 0 else ()), "sh", "-ec", f'{words} && exec "$@"', "sh")


def make_root(cell: Cell, lock: Lock, folder: Path) -> Path:
    """The target's root file system below `folder`, with every package that the lock names, build tools included."""
    assert lock.tools and cell.plan.container
    packages = {(p.name, p.architecture): p for p in (*lock.os.packages, *lock.tools.packages)}
    whole = lock.model_copy(update={"os": lock.os.model_copy(update={"packages": tuple(packages.values())})})
    for name in ("repo", "tmp"):
        (folder / name).mkdir(parents=True)
    for sha256, path in resolving.fetch(cell, whole.os, print).items():
        (folder / "repo" / f"{sha256}.deb").symlink_to(path)
    files.write_text(folder / "repo/Packages", build.packages_index(whole.os.packages))
    epoch = cell.catalogue.defaults.source_date_epoch
    image.write_tar(folder / "overlay.tar", build.base_files(cell.plan.container), epoch)
    found = apptainer.tool("mmdebstrap") or "mmdebstrap"
    tools = build.Tools(found, "", "", {}, prefix(cell.plan.target.family))
    made = build.rootfs(whole, cell.plan.container, tools, epoch, str(folder), str(folder / "root"))
    more = ("--format=directory", "--skip=check/qemu", "--skip=output/dev")
    argv = [w for word in made.argv for w in (more if word == "--format=tar" else (word,))]
    env = {**made.env, **_emulated(cell.plan.target.family)}
    run(dataclasses.replace(made, argv=tuple(argv), env=env), log=folder / "log")
    return folder / "root"


def make_solver(cell: Cell, into: Path) -> None:
    """The solver for the target's own Python, below `into`."""
    system, solver = cell.plan.target.os, cell.catalogue.upstream.solver
    tags = [word for tag in pip.platforms(system, cell.plan.target.family) for word in ("--platform", tag)]
    argv = (sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--no-deps")
    where = ("--target", str(into), "--implementation", "cp", "--python-version", str(system.python))
    # Its requirements by name: pip would judge their markers by the Python that runs it.
    wanted = (f"{solver.project}=={solver.version}", "cffi", "pycparser")
    run(Command((*argv, *where, *tags, *wanted), "fetch the target's solver"))


def concretize(cell: Cell, lock: Lock, installed: Spack, root: Path, work: Path) -> dict[str, str]:
    """The hash of every node, as a plain Spack inside `root` finds them. `work`: a folder of ours, the solver in it."""
    family = cell.plan.target.family
    _settings(cell, lock, installed, work)
    inside = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": "/mnt/solver",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SPACK_PYTHON": "/usr/bin/python3",
        "SPACK_DISABLE_LOCAL_CONFIG": "1",
        "SPACK_USER_CACHE_PATH": "/mnt/cache",
        "SPACK_USER_CONFIG_PATH": "/mnt/config",
        **_emulated(family),
    }
    variables = ("env", "-i", *(f"{k}={v}" for k, v in inside.items()))
    call = ("/opt/spack/bin/spack", "--color", "never", "-C", "/mnt/scope", "-e", "/mnt/env", "concretize")
    shell = ("sh", "-c", _SOLVE, "sh", str(root), str(work), str(installed.home))
    run(Command((*prefix(family), *shell, *variables, *call), "solve natively"), log=work / "log")
    return hashes((work / "env/spack.lock").read_text(encoding="utf-8"))


def _settings(cell: Cell, lock: Lock, installed: Spack, work: Path) -> None:
    """What a user there would have: the package repositories, ours among them, and the environment."""
    # Spack takes a repository only from below a folder of that name.
    ours = {p: work / "overlays/spack_repo" / p.name for p in installed.overlays}
    for source, copy in ours.items():
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    inside = dataclasses.replace(installed, home=Path("/opt"), overlays=tuple(ours.values()))
    for made in spack.scope(inside, work).iterdir():
        made.write_text(made.read_text().replace(str(work), "/mnt"))
    files.write_text(work / "env/spack.yaml", resolving.question(cell, lock).environment)


def _emulated(family: str) -> dict[str, str]:
    return {"QEMU_CPU": _CPUS[family]} if foreign(family) and family in _CPUS else {}


def remove(folder: Path, family: str) -> None:
    """Remove a root file system's folder; its files may belong to ids that are ours in the namespace alone."""
    run(Command((*prefix(family), "rm", "-rf", "--", str(folder)), "remove a root file system"))


def hashes(text: str) -> dict[str, str]:
    """Name and version -> DAG hash of every node of a `spack.lock`."""
    nodes = json.loads(text)["concrete_specs"].values()
    return {f"{n['name']}@{n['version']}": n["hash"] for n in nodes}


def _with_ids(argv: list[str]) -> int:
    """Run a command in a user namespace that has every id as it is, which root may make without a line in subuid."""
    asked, told = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        if ctypes.CDLL(None).unshare(_NEWUSER):
            os._exit(1)
        os.write(asked[1], b".")
        os.read(told[0], 1)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # end with us, and the namespaces below with it
        os.execvp(argv[0], argv)
    os.close(asked[1])
    if not os.read(asked[0], 1):
        sys.exit("a user namespace cannot be made here")
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{name}").write_text(_IDS)
    os.write(told[1], b".")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(_with_ids(sys.argv[1:]))

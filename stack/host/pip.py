"""Wheels for the image's interpreter: resolved and fetched by pip, with the settings that the user's pip has."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from stack.artifact import Command
from stack.catalogue import Os
from stack.errors import host_lacks
from stack.host import files
from stack.host.run import Sink, run
from stack.lock import WheelFile, WheelLock

OLDEST_GLIBC = 17  # manylinux2014, the oldest platform that indexes still carry
INTERPRETER = "/usr/bin/python3"  # of the image, for the scripts that wheels bring
PREFIX = "usr/local"


def platforms(system: Os, family: str) -> tuple[str, ...]:
    """Platform tags that the image's glibc can run, newest first (PEP 600)."""
    minor = int(system.glibc.split(".")[1])
    tags = [f"manylinux_2_{n}_{family}" for n in range(minor, OLDEST_GLIBC - 1, -1)]
    return (*tags, f"manylinux2014_{family}")


def _pip(verb: str, python: str, tags: Sequence[str], cache: Path) -> tuple[str, ...]:
    words = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, "--progress-bar", "off"]
    words += [word for tag in tags for word in ("--platform", tag)]
    return (sys.executable, "-m", "pip", verb, "--cache-dir", str(cache / "pip"), *words)


def resolve_command(projects: Sequence[str], system: Os, family: str, cache: Path, report: Path) -> Command:
    """Ask pip for the whole closure without installing anything."""
    base = _pip("install", system.python or "", platforms(system, family), cache)
    argv = (*base, "--dry-run", "--ignore-installed", "--target", "unused", "--report", str(report), *projects)
    return Command(argv, "resolve the wheels")


def resolve(projects: Sequence[str], system: Os, family: str, cache: Path, folder: Path, sink: Sink) -> str:
    """pip's installation report (JSON text)."""
    report = folder / "pip-report.json"
    try:
        run(resolve_command(projects, system, family, cache, report), sink)
        return report.read_text(encoding="utf-8")
    finally:
        report.unlink(missing_ok=True)


def unpack(lock: WheelLock, cache: Path, into: Path, site: str, sink: Sink, *, offline: bool = False) -> None:
    """Install the locked wheels as the image's interpreter would see them, below `into`; fetched where not cached."""
    missing = tuple(f for f in lock.files if not _cached(cache, f))
    if missing and offline:
        what = f"not in the cache, and --offline fetches nothing: {_names(missing)}"
        raise host_lacks(what, "build once with a network, or copy the cache")
    if missing:
        _fetch(lock, missing, cache, into.with_name("wheelhouse"), sink)
    for wheel in sorted(lock.files, key=lambda f: f.filename):
        sink(f"installing {wheel.filename}")
        _install(place(cache, wheel), into, site)


def _names(wheels: Sequence[WheelFile]) -> str:
    return ", ".join(f"{w.project} {w.version}" for w in wheels)


def place(cache: Path, wheel: WheelFile) -> Path:
    """Where the cache keeps a wheel; its name says what it is, so it is kept."""
    return cache / "wheels" / wheel.sha256 / wheel.filename


def _cached(cache: Path, wheel: WheelFile) -> bool:
    path = place(cache, wheel)
    return path.is_file() and files.sha256(path) == wheel.sha256


def _fetch(lock: WheelLock, missing: Sequence[WheelFile], cache: Path, folder: Path, sink: Sink) -> None:
    """Have pip fetch wheels by hash into `folder`, then move them into the cache."""
    requirements = folder.with_name("requirements.txt")
    lines = [f"{f.project}=={f.version} --hash=sha256:{f.sha256}" for f in missing]
    files.write_text(requirements, "\n".join(lines) + "\n")
    base = _pip("download", lock.python, lock.platforms, cache)
    argv = (*base, "--no-deps", "--require-hashes", "--dest", str(folder), "-r", str(requirements))
    result = run(Command(argv, "fetch the locked wheels"), sink, check=False)
    if result.returncode:
        last = result.tail.strip().splitlines()[-1:] or [""]
        what = f"the locked wheels could not be had ({_names(missing)}): {last[0]}"
        raise host_lacks(what, "lock again: sovstack lock --upgrade")
    for wheel in missing:
        with files.beside(place(cache, wheel)) as partial:
            shutil.move(folder / wheel.filename, partial)


def _install(wheel: Path, into: Path, site: str) -> None:
    """Unpack one wheel; scripts start the image's interpreter, and nothing of this machine gets in."""
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile as Archive

    scheme = {
        "purelib": site,
        "platlib": site,
        "headers": f"/{PREFIX}/include/{wheel.name.partition('-')[0]}",
        "scripts": f"/{PREFIX}/bin",
        "data": f"/{PREFIX}",
    }
    destination = SchemeDictionaryDestination(scheme, INTERPRETER, "posix", destdir=str(into))
    with Archive.open(wheel) as source:
        install(source=source, destination=destination, additional_metadata={"INSTALLER": b"sovstack\n"})

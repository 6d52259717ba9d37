"""Wheels for the image's interpreter: resolved and fetched by pip, with the settings that the user's pip has."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from stack.artifact import Command
from stack.catalogue import Os
from stack.errors import host_lacks
from stack.host import files
from stack.host.run import Sink, run
from stack.lock import WheelLock

OLDEST_GLIBC = 17  # manylinux2014, the oldest platform that indexes still carry


def platforms(system: Os, family: str) -> tuple[str, ...]:
    """Platform tags that the image's glibc can run, newest first (PEP 600)."""
    minor = int(system.glibc.split(".")[1])
    tags = [f"manylinux_2_{n}_{family}" for n in range(minor, OLDEST_GLIBC - 1, -1)]
    return (*tags, f"manylinux2014_{family}")


def _choice(python: str, tags: Sequence[str]) -> list[str]:
    words = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    return words + [word for tag in tags for word in ("--platform", tag)]


def resolve_command(projects: Sequence[str], system: Os, family: str, report: Path) -> Command:
    """Ask pip for the whole closure without installing anything."""
    base = (sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--target", "unused")
    argv = (*base, "--report", str(report), *_choice(system.python, platforms(system, family)), *projects)
    return Command(argv, "resolve the wheels")


def resolve(projects: Sequence[str], system: Os, family: str, folder: Path, sink: Sink) -> str:
    """pip's installation report (JSON text)."""
    report = folder / "pip-report.json"
    run(resolve_command(projects, system, family, report), sink)
    return report.read_text()


def unpack(lock: WheelLock, cache: Path, into: Path, site: str, sink: Sink) -> None:
    """Fetch the locked wheels by hash and install them below `into`/`site`, with no bytecode and no scripts' paths."""
    requirements = into.with_name("requirements.txt")
    lines = [f"{f.project}=={f.version} --hash=sha256:{f.sha256}" for f in lock.files]
    files.write_text(requirements, "\n".join(lines) + "\n")
    argv = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--ignore-installed",
            "--require-hashes", "--cache-dir", str(cache / "pip"), "--target", str(into / site.lstrip("/")),
            *_choice(lock.python, lock.platforms), "-r", str(requirements))  # fmt: skip
    result = run(Command(argv, "install the locked wheels"), sink, check=False)
    if result.returncode:
        names = ", ".join(f"{f.project} {f.version}" for f in lock.files)
        last = result.tail.strip().splitlines()[-1:] or [""]
        raise host_lacks(f"the locked wheels could not be had ({names}): {last[0]}", "lock again, without --locked")

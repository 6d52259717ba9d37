"""`sovstack lock` beside plain sequential `spack concretize` of the same environments, in one run.

    python benchmarks/lock.py FOLDER [ENVIRONMENT]

Eight x86-64 cells of ENVIRONMENT (`hpc-mpi`), so that plain Spack can solve them on an x86-64 machine with a GCC at
/usr/bin: one cell by each (the best of three, in turn), eight cells by each, and eight unchanged cells. Plain Spack is
the same installation with its indexes made, isolated from the user's settings, its cache of solves off. Package
indexes are read by `sovstack` alone. Needs Spack (`sovstack bootstrap`) and nothing else running.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from stack.host import cells, locking, resolving, spack
from stack.host.library import Library, roots
from stack.host.run import run

TARGETS = ("x86_64_v2", "x86_64_v3", "haswell", "skylake", "zen", "zen2", "sandybridge", "ivybridge")


def main() -> None:
    """Print seconds and ratios."""
    folder = Path(sys.argv[1]).resolve()
    environment = sys.argv[2] if len(sys.argv) > 2 else "hpc-mpi"
    root = profile(folder)
    sovstack(root, folder / "warm", environment, "eight", partition=TARGETS[0])  # fetch package indexes and Spack's
    pairs = [one(root, folder, environment) for _ in range(3)]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    print(f"{'one cell':24} plain {theirs:6.1f} s  sovstack {ours:6.1f} s  ratio {ours / theirs:.2f}", flush=True)
    ours = sovstack(root, folder / "all", environment, "eight")
    theirs = plain(root, folder, environment, TARGETS)
    print(
        f"{'eight cells':24} plain {theirs:6.1f} s  sovstack {ours:6.1f} s  {theirs / ours:.2f} times faster",
        flush=True,
    )
    again = min(sovstack(root, folder / "all", environment, "eight") for _ in range(5))
    print(f"{'eight unchanged cells':24} sovstack {again:.2f} s")


def one(root: Path, folder: Path, environment: str) -> tuple[float, float]:
    """Seconds of one cell: `sovstack lock` from nothing, then plain Spack."""
    shutil.rmtree(folder / "one", ignore_errors=True)
    ours = sovstack(root, folder / "one", environment, "eight", partition=TARGETS[0])
    return ours, plain(root, folder, environment, TARGETS[:1])


def profile(folder: Path) -> Path:
    """A site with eight partitions."""
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    (root / "profiles").mkdir(parents=True)
    parts = "".join(f"  {name.replace('_', '-')}: {{cpu: {{microarchitecture: {name}}}}}\n" for name in TARGETS)
    head = "schema: 1\nname: eight\ndescription: eight CPUs\nproviders: [site, source, os, wheel]\n"
    wishes = "components: {gcc: {provider: os}, python: {provider: os}}\n"
    (root / "profiles/eight.yaml").write_text(f"{head}{wishes}partitions:\n{parts}")
    return root


def sovstack(root: Path, build: Path, environment: str, name: str, partition: str = "") -> float:
    """Seconds of a `sovstack lock`."""
    words = ["lock", name, environment, "--root", str(root), "--build-dir", str(build), "--quiet"]
    words += ["--partition", partition.replace("_", "-")] if partition else ["--all"]
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "stack", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def plain(root: Path, folder: Path, environment: str, targets: tuple[str, ...]) -> float:
    """Seconds of plain `spack -e ... concretize`, one after another, on the environments that sovstack asked for."""
    library = Library(roots(root))
    work = folder / "plain"
    total = 0.0
    for target in targets:
        build = folder / ("one" if len(targets) == 1 else "all")
        cell = cells.open_cell(library, "eight", environment, target.replace("_", "-"), build)
        lock = locking.strict(cell)
        shutil.rmtree(work, ignore_errors=True)
        installed = spack.find(library.catalogue.upstream, library.roots)
        if installed is None:
            raise SystemExit("Spack is not installed: sovstack bootstrap")
        shutil.copytree(spack.ready(installed, print), work / "misc")
        off = {"concretization_cache": {"enable": False}}
        settings = spack.scope(installed, work, concretizer=off)
        env = work / "env"
        env.mkdir()
        (env / "spack.yaml").write_text(resolving.question(cell, lock).environment)
        begun = time.perf_counter()
        run(installed.command(("concretize",), "solve", work, scope=settings, env=env))
        total += time.perf_counter() - begun
    return total


if __name__ == "__main__":
    main()

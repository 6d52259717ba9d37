"""Time and memory of the command line itself, beside a bare interpreter measured in the same run.

    python benchmarks/startup.py [repeats]

Prints a table: the smallest and the median wall time of each call in milliseconds, its ratio to a bare interpreter's,
and the largest resident set of the process and its children in MiB.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

CALLS = {
    "python -c pass": ["-c", "pass"],
    "sovstack --version": ["-m", "stack", "--version"],
    "sovstack --help": ["-m", "stack", "--help"],
    "sovstack check": ["-m", "stack", "check"],
    "sovstack plan laptop": ["-m", "stack", "plan", "laptop"],
    "sovstack render laptop": ["-m", "stack", "render", "laptop", "--dry-run"],
}


def measure(words: list[str]) -> tuple[float, float]:
    """(seconds, MiB) of one run."""
    begun = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{words} ended with {child.returncode}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def main() -> None:
    """Interleave the calls, so that noise hits all of them alike."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in CALLS}
    for _ in range(repeats):
        for name, words in CALLS.items():
            rows[name].append(measure(words))
    base = min(t for t, _ in rows["python -c pass"])
    print(f"{'call':24} {'least ms':>9} {'median ms':>10} {'ratio':>6} {'MiB':>6}")
    for name, found in rows.items():
        times = [t for t, _ in found]
        least, middle, memory = min(times), statistics.median(times), max(m for _, m in found)
        print(f"{name:24} {least * 1e3:9.0f} {middle * 1e3:10.0f} {least / base:6.1f} {memory:6.0f}")


if __name__ == "__main__":
    main()

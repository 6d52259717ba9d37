"""Time and memory of `up` itself: cold, then again with nothing changed, then with the checks run anew.

    python benchmarks/up.py FOLDER [PROFILE ENVIRONMENT [OPTION ...]]

FOLDER must not exist. Packages come from the user's cache where it has them, so fetch them once before comparing.
The memory is the program's own largest resident set; what it starts (mmdebstrap, ReFrame, Apptainer) is not in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, resource, sys, time
from stack.cli import run
begun = time.monotonic()
code = run(json.loads(sys.argv[1]))
seconds, memory = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"code": code, "seconds": seconds, "mib": memory}), file=sys.stderr)
"""


def measure(words: list[str]) -> dict[str, float]:
    """One run in a process of its own."""
    argv = [sys.executable, "-c", SCRIPT, json.dumps(words)]
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    made: dict[str, float] = json.loads(done.stderr.splitlines()[-1])
    if made["code"]:
        raise SystemExit(f"{words} ended with {made['code']}:\n{done.stderr}")
    return made


def main() -> None:
    """Print one row for each kind of run, and the stages of the cold one."""
    if len(sys.argv) < 2 or Path(sys.argv[1]).exists():
        raise SystemExit(__doc__)
    words = ["up", *(sys.argv[2:] or ["laptop"]), "--build-dir", sys.argv[1], "--quiet"]
    print(f"{'run':12} {'seconds':>8} {'MiB':>6}")
    for name, more in (("cold", []), ("again", []), ("--fresh", ["--fresh"])):
        made = measure([*words, *more])
        print(f"{name:12} {made['seconds']:8.1f} {made['mib']:6.0f}")
        if name == "cold":
            for stage in json.loads((Path(sys.argv[1]) / "report.json").read_text())["stages"]:
                print(f"  {stage['name']:18} {stage['seconds']:6.1f}")


if __name__ == "__main__":
    main()

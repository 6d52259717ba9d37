"""Ask each component of the manifest for its version."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from report import Report, manifest

PATIENCE = 300 * int(os.environ.get("SOVSTACK_PATIENCE", "1"))  # seconds; a large library takes long to load


def states(text, version):
    """Whether the text holds the version as a whole word: 2.6.0+debian has 2.6.0; 2.6.01, 12.6.0, 2.6.0rc1 have not."""
    return bool(re.search(rf"(?<![0-9A-Za-z.])v?{re.escape(version)}(?![0-9A-Za-z~])(?![.-][A-Za-z])(?!\.[0-9])", text))


def ask(component):
    """What is wrong with one component; empty when nothing is."""
    argv, wanted = component["command"], f"{component['name']}: expected version {component['version']}"
    try:
        ran = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except OSError as error:
        return f"{component['name']}: {argv[0]} cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{component['name']}: no answer within {PATIENCE} s"
    said = " ".join((ran.stdout + (ran.stderr if ran.returncode else "")).split())
    if ran.returncode:
        return f"{wanted}, it does not load (status {ran.returncode}): {said[-400:]}"
    return "" if states(ran.stdout, component["version"]) else f"{wanted}, it says {said[:400]!r}"


def main():
    """All components, two at a time."""
    report, components = Report(), manifest()["components"]
    with ThreadPoolExecutor(2) as pool:
        wrong = [text for text in pool.map(ask, components) if text]
    report.metric("wrong_versions", len(wrong), "; ".join(wrong))
    report.metric("components", len(components))
    report.done()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Running the command as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "tests/site"


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user, with the checkout importable and no site of their own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SOVSTACK_")}
    return {**env, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **extra}


def argv(*words: str | Path) -> list[str]:
    """The command line, run by this very interpreter."""
    return [sys.executable, "-m", "stack", *map(str, words)]


def sovstack(*words: str | Path, cwd: Path | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run to the end; the output is text, and the exit code is the caller's to judge."""
    env = environment(**extra)
    return subprocess.run(
        argv(*words), cwd=cwd or ROOT, env=env, capture_output=True, text=True, timeout=1500, check=False
    )

"""Which tools of the host had a hand in an image, as they say themselves."""

from __future__ import annotations

import re

from stack.artifact import Command
from stack.build import Tools
from stack.host.emulating import Emulation
from stack.host.run import run

_NUMBER = re.compile(r"\d+(\.\d+)+")


def tools(found: Tools, emulated: Emulation | None = None) -> dict[str, str]:
    """Name -> version; `unknown` for a program that does not say."""
    asked = {
        "mmdebstrap": (found.mmdebstrap, "--version"),
        "mksquashfs": (found.mksquashfs, "-version"),
        "apptainer": (found.apptainer, "--version"),
    }
    said = {name: _version(argv) for name, argv in asked.items()}
    return {**said, emulated.emulator.program: emulated.version or "unknown"} if emulated else said


def _version(argv: tuple[str, ...]) -> str:
    match = _NUMBER.search(run(Command(argv, "ask for its version"), check=False).stdout)
    return match[0] if match else "unknown"

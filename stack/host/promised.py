"""What an image of ours expects of a host, read from the image itself: whoever pulled it has nothing else of us."""

from __future__ import annotations

import archspec.cpu

from stack import contract
from stack.artifact import Command
from stack.contract import Contract
from stack.hardware import Hardware
from stack.host import apptainer, emulating
from stack.host.emulating import Emulation, Judge
from stack.host.run import run
from stack.lock import Lock
from stack.render.apptainer import EVIDENCE
from stack.verify import Start

_MOST, _PATIENCE = 1 << 20, 120  # bytes of a contract; seconds
# The image is somebody else's word: how much it says is limited here, and its complaints are no part of the answer.
_BOUNDED = f'"$@" 2> /dev/null | head -c {_MOST}'
NONE = "no contract can be read from the image: InstructionSet is left out, and no library counts as a host's"


def expected(begin: Start, emulated: Emulation | None, own: Lock, family: str) -> Contract | None:
    """The contract in the image that `begin` starts programs in; None where it has none for this cell and family."""
    argv = (*(emulated.checking if emulated else ()), begin.apptainer, "-q", "exec", "--containall", begin.image, "cat",
            f"/{EVIDENCE}/{contract.FILE}")  # fmt: skip
    asked = (*apptainer.alone(), "sh", "-c", _BOUNDED, "sh", "timeout", "--kill-after=5", str(_PATIENCE), *argv)
    told = run(Command(asked, "read the image's contract", env=apptainer.environment()), check=False)
    try:
        found = Contract.model_validate_json(told.stdout)
    except ValueError:
        return None
    known = archspec.cpu.TARGETS.get(found.cpu.baseline)
    mine = found.cell == own.cell and found.cpu.family == family
    return found if mine and known and str(known.family) == family else None


def judge(expects: Contract | None, own: Lock | None, hardware: Hardware) -> Judge:
    """The emulator that has no more instructions than a contract promises; nobody without a contract."""
    if expects is None or own is None:
        return Judge("", None)
    built = any(c.provider == "source" for c in own.components)
    return emulating.judge_of(hardware, expects.cpu.family, expects.cpu.baseline, built=built)

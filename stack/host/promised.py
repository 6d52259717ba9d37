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

_MOST = 1 << 20  # bytes of a contract
NONE = "the image has no contract that can be read: InstructionSet is left out, and no library counts as a host's"


def expected(begin: Start, emulated: Emulation | None, family: str) -> Contract | None:
    """The contract in the image that `begin` starts programs in; None where it has none for this family."""
    argv = (begin.apptainer, "-q", "exec", "--containall", begin.image, "head", "-c", str(_MOST),
            f"/{EVIDENCE}/{contract.FILE}")  # fmt: skip
    prefix = emulated.checking if emulated else ()
    told = run(Command((*prefix, *argv), "read the image's contract", env=apptainer.environment()), check=False)
    try:
        found = Contract.model_validate_json(told.stdout)
    except ValueError:
        return None
    known = archspec.cpu.TARGETS.get(found.cpu.baseline)
    return found if told.returncode == 0 and known and str(known.family) == found.cpu.family == family else None


def judge(expects: Contract | None, own: Lock | None, hardware: Hardware) -> Judge:
    """The emulator that has no more instructions than a contract promises; nobody without a contract."""
    if expects is None or own is None:
        return Judge("", None)
    built = any(c.provider == "source" for c in own.components)
    return emulating.judge_of(hardware, expects.cpu.family, expects.cpu.baseline, built=built)

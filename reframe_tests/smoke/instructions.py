"""No program or library uses an instruction that the target does not have."""

import sys
from pathlib import Path

import reframe as rfm
from reframe.core.builtins import run_after

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import INSIDE, SuiteCheck, manifest, systems


@rfm.simple_test
class InstructionSet(SuiteCheck):
    """Under an emulator with the target's baseline: what dispatches when it starts takes its baseline's path."""

    descr = "Programs and libraries under an emulator of the target's baseline: no illegal instruction"
    valid_systems = systems("InstructionSet")
    tags = {"ci", "smoke"}
    time_limit = "20m"
    judged = True

    @run_after("setup")
    def tell(self):
        """Where everything is emulated, so is this, as another CPU; else the image has the emulator bound in."""
        said = manifest()
        emulation, features = said["emulation"], self.current_partition.features
        emulator = "" if "emulated" in features else f"{INSIDE}/{emulation['program']}"
        names = [c["name"] for c in said["components"]] + list(said["roles"])
        script = "{suite}/smoke/src/instructions.sh"
        self.program = ["sh", script, emulator, emulation["cpu"], "{python}", *sorted(set(names))]

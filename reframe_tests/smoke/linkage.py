"""Every library that a program asks for is there, with its versions, and comes from what was installed."""

import sys
from pathlib import Path

import reframe as rfm
from reframe.core.builtins import run_after

sys.path.append(str(Path(__file__).resolve().parent.parent))
from asked import subject
from suite import SuiteCheck, manifest, systems


def terms(contract, options):
    """What the contract says of C library, kernel and driver; of the driver only where its device is passed."""
    device = contract.get("accelerator") or {}
    passed = device.get("driver") and device.get("option") in options
    module = f"/proc/driver/{device.get('vendor')}/version"  # AMD's says a number that is not its release's
    words = [("--libc", (contract.get("libc") or {}).get("version")), ("--kernel", contract.get("kernel"))]
    words += [("--driver", device["driver"]), ("--module", module)] if passed else []
    words += [("--bound", place.get("folder")) for place in (device, *contract.get("site", ()))]
    return [word for name, value in words if value for word in (name, value)]


@rfm.simple_test
class Linkage(SuiteCheck):
    """Every ELF file of an image, asked of its own dynamic linker."""

    descr = "Every program and library finds its libraries in the image, or in what its host contract names"
    valid_systems = systems("Linkage")
    tags = {"ci", "smoke"}
    threads = 2
    program = ["sh", "{suite}/smoke/src/linkage.sh"]

    @run_after("setup")
    def tell(self):
        """What the host brings, and which folders are the image's own, is what the manifest says."""
        known = manifest()
        said = known.get("contract") or {}
        folders = [*said.get("folders", ()), *(site["folder"] for site in said.get("site", ()))]
        given = [word for name in said.get("libraries", ()) for word in ("--given", name)]
        shadows = [word for name in said.get("shadows", ()) for word in ("--shadow", name)]
        spare = [word for pattern in known.get("one_of", ()) for word in ("--one-of", pattern)]
        own = [word for f in folders for word in ("--below", f)]
        self.program = [*self.program, *given, *shadows, *spare, *own, *terms(said, subject()["options"])]

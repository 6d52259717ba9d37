"""Every component loads and says the version that the lock gives it."""

import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, systems


@rfm.simple_test
class Versions(SuiteCheck):
    """Runs each recipe's own version command inside the image."""

    descr = "Every component loads and has the locked version"
    valid_systems = systems("Versions")
    tags = {"ci", "smoke"}
    program = ["{python}", "{suite}/smoke/src/versions.py"]

"""What the tests share: the shipped catalogue, and plans made without looking at this machine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from stack import plan as planning
from stack import target as targets
from stack.catalogue import Catalogue
from stack.host import apptainer as host_apptainer
from stack.host import doctor
from stack.host import spack as host_spack
from stack.host.library import Library, shipped
from stack.host.spack import Spack
from stack.plan import Plan
from stack.target import HostFacts
from tests.command import sovstack

FACTS = HostFacts("debian-12", "Debian GNU/Linux 12 (bookworm)", "zen2", 2, 23.5, ())
RECORDED = Path(__file__).parent / "recorded"
# How long an example takes says something of the machine, and nothing of the program.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell starts what runs in its background with interrupts ignored, and `nohup` with hang-ups ignored: what the tests
# start would ignore them too. What is handled here, in whatever way, is not ignored there.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)


@pytest.fixture(scope="session", autouse=True)
def no_keys_of_yours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key of whoever runs the tests signs in them, or is trusted; other programs' settings stay as they are."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    mine = Path(base) if base.startswith("/") else Path.home() / ".config"
    made = tmp_path_factory.mktemp("config")
    for path in mine.iterdir() if mine.is_dir() else ():
        if path.name != "sovstack":
            (made / path.name).symlink_to(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(made))
        patch.delenv("SOVSTACK_KEY", raising=False)
        yield


@pytest.fixture(scope="session")
def library() -> Library:
    return Library((shipped(),))


@pytest.fixture(scope="session")
def catalogue(library: Library) -> Catalogue:
    return library.catalogue


@pytest.fixture(scope="session")
def laptop(library: Library, catalogue: Catalogue) -> Plan:
    """`ai-hpc` on the laptop profile, for a fixed machine without an accelerator."""
    profile, environment = library.profile("laptop")[1], library.environment("ai-hpc")[1]
    target = targets.resolve(profile, "default", catalogue, FACTS)
    return planning.make(profile, environment, target, catalogue)


@pytest.fixture(scope="session")
def able() -> None:
    """Skip, with what is missing and how to get it, where no image can be built."""
    stops = [f"{f.what}: {f.remedy or f.detail}" for f in doctor.examine() if f.stops]
    if stops:
        pytest.skip(f"this machine cannot build an image: {'; '.join(stops)}; mend that and run `make test`")


@pytest.fixture(scope="session")
def apptainer(able: None) -> str:
    """Apptainer of this machine, installed into the user's own folder when there is none."""
    os.environ.update(host_apptainer.environment())
    return str(host_apptainer.find() or host_apptainer.install(print))


@pytest.fixture(scope="session")
def real_spack(catalogue: Catalogue) -> Spack:
    """Spack as `sovstack bootstrap` puts it there, or installed now from where the environment says that it is."""
    pinned = catalogue.upstream
    found = host_spack.find(pinned)
    if found is None and os.environ.get("SOVSTACK_SPACK_GIT") and os.environ.get("SOVSTACK_PACKAGES_GIT"):
        found = host_spack.install(pinned, host_spack.origins(pinned, {}, {}), print)
    if found is None:
        pytest.skip("Spack is not installed: `sovstack bootstrap --spack-git URL --packages-git URL`, then `make test`")
    return found


@pytest.fixture(scope="session")
def image(able: None, apptainer: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The laptop's `ai-hpc` image: SOVSTACK_TEST_IMAGE, or one built for this run and shared by its processes."""
    named = os.environ.get("SOVSTACK_TEST_IMAGE")
    if named:
        return Path(named).resolve()
    base = tmp_path_factory.getbasetemp()
    build = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ai-hpc-image"
    done = sovstack("build", "laptop", "--build-dir", build, "--json")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["image"])

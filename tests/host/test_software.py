"""The built part of a cell: what it is made of, what goes without a network, and where the software stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.artifact import Tree
from stack.build import Tools
from stack.errors import ExitCode, StackError
from stack.host import cells, image, locking, software, workshop
from stack.host.cells import Cell
from stack.host.image import Job
from stack.host.library import Library, shipped
from stack.host.progress import Progress
from stack.host.software import Options
from stack.lock import Lock
from stack.render import apptainer as rendered
from tests.host.test_locking import open_tiny

TOOLS = Tools("/usr/bin/mmdebstrap", "mksquashfs", "apptainer", {}, ("unshare", "--mount"))


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """`numerics` for x86-64, with the lock that is handed on."""
    return cells.open_cell(Library((shipped(),)), "generic-x86", "numerics", None, tmp_path)


@pytest.fixture
def lock(cell: Cell) -> Lock:
    return locking.strict(cell)


def test_the_build_root_has_the_image_and_the_tools(lock: Lock) -> None:
    names = [p.name for p in software.build_root(lock).packages]
    assert lock.tools
    assert len(names) == len(set(names)) == len(lock.os.packages) + len(lock.tools.packages)
    assert {"cmake", "patch", "python3-dev"} <= set(names)
    assert not {"cmake", "patch", "python3-dev"} & {p.name for p in lock.os.packages}


def test_offline_names_what_is_not_in_the_cache(
    cell: Cell, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    with pytest.raises(StackError, match=r"not in the cache, and --offline fetches nothing: .* and \d+ more") as caught:
        software.fetch(cell, software.build_root(lock), Options(offline=True), Progress(quiet=True))
    assert caught.value.exit_code == ExitCode.HOST


def test_offline_runs_everything_without_a_network(cell: Cell) -> None:
    shop = workshop.Workshop(cell, Progress(quiet=True), dry=True, options=Options(offline=True))
    assert shop._tools(None).namespace[-2:] == ("unshare", "--net")
    assert workshop.Workshop(cell, Progress(quiet=True), dry=True)._tools(None).namespace[-2:] != ("unshare", "--net")


def test_builds_are_spread_by_slurm_alone(cell: Cell) -> None:
    assert software.spread(cell, "slurm", 3).nodes == 3
    with pytest.raises(StackError, match=r"cannot be spread by 'pbs' \(known: slurm\)"):
        software.spread(cell, "pbs", 2)


def test_the_image_gets_the_software_and_another_key(cell: Cell, lock: Lock, tmp_path: Path) -> None:
    def job(sha256: str) -> Job:
        tar = tmp_path / "software.tar" if sha256 else None
        return Job(
            lock=lock, container=cell.plan.container, overlay=Tree.of({}), definition="", inspection="", tools=TOOLS,
            versions={}, epoch=0, folder=tmp_path, name="numerics", fetch=dict, software=tar, software_sha256=sha256,
        )  # fmt: skip

    without, with_, other = job(""), job("1" * 64), job("2" * 64)
    assert len({without.key, with_.key, other.key}) == 3
    hook = "--customize-hook=tar-in software.tar /"
    assert hook in image.commands(with_)[0].argv
    assert hook not in image.commands(without)[0].argv


def test_the_view_is_on_every_path(cell: Cell, lock: Lock) -> None:
    files = dict(rendered.metadata(cell.plan, lock))
    text = files[".singularity.d/env/90-environment.sh"].text
    assert "export PATH='/opt/sovstack/numerics/view/bin:/usr/local/sbin" in text
    assert "export PYTHONPATH='/opt/sovstack/numerics/view/lib/python3.13/site-packages'" in text
    assert rendered.software_prefix(cell.plan) == "/opt/sovstack/numerics"


def test_a_cell_for_the_machines_own_os_is_locked_and_rendered_alone(tmp_path: Path) -> None:
    tiny = open_tiny(tmp_path)
    shop = workshop.Workshop(tiny, Progress(quiet=True))
    with pytest.raises(StackError, match=r"images alone are built here so far .*spack -e .*/spack install") as caught:
        shop.tools()
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert [path.rpartition("/")[2] for path, _file in shop.rendered()] == ["spack.yaml"]

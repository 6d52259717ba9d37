"""The built part of a cell: what it is made of, what goes without a network, and where the software stands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stack.artifact import Tree
from stack.build import Tools
from stack.errors import ExitCode, StackError
from stack.host import cells, image, locking, software, source_build, workshop
from stack.host.cells import Cell
from stack.host.image import Job
from stack.host.library import Library, shipped
from stack.host.progress import Progress
from stack.host.software import Options
from stack.lock import Lock
from stack.profile import Cpu, Scheduler
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
    assert shop._tools().namespace[-2:] == ("unshare", "--net")
    assert workshop.Workshop(cell, Progress(quiet=True), dry=True)._tools().namespace[-2:] != ("unshare", "--net")


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without Spack, who can reach none."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("SOVSTACK_SPACK_GIT", "/nonexistent/spack.git")
    monkeypatch.setenv("SOVSTACK_PACKAGES_GIT", "/nonexistent/packages.git")
    return tmp_path / "data"


def test_neither_offline_nor_a_dry_run_fetches_spack(cell: Cell, lock: Lock, nothing_here: Path) -> None:
    progress, offline = Progress(quiet=True), Options(offline=True)
    with pytest.raises(StackError, match="Spack is not installed, and --offline fetches nothing") as caught:
        software.job(cell, lock, TOOLS, offline, progress)
    assert caught.value.exit_code == ExitCode.HOST
    made = software.job(cell, lock, TOOLS, offline, progress, dry=True)
    assert str(made.spack.home).startswith(str(nothing_here))
    assert not nothing_here.exists()


def test_a_lock_without_its_spack_lock_is_no_lock_to_build(cell: Cell, nothing_here: Path) -> None:
    other = locking.strict(cell).model_copy(update={"inputs": {}})
    with pytest.raises(StackError, match=r"is stale, so that no build can be made of it .*sovstack lock generic-x86"):
        software.job(cell, other, TOOLS, Options(), Progress(quiet=True), dry=True)


def test_a_build_cache_is_of_one_build_root(cell: Cell, lock: Lock, tmp_path: Path) -> None:
    made = software.job(cell, lock, TOOLS, Options(cache=tmp_path / "mine"), Progress(quiet=True), dry=True)
    assert made.cache == tmp_path / "mine" / made.root_key[:16]


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("apps/x", "has to be an absolute path"), ("/", "has to be an absolute path"), ("/a b", "absolute path"),
        ("/a/../usr", "absolute path"), ("/a//b", "absolute path"), ("", "absolute path"), ("/$(id)", "absolute path"),
        ("/usr", "for its own"), ("/usr/lib/x", "for its own"), ("/usr/local", "for its own"),
        ("/etc/x", "for its own"), ("/sovstack/x", "for its own"), ("/var/lib/x", "for its own"),
        ("/" + "x" * 120, "longer than 119"),
    ],
)  # fmt: skip
def test_a_tree_does_not_go_everywhere(cell: Cell, prefix: str, said: str) -> None:
    with pytest.raises(StackError, match=said) as caught:
        software.usable(cell, Options(prefix=prefix))
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("prefix", ["/apps/numerics", "/usr/local/x", "/opt/sovstack/numerics", "/" + "x" * 118])
def test_a_tree_goes_where_there_is_room(cell: Cell, prefix: str) -> None:
    software.usable(cell, Options(prefix=prefix))


def test_options_of_a_build_from_source_are_for_cells_that_have_one(tmp_path: Path) -> None:
    image = cells.open_cell(Library((shipped(),)), "laptop", "ai-hpc", None, tmp_path)
    software.usable(image, Options(offline=True))
    with pytest.raises(StackError, match="built from source, so --build-cache, --jobs would do nothing"):
        software.usable(image, Options(cache=tmp_path, jobs=2))


def test_folders_that_are_named_are_looked_at_first(cell: Cell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for options in (Options(mirror=tmp_path / "file"), Options(cache=tmp_path / "file")):
        with pytest.raises(StackError, match="file is not a folder"):
            software.usable(cell, options)
    with pytest.raises(StackError, match=r"does not exist, and --offline fetches nothing .*sovstack mirror"):
        software.usable(cell, Options(mirror=tmp_path / "none", offline=True))
    software.usable(cell, Options(mirror=tmp_path / "none", cache=tmp_path / "none"))


def test_builds_are_spread_by_slurm_alone(cell: Cell) -> None:
    assert software.spread(cell, "slurm", 3).nodes == 3
    with pytest.raises(StackError, match=r"cannot be spread by 'pbs' \(known: slurm\)"):
        software.spread(cell, "pbs", 2)


def test_how_long_a_spread_build_may_last_is_the_profiles(cell: Cell) -> None:
    assert software.spread(cell, "slurm", 3).minutes == 24 * 60
    profile = cell.plan.profile.model_copy(update={"scheduler": Scheduler(minutes=90)})
    other = dataclasses.replace(cell, plan=dataclasses.replace(cell.plan, profile=profile))
    assert software.spread(other, "slurm", 3).minutes == 90


def test_a_spread_build_has_the_cores_of_a_node(cell: Cell, lock: Lock) -> None:
    profile = cell.plan.profile
    name = cell.plan.target.partition
    part = profile.partitions[name].model_copy(update={"cpu": Cpu(microarchitecture="x86_64_v3", cores=96)})
    profile = profile.model_copy(update={"partitions": {name: part}})
    node = dataclasses.replace(cell, plan=dataclasses.replace(cell.plan, profile=profile))
    over = software.spread(cell, "slurm", 2)
    made = software.job(node, lock, TOOLS, Options(spread=over), Progress(quiet=True), dry=True)
    sent = next(c for c in source_build.commands(made) if c.argv[0] == "sbatch")
    assert made.jobs == 96 and sent.cwd == str(made.folder)
    assert software.job(node, lock, TOOLS, Options(jobs=3, spread=over), Progress(quiet=True), dry=True).jobs == 3
    here = software.job(node, lock, TOOLS, Options(), Progress(quiet=True), dry=True)
    assert here.jobs != 96 and "sbatch" not in {c.argv[0] for c in source_build.commands(here)}


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

"""Software of a cell without its image: what has to be there, and how its programs are started."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import cells, emulating, lmod, namespace, native
from stack.host.cells import Cell
from stack.host.library import Library, roots
from stack.host.placing import Cluster, Place
from stack.profile import Scheduler
from tests.test_slurm import SLURM


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A cell with a lock, and a tree as a build leaves it: what Spack was told, a module, a record."""
    made = cells.open_cell(Library(roots(None)), "generic-x86", "numerics", None, tmp_path / "build")
    made.folder.mkdir(parents=True)
    shutil.copy(made.released / "stack.lock.json", made.lock_path)
    shutil.copy(made.released / "spack.lock", made.folder)
    place = made.folder / "source"
    for folder in ("software/modules/Core", "spack/unpack/env", "spack/unpack/scope", "root"):
        (place / folder).mkdir(parents=True)
    (place / "software.json").write_text(json.dumps({"key": "k", "sha256": "5" * 64, "seconds": {}}))
    (place / "software/modules/Core/numerics.lua").write_text('prepend_path("PATH", "/apps/numerics/view/bin")\n')
    shutil.copy(made.released / "spack.lock", place / "spack/unpack/env/spack.lock")
    scope = {"config": {"install_tree": {"root": "/apps/numerics/software"}}}
    (place / "spack/unpack/scope/config.yaml").write_text(json.dumps(scope))
    return made


def refused(cell: Cell) -> str:
    with pytest.raises(StackError) as raised:
        native.standing(cell)
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    return str(raised.value)


def test_the_tree_says_what_prefix_it_is_for(cell: Cell) -> None:
    _lock, tree = native.standing(cell)
    assert (tree.prefix, tree.built.sha256) == ("/apps/numerics", "5" * 64)
    assert tree.modules == cell.folder / "source/software/modules/Core"


def test_without_a_tree_it_says_how_to_build_one(cell: Cell) -> None:
    (cell.folder / "source/software.json").unlink()
    assert "there is no tree of numerics/generic-x86" in (said := refused(cell))
    assert "sovstack build generic-x86 numerics --prefix" in said


def test_a_tree_of_another_lock_is_not_checked(cell: Cell) -> None:
    path = cell.folder / "source/spack/unpack/env/spack.lock"
    data = json.loads(path.read_text())
    data["roots"] = data["roots"][1:]
    path.write_text(json.dumps(data))
    assert "another lock" in refused(cell)


def test_a_tree_that_does_not_say_its_prefix(cell: Cell) -> None:
    (cell.folder / "source/spack/unpack/scope/config.yaml").write_text("{}")
    assert "does not say what prefix" in refused(cell)


def test_where_nothing_is_built_there_are_no_modules(tmp_path: Path) -> None:
    made = cells.open_cell(Library(roots(None)), "laptop", "ai-hpc", None, tmp_path)
    assert "nothing of ai-hpc/laptop" in refused(made)


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulating, "here", lambda: "x86_64")
    monkeypatch.setattr(lmod, "load", lambda _tree, _names, _base=None: {"PATH": "/apps/numerics/view/bin:/bin"})
    monkeypatch.setattr(namespace, "find", lambda: ("unshare", "--mount"))


@pytest.mark.usefixtures("modules")
def test_elsewhere_programs_run_in_the_targets_own_root(cell: Cell) -> None:
    _lock, tree = native.standing(replace(cell, facts=replace(cell.facts, os="rocky-9")))
    begun = native.start(cell, tree, Place("native"))
    words = begun.prefix
    shown = {words[i + 2]: words[i] for i, word in enumerate(words) if word.startswith(str(cell.folder)) and i > 8}
    assert words[:3] == ("unshare", "--mount", "unshare") and str(cell.folder / "source/root") in words
    assert {"/apps/numerics", native.SUITE, native.RUN} <= {*words}
    assert begun.seen[str(cell.folder / "reframe")] == native.RUN
    assert begun.variables["PATH"] == "/apps/numerics/view/bin:/bin" and shown


@pytest.mark.usefixtures("modules")
def test_at_home_they_run_as_they_are(cell: Cell, tmp_path: Path) -> None:
    home = replace(cell, facts=replace(cell.facts, os=cell.plan.target.os.name))
    _lock, tree = native.standing(home)
    assert not native.at_home(home, tree)
    shutil.copytree(tree.folder, tmp_path / "apps")
    there = replace(tree, prefix=str(tmp_path / "apps"))
    assert native.at_home(home, there) and not native.at_home(replace(home, facts=replace(cell.facts, os="x")), there)
    begun = native.start(home, there, Place("native"))
    assert (begun.prefix, begun.seen) == ((), {})


@pytest.mark.usefixtures("modules")
def test_nodes_have_no_root_of_ours(cell: Cell) -> None:
    _lock, tree = native.standing(cell)
    with pytest.raises(StackError, match="the nodes would need") as raised:
        native.start(replace(cell, facts=replace(cell.facts, os="x")), tree, Place("native", Cluster(SLURM, 2)))
    assert raised.value.exit_code == ExitCode.HOST
    assert isinstance(SLURM, Scheduler)


@pytest.mark.usefixtures("modules")
def test_another_family_is_not_checked_natively(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulating, "here", lambda: "riscv64")
    _lock, tree = native.standing(cell)
    with pytest.raises(StackError, match="checked natively on such a machine") as raised:
        native.start(cell, tree, Place("native"))
    assert raised.value.exit_code == ExitCode.HOST

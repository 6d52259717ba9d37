"""Everything that is rendered, byte for byte and mode for mode, against the golden trees; and twice the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stack.artifact import File, Tree
from stack.catalogue import Catalogue
from stack.host.files import write_tree
from stack.host.library import Library
from stack.plan import Plan
from stack.render import apptainer, modules, spack

from .conftest import CASES, GOLDEN, lock_of, plan_of

VARIABLE = "SOVSTACK_REGOLDEN"
REMEDY = f"look at the difference; when it is meant: {VARIABLE}=1 python -m pytest tests/render/test_golden.py"


def everything(plan: Plan) -> Tree:
    """All that this folder's renderers make of a plan."""
    lock = lock_of(plan)
    return (
        spack.environment(plan, lock)
        | apptainer.definition(plan, lock)
        | apptainer.inspection(plan, lock)
        | apptainer.metadata(plan, lock).under("rootfs")
        | modules.tree(plan, lock, "ai-hpc.sif", "/usr/bin/apptainer", {"APPTAINER_USERNS": "1"}).under("build")
    )


def stored(folder: Path) -> dict[str, File]:
    paths = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): File(p.read_bytes().decode(), os.access(p, os.X_OK)) for p in paths}


def test_golden(case: str, plan: Plan) -> None:
    made, folder = everything(plan), GOLDEN / case / "tree"
    if os.environ.get(VARIABLE):
        for stale in sorted(set(stored(folder)) - set(made.files)):
            (folder / stale).unlink()
        write_tree(folder, made)
    golden = stored(folder)
    assert sorted(made.files) == sorted(golden), REMEDY
    for path, file in made:
        assert file.text == golden[path].text, f"{path}: {REMEDY}"
        assert file.executable == golden[path].executable, f"{path}: {REMEDY}"


def test_twice_the_same(case: str, plan: Plan, library: Library, catalogue: Catalogue) -> None:
    assert everything(plan).files == everything(plan_of(case, library, catalogue)).files


def test_cases_differ(library: Library, catalogue: Catalogue) -> None:
    assert len({everything(plan_of(case, library, catalogue)).digest for case in CASES}) == len(CASES)


def test_nothing_of_this_machine(plan: Plan) -> None:
    words = (f"{Path.home()}/", str(Path(__file__).parent.parent.parent))
    for path, file in everything(plan):
        assert not [word for word in words if word in file.text], path


@pytest.mark.parametrize("text", ["spack/spack.yaml", "ai-hpc.def", "rootfs/.singularity.d/test"])
def test_every_case_has(plan: Plan, text: str) -> None:
    assert everything(plan).files[text].text.endswith("\n")

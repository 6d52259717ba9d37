"""Software asked what it is: the real shell runs the questions, and answers that lie or break are none."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stack import probing
from stack.catalogue import Catalogue
from stack.recipe import Recipe

NAMES = ("gcc", "mpich", "numpy", "openblas", "openmpi", "python")
OPEN_MPI = "mpirun (Open MPI) 5.0.7\n"


@pytest.fixture
def few(catalogue: Catalogue) -> Catalogue:
    return replace(catalogue, recipes={name: catalogue.recipes[name] for name in NAMES})


def said(catalogue: Catalogue, answers: dict[str, tuple[int, str]]) -> str:
    """What a machine with these answers prints; what it does not have, ends with status 127."""
    mark = probing._mark(catalogue)
    questions = [line.split("'")[1] for line in probing.script(catalogue).splitlines() if line.startswith("ask '")]
    rows = [(q, *answers.get(q, (127, "not found"))) for q in questions]
    return "noise\n" + "".join(f"\n{mark} {q}\n{text}\n{mark}: {status}\n" for q, status, text in rows)


def found(catalogue: Catalogue, **more: tuple[int, str]) -> probing.Found:
    answers = {"machine family": (0, "x86_64\n"), "machine system": (0, "Rocky Linux 9.4\n")}
    named = {key.replace("_", " "): value for key, value in more.items()}
    return probing.parse(said(catalogue, answers | named), catalogue)


def commands(name: str, recipe: Recipe, *but: str) -> dict[str, tuple[int, str]]:
    return {f"command_{name}_{c}": (0, f"/usr/bin/{c}\n") for c in recipe.commands if c not in but}


def test_versions_roles_and_the_machine(few: Catalogue) -> None:
    mpi = commands("openmpi", few.recipes["openmpi"])
    made = found(few, version_openmpi=(0, OPEN_MPI), version_python=(0, "warning: x\n3.11.2\n"), **mpi)
    assert (made.family, made.system) == ("x86_64", "Rocky Linux 9.4")
    assert {p.name: p.version for p in made.parts} == {"openmpi": "5.0.7", "python": "3.11.2"}
    assert made.roles == {"mpi": "openmpi"} and not made.notes
    about = probing.system(made, "x", "zen2")
    assert {"site", "mpi", "openmpi", "python", "x86_64"} == {*about.holds}
    data = json.loads(probing.manifest(made, "x"))
    assert {c["provider"] for c in data["components"]} == {"site"} and data["roles"] == {"mpi": "openmpi"}


def test_another_mpi_under_the_same_command_is_not_open_mpi(few: Catalogue) -> None:
    made = found(few, version_openmpi=(0, "HYDRA build details: Version: 4.0.2\n"), version_mpich=(0, "MPICH 4.0.2\n"))
    assert [p.name for p in made.parts] == ["mpich"]


def test_what_lacks_a_command_fills_no_role_and_is_told_of(few: Catalogue) -> None:
    gcc = commands("gcc", few.recipes["gcc"], "gcc")
    made = found(few, version_gcc=(0, "12.2.0\n"), **gcc)
    assert made.roles == {} and made.notes == ("gcc has no gcc, so it does not count as compilers",)
    assert "gcc" not in probing.system(made, "x", "zen2").holds


def test_a_language_may_be_absent_and_is_told_of(few: Catalogue) -> None:
    gcc = commands("gcc", few.recipes["gcc"], "gfortran")
    made = found(few, version_gcc=(0, "12.2.0\n"), **gcc)
    assert made.roles == {"compilers": "gcc"}
    assert made.notes == ("gcc has no gfortran, and fills the role compilers without",)
    assert {"gcc", "compilers"} <= {*probing.system(made, "x", "zen2").holds}
    assert json.loads(probing.manifest(made, "x"))["components"][0]["absent"] == ["gfortran"]


def test_numpy_fills_the_blas_that_nothing_else_fills(few: Catalogue) -> None:
    own = {"version_numpy": (0, "2.4.6"), "carries_numpy_blas": (0, "scipy-openblas 0.3.31\n")}
    assert found(few, **own).roles == {"blas": "numpy"}
    assert found(few, **own, version_openblas=(0, "OpenBLAS 0.3.21 ...")).roles == {"blas": "openblas"}


def test_what_numpy_was_built_with_is_part_of_the_software(few: Catalogue) -> None:
    numpy = {"version_numpy": (0, "2.4.6")}
    wheel = found(few, **numpy, carries_numpy_blas=(0, "scipy-openblas 0.3.31\n"))
    assert wheel.carried == (probing.Carried("numpy", "blas", "scipy-openblas", "0.3.31"),)
    assert wheel.software == (("numpy", "2.4.6"), ("scipy-openblas", "0.3.31"))
    assert wheel.notes == ("numpy was built with scipy-openblas 0.3.31, and fills the role blas",)
    other = found(few, **numpy, carries_numpy_blas=(0, "blas 3.12.1\n"))
    assert other.software[1] == ("blas", "3.12.1") and other.digest != wheel.digest
    beside = found(few, **numpy, carries_numpy_blas=(0, "blas 3.12.1"), version_openblas=(0, "OpenBLAS 0.3.21"))
    assert ("blas", "3.12.1") in beside.software
    assert beside.notes == ("numpy was built with blas 3.12.1, and openblas fills the role blas too",)
    odd = found(few, **numpy, carries_numpy_blas=(0, "\x1b[31m whatever \u202e"))
    assert [(c.name, c.version.isprintable()) for c in odd.carried] == [("blas", True)]


def test_an_answer_that_failed_or_has_no_version_is_none(few: Catalogue) -> None:
    assert found(few, version_python=(1, "3.11.2"), version_numpy=(0, "no idea")).parts == ()


def test_what_a_program_prints_is_made_harmless(few: Catalogue) -> None:
    made = found(few, version_python=(0, "3.11.2 \x1b[2J\u202e"), machine_system=(0, "\x1b]0;x\x07Debian"))
    assert all(c.isprintable() for p in made.parts for c in p.said) and made.system.isprintable()


def test_a_cut_off_answer_is_what_came(few: Catalogue) -> None:
    whole = said(few, {"machine family": (0, "riscv64\n"), "version python": (0, "3.13.5\n")})
    assert probing.parse(whole[: whole.index("version numpy")], few).family == "riscv64"
    assert probing.parse("", few).family == "unknown"


def test_the_shell_runs_it_and_quotes_every_word(tmp_path: Path, few: Catalogue) -> None:
    odd = few.recipes["python"].model_copy(
        update={"verify": few.recipes["python"].verify.model_copy(update={"version": ("printf", "%s", "1.2 $(id) 'x")})}
    )
    other = replace(few, recipes={"python": odd})
    ran = subprocess.run(["sh", "-c", probing.script(other)], capture_output=True, text=True, check=False, cwd=tmp_path)
    made = probing.parse(ran.stdout, other)
    assert [(p.version, p.said) for p in made.parts] == [("1.2", "1.2 $(id) 'x")]
    assert made.family not in ("", "unknown")


def test_another_python_stands_for_python3(few: Catalogue) -> None:
    script = probing.script(few, "/opt/my python/bin/python")
    assert "'/opt/my python/bin/python' -c" in script and " python3 -c" not in script

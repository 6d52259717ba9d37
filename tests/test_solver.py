"""What Spack's solver printed when there was no solution (`tests/recorded/solver/`), in words."""

from __future__ import annotations

from typing import Any

import pytest

from stack import plan as planning
from stack import solver
from stack import target as targets
from stack.document import Document, parse
from stack.environment import Environment, Want
from stack.errors import ExitCode, Faults, StackError
from stack.host.library import Library
from stack.plan import Plan
from stack.profile import Site, Wish
from tests.conftest import FACTS, RECORDED

LOG = "build/small/laptop/x/solve.log"


def _plan(library: Library, *components: str, **profile: Any) -> Plan:
    update = {"providers": ("site", "source", "os", "wheel"), "components": {"gcc": Wish(provider="os")}, **profile}
    site = library.profile("laptop")[1].model_copy(update=update)
    wants = {name: Want() for name in components}
    wanted = Environment(schema=1, name="small", purpose="a test", components=wants)
    target = targets.resolve(site, "default", library.catalogue, FACTS)
    return planning.make(site, wanted, target, library.catalogue)


def _recorded(name: str) -> str:
    return (RECORDED / f"solver/{name}.txt").read_text(encoding="utf-8")


def _lines(error: StackError) -> list[str]:
    assert error.exit_code == ExitCode.BAD_INPUT
    assert error.faults[0].what.startswith("Spack found no solution for small/laptop/debian13-x86_64_v3: ")
    assert LOG in error.faults[0].remedy
    return [str(f) for f in error.faults]


def _document(text: str) -> Document:
    made = parse(text, "profiles/laptop.yaml", Faults())
    assert made
    return made


def test_a_version_that_does_not_exist_names_the_wish_and_its_line(library: Library) -> None:
    plan = _plan(library, "bzip2", "gcc", components={"bzip2": Wish(version="99"), "gcc": Wish(provider="os")})
    document = _document('components:\n  bzip2: {version: "99"}\n')
    told = _lines(solver.explain(_recorded("no-such-version"), plan, LOG, {"profile": document}))
    assert "Spack knows no such version: bzip2@99" in told[0]
    assert told[1].startswith("profiles/laptop.yaml:2:20: bzip2: small lists it")
    assert "laptop wishes version 99" in told[1]
    assert len(told) == 2


def test_a_version_that_the_environment_wants(library: Library) -> None:
    plan = _plan(library, "bzip2", "gcc")
    wanted = plan.environment.model_copy(update={"components": {"bzip2": Want(version="99"), "gcc": Want()}})
    plan = planning.make(plan.profile, wanted, plan.target, library.catalogue)
    told = _lines(solver.explain(_recorded("no-such-version"), plan, LOG))
    assert "small wants version 99" in told[1]


def test_a_variant_that_does_not_exist_names_the_recipe(library: Library) -> None:
    told = _lines(solver.explain(_recorded("no-such-variant"), _plan(library, "bzip2", "gcc"), LOG))
    assert "bzip2 has no variant fast" in told[0]
    assert told[1].startswith("recipes/bzip2.yaml: bzip2: small lists it; source: ")
    assert told[1].endswith("to Spack it is bzip2 +shared+pic")


def test_a_value_that_a_variant_does_not_have(library: Library) -> None:
    told = _lines(solver.explain(_recorded("no-such-value"), _plan(library, "openblas", "gcc"), LOG))
    assert "the variant threads of openblas cannot be 'many'" in told[0]
    assert told[1].startswith("recipes/openblas.yaml: openblas: ")


def test_a_package_that_does_not_exist(library: Library) -> None:
    told = _lines(solver.explain(_recorded("no-such-package"), _plan(library, "bzip2", "gcc"), LOG))
    assert told == [
        "Spack found no solution for small/laptop/debian13-x86_64_v3: Spack has no package bzip3x "
        f"(all it said is in {LOG})"
    ]


def test_the_sites_python_is_too_old_for_the_wished_numpy(library: Library) -> None:
    """600 lines, most of which say what follows from the first: the two components that clash are left."""
    plan = _plan(
        library, "python", "numpy", "openblas", "gcc",
        site={"python": Site(version="3.8.10", prefix="/opt/python")},
        components={"numpy": Wish(version="2.4"), "gcc": Wish(provider="os")},
    )  # fmt: skip
    document = _document('site:\n  python: {version: "3.8.10"}\ncomponents: {numpy: {version: "2.4"}}\n')
    told = _lines(solver.explain(_recorded("python-too-old"), plan, LOG, {"profile": document}))
    assert "python is 3.8.10, and not python@3.11:3.14; py-numpy depends on python@3.11:3.14 when @2.3.2" in told[0]
    assert told[1].startswith("profiles/laptop.yaml:2:11: python: ") and "laptop brings 3.8.10" in told[1]
    assert told[2].startswith("profiles/laptop.yaml:3:31: numpy: ") and "laptop wishes version 2.4" in told[2]
    assert len(told) == 3


def test_the_sites_compiler_is_too_old(library: Library) -> None:
    plan = _plan(
        library, "python", "numpy", "pytorch", "openblas", "openmpi", "gcc",
        site={"gcc": Site(version="8.5.0", prefix="/usr")}, components={"python": Wish(provider="os")},
    )  # fmt: skip
    told = _lines(solver.explain(_recorded("compiler-too-old"), plan, LOG))
    assert "py-torch: C++17 support required; " in told[0]
    assert "%gcc@:9.3" in told[0]
    assert [t.split(":")[1] if t.startswith("recipes") else t.split(":")[0] for t in told[1:]] == [" pytorch", "gcc"]
    assert "laptop brings 8.5.0" in told[2]


def test_a_compiler_that_is_not_there(library: Library) -> None:
    told = _lines(solver.explain(_recorded("no-such-compiler"), _plan(library, "bzip2", "gcc"), LOG))
    assert "gcc is not built but taken as it is there, and what is there does not fit" in told[0]
    assert any(t.startswith("gcc: ") and "os: profile laptop asks for it" in t for t in told)
    assert any(t.startswith("recipes/bzip2.yaml: ") for t in told)


RECORDINGS = sorted(p.stem for p in (RECORDED / "solver").glob("*.txt"))


@pytest.mark.parametrize("name", RECORDINGS)
def test_nobody_is_shown_a_wall(library: Library, name: str) -> None:
    plan = _plan(library, "bzip2", "gcc")
    told = [*map(str, solver.explain(_recorded(name), plan, LOG).faults)]
    assert sum(len(t.splitlines()) for t in told) <= 8
    assert all(len(line) < 500 for t in told for line in t.splitlines())
    assert not any("Traceback" in t or "error_messages.lp" in t for t in told)


def test_what_nobody_has_seen_before_ends_with_its_last_lines(library: Library) -> None:
    noise = "".join(f"line {i}\n" for i in range(500))
    told = _lines(
        solver.explain(f"{noise}==> Error: the moon is full\n  and high\n", _plan(library, "bzip2", "gcc"), LOG)
    )
    assert len(told) == 1
    assert "\n    ==> Error: the moon is full\n      and high (all it said is in" in told[0]
    assert "line 499" not in told[0]
    told = _lines(solver.explain(noise, _plan(library, "bzip2", "gcc"), LOG))
    assert "line 499" in told[0] and "line 493" not in told[0]


def test_silence_is_told(library: Library) -> None:
    assert "it said nothing" in _lines(solver.explain("", _plan(library, "bzip2", "gcc"), LOG))[0]


def test_nothing_that_moves_a_cursor_reaches_the_screen(library: Library) -> None:
    told = solver.explain("==> Error: \x1b[2Jgone\x07\n", _plan(library, "bzip2", "gcc"), LOG).faults[0].what
    assert "\x1b" not in told and "\x07" not in told

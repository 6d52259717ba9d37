"""In what two locks differ as wholes."""

from __future__ import annotations

import pytest

from stack import difference_settings
from stack.aspects import Aspect
from stack.lock import Lock
from tests.locked import deb, facts, graph, known, lock, node, os_lock, side, uses, wheels


def settings(before: Lock, after: Lock) -> list[tuple[str, str | None, str | None]]:
    found = difference_settings.settings(side(before).inventory, side(after).inventory)
    return [(a.what, a.before, a.after) for a in found]


def test_what_the_locks_are_for() -> None:
    found = settings(lock(), lock(environment="other", profile="there", target="tux1-zen3"))
    assert found == [
        ("environment", "some", "other"),
        ("profile", "site", "there"),
        ("target", "tux1-x86_64_v3", "tux1-zen3"),
    ]


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("spack", "1" * 40, "Spack"),
        ("packages", "1" * 40, "Spack's packages"),
        ("overlay", "1" * 64, "our own packages"),
        ("target", "zen3", "Spack's target"),
        ("os", "tux2", "Spack's OS"),
        ("hashes", "unverified", "Spack's hashes"),
    ],
)
def test_what_spack_solved_with(field: str, value: str, name: str) -> None:
    old, new = graph(node("zlib")), graph(node("zlib")).model_copy(update={field: value})
    assert settings(lock(spack=old), lock(spack=new)) == [(name, getattr(old, field), value)]


def test_what_names_a_solve_is_not_told() -> None:
    old, new = graph(node("zlib")), graph(node("zlib"), key="1" * 64, file="2" * 64)
    assert settings(lock(spack=old), lock(spack=new)) == []


def test_what_was_asked_for_and_the_inputs() -> None:
    old = lock(os=os_lock(requested=("gcc",)), inputs={"os": "1" * 64, "profile": "2" * 64})
    asked = wheels(requested=("numpy",))
    new = lock(os=os_lock(requested=("gcc", "git")), wheels=asked, inputs={"os": "3" * 64, "hardware": "4" * 64})
    assert settings(old, new) == [
        ("Python of the wheels", None, "3.13"),
        ("asked of the distribution", None, "git"),
        ("asked of the package index", None, "numpy"),
        ("input hardware", None, "4" * 64),
        ("input os", "1" * 64, "3" * 64),
        ("input profile", "2" * 64, None),
    ]


def test_who_is_used_as_a_virtual_package() -> None:
    def using(name: str) -> Lock:
        blas = node(name)
        top = node("numpy", "1", uses(blas, "link", virtuals=("blas", "lapack")))
        return lock(spack=graph(top, blas, roots=[top]))

    found = difference_settings.uses(using("openblas").spack, using("mkl").spack)
    assert [(a.what, a.before, a.after) for a in found] == [("blas", "openblas", "mkl"), ("lapack", "openblas", "mkl")]
    assert [a.after for a in difference_settings.uses(using("mkl").spack, None)] == [None, None]


def test_packages_that_run_are_counted_by_class_and_what_may_not_be_handed_on() -> None:
    about = facts(debian={"bash": known(), "blob": known("LicenseRef-own", "proprietary", binary="forbidden")})
    old, new = lock(deb("bash")), lock(deb("bash"), deb("blob"), tools=os_lock(deb("make")))
    there = difference_settings.classes(side(old, about).inventory, side(new, about).inventory)
    assert there == (
        Aspect("binary redistribution forbidden", "0", "1", worse=True),
        Aspect("class proprietary", "0", "1", worse=True),
    )
    back = difference_settings.classes(side(new, about).inventory, side(old, about).inventory)
    assert [a.worse for a in back] == [False, False]


def test_more_open_packages_are_no_loss() -> None:
    about = facts(debian={"bash": known()})
    found = difference_settings.classes(side(lock(), about).inventory, side(lock(deb("bash")), about).inventory)
    assert found == (Aspect("class osi", "0", "1"),)


def test_a_level_that_fell_is_to_be_looked_at_and_so_is_one_that_is_not_assessed_any_more() -> None:
    before = {"compute": 2, "software": 1, "data": 0, "model": None}
    after = {"compute": 1, "software": 3, "data": None, "model": None}
    assert difference_settings.levels(before, after) == (
        Aspect("compute", "2", "1", worse=True),
        Aspect("software", "1", "3"),
        Aspect("data", "0", "not assessed", worse=True),
    )
    assert difference_settings.levels(before, None) == ()

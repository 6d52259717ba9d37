from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stack import closure
from stack import lock as locks
from stack.catalogue import Catalogue
from stack.environment import Want
from stack.errors import StackError
from stack.lock import Lock, OsLock, OsPackage
from stack.plan import Plan
from tests.conftest import RECORDED

VERSIONS = {
    "gcc-14": "14.2.0-19",
    "libopenblas0-pthread": "0.3.29+ds-3",
    "openmpi-bin": "5.0.7-1",
    "python3": "3.13.5-1",
    "python3-mpi4py": "4.0.3-4",
    "python3-numpy": "1:2.2.4+ds-1",
    "python3-torch": "2.6.0+dfsg-7",
}


def package(name: str, version: str, sha256: str = "0" * 64) -> OsPackage:
    return OsPackage(
        name=name,
        version=version,
        architecture="amd64",
        filename=f"{name}.deb",
        size=1,
        sha256=sha256,
        source=name,
        control={},
    )


def make(plan: Plan, **versions: str) -> Lock:
    names = {**VERSIONS, **{k.replace("_", "-"): v for k, v in versions.items()}}
    packages = tuple(package(n, v) for n, v in sorted(names.items()))
    part = OsLock(system="debian-13", architecture="amd64", suites=("trixie",), requested=(), packages=packages)
    return locks.make(plan, part, None, {"profile": "1" * 64})


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("1:2.2.4+ds-1", "2.2.4"),
        ("2.6.0+dfsg-7", "2.6.0"),
        ("4.3.0+really4.2.1-1", "4.2.1"),
        ("1:1.3.dfsg+really1.3.1-1+b1", "1.3.1"),
        ("0.3.29+ds-3", "0.3.29"),
        ("5.0.7-1", "5.0.7"),
        ("2026c-0+deb13u1", "2026c"),
        ("20230311", "20230311"),
        ("5.3.28+dfsg2-9", "5.3.28"),
    ],
)
def test_upstreams_part_of_a_debian_version(debian: str, upstream: str) -> None:
    assert locks.upstream(debian) == upstream


def test_components_take_their_versions_from_the_packages(laptop: Plan) -> None:
    lock = make(laptop)
    assert {c.name: c.version for c in lock.components} == {
        "gcc": "14.2.0",
        "mpi4py": "4.0.3",
        "numpy": "2.2.4",
        "openblas": "0.3.29",
        "openmpi": "5.0.7",
        "python": "3.13.5",
        "pytorch": "2.6.0",
    }
    assert lock.component("gcc").package == "gcc-14 14.2.0-19"


def test_the_text_is_canonical_and_reads_back(laptop: Plan) -> None:
    lock = make(laptop)
    again = locks.parse(lock.text(), "stack.lock.json")
    assert again == lock
    assert again.text() == lock.text()
    assert again.digest == lock.digest


def test_a_version_that_the_environment_does_not_want_is_refused(laptop: Plan) -> None:
    wanted = laptop.environment.model_copy(update={"components": {"numpy": Want(version="2.2")}})
    plan = replace(laptop, environment=wanted)
    make(plan)
    with pytest.raises(StackError, match=r"numpy would be 2\.3\.0, and ai-hpc asks for 2\.2"):
        make(plan, python3_numpy="1:2.3.0-1")


def test_every_input_changes_the_inputs(laptop: Plan, catalogue: Catalogue) -> None:
    before = locks.inputs(laptop, catalogue, {"profile": "1", "environment": "2"})
    assert set(before) == {"profile", "environment", "recipes", "container", "defaults", "os"}
    container = laptop.container.model_copy(update={"packages": ("ca-certificates", "less")})
    plan = replace(laptop, base=container)
    after = locks.inputs(plan, catalogue, {"profile": "1", "environment": "2"})
    assert {k for k in before if before[k] != after[k]} == {"container"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t[: len(t) // 2], "not valid JSON"),
        (lambda t: t.replace('"schema": 1', '"schema": 9'), "schema 9; this program reads 1"),
        (lambda t: t.replace('"sha256": "0', '"sha256": "x'), "sha256"),
        (lambda t: json.dumps({k: v for k, v in json.loads(t).items() if k != "os"}), "os: Field required"),
        (lambda t: "[]", "lock"),
        (lambda t: "null", "lock"),
    ],
)
def test_a_damaged_lock_names_the_file_and_the_field(laptop: Plan, damage: object, message: str) -> None:
    assert callable(damage)
    with pytest.raises(StackError, match=message) as caught:
        locks.parse(damage(make(laptop).text()), "stack.lock.json")
    assert all(f.where and f.where.file == "stack.lock.json" for f in caught.value.faults)


def test_a_real_closure_becomes_a_lock(laptop: Plan) -> None:
    found = closure.installed((RECORDED / "closure/uris.txt").read_text())
    packages = closure.packages((RECORDED / "closure/show.txt").read_text(), found)
    rest = tuple(package(n, v) for n, v in VERSIONS.items() if n not in {p.name for p in packages})
    part = OsLock(
        system="debian-13", architecture="amd64", suites=("trixie",), requested=(), packages=(*packages, *rest)
    )
    lock = locks.make(laptop, part, None, {})
    assert locks.parse(lock.text(), "x") == lock

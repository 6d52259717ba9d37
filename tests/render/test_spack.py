"""The Spack environment: what a foreign-target solve needs, and what others supply as externals."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from ruamel.yaml import YAML

from stack import plan as planning
from stack import target as targets
from stack.catalogue import Catalogue
from stack.host.library import Library
from stack.lock import Component, Lock, OsLock, OsPackage
from stack.plan import Plan
from stack.render import spack

from .conftest import FACTS, lock_of, plan_of


def rendered(plan: Plan) -> dict[str, Any]:
    tree = spack.environment(plan, lock_of(plan))
    data = YAML(typ="safe").load(tree.files["spack/spack.yaml"].text)
    assert list(data) == ["spack"]
    return dict(data["spack"])


def test_target_on_every_root_and_required_of_all(plan: Plan) -> None:
    made, target = rendered(plan), f"target={plan.target.microarchitecture}"
    compilers = [c for c in plan.choices if c.compilers] if plan.built else []  # only what is built needs no root
    assert len(made["specs"]) == len(plan.choices) - len(compilers)
    assert all(root.split()[-1] == target for root in made["specs"])
    assert made["packages"]["all"]["require"] == [target]
    assert made["concretizer"]["targets"]["host_compatible"] is False
    assert (made["concretizer"]["reuse"], made["concretizer"]["unify"]) == (False, True)


def test_what_others_supply_is_external_and_not_buildable(plan: Plan) -> None:
    made = rendered(plan)
    supplied = {c.component for c in plan.choices if c.provider != "source"}
    externals = {e["id"]: e for p in made["packages"].values() for e in p.get("externals", ())}
    tools = {n for n, t in plan.target.os.tools.items() if t.spec} if plan.built else set()
    assert set(externals) == supplied | tools
    assert all(p["buildable"] is False for p in made["packages"].values() if "externals" in p)
    assert not [e for e in externals.values() if "target=" in e["spec"] or "@" not in e["spec"]]
    known = set(externals)
    assert all(d["id"] in known for e in externals.values() for d in e.get("dependencies", ()))


def test_versions_are_the_locks(library: Library, catalogue: Catalogue) -> None:
    plan = plan_of("laptop", library, catalogue)
    lock = lock_of(plan)
    assert lock
    newer = [c.model_copy(update={"version": "5.0.10+really"}) if c.role == "mpi" else c for c in lock.components]
    tree = spack.environment(plan, lock.model_copy(update={"components": tuple(newer)}))
    assert "openmpi@5.0.10 target=" in tree.files["spack/spack.yaml"].text


def test_a_wheel_has_no_external_before_its_version_is_known(library: Library, catalogue: Catalogue) -> None:
    plan = plan_of("blis-mpich", library, catalogue)
    wheels = [c for c in plan.choices if c.provider == "wheel"]
    assert wheels
    before = YAML(typ="safe").load(spack.environment(plan, None).files["spack/spack.yaml"].text)["spack"]["packages"]
    after = rendered(plan)["packages"]
    for choice in wheels:
        assert before[choice.spec] == {"buildable": False, "externals": []}
        assert after[choice.spec]["externals"][0]["prefix"] == "/usr/local"


def test_roles_fill_virtuals(library: Library, catalogue: Catalogue) -> None:
    packages = rendered(plan_of("blis-mpich", library, catalogue))["packages"]
    assert packages["mpi"] == {"require": ["mpich"]}
    assert packages["blas"] == {"require": ["blis"]}
    assert packages["lapack"] == {"require": ["netlib-lapack+external-blas"]}
    assert packages["fortran"] == {"require": ["gcc"]}


def test_compiler_paths(library: Library, catalogue: Catalogue) -> None:
    external = rendered(plan_of("laptop", library, catalogue))["packages"]["gcc"]["externals"][0]
    assert external["extra_attributes"]["compilers"] == {
        "c": "/usr/bin/gcc", "cxx": "/usr/bin/g++", "fortran": "/usr/bin/gfortran"
    }  # fmt: skip


def test_site(library: Library, catalogue: Catalogue) -> None:
    packages = rendered(plan_of("site-mpi", library, catalogue))["packages"]
    assert packages["mpi"] == {"require": ["cray-mpich"]}
    assert packages["cray-mpich"]["externals"] == [
        {"id": "mpich", "spec": "cray-mpich@8.1.29", "prefix": "/opt/cray/pe/mpich/8.1.29/ofi/gnu/12.3",
         "modules": ["cray-mpich/8.1.29"]}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "prefer"), [("laptop", None), ("nvidia-h100", ["cuda_arch=90"]), ("amd-mi300x", ["amdgpu_target=gfx942"])]
)
def test_accelerator_is_preferred(case: str, prefer: list[str] | None, library: Library, catalogue: Catalogue) -> None:
    assert rendered(plan_of(case, library, catalogue))["packages"]["all"].get("prefer") == prefer


def test_source_components_are_roots_only(library: Library, catalogue: Catalogue) -> None:
    made = rendered(plan_of("amd-mi300x", library, catalogue))
    assert "py-torch" not in made["packages"]
    root = next(s for s in made["specs"] if s.startswith("py-torch"))
    assert "amdgpu_target=gfx942" in root


def plan_for(profile: str, partition: str, environment: str, library: Library, catalogue: Catalogue) -> Plan:
    site, wanted = library.profile(profile)[1], library.environment(environment)[1]
    target = targets.resolve(site, partition, catalogue, FACTS)
    return planning.make(site, wanted, target, catalogue)


def locked(plan: Plan, **versions: str) -> Lock:
    """A lock with these packages and nothing else that counts here."""
    packages = tuple(
        OsPackage(
            name=n, version=v, architecture="amd64", filename="x.deb", size=1, sha256="0" * 64, source="x", control={}
        )
        for n, v in versions.items()
    )
    part = OsLock(system=plan.target.os.name, architecture="amd64", suites=(), requested=(), packages=())
    rows = tuple(Component(name=c.component, role=c.role, provider=c.provider, version=c.version) for c in plan.choices)
    return Lock(schema=1, environment=plan.environment.name, profile=plan.profile.name, target=plan.target.name,
                components=rows, os=part, tools=part.model_copy(update={"packages": packages}), inputs={})  # fmt: skip


def test_a_wished_version_stays_a_prefix(library: Library, catalogue: Catalogue) -> None:
    plan = plan_for("generic-x86", "cpu", "numerics", library, catalogue)
    lock = locked(plan)
    answered = [c.model_copy(update={"version": "2.0.1"}) if c.name == "blis" else c for c in lock.components]
    for made in (lock, lock.model_copy(update={"components": tuple(answered)})):
        roots = spack.settings(plan, made)["spack"]["specs"]
        assert [r.partition(" ")[0] for r in roots if r.startswith("blis")] == ["blis@2.0"]


def test_build_tools_have_the_versions_of_the_lock(library: Library, catalogue: Catalogue) -> None:
    plan = plan_for("generic-x86", "cpu", "numerics", library, catalogue)
    packages = spack.settings(plan, locked(plan, perl="5.40.9-1", make="4.4.2-1"))["spack"]["packages"]
    told = {name: packages[name]["externals"][0]["spec"] for name in ("perl", "gmake", "tar")}
    tar = plan.target.os.tools["tar"]
    assert re.match(r"perl@5\.40\.9(?![\w.])", told["perl"]) and re.match(r"gmake@4\.4\.2(?![\w.])", told["gmake"])
    assert re.match(rf"tar@{re.escape(tar.version)}(?![\w.])", told["tar"])  # the data file's, where the lock has none
    assert all(p["buildable"] is False for n, p in packages.items() if n in plan.target.os.tools)


def test_what_is_not_built_asks_for_no_build_tools(library: Library, catalogue: Catalogue) -> None:
    plan = plan_of("laptop", library, catalogue)
    assert not plan.built
    assert not set(plan.target.os.tools) & set(rendered(plan)["packages"])


@pytest.mark.parametrize(
    ("profile", "partition", "linker", "release"),
    [
        ("generic-x86", "cpu", "/lib64/ld-linux-x86-64.so.2", 'ID=debian\nVERSION_ID="13"\n'),
        ("generic-arm", "nvidia", "/lib/ld-linux-aarch64.so.1", 'ID=debian\nVERSION_ID="13"\n'),
        ("generic-riscv", "cpu", "/lib/ld-linux-riscv64-lp64d.so.1", 'ID=debian\nVERSION_ID="13"\n'),
    ],
)
def test_the_question_says_what_the_target_would_say_of_itself(
    profile: str, partition: str, linker: str, release: str, library: Library, catalogue: Catalogue
) -> None:
    plan = plan_for(profile, partition, "numerics", library, catalogue)
    asked = spack.solve(plan, locked(plan), catalogue.upstream, "0" * 64)
    assert asked.facts["linker"] == linker
    assert (asked.facts["libc"], asked.facts["libc_prefix"]) == ("2.41", "/usr")
    assert asked.release.startswith(release)


def test_equal_questions_have_equal_keys_and_others_have_not(library: Library, catalogue: Catalogue) -> None:
    plan = plan_for("generic-x86", "cpu", "numerics", library, catalogue)

    def key(made: Plan, lock: Lock, overlay: str = "0" * 64) -> str:
        return spack.solve(made, lock, catalogue.upstream, overlay).key

    first = key(plan, locked(plan))
    assert key(plan, locked(plan)) == first
    newer = plan.target.os.model_copy(update={"glibc": "2.42"})
    others = (
        key(plan, locked(plan, perl="5.40.9-1")),
        key(plan, locked(plan), "1" * 64),
        key(replace(plan, target=replace(plan.target, os=newer)), locked(plan)),
        key(plan_for("generic-arm", "cpu", "numerics", library, catalogue), locked(plan)),
    )
    assert len({first, *others}) == 5

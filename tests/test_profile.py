"""A profile needs little, has its declared defaults, and cannot be changed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stack.profile import Accelerators, Profile
from stack.words import PROVIDERS

LEAST: dict[str, Any] = {"schema": 1, "name": "x", "description": "a machine", "partitions": {"default": {}}}


def profile(**more: Any) -> Profile:
    return Profile.model_validate({**LEAST, **more}, strict=True)


def test_defaults() -> None:
    made = profile()
    assert (made.os, made.image, made.modules, made.scheduler.kind) == ("host", "debian-13", "lmod", "local")
    assert made.partitions["default"].cpu.microarchitecture == "host-level"
    assert made.partitions["default"].accelerators == ()
    assert not any((made.roles, made.components, made.site, made.mirrors))


def test_defaults_are_not_shared() -> None:
    assert profile().roles is not profile().roles


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        profile().name = "y"  # type: ignore[misc]


def test_everything_at_once() -> None:
    made = profile(
        partitions={"gpu": {"cpu": {"microarchitecture": "zen3", "cores": 64}, "accelerators": ({"model": "a-b"},)}},
        providers=PROVIDERS,
        components={"a": {"provider": "site", "version": "8.1"}},
        site={"a": {"version": "8.1", "prefix": "/opt/a", "modules": ("a/8.1",)}},
        mirrors={"main": "https://mirror.example/main"},
        scheduler={"kind": "slurm", "account": "p1", "queue": "gpu"},
    )
    assert made.partitions["gpu"].accelerators == (Accelerators(model="a-b", count=1),)
    assert made.components["a"].provider == "site"


@pytest.mark.parametrize(
    "more",
    [
        {"partitions": {}},
        {"partitions": {"default": {"cpu": {"cores": 0}}}},
        {"partitions": {"default": {"cpu": {"cores": 4097}}}},
        {"partitions": {"default": {"cpu": {"cores": True}}}},
        {"partitions": {"default": {"accelerators": ({"model": "a", "count": 0},)}}},
        {"providers": ("os", "conda")},
        {"schema": 2},
        {"schema_version": 1},
    ],
)
def test_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        profile(**more)

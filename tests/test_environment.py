"""An environment names software and nothing of a site."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stack.environment import Environment

LEAST: dict[str, Any] = {"schema": 1, "name": "x", "purpose": "numbers", "components": {"a": {}}}


def test_least() -> None:
    made = Environment.model_validate(LEAST, strict=True)
    assert made.roles == ()
    assert made.components["a"].version is None


@pytest.mark.parametrize("key", ["schema", "name", "purpose", "components"])
def test_each_key_is_needed(key: str) -> None:
    with pytest.raises(ValidationError):
        Environment.model_validate({k: v for k, v in LEAST.items() if k != key}, strict=True)


@pytest.mark.parametrize("key", ["os", "partitions", "site", "mirrors", "providers", "accelerators", "scheduler"])
def test_nothing_of_a_site_may_stand_in_it(key: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Environment.model_validate({**LEAST, key: {}}, strict=True)


@pytest.mark.parametrize("components", [{}, {"A": {}}, {"a": None}, {"a": {"version": 2.6}}, ("a",)])
def test_components_are_refused(components: Any) -> None:
    with pytest.raises(ValidationError):
        Environment.model_validate({**LEAST, "components": components}, strict=True)

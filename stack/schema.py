"""Ring 4. JSON Schemas of the documents, so that editors complete and check them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stack.card import Card
from stack.check import KINDS
from stack.document import did_you_mean
from stack.errors import bad_input
from stack.lock import Lock
from stack.words import Model

MODELS: Mapping[str, type[Model]] = {**{kind: model for kind, (model, _) in KINDS.items()}, "lock": Lock, "card": Card}
"""Every kind of document that has a schema."""


def json_schema(kind: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a kind of document; raises `StackError` for a kind there is not."""
    if kind not in MODELS:
        raise bad_input(f"no schema {kind!r}", remedy=did_you_mean(kind, MODELS))
    made = MODELS[kind].model_json_schema(by_alias=True, mode="validation")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:sovereign-stack:schema:{kind}:1",
        **made,
        "title": f"Sovereign Stack: {kind}",
    }
    tidied: dict[str, Any] = _tidy(head)
    return tidied


def _tidy(node: Any) -> Any:
    """Without the titles pydantic makes of field names, and closed where only keys of a pattern may stand."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _properties(value) if key in ("properties", "$defs") else _tidy(value) for key, value in node.items()}
    if "$schema" not in made and isinstance(made.get("title"), str):
        del made["title"]
    if "patternProperties" in made:
        made.setdefault("additionalProperties", False)
    return made


def _properties(named: dict[str, Any]) -> dict[str, Any]:
    """The names of properties and definitions are the documents' own; what they hold is tidied."""
    return {name: _tidy(value) for name, value in named.items()}

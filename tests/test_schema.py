"""The JSON Schemas are those committed for editors, and say of a document what the program says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stack.artifact import canonical_json
from stack.document import parse
from stack.errors import Faults, StackError
from stack.host.checking import FOLDERS
from stack.schema import MODELS, json_schema

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "docs" / "reference" / "schemas"
BROKEN = Path(__file__).parent / "broken"
PLACES = {
    "profile": "profiles/*.yaml",
    "environment": "environments/*.yaml",
    "recipe": "recipes/*.yaml",
    "container": "containers/*.yaml",
    "os": "stack/data/os/*.yaml",
    "hardware": "stack/data/hardware.yaml",
    "defaults": "stack/data/defaults.yaml",
    "upstream": "stack/data/upstream.yaml",
    "facts": "stack/data/facts/*.yaml",
    "stewards": "stack/data/facts/stewards.yaml",
    "licences": "stack/data/licences.yaml",
    "policy": "stack/data/policy.yaml",
}
SHIPPED = [
    (kind, path)
    for kind, pattern in PLACES.items()
    for path in sorted(ROOT.glob(pattern))
    if kind != "facts" or path.stem != "stewards"
]
FAULTS_OF_SCHEMA = (
    "profiles/unknown-key", "profiles/unknown-nested-key", "profiles/wrong-type", "profiles/number-out-of-range",
    "profiles/upper-case-name", "profiles/missing-keys", "profiles/empty-partitions",
    "profiles/shell-in-url", "profiles/unknown-scheduler", "profiles/word-for-list",
    "profiles/unknown-version-of-schema", "profiles/key-with-path-traversal", "environments/list-for-mapping",
    "recipes/jinja-in-spec", "recipes/option-as-spec", "containers/level-out-of-range",
    "containers/lower-case-variable", "facts/unknown-kind", "facts/unknown-cpu", "facts/redistribution-left-out",
    "facts/shell-in-licence",
)  # fmt: skip


def data(path: Path) -> Any:
    made = parse(path.read_text(encoding="utf-8"), path.name, Faults())
    assert made is not None
    return json.loads(json.dumps(made.data))


def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema(kind))


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_a_schema(kind: str) -> None:
    made = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(made)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert made["$id"] == f"urn:sovereign-stack:schema:{kind}:1"
    assert made["additionalProperties"] is False
    assert made["properties"]["schema"]["const"] == 1
    assert "schema_version" not in json.dumps(made)


def test_every_kind_has_a_shipped_document() -> None:
    assert {kind for kind, _ in SHIPPED} == set(MODELS) - {"lock", "card"}


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=lambda p: p.stem if isinstance(p, Path) else p)
def test_it_accepts_what_ships(kind: str, path: Path) -> None:
    validator(kind).validate(data(path))


@pytest.mark.parametrize("place", FAULTS_OF_SCHEMA)
def test_it_refuses_what_the_reader_refuses(place: str) -> None:
    kind = FOLDERS[place.partition("/")[0]]
    assert list(validator(kind).iter_errors(data(BROKEN / f"{place}.yaml")))


@pytest.mark.parametrize("kind", MODELS)
def test_the_committed_schema_is_current(kind: str) -> None:
    committed = COMMITTED / f"{kind}.json"
    made = committed.read_text(encoding="utf-8") if committed.is_file() else ""
    assert made == canonical_json(json_schema(kind)), "run: PYTHONPATH=. python tests/test_schema.py"


def test_nothing_else_is_committed() -> None:
    assert {path.stem for path in COMMITTED.iterdir()} == set(MODELS)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(StackError, match="did you mean 'profile'"):
        json_schema("profil")


def _write() -> None:
    COMMITTED.mkdir(parents=True, exist_ok=True)
    for kind in MODELS:
        (COMMITTED / f"{kind}.json").write_text(canonical_json(json_schema(kind)), encoding="utf-8")


if __name__ == "__main__":
    _write()

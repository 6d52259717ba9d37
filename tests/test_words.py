"""Constrained strings, and: no text in any field of any document can carry an injection into what is rendered of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from stack._fields import Leaf, Path, fields, in_words, key_leaves_at, leaves_at, members
from stack.check import KINDS
from stack.document import read
from stack.errors import Faults
from stack.facts import Evidence
from stack.policy import Match
from stack.profile import Contact
from stack.words import LINE, AbsolutePath, Digest, Model, Name, Package, Spec, Url, Version

PAYLOADS = (
    "$(touch x)",
    "`id`",
    "a;id",
    "a && id",
    "a|id",
    "a > /etc/passwd",
    '"; rm -rf /',
    "'; rm -rf /; '",
    ']] os.execute("x") --[[',
    "{{ 7*7 }}",
    "{{config}}",
    "{% include '/etc/passwd' %}",
    "{# x #}",
    "a\n%post\n  id",
    "a\r\n%setup",
    "a\0b",
    "\x1b[31m",
    "a\u2028b",
    "a\u202eb",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a/../../b",
    "--help",
    "-o",
    "%post",
    "~root",
    "$HOME",
    "${HOME}",
    "\\x41",
    "a b'c\"d",
)
# Harmless where they are accepted: a spec is never a file name or an option, and an option is what one field is for.
ACCEPTED = {
    "a Spack spec": {"%post", "../../etc/passwd", "a/../../b", "~root"},
    "a package of Spack's": {"a/../../b"},
    "versions and variants": {"~root"},
    "an option": {"--help"},
    "a licence's short name": {"a/../../b"},
    # Of a person or an organisation: shown, and written into JSON, as any line of text is.
    "a name (at most 200": {p for p in PAYLOADS if p.isprintable() and not {"<", ">"} & set(p)},
}
# Fields of which a document has one alone, or these together: the examples take one after the other. A policy without
# a rule on binaries is refused; what else a rule names, the policy of a profile names too.
EXCLUSIVE: dict[type[Model], tuple[tuple[str, ...], ...]] = {
    Contact: (("email",), ("url",)),
    Evidence: (("url",), ("archive", "sha256", "path")),
    Match: (("binary",),),
}
OTHERS = {Match: set(Match.model_fields)}
CANDIDATES = (
    "x", "xx", "1.0", "3.13", "https://x.example/", "/x", "/x/y", "/etc/x", "a" * 64, "10de", "--nv", "?essential", "X",
    "text", "a" * 40, "+x", "2026-01-01", "DE", "a@b.example", "libx.so.1", "*/x",
)  # fmt: skip


def example(leaf: Leaf, turn: int = 0) -> Any:
    """A right value with every field given, and one entry in every list and mapping. `turn`: which of those fields of
    which a document has one alone."""
    if leaf.is_model:
        groups = EXCLUSIVE.get(leaf.kind, ((),))
        given = OTHERS.get(leaf.kind, set()) | {name for group in groups for name in group}
        left_out = given - set(groups[turn % len(groups)])
        names = [name for name in fields(leaf.kind) if name not in left_out]
        return {name: next(example(found, turn) for found in leaves_at(leaf.kind, (name,))) for name in names}
    if get_origin(leaf.kind) is dict:
        key, entry = map(_leaf, get_args(leaf.kind))
        return {_text(key): example(entry, turn)}
    if get_origin(leaf.kind) is tuple:
        return [example(_leaf(get_args(leaf.kind)[0]), turn)]
    if leaf.kind is str:
        return _text(leaf)
    return next(v for v in (*get_args(leaf.kind), True, 1, 64) if leaf.accepts(v))


def _leaf(kind: Any) -> Leaf:
    return next(members(kind))


def _text(leaf: Leaf) -> str:
    return next(text for text in (*CANDIDATES, *leaf.words) if leaf.accepts(text))


def places(data: Any, path: Path = ()) -> Iterator[tuple[Path, bool]]:
    """Where texts stand: (path, whether it is the key that ends it)."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        inner = (*path, key)
        yield (inner, True)
        if isinstance(value, dict | list):
            yield from places(value, inner)
        elif isinstance(value, str):
            yield (inner, False)


def injected(data: Any, path: Path, key: bool, payload: str) -> Any:
    made = copy.deepcopy(data)
    holder = made
    for part in path[:-1]:
        holder = holder[part]
    if key:
        holder[payload] = holder.pop(path[-1])
    else:
        holder[path[-1]] = payload
    return made


TURNS = range(max(map(len, EXCLUSIVE.values())))
EXAMPLES = {(kind, turn): example(Leaf(model), turn) for kind, (model, _check) in KINDS.items() for turn in TURNS}
FIELDS = list(
    {
        (kind, path, key): (kind, turn, path, key)
        for (kind, turn), data in EXAMPLES.items()
        for path, key in places(data)
        if not key or key_leaves_at(KINDS[kind][0], path)
    }.values()
)


@pytest.mark.parametrize(("kind", "turn"), EXAMPLES)
def test_the_examples_are_right_and_whole(kind: str, turn: int) -> None:
    faults = Faults()
    assert read(json.dumps(EXAMPLES[kind, turn]), "f", KINDS[kind][0], faults), faults.found


def test_every_kind_has_fields_to_attack() -> None:
    assert {kind for kind, *_ in FIELDS} == set(KINDS)
    assert len(FIELDS) > 100


@pytest.mark.parametrize(
    ("kind", "turn", "path", "key"), FIELDS, ids=lambda p: ".".join(map(str, p)) if isinstance(p, tuple) else str(p)
)
def test_no_field_takes_an_injection(kind: str, turn: int, path: Path, key: bool) -> None:
    model, right_one = KINDS[kind][0], EXAMPLES[kind, turn]
    leaves = key_leaves_at(model, path) if key else leaves_at(model, path)
    free = any(constraint == LINE for leaf in leaves for constraint in leaf.constraints)
    harmless = {p for said, payloads in ACCEPTED.items() if in_words(leaves).startswith(said) for p in payloads}
    for payload in PAYLOADS:
        right = payload.isprintable() if free else payload in harmless
        assert accepted(model, injected(right_one, path, key, payload)) == right, payload
    faults = Faults()
    assert read(json.dumps(injected(right_one, path, key, "a\n%post")), "f", model, faults) is None
    assert faults.found
    assert all(str(fault).isprintable() for fault in faults.found)


def accepted(model: type[Model], data: Any) -> bool:
    try:
        model.model_validate(plain(data), strict=True)
    except ValidationError:
        return False
    return True


def plain(data: Any) -> Any:
    """As the reader gives it: tuples, not lists."""
    if isinstance(data, dict):
        return {key: plain(value) for key, value in data.items()}
    return tuple(map(plain, data)) if isinstance(data, list) else data


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Name, ["a", "a1", "open-mpi", "a.b_c"], ["", "A", "1a", "a--b", "a-", "a..", "-a", "a\n", "é", 65 * "a"]),
        (Package, ["g++", "libc6-dev", "0ad"], ["", "a", "-o", "A0", "a b", "a\n", "a=b"]),
        (Version, ["1", "2.6.1", "1:2.3+dfsg-1~bpo"], ["", "-1", ".1", "1 2", "1/2", "1\n"]),
        (Url, ["https://a.example/b?c=d", "ssh://git@a.example/b"], ["", "a.example", "ftp://x", "https://a b"]),
        (AbsolutePath, ["/", "/opt/x-1.0+a"], ["", "opt", "/..", "/a/../b", "/a b", "/a\n", "/$x", "~"]),
        (Spec, ["gcc", "+mpi~cuda cuda_arch={arch}", "a@1:2 ^b"], ["", "-a", "{x}", "{{arch}}", "a\n", "a;b", " a"]),
        (Digest, ["0" * 64], ["", "0" * 63, "0" * 65, "G" * 64, "0" * 64 + "\n"]),
    ],
)  # fmt: skip
def test_words(kind: Any, right: list[str], wrong: list[str]) -> None:
    adapter = TypeAdapter(kind)
    for text in right:
        assert adapter.validate_python(text) == text
    for text in wrong:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)


@pytest.mark.parametrize("value", [True, 1.0, "1", 0, 2, None])
def test_only_the_number_1_is_a_version_of_the_schema(value: object) -> None:
    from stack.environment import Environment

    with pytest.raises(ValidationError):
        Environment.model_validate({"schema": value, "name": "a", "purpose": "b", "components": {"c": {}}}, strict=True)

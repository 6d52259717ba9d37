"""The graph of a `spack.lock`: what is kept of it, what it answers, and what is made of a damaged one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stack import graph
from stack import lock as locks
from stack.errors import StackError
from stack.graph import Graph
from tests.conftest import RECORDED

TEXT = (RECORDED / "spack/rocky8-zen3.spack.lock").read_text()
KEPT = (RECORDED / "spack/rocky8-zen3.stack.lock.json").read_text()


def kept() -> Graph:
    found = locks.parse(KEPT, "stack.lock.json").spack
    assert found
    return found


def changed(**parts: Any) -> str:
    return json.dumps({**json.loads(TEXT), **parts})


def test_what_is_kept_of_spacks_lock_is_what_was_kept() -> None:
    roots, nodes, commit = graph.read(TEXT, "spack.lock")
    found = kept()
    assert (roots, nodes, commit) == (found.roots, found.nodes, found.spack)
    assert [n.name for n in nodes] == [
        "bzip2", "compiler-wrapper", "diffutils", "gcc", "gcc-runtime", "glibc", "gmake"
    ]  # fmt: skip
    gcc = found.named("gcc")[0]
    assert gcc.external == "/opt/rh/gcc-toolset-13/root/usr"
    assert gcc.parameters["languages"] == ("c", "c++", "fortran")
    assert "cflags" not in gcc.parameters  # an empty list says nothing


def test_what_a_graph_answers() -> None:
    found = kept()
    root = found.root("bzip2")
    assert root and root.version == "1.0.8" and root.parameters["shared"] is True
    assert found.root("gmake") is None and found.named("openssl") == ()
    assert [n.name for n in found.providers("libc")] == ["glibc"]
    assert found.providers("mpi") == ()


def test_groups_of_roots_are_read_too() -> None:
    data = json.loads(TEXT)
    grouped = changed(roots={"default": data["roots"]}, _meta={**data["_meta"], "lockfile-version": 7})
    assert graph.read(grouped, "spack.lock") == graph.read(TEXT, "spack.lock")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[: len(TEXT) // 2], "damaged Spack lock"),
        ("", "damaged Spack lock"),
        ("[]", "damaged Spack lock"),
        ("[" * 100_000, "damaged Spack lock"),
        ('{"_meta": {}}', "lockfile-version"),
        (changed(_meta={"lockfile-version": 9}), r"a Spack lock of version 9; known: \(6, 7\)"),
        (changed(_meta={"lockfile-version": 4}), "a Spack lock of version 4"),
        (changed(roots=[{"hash": "a" * 32, "spec": "zlib"}]), f"has no node {'a' * 32}, which it refers to"),
        (changed(roots=[{"hash": "../etc", "spec": "zlib"}]), "hash"),
        (changed(concrete_specs={"a" * 32: {"hash": "b" * 32}}), "is not the hash of its node"),
        (changed(spack="5817"), "damaged Spack lock"),
    ],
)
def test_a_damaged_lock_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(StackError, match=message) as caught:
        graph.read(text, "place/spack.lock")
    assert all(str(f).startswith("place/spack.lock: ") for f in caught.value.faults)


def fields(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a structure: what holds it, and its key."""
    for key in list(data) if isinstance(data, dict) else range(len(data)):
        yield data, key
        if isinstance(data[key], dict | list):
            yield from fields(data[key])


STRANGE = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3), max_size=2)


@given(st.data())
def test_whatever_stands_in_a_field_is_read_or_refused(data: st.DataObject) -> None:
    made = json.loads(TEXT)
    place, key = data.draw(st.sampled_from(list(fields(made))))
    place[key] = data.draw(STRANGE | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2))
    try:
        _roots, nodes, _commit = graph.read(json.dumps(made), "spack.lock")
    except StackError as error:
        assert error.faults
    else:
        assert all(len(n.hash) == 32 for n in nodes)


@given(st.data())
def test_the_same_holds_of_the_cells_lock(data: st.DataObject) -> None:
    made = json.loads(KEPT)
    place, key = data.draw(st.sampled_from(list(fields(made))))
    place[key] = data.draw(STRANGE)
    try:
        found = locks.parse(json.dumps(made), "stack.lock.json").spack
    except StackError as error:
        assert error.faults
    else:
        assert found is None or {e.hash for n in found.nodes for e in n.dependencies} <= {*found.by_hash()}


@pytest.mark.parametrize("name", ["../etc", "a b", "A", "x;y", "a\nb", ""])
def test_a_node_has_a_plain_name(name: str) -> None:
    data = json.loads(TEXT)
    first = next(iter(data["concrete_specs"].values()))
    first["name"] = name
    with pytest.raises(StackError, match="name"):
        graph.read(json.dumps(data), "spack.lock")


def test_a_cells_lock_whose_edges_lead_nowhere_is_damaged() -> None:
    data = json.loads(KEPT)
    data["spack"]["nodes"] = data["spack"]["nodes"][1:]
    with pytest.raises(StackError, match=r"spack: .*there is no node tqgp6isz"):
        locks.parse(json.dumps(data), "stack.lock.json")
    with pytest.raises(ValidationError, match="stands twice"):
        Graph.model_validate({**kept().model_dump(), "nodes": (*kept().nodes, kept().nodes[0])})

"""What changed between two locks: nothing that differs is left out, and both directions say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stack import difference
from stack import lock as locks
from stack.audit import inventory
from stack.audit.inventory import Item
from stack.catalogue import Container
from stack.difference import Difference, Side, between
from stack.host.library import Library
from stack.lock import Lock
from tests.locked import component, deb, facts, graph, known, lock, node, os_lock, side, uses, wheel, wheels

ROOT = Path(__file__).parent.parent
RELEASED = sorted((ROOT / "environments/locks").glob("*/*/*/stack.lock.json"))
ABOUT = facts(
    spack={
        "mkl": known("LicenseRef-own", "proprietary", binary="forbidden"),
        "openblas": known("BSD-3-Clause"),
        "hdf5": known(),
    },
    debian={"bash": known("GPL-3.0-or-later")},
)


def diff(before: Lock, after: Lock) -> Difference:
    return between(side(before, ABOUT, "a"), side(after, ABOUT, "b"))


def told(found: Difference) -> list[tuple[str, str, str, bool]]:
    return [(e.group, e.name, e.change, e.worse) for e in found.entries]


def test_added_removed_and_changed_by_group() -> None:
    zlib = node("zlib")
    old = lock(deb("bash"), deb("tar"), spack=graph(zlib), wheels=wheels(wheel("numpy")))
    new = lock(deb("bash", "2"), spack=graph(node("zlib", "2")), wheels=wheels(wheel("numpy"), wheel("torch")))
    found = diff(old, new)
    assert told(found) == [
        ("spack", "zlib", "changed", False),
        ("os", "bash", "changed", False),
        ("os", "tar", "removed", False),
        ("wheel", "torch", "added", True),  # nothing is known of it
    ]
    assert found.counts() == {"added": 1, "removed": 1, "changed": 2, "rebuilt": 0, "refiled": 0, "worse": 1}


def test_another_component_in_a_role_is_one_change_and_its_licence_is_told() -> None:
    blas, other = node("openblas"), node("mkl")
    old = lock(spack=graph(blas), components=(component("openblas", role="blas"),))
    new = lock(spack=graph(other), components=(component("mkl", role="blas"),))
    entry = diff(old, new).entries[0]
    assert (entry.group, entry.name, entry.change, entry.worse) == ("component", "blas", "changed", True)
    found = {a.what: (a.before, a.after) for a in entry.aspects}
    assert found["component"] == ("openblas", "mkl")
    assert found["class"] == ("osi", "proprietary")
    assert found["binary"] == ("allowed", "forbidden")
    assert found["licence"] == ("BSD-3-Clause", "LicenseRef-own")


def test_a_component_is_the_root_of_its_name_and_the_package_of_its_distribution() -> None:
    old = lock(deb("bash"), components=(component("shell", provider="os", package="bash 1"),))
    new = lock(spack=graph(node("mkl")), components=(component("shell", spec="mkl +x", package="mkl abc"),))
    entry = next(e for e in diff(old, new).entries if e.group == "component")
    assert entry.before
    assert entry.after
    assert (entry.before.terms.licence, entry.after.terms.licence) == ("GPL-3.0-or-later", "LicenseRef-own")
    assert entry.before.ref.startswith("pkg:deb/")


def test_of_two_nodes_of_a_name_the_component_is_the_one_that_was_asked_for() -> None:
    others = [node("openblas", str(number)) for number in range(4)]
    for asked in others:
        made = lock(spack=graph(*others, roots=[asked]), components=(component("openblas"),))
        entry = diff(lock(), made).entries[0]
        assert entry.after
        assert entry.after.ref.endswith(asked.hash)


def test_the_base_is_a_setting_and_no_package() -> None:
    base = Container.model_validate({"schema": 1, "name": "tux", "os": "tux-1", "compression_level": 1})
    one = lock(deb("bash"))
    found = between(side(one), side(one, base=base))
    assert found.entries == ()
    assert [(a.what, a.before, a.after) for a in found.settings] == [("base image", None, "tux 1")]


def test_several_versions_of_one_package_are_matched_by_version_then_by_variants() -> None:
    plain, static, newer = node("zlib"), node("zlib", parameters={"static": True}), node("zlib", "2")
    top = node("hdf5", "1", plain, static)
    changed = node("zlib", parameters={"static": True}, package_hash="other")
    then = node("hdf5", "1", changed, newer)
    old, new = lock(spack=graph(top, plain, static, roots=[top])), lock(spack=graph(then, changed, newer, roots=[then]))
    found = [e for e in diff(old, new).entries if e.name == "zlib"]
    assert sorted(tuple(a.what for a in e.aspects) for e in found) == [("recipe",), ("version",)]


def test_what_brought_a_new_package_in_is_told() -> None:
    low = node("mkl")
    mid = node("numpy", "1", low)
    top = node("torch", "1", mid)
    entry = next(e for e in diff(lock(), lock(spack=graph(top, mid, low, roots=[top]),
                 components=(component("torch"),))).entries if e.name == "mkl")  # fmt: skip
    assert entry.after
    assert entry.after.path == ("torch", "numpy")


def test_what_only_building_needs_is_known_as_such() -> None:
    tool, low = node("cmake"), node("zlib")
    top = node("hdf5", "1", uses(tool, "build"), uses(low, "link"))
    new = lock(deb("bash"), spack=graph(top, tool, low, roots=[top]), tools=os_lock(deb("make")))
    found = {(e.group, e.name): e.build for e in diff(lock(), new).entries}
    assert found == {
        ("os", "bash"): False,
        ("tool", "make"): True,
        ("spack", "hdf5"): False,
        ("spack", "zlib"): False,
        ("spack", "cmake"): True,
    }


def test_a_tool_that_the_image_has_now_is_a_change_of_scope() -> None:
    entry = diff(lock(tools=os_lock(deb("make"))), lock(deb("make"))).entries[0]
    assert (entry.group, entry.change, entry.build) == ("os", "changed", False)
    assert [(a.what, a.before, a.after) for a in entry.aspects] == [("scope", "build", "run")]


def test_equal_locks_have_no_difference() -> None:
    one = lock(deb("bash"), spack=graph(node("zlib")))
    found = diff(one, one)
    assert found.same
    assert not found.found
    assert set(found.counts().values()) == {0}


def test_locks_may_differ_in_what_is_not_compared_and_are_then_not_the_same() -> None:
    found = diff(lock(deb("bash")), lock(deb("bash", control={"Depends": "libc6"})))
    assert not found.found
    assert not found.same


def test_levels_alone_are_a_difference() -> None:
    one = lock(deb("bash"))
    found = between(side(one, levels={"compute": 2}), side(one, levels={"compute": 1}))
    assert not found.same
    assert [(a.what, a.worse) for a in found.levels] == [("compute", True)]


versions = st.sampled_from(["1", "2", "2.1"])
names = st.sampled_from(["bash", "tar", "sed", "mkl"])


@st.composite
def small_locks(draw: st.DrawFn) -> Lock:
    def debs() -> tuple[Any, ...]:
        some = draw(st.dictionaries(names, st.tuples(versions, st.sampled_from(["amd64", "all"]), st.booleans())))
        return tuple(
            deb(n, v, architecture=a, **({"sha256": "f" * 64} if odd else {})) for n, (v, a, odd) in some.items()
        )

    nodes: list[Any] = []
    for name in draw(st.lists(st.sampled_from(["zlib", "mkl", "openblas", "hdf5", "cmake"]), max_size=6)):
        below = draw(st.lists(st.sampled_from(nodes), max_size=2, unique_by=lambda n: n.hash)) if nodes else []
        kinds = draw(st.sampled_from([("build",), ("link",), ("build", "link", "run")]))
        edges = [uses(n, *kinds, virtuals=("blas",) if n.name in ("mkl", "openblas") else ()) for n in below]
        variants = draw(
            st.dictionaries(st.sampled_from(["mpi", "cuda", "commit"]), st.sampled_from([True, False, "x"]))
        )
        made = node(name, draw(versions), *edges, parameters=variants, external=draw(st.sampled_from(["", "/usr"])),
                    patches=draw(st.sampled_from([(), ("1" * 64,)])), package_hash=draw(versions))  # fmt: skip
        if made.hash not in {n.hash for n in nodes}:
            nodes.append(made)
    roles = st.tuples(versions, st.sampled_from([None, "blas"]), st.sampled_from(["source", "site", "os"]))
    wanted = draw(st.dictionaries(st.sampled_from(["mkl", "openblas", "hdf5"]), roles))
    parts = tuple(component(n, v, p, role=r) for n, (v, r, p) in wanted.items())
    return lock(
        *debs(),
        components=parts,
        spack=graph(*nodes, roots=nodes[-2:]) if nodes else None,
        tools=os_lock(*debs()),
        wheels=wheels(*(wheel(n, v) for n, v in draw(st.dictionaries(names, versions)).items())),
        inputs=draw(st.dictionaries(st.sampled_from(["os", "profile"]), st.sampled_from(["1" * 64, "2" * 64]))),
        profile=draw(st.sampled_from(["here", "there"])),
    )


def flipped(data: dict[str, Any]) -> Any:
    """The answer of the other direction, and no word of what is worse, which each direction says for itself."""

    def turn(value: Any) -> Any:
        if isinstance(value, list):
            return [turn(v) for v in value]
        if not isinstance(value, dict):
            return {"added": "removed", "removed": "added"}.get(value, value) if isinstance(value, str) else value
        other = {"before": "after", "after": "before", "added": "removed", "removed": "added"}
        return {other.get(k, k): turn(v) for k, v in value.items()}

    return turn(data)


def unjudged(value: Any) -> Any:
    if isinstance(value, list):
        return [unjudged(v) for v in value]
    if not isinstance(value, dict):
        return value
    lone = "change" in value and value["change"] in ("added", "removed")
    return {k: unjudged(v) for k, v in value.items() if k != "worse" and not (lone and k == "differs")}


@given(small_locks(), small_locks())
@settings(max_examples=60, deadline=None)
def test_both_directions_say_the_same_and_a_lock_does_not_differ_from_itself(one: Lock, other: Lock) -> None:
    a, b = side(one, ABOUT, "a"), side(other, ABOUT, "b")
    there, back = between(a, b), between(b, a)
    data = difference.as_data(there)
    assert unjudged(flipped(data)) == unjudged(difference.as_data(back))
    assert there.same == (one == other) == back.same
    assert not between(a, a).found
    worse = {
        (e.group, e.name, a.what, a.before, a.after) for e in there.entries if e.before for a in e.aspects if a.worse
    }
    again = {
        (e.group, e.name, a.what, a.after, a.before) for e in back.entries if e.before for a in e.aspects if a.worse
    }
    assert {w[2] for w in worse & again} <= {"bytes", "commit"}  # nothing is worse both there and back


def content(item: Item) -> object:
    """What is in it: the same bytes of another release of a distribution are the same package."""
    return item.kind, item.name, item.version, item.scope, tuple(item.hashes.items()) or item.ref


@given(small_locks(), small_locks())
@settings(max_examples=40, deadline=None)
def test_every_package_of_either_lock_is_the_same_or_told(one: Lock, other: Lock) -> None:
    found = diff(one, other)
    entries = [e for e in found.entries if e.group != "component"]
    for which, where, there in (("before", one, other), ("after", other, one)):
        theirs = {content(i) for i in side(there).inventory.items}
        mine = {i.ref: content(i) for i in side(where).inventory.items}
        shown = [t.ref for e in entries if (t := getattr(e, which))]
        assert len(shown) == len(set(shown))
        assert {ref for ref in mine if mine[ref] not in theirs} <= set(shown) <= set(mine)


@pytest.fixture(scope="module")
def released(library: Library) -> dict[str, Side]:
    """The released locks of one environment and profile: one without an accelerator, and the others."""
    made = {}
    for path in RELEASED:
        found = locks.parse(path.read_text(encoding="utf-8"), str(path))
        system = found.os.system
        base = library.catalogue.containers.get(system)
        items = inventory.make(found, library.facts, library.catalogue.systems[system], base)
        made["/".join(path.parts[-4:-1])] = Side(str(path), items)
        if len(made) == 4:
            break
    return made


def test_released_locks_are_compared_whole(released: dict[str, Side]) -> None:
    one, *others = released.values()
    assert others
    for other in others:
        found = between(one, other)
        assert not found.same
        changed = {(e.group, e.name) for e in found.entries}
        sides = [{n.name for n in s.lock.spack.nodes} if s.lock.spack else set() for s in (one, other)]
        assert {("spack", name) for name in sides[0] ^ sides[1]} <= changed
        packages = [{p.name: p.sha256 for p in s.lock.os.packages} for s in (one, other)]
        differ = {n for n in {*packages[0], *packages[1]} if packages[0].get(n) != packages[1].get(n)}
        assert {name for group, name in changed if group in ("os", "tool")} >= differ
        assert {a.what for a in found.settings} & {"environment", "profile", "target"}
        assert not between(other, other).found

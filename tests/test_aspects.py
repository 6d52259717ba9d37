"""In what two packages, or two components, differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stack import aspects
from stack.aspects import Aspect, Part, Terms
from stack.graph import Node
from tests.locked import component, deb, facts, graph, known, lock, node, side, uses, wheel, wheels


def part(made: Node, *needs: str, **what: object) -> Part:
    item = side(lock(spack=graph(made)), facts(spack=what)).inventory.items[0]  # type: ignore[arg-type]
    return Part(item, made, frozenset(needs))


def between(before: Node, after: Node) -> list[Aspect]:
    return list(aspects.of_parts(part(before), part(after)))


def test_only_the_variants_that_differ_are_told() -> None:
    old = node("hdf5", parameters={"cuda": False, "mpi": True, "api": "v18", "fabrics": ("ofi", "ucx")})
    new = node("hdf5", parameters={"cuda": True, "mpi": True, "cuda_arch": ("90",), "fabrics": ("ofi",)})
    assert between(old, new) == [
        Aspect("variant", "api=v18", None),
        Aspect("variant", "~cuda", "+cuda"),
        Aspect("variant", None, "cuda_arch=90"),
        Aspect("variant", "fabrics=ofi,ucx", "fabrics=ofi"),
    ]


def test_another_version_has_another_package_hash_and_that_is_not_another_recipe() -> None:
    assert between(node("zlib", "1"), node("zlib", "2")) == [Aspect("version", "1", "2")]
    same = node("zlib", package_hash="x"), node("zlib", package_hash="y")
    assert between(*same) == [Aspect("recipe", "x", "y")]


def test_a_patch_more_is_told_and_its_effect_on_the_package_hash_is_not() -> None:
    old, new = node("zlib", package_hash="x"), node("zlib", package_hash="y", patches=("1" * 64,))
    assert between(old, new) == [Aspect("patch", None, "1" * 64)]


def test_built_or_taken_from_the_machine() -> None:
    assert between(node("gcc"), node("gcc", external="/usr")) == [Aspect("external", None, "/usr")]


def test_another_commit_of_one_version_is_to_be_looked_at() -> None:
    old, new = (node("fp16", "1", parameters={"commit": letter * 40}) for letter in "ab")
    assert between(old, new) == [Aspect("commit", f"commit={'a' * 40}", f"commit={'b' * 40}", worse=True)]
    newer = node("fp16", "2", parameters={"commit": "b" * 40})
    assert not any(a.worse for a in between(old, newer))


def test_a_node_that_only_stands_on_another_is_quiet() -> None:
    old, new = (node("hdf5", "1", node("zlib", version)) for version in "12")
    found = list(aspects.of_parts(part_of(old, node("zlib", "1")), part_of(new, node("zlib", "2"))))
    assert found == [Aspect("rebuilt", old.hash, new.hash, quiet=True)]


def part_of(made: Node, below: Node) -> Part:
    items = side(lock(spack=graph(made, below))).inventory.items
    return Part(next(i for i in items if i.name == made.name), made, frozenset({below.name}))


def test_what_it_links_to() -> None:
    assert list(aspects.of_parts(part(node("hdf5"), "zlib"), part(node("hdf5"), "zlib-ng"))) == [
        Aspect("needs", "zlib", None),
        Aspect("needs", None, "zlib-ng"),
    ]


def test_other_bytes_of_one_package_are_to_be_looked_at_and_another_architectures_are_quiet() -> None:
    old, bad, arm = deb("bash"), deb("bash", sha256="f" * 64), deb("bash", architecture="arm64")
    parts = [Part(side(lock(package)).inventory.items[0]) for package in (old, bad, arm)]
    other, elsewhere = list(aspects.of_parts(parts[0], parts[1])), list(aspects.of_parts(parts[0], parts[2]))
    assert [(a.what, a.worse, a.quiet) for a in other] == [("bytes", True, False)]
    assert other[0].after == f"SHA-256:{'f' * 64}"
    assert [(a.what, a.worse, a.quiet) for a in elsewhere] == [("file", False, True)]
    assert list(aspects.of_parts(parts[0], parts[0])) == []


def test_a_wheels_bytes_too() -> None:
    files = wheel("numpy"), wheel("numpy", sha256="f" * 64), wheel("numpy", filename="numpy-1-cp313-none-any.whl")
    parts = [Part(side(lock(wheels=wheels(file))).inventory.items[0]) for file in files]
    assert [a.what for a in aspects.of_parts(parts[0], parts[1])] == ["bytes"]
    assert [a.what for a in aspects.of_parts(parts[0], parts[2])] == ["file"]


def test_another_source_package_is_another_licence() -> None:
    about = facts(debian={"one": known("MIT"), "two": known("LicenseRef-own", "proprietary", binary="forbidden")})
    old, new = (Part(side(lock(deb("lib", source=source)), about).inventory.items[0]) for source in ("one", "two"))
    assert list(aspects.of_parts(old, new)) == [
        Aspect("licence", "MIT", "LicenseRef-own"),
        Aspect("class", "osi", "proprietary", worse=True),
        Aspect("binary", "allowed", "forbidden", worse=True),
        Aspect("source package", "one", "two"),
    ]
    assert not any(a.worse for a in aspects.of_parts(new, old))


def test_what_has_no_facts_is_unknown_and_worse_than_anything() -> None:
    found = list(aspects.terms_differ(Terms("X", "proprietary", "forbidden", "forbidden"), Terms()))
    assert [(a.what, a.after) for a in found if a.worse] == [(w, "unknown") for w in ("class", "source", "binary")]


def test_a_new_package_is_looked_at_where_it_is_not_open_or_may_not_be_handed_on() -> None:
    assert list(aspects.newly(Terms("MIT", "osi", "allowed", "conditional"))) == []
    assert list(aspects.newly(Terms("X", "proprietary", "conditional", "forbidden"))) == [
        Aspect("class", None, "proprietary", worse=True),
        Aspect("binary", None, "forbidden", worse=True),
    ]


def test_components_differ_in_who_supplies_them_and_not_in_the_hash() -> None:
    built = component("numpy", package="py-numpy abc", spec="py-numpy")
    again = component("numpy", package="py-numpy xyz", spec="py-numpy")
    native = component("numpy", provider="os", package="python3-numpy 1-1", spec="py-numpy", role="blas")
    newer = component("numpy", provider="os", package="python3-numpy 1-2", spec="py-numpy", role="blas")
    assert list(aspects.of_components(built, again)) == [Aspect("rebuilt", "py-numpy abc", "py-numpy xyz", quiet=True)]
    assert list(aspects.of_components(built, native)) == [
        Aspect("role", None, "blas"),
        Aspect("provider", "source", "os"),
    ]
    assert list(aspects.of_components(native, newer)) == [Aspect("package", "python3-numpy 1-1", "python3-numpy 1-2")]


def test_the_scope_is_told() -> None:
    top = node("hdf5", "1", uses(node("zlib"), "link")), node("hdf5", "1", uses(node("zlib"), "build"))
    sides = [side(lock(spack=graph(made, node("zlib"), roots=[made]))) for made in top]
    below = [next(Part(i, node("zlib")) for i in s.inventory.items if i.name == "zlib") for s in sides]
    assert list(aspects.of_parts(*below)) == [Aspect("scope", "run", "build")]


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_matching_loses_nothing_and_does_not_depend_on_the_direction(left: list[int], right: list[int]) -> None:
    def match(one: list[int], other: list[int]) -> list[tuple[int | None, int | None]]:
        def ways(number: int) -> tuple[int, ...]:
            return number, number % 3, number // 2, 0

        pairs = aspects.paired(one, other, ways, int)
        return list(pairs)

    found = match(left, right)
    assert sorted(a for a, _b in found if a is not None) == sorted(left)
    assert sorted(b for _a, b in found if b is not None) == sorted(right)
    assert sorted(map(repr, found)) == sorted(repr((a, b)) for b, a in match(right, left))
    same = sum((left.count(n) + right.count(n) - abs(left.count(n) - right.count(n))) // 2 for n in {*left, *right})
    assert sum(a == b for a, b in found) == same  # the surest way goes first

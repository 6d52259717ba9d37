"""A difference in words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stack import difference_text
from stack.aspects import Aspect, Terms
from stack.difference import Entry, Thing, between
from stack.graph import Node
from stack.lock import Lock
from tests.locked import component, deb, facts, graph, known, lock, node, os_lock, side, uses

ABOUT = facts(
    spack={
        "cuda": known("LicenseRef-own", "proprietary", binary="forbidden"),
        **{name: known() for name in ("torch", "hdf5", "zlib", "cmake", "openblas")},
    },
    debian={name: known("GPL-3.0-or-later") for name in ("bash", "make", "tar")},
)


def text(before: Lock, after: Lock, *, build: bool = False) -> str:
    return difference_text.render(between(side(before, ABOUT, "a"), side(after, ABOUT, "b")), build=build)


def torch(*below: Node, **variants: object) -> Lock:
    made = node("torch", "2.12", *below, parameters=variants)
    return lock(spack=graph(made, *below, roots=[made]), components=(component("torch", "2.12", spec="torch"),))


def test_equal_locks_are_said_to_be_the_same() -> None:
    one = lock(deb("bash"))
    digest = one.digest[:12]
    assert text(one, one).splitlines() == [
        f"before: some/site/tux1-x86_64_v3, lock {digest}",
        "        a",
        f"after:  some/site/tux1-x86_64_v3, lock {digest}",
        "        b",
        "the locks are the same",
    ]


def test_a_difference_in_nothing_that_is_compared_is_said() -> None:
    found = text(lock(deb("bash")), lock(deb("bash", control={"Depends": "libc6"})))
    assert found.splitlines()[-1] == "the locks are not the same, and nothing that is compared here differs"


def test_the_whole_of_a_small_difference() -> None:
    found = text(torch(cuda=False), torch(node("cuda", "13.0"), cuda=True, cuda_arch=("90",)))
    assert found.splitlines()[4:] == [
        "1 added, 1 changed; 3 to look at, marked !",
        "",
        "packages that run",
        "! binary redistribution forbidden: 0 -> 1",
        "! class proprietary: 0 -> 1",
        "",
        "Spack packages: 1 added, 1 changed",
        "! + cuda 13.0, LicenseRef-own",
        "      through torch",
        "      ! class proprietary; ! binary redistribution forbidden",
        "  ~ torch 2.12",
        "      ~cuda -> +cuda; cuda_arch=90 (new); needs cuda now",
    ]


def test_locks_of_two_cells_are_said_to_be_so_first() -> None:
    found = text(lock(), lock(profile="there", target="tux1-zen3"))
    assert "these are locks of different profiles and targets" in found.splitlines()[4]
    assert "no package changed" in found


def test_a_line_for_each_kind_of_change() -> None:
    old = lock(deb("bash"), deb("tar"), spack=graph(node("zlib", "1", package_hash="x", patches=("1" * 64,))))
    new = lock(deb("bash", sha256="f" * 64), spack=graph(node("zlib", "1", package_hash="x", external="/usr")))
    lines = text(old, new).splitlines()
    assert "  ~ zlib 1" in lines
    assert "      built -> taken from /usr; 1 patch fewer" in lines
    assert "! ~ bash 1" in lines
    was = deb("bash").sha256[:12]
    assert f"      ! same version, other bytes: {was} -> {'f' * 12}" in lines
    assert "  - tar 1" in lines
    assert lines.index("! ~ bash 1") < lines.index("  - tar 1")


def test_a_role_has_both_components() -> None:
    old = lock(components=(component("openblas", "0.3", role="blas"),))
    new = lock(components=(component("mkl", "2025", "site", role="blas", spec="openblas"),))
    assert "blas: openblas 0.3 from source -> mkl 2025 from site" in text(old, new)


def test_another_provider_of_one_component() -> None:
    old, new = component("bash", "5.2", "os", package="bash 5.2"), component("bash", "5.3", "source")
    found = text(lock(deb("bash", "5.2"), components=(old,)), lock(deb("bash", "5.2"), components=(new,)))
    assert "~ bash 5.2 -> 5.3 from os -> from source" in found


def test_what_only_building_needs_is_counted_unless_asked_for() -> None:
    tool = node("cmake", "3")
    top = node("hdf5", "1", uses(tool, "build"))
    new = lock(spack=graph(top, tool, roots=[top]), tools=os_lock(deb("make"), deb("odd")))
    brief, whole = text(lock(), new), text(lock(), new, build=True)
    assert "cmake" not in brief
    assert "  1 more that only building needs; --build shows them" in brief
    assert "  2 more that only building needs, 1 of them marked !; --build shows them" in brief
    assert "  + cmake 3, MIT" in whole
    assert "--build shows them" not in whole


def test_what_only_follows_is_counted() -> None:
    old, new = (torch(node("zlib", version)) for version in "12")
    found = text(old, new)
    assert "Spack packages: 1 changed, 1 only built again" in found
    assert "torch 2.12" not in found


def test_texts_of_one_name_are_one_line() -> None:
    old, new = (lock(os=os_lock(requested=names)) for names in (("g++", "gcc"), ("gcc", "git", "make")))
    assert "  asked of the distribution: g++ -> git make" in text(old, new)


def test_a_long_licence_is_cut_and_an_unknown_one_is_said() -> None:
    parts = [f"A-{n}" for n in range(9)]
    assert difference_text.licence_words(" AND ".join(parts), str) == "A-0 AND A-1 AND A-2 and 6 more"
    assert difference_text.licence_words(" AND ".join(parts[:4]), str) == " AND ".join(parts[:4])
    assert difference_text.licence_words("unknown", str) == "licence unknown"


def test_levels_stand_before_all_else() -> None:
    one = lock(deb("bash"))
    found = between(side(one, ABOUT, levels={"compute": 3}), side(lock(), ABOUT, levels={"compute": 1}))
    lines = difference_text.render(found).splitlines()
    assert lines[lines.index("levels") + 1] == "! compute: 3 -> 1"
    assert lines.index("levels") < lines.index("OS packages: 1 removed")


def test_what_has_words_of_its_own_is_told_with_them() -> None:
    thing = Thing("x", "1", Terms())
    for what in ("variant", "source", "binary", "scope", "external", "bytes", "commit", "recipe"):
        entry = Entry("spack", "x", thing, thing, (Aspect(what, "one", "two"),))
        (words,) = difference_text.phrases(entry, str)
        assert not words.startswith(f"{what} one"), words


@given(st.text(), st.text())
@settings(max_examples=60, deadline=None)
def test_nothing_of_a_document_moves_the_cursor_or_makes_a_line(where: str, layer: str) -> None:
    one = lock(deb("bash"))
    found = between(side(one, where=where, levels={layer: 1}), side(one, where="b", levels={layer: 2}))
    lines = difference_text.render(found)
    assert all(line.isprintable() or not line for line in lines.split("\n") if line.isascii())
    assert not any(c in lines for c in "\x1b\r\x00\u202e\u2028")


def test_lines_fit_a_terminal_where_they_can() -> None:
    old = node("torch", parameters={f"v{n}": False for n in range(40)})
    new = node("torch", parameters={f"v{n}": True for n in range(40)})
    lines = text(lock(spack=graph(old)), lock(spack=graph(new))).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("-> +v" in line for line in lines) > 2

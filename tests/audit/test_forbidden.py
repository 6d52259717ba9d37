"""Licence expressions under a list of forbidden ones: a choice saves, a sum does not."""

from __future__ import annotations

import itertools
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.audit.forbidden import refused

SERVER = ("SSPL-1.0",)


@pytest.mark.parametrize(
    ("expression", "forbidden", "allowed", "found"),
    [
        ("MIT", SERVER, (), ()),
        ("SSPL-1.0", SERVER, (), ("SSPL-1.0",)),
        ("MIT OR SSPL-1.0", SERVER, (), ()),
        ("SSPL-1.0 OR MIT", SERVER, (), ()),
        ("MIT AND SSPL-1.0", SERVER, (), ("SSPL-1.0",)),
        ("MIT AND (SSPL-1.0 OR BSD-3-Clause)", SERVER, (), ()),
        ("( MIT OR ISC ) AND ( SSPL-1.0 )", SERVER, (), ("SSPL-1.0",)),
        # AND binds more tightly than OR.
        ("MIT OR ISC AND SSPL-1.0", SERVER, (), ()),
        ("MIT AND ISC OR SSPL-1.0 AND ISC", ("MIT", "SSPL-1.0"), (), ("MIT", "SSPL-1.0")),
        ("SSPL-1.0 OR BUSL-1.1", ("SSPL-1.0", "BUSL-1.1"), (), ("SSPL-1.0", "BUSL-1.1")),
        ("CC-BY-NC-SA-4.0 AND MIT", ("CC-BY-NC-*",), (), ("CC-BY-NC-SA-4.0",)),
        ("CC-BY-4.0", ("CC-BY-NC-*",), (), ()),
        # An exception grants more; who forbids the licence forbids it with the exception too, until that is allowed.
        ("GPL-3.0-or-later WITH GCC-exception-3.1", ("GPL-3.0-*",), (), ("GPL-3.0-or-later WITH GCC-exception-3.1",)),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", ("GPL-3.0-*",), ("GPL-3.0-* WITH GCC-exception-*",), ()),
        ("GPL-3.0-or-later", ("GPL-3.0-*",), ("GPL-3.0-* WITH GCC-exception-*",), ("GPL-3.0-or-later",)),
        ("GPL-3.0-only", ("GPL-3.0-only WITH GCC-exception-3.1",), (), ()),
        ("Apache-2.0+", ("Apache-2.0",), (), ("Apache-2.0+",)),
        ("LicenseRef-EULA AND MIT", ("LicenseRef-*",), (), ("LicenseRef-EULA",)),
        ("LicenseRef-EULA AND MIT", ("LicenseRef-*",), ("LicenseRef-EULA",), ()),
        ("MIT", ("*",), ("MIT",), ()),
    ],
)
def test_what_stands_in_the_way(
    expression: str, forbidden: tuple[str, ...], allowed: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert refused(expression, forbidden, allowed) == found


@pytest.mark.parametrize("expression", ["SSPL-1.0 AND", "SSPL-1.0 AND custom", "unknown"])
def test_what_is_no_expression_is_not_judged(expression: str) -> None:
    """It is found as a licence that is not known."""
    assert refused(expression, SERVER) == ()


WORDS = ("MIT", "ISC", "SSPL-1.0", "BUSL-1.1", "GPL-2.0-only WITH Classpath-exception-2.0")
TREES = st.recursive(
    st.sampled_from(WORDS), lambda inner: st.tuples(st.sampled_from(("AND", "OR")), inner, inner), max_leaves=8
)


def written(tree: Any) -> str:
    return tree if isinstance(tree, str) else f"({written(tree[1])} {tree[0]} {written(tree[2])})"


def choices(tree: Any) -> list[frozenset[str]]:
    """Every set of licences that fulfils an expression."""
    if isinstance(tree, str):
        return [frozenset((tree,))]
    left, right = choices(tree[1]), choices(tree[2])
    return [*left, *right] if tree[0] == "OR" else [a | b for a, b in itertools.product(left, right)]


@given(TREES, st.sets(st.sampled_from(("MIT", "SSPL-1.0", "BUSL-*", "GPL-2.0-only"))))
def test_it_is_refused_where_no_choice_is_free_of_what_is_forbidden(tree: Any, forbidden: set[str]) -> None:
    def bad(name: str) -> bool:
        return any(fnmatchcase(part, p) for p in forbidden for part in (name, name.partition(" WITH ")[0]))

    free = any(not any(map(bad, choice)) for choice in choices(tree))
    assert (refused(written(tree), tuple(sorted(forbidden))) == ()) is free

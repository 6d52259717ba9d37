"""Ring 1. Whether an SPDX licence expression is one, and what is wrong with it: grammar, ids that are unknown or
outlived, and a class that its licences contradict. `LicenseRef-` ids are the document's own, and nothing is known of
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from stack.document import did_you_mean

UNKNOWN = "unknown"
OPERATORS = ("AND", "OR", "WITH")
NOTHING = ("NOASSERTION", "NONE", UNKNOWN)  # what SPDX and others say instead of a licence
_OWN = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_WORD = re.compile(r"[A-Za-z0-9.+-]+")

# Ids that SPDX gave up for a licence with its exception; the library has those of single licences as other names.
_APART = {
    "GPL-2.0-with-GCC-exception": "GPL-2.0-or-later WITH GCC-exception-2.0",
    "GPL-2.0-with-autoconf-exception": "GPL-2.0-or-later WITH Autoconf-exception-2.0",
    "GPL-2.0-with-bison-exception": "GPL-2.0-or-later WITH Bison-exception-2.2",
    "GPL-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
    "GPL-2.0-with-font-exception": "GPL-2.0-only WITH Font-exception-2.0",
    "GPL-3.0-with-GCC-exception": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "GPL-3.0-with-autoconf-exception": "GPL-3.0-or-later WITH Autoconf-exception-3.0",
    "eCos-2.0": "GPL-2.0-or-later WITH eCos-exception-2.0",
    "wxWindows": "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
}
# The library's categories whose licences are open source, or are not. The others have some of both in them.
_OPEN = frozenset(("Permissive", "Copyleft", "Copyleft Limited", "Public Domain"))
_CLOSED = frozenset(("Commercial", "Source-available"))


@dataclass(frozen=True)
class Problem:
    """What is wrong with an expression, and what to do about it."""

    what: str
    remedy: str = ""


@dataclass(frozen=True)
class _Spdx:
    """SPDX's ids: `names` has the ids in lower case, and other names that one goes by, with the id."""

    licensing: Any
    names: Mapping[str, str]
    categories: Mapping[str, str]


@cache
def _spdx() -> _Spdx:
    from license_expression import build_spdx_licensing, get_license_index

    index = get_license_index()
    licensing = build_spdx_licensing(index)
    symbols = licensing.known_symbols
    names = {alias.lower(): key for key, symbol in symbols.items() for alias in symbol.aliases}
    rows = [(row["spdx_license_key"], row["category"]) for row in index if row.get("spdx_license_key")]
    return _Spdx(licensing, {**names, **{key.lower(): key for key in symbols}}, dict(rows))


@cache
def problems(expression: str) -> tuple[Problem, ...]:
    """All that is wrong with an expression; `unknown` is right, and says nothing."""
    if expression == UNKNOWN:
        return ()
    words = dict.fromkeys(_WORD.findall(expression))
    found = tuple(problem for word in words for problem in _of_word(word))
    return found or _of_grammar(expression)


def _of_word(word: str) -> tuple[Problem, ...]:
    if word in OPERATORS or _OWN.fullmatch(word):
        return ()
    known = word.upper() if word.upper() in OPERATORS else _spdx().names.get(word.lower(), "")
    if word in NOTHING:
        what, remedy = f"{word!r} is no licence", "leave it out, or say that all of it is unknown"
    elif word in _APART:
        what, remedy = f"SPDX gave up the id {word!r}", f"write {_APART[word]}"
    elif known == word or _later(word):
        return ()
    elif known.lower() == word.lower():
        what, remedy = f"{word!r} is not how SPDX writes it", f"write {known}"
    elif known:
        what, remedy = f"SPDX gave up the id {word!r}, or never had it", f"write {known}"
    else:
        near = did_you_mean(word, (name for name in _spdx().categories if not _OWN.fullmatch(name)))
        what, remedy = f"SPDX has no licence {word!r}", near or f"write LicenseRef-{word.strip('.+-')}, or unknown"
    return (Problem(what, remedy),)


def _later(word: str) -> bool:
    """`+` after an id means any later version too, save for GNU's, which have ids of their own for that."""
    plain = word.removesuffix("+")
    return plain != word and _spdx().names.get(plain.lower()) == plain and not plain.endswith(("-only", "-or-later"))


def _of_grammar(expression: str) -> tuple[Problem, ...]:
    wrong = "write licences joined by AND or OR, with parentheses in pairs, and an exception after WITH"
    return () if _parsed(expression) is not None else (Problem("not an SPDX licence expression", wrong),)


def _parsed(expression: str) -> Any:
    """The library's tree; None where the expression has none. Each licence of the document's own is one licence."""
    plain = re.sub(r"(?<=[A-Za-z0-9])\+(?=$|[ )])", "", expression)
    try:
        return _spdx().licensing.parse(plain, validate=False, strict=True)
    except Exception:  # a broken expression makes the library fail in ways of its own, such as an IndexError
        return None


@cache
def contradiction(expression: str, licence_class: str) -> Problem | None:
    """Where a class cannot be that of such licences, as far as the library's categories tell: most of them do not."""
    if expression == UNKNOWN:
        what = "open source by a licence that is unknown"
        return Problem(what, "say which licence, or class: unknown") if licence_class == "osi" else None
    if problems(expression):
        return None
    is_open = _open(_parsed(expression))
    if licence_class == "osi" and is_open is False:
        return Problem(f"the class is osi, and {expression} is not open source", "say source-available or proprietary")
    if licence_class == "proprietary" and is_open is True:
        return Problem(f"the class is proprietary, and {expression} is open source", "mend the class or the licence")
    return None


def _open(node: Any) -> bool | None:
    """Whether one may choose to have all of it under open licences; None where that is not known."""
    spdx = _spdx()
    if isinstance(node, (spdx.licensing.AND, spdx.licensing.OR)):
        parts = [_open(part) for part in node.args]
        decides = isinstance(node, spdx.licensing.OR)
        if decides in parts:
            return decides
        return None if None in parts else not decides
    category = spdx.categories.get(getattr(node, "license_symbol", node).key, "")
    return True if category in _OPEN else False if category in _CLOSED else None

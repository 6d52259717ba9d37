"""Ring 4. Which licences of an SPDX expression stand in the way, where some are forbidden."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache, lru_cache
from typing import Any

from stack.expressions import problems


@lru_cache(maxsize=1 << 16)
def refused(expression: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Licences that must go for the expression to be acceptable: none where one side of every OR can be had.

    A pattern meets a licence with its exception, or alone; what is allowed too is not forbidden. The expression is one.
    """
    words = (" ".join(part.split()) for part in _BETWEEN.split(expression))
    if not any(_meets(word, forbidden) for word in words) or problems(expression):
        return ()  # most expressions: no need to know how their licences are joined
    return _refused(_licensing().parse(expression), forbidden, allowed)


_BETWEEN = re.compile(r"[() ]+(?:AND|OR)[() ]+|[()]+")  # what stands between licences; one has its exception with it


@cache
def _licensing() -> Any:
    """Without SPDX's list: whether all ids are in it was asked before."""
    from license_expression import Licensing

    return Licensing()


def _refused(node: Any, forbidden: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    licensing = _licensing()
    if not isinstance(node, (licensing.AND, licensing.OR)):
        name = node.render("{symbol.key}")
        return (name,) if _meets(name, forbidden) and not _meets(name, allowed) else ()
    parts = [_refused(part, forbidden, allowed) for part in node.args]
    if isinstance(node, licensing.OR) and () in parts:
        return ()
    return tuple(dict.fromkeys(name for part in parts for name in part))


@lru_cache(maxsize=1 << 12)
def _meets(licence: str, patterns: tuple[str, ...]) -> bool:
    alone = licence.partition(" WITH ")[0]
    return any(map(_one_of(patterns).match, (licence, alone, alone.removesuffix("+"))))


@cache
def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")

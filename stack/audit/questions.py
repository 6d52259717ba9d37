"""Ring 4. What each kind of rule asks of a component, and what can be answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from stack.audit.forbidden import refused
from stack.audit.inventory import Item
from stack.expressions import problems
from stack.policy import Rule

if TYPE_CHECKING:
    from stack.independence import Row
    from stack.sources import Wanted

Into = Literal["image", "cache", "any"]
Answer = str | None
"""Why a rule is broken; nothing where it is kept; None where that is not known."""


@dataclass(frozen=True)
class Survey:
    """What `sovstack mirror --survey` saw: package (`name@version`) -> who holds each of its files, and the packages of
    which a file has no hash, with what names it."""

    holders: Mapping[str, tuple[tuple[str, ...], ...]]
    unhashed: Mapping[str, str] = field(default_factory=dict)


def survey(table: Iterable[Row], wanted: Wanted) -> Survey:
    """The survey of one lock from its table."""
    from stack.sources import unhashed  # an audit without a survey does not wait for it

    holders: dict[str, tuple[tuple[str, ...], ...]] = {f"{p.name}@{p.version}": () for p in wanted.packages}
    for row in table:
        for package in row.source.packages:
            holders[package] = (*holders.get(package, ()), row.holders)
    return Survey(holders, dict(unhashed(wanted)))


def published(item: Item, into: Into = "any") -> bool:
    """Whether an image or a build cache holds a component: no external, and no package of the build root alone."""
    in_cache = item.kind == "spack" and not item.external
    in_image = item.scope == "run" and (in_cache or item.kind in ("debian", "wheel"))
    return (in_image and into != "cache") or (in_cache and into != "image")


_BINARY = {
    "forbidden": "its licence forbids handing its binaries on",
    "conditional": "its licence lets its binaries be handed on under conditions alone",
    "unknown": "it is not known whether its binaries may be handed on",
    "allowed": "its licence lets its binaries be handed on",
}
LACKING = {
    "licences": "the licence is not known",
    "classes": "the class is not known",
    "binary": "it is not known whether binaries may be handed on",
    "operators": "nobody has looked who holds the sources (`sovstack mirror --survey` does, for what Spack builds)",
    "vendors": "the hardware that they are for is not known",
}


def _licences(item: Item, rule: Rule, allowed: tuple[str, ...]) -> Answer:
    if item.licence is None or problems(item.licence):
        return None
    found = refused(item.licence, rule.match.licences or (), allowed)
    return f"{' and '.join(found)} is forbidden (its licence: {item.licence})" if found else ""


def _licence(item: Item) -> Answer:
    if item.licence is None:
        return "its licence is not known" if item.facts else "nothing is known of it"
    return "; ".join(f"its licence: {problem.what}" for problem in problems(item.licence))


def _classes(item: Item, rule: Rule) -> Answer:
    known, wanted = item.facts.licence_class if item.facts else "unknown", rule.match.classes or ()
    if known in wanted:
        return "it is not known whether it is open source" if known == "unknown" else f"it is {known}: {item.licence}"
    return None if known == "unknown" else ""


def _binary(item: Item, rule: Rule, into: Into) -> Answer:
    if not published(item, into):
        return ""
    known = item.facts.redistribution.binary if item.facts else "unknown"
    if known in (rule.match.binary or ()):
        return _BINARY[known] + (f" ({item.licence})" if item.licence else "")
    return None if known == "unknown" else ""


def _operators(item: Item, rule: Rule, seen: Survey | None) -> Answer:
    if item.external:
        return ""
    title = f"{item.name}@{item.version}"
    if seen is None or item.kind != "spack" or (title not in seen.holders and title not in seen.unhashed):
        return None
    if title in seen.unhashed:
        return f"its source is named by {seen.unhashed[title]}: no other archive can stand in"
    few = min(seen.holders[title], key=len, default=None)  # None: it fetches nothing
    if few is None or len(few) > (rule.match.operators or 0):
        return ""
    return f"{' and '.join(few)} alone has a source of it" if few else "no archive that is known has a source of it"


def _vendors(item: Item, rule: Rule) -> Answer:
    reach = item.facts.reach.accelerator if item.facts else "unknown"
    if isinstance(reach, str):
        return None if reach == "unknown" else ""
    return f"it is for accelerators of {' and '.join(reach)} alone" if len(reach) <= (rule.match.vendors or 0) else ""


def question(
    rule: Rule, allowed: tuple[str, ...], seen: Survey | None, into: Into
) -> tuple[str, Callable[[Item], Answer]]:
    """What a rule looks at, and its question to an item."""
    asked: dict[str, Callable[[Item], Answer]] = {
        "licences": lambda item: _licences(item, rule, allowed),
        "licence": _licence,
        "classes": lambda item: _classes(item, rule),
        "binary": lambda item: _binary(item, rule, into),
        "operators": lambda item: _operators(item, rule, seen),
        "vendors": lambda item: _vendors(item, rule),
    }
    return next((what, ask) for what, ask in asked.items() if getattr(rule.match, what) is not None)

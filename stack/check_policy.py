"""Ring 3. What a profile says under `policy`: rules, packages and licences that nothing knows are faults."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache

from stack.catalogue import Catalogue
from stack.check import Look
from stack.document import Document, Path, did_you_mean
from stack.errors import Faults
from stack.expressions import Problem, problems
from stack.facts import KINDS, Facts, Kind
from stack.lock import package_of
from stack.policy import Policy

EXCEPTIONS = ("policy", "exceptions")
LICENCES = ("forbid_licences", "allow_licences")
_MISSING = "`sovstack facts --missing` writes an entry for what a lock has and facts lack"


def check_policy(document: Document, policy: Policy, facts: Facts, catalogue: Catalogue, faults: Faults) -> None:
    """Faults of a profile's `policy`, each at its place."""
    look = Look(document, faults)
    look.known(look.keys("policy", "rules"), policy.rules, "rule", key=True)
    look.known(look.words(*EXCEPTIONS, "*", "rules", "*"), policy.rules, "rule")
    for path, name in look.words(*EXCEPTIONS, "*", "rules", "*"):
        if name in policy.rules and not policy.rules[name].waivable:
            look.add(f"the rule {name} takes no exception", path, "no site can grant what a licence does not")
    for key in ("rules", "packages"):
        _once(look, key)
    _packages(look, facts, catalogue)
    _licences(look)


def _once(look: Look, key: str) -> None:
    """No word is twice in one exception; several exceptions may have the same."""
    seen: dict[tuple[Path, str], Path] = {}
    for path, word in look.words(*EXCEPTIONS, "*", key, "*"):
        first = seen.setdefault((path[:-1], word), path)
        if first != path:
            look.add(f"{word!r} is listed twice", path, f"first in line {look.document.at(first).line}")


def _packages(look: Look, facts: Facts, catalogue: Catalogue) -> None:
    """Every package of an exception has facts, or is what a recipe builds."""
    for path, kind in look.words(*EXCEPTIONS, "*", "kind"):
        if kind not in KINDS:
            continue  # the schema says so
        known = {*facts.packages[kind], *(_of_recipes(catalogue) if kind == "spack" else ())}
        for place, name in _named(look, path[:-1]):
            if name not in known and facts.of(kind, name) is None:
                where = f"no package {name!r} ({kind}) is known"
                look.add(where, place, did_you_mean(name, known) or _elsewhere(name, kind, facts) or _MISSING)


def _named(look: Look, exception: Path) -> Iterator[tuple[Path, str]]:
    return ((p, name) for p, name in look.words(*EXCEPTIONS, "*", "packages", "*") if p[: len(exception)] == exception)


def _elsewhere(name: str, kind: str, facts: Facts) -> str:
    """A remedy where the name is right and its kind is not."""
    others: list[Kind] = [k for k in KINDS if k != kind and facts.of(k, name) is not None]
    return f"did you mean kind: {others[0]}?" if others else ""


def _of_recipes(catalogue: Catalogue) -> Iterator[str]:
    for recipe in catalogue.recipes.values():
        for provider in (recipe.providers.source, recipe.providers.site):
            if provider:
                yield package_of(provider.spec)


def _licences(look: Look) -> None:
    """A pattern of licences meets one that there is: a misspelt one would forbid nothing and say nothing."""
    for key in LICENCES:
        look.unique(look.words("policy", key, "*"))
        for path, word in look.words("policy", key, "*"):
            for problem in _problems(word):
                look.add(problem.what, path, problem.remedy)
    forbidden = {word for _, word in look.words("policy", LICENCES[0], "*")}
    for path, word in look.words("policy", LICENCES[1], "*"):
        if word in forbidden:
            look.add(f"{word!r} is forbidden and allowed", path, "keep one of them")


def _problems(pattern: str) -> tuple[Problem, ...]:
    if "*" not in pattern:
        return problems(pattern)
    licence = pattern.partition(" WITH ")[0]
    if licence.startswith(("*", "LicenseRef-")) or any(fnmatchcase(name, licence) for name in _spdx()):
        return ()
    return (Problem(f"no licence of SPDX's is {licence!r}", did_you_mean(licence.rstrip("*-."), _spdx())),)


@cache
def _spdx() -> frozenset[str]:
    """Ids of the SPDX list."""
    from license_expression import get_license_index

    ids = (str(row.get("spdx_license_key") or "") for row in get_license_index() if not row["is_exception"])
    return frozenset(name for name in ids if name and not name.startswith("LicenseRef-"))

"""Ring 4. Which rules of the policy an inventory breaks, through which dependencies, and what could stand in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from stack.audit.inventory import Inventory, Item
from stack.audit.questions import LACKING, Into, Survey, question
from stack.facts import Facts
from stack.lock import package_of
from stack.policy import Granted, Policy, Rule, Terms
from stack.policy import terms as terms_of
from stack.recipe import Recipe

State = Literal["breach", "excepted", "not assessed", "stale"]
STATES: tuple[State, ...] = ("breach", "excepted", "not assessed", "stale")
SHOWN = 5  # packages that are named where many are not known


@dataclass(frozen=True)
class Finding:
    """One rule and one package, or, with no `ref`, a rule and what cannot be said of it.

    `path`: names from what was asked for to the package, none where nothing leads there; `package`: its name in facts
    and in exceptions; `reason`, `granted_by`, `until`: the exception's.
    """

    rule: str
    level: Literal["error", "warning"]
    state: State
    why: str
    ref: str = ""
    kind: str = ""
    name: str = ""
    version: str = ""
    package: str = ""
    scope: str = ""
    path: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    reason: str = ""
    granted_by: str = ""
    until: str = ""

    @property
    def fails(self) -> bool:
        """Whether it makes an audit fail."""
        return self.state == "breach" and self.level == "error"


def assess(
    inventory: Inventory, terms: Terms, facts: Facts, recipes: Mapping[str, Recipe], *,
    survey: Survey | None = None, today: str | None = None,
) -> tuple[Finding, ...]:  # fmt: skip
    """Everything that the policy says of an inventory, breaches first.

    Without a survey, what it tells is not assessed. `today` is a day; without one, no exception that ends counts.
    """
    at = _Assessment(inventory, terms, openings(terms, facts, recipes), survey, today)
    found = [*(f for name, rule in terms.rules.items() for f in at.of(name, rule)), *at.stale()]
    return tuple(sorted(found, key=lambda f: (STATES.index(f.state), f.level)))


def publishable(
    inventory: Inventory, policy: Policy, facts: Facts, recipes: Mapping[str, Recipe], into: Into = "any"
) -> tuple[Finding, ...]:
    """What keeps an image, or a build cache, from being handed to others; with nothing found, it may be.

    No exception and no profile counts here: what a licence does not grant, no site can.
    """
    rules = {n: r.model_copy(update={"level": "error"}) for n, r in policy.rules.items() if r.match.binary is not None}
    terms = replace(terms_of(policy), rules=rules, shipped=())
    at = _Assessment(inventory, terms, openings(terms, facts, recipes), None, None, into)
    return tuple(f for name, rule in rules.items() for f in at.of(name, rule))


def stale_in_all(assessed: Iterable[Iterable[Finding]]) -> tuple[Finding, ...]:
    """Exceptions that nothing needs in any of several audits of one profile."""
    each = [dict.fromkeys(f for f in found if f.state == "stale") for found in assessed]
    return tuple(f for f in (each[0] if each else ()) if all(f in other for other in each))


def openings(terms: Terms, facts: Facts, recipes: Mapping[str, Recipe]) -> Mapping[str, tuple[str, ...]]:
    """Package -> open packages that do its work, by work: those of the policy, and of the recipes for its role."""
    found: dict[str, list[str]] = {}
    listed: dict[str, set[str]] = {}
    for work in terms.alternatives:
        text = f"{work.work}: {', '.join(work.open)}" + (f" ({work.note})" if work.note else "")
        for package in work.packages:
            found.setdefault(package, []).append(text)
            listed.setdefault(package, set()).update(work.open)
    for recipe in recipes.values():
        others = [r for r in recipes.values() if r.role and r.role == recipe.role and r is not recipe]
        names = [r.name for r in others if is_open(r, facts)]
        for package in _packages(recipe):
            new = [n for n in names if n not in listed.get(package, ())]
            if new:
                found.setdefault(package, []).append(f"the role {recipe.role}: {', '.join(new)}")
    return {package: tuple(texts) for package, texts in found.items()}


def _packages(recipe: Recipe) -> tuple[str, ...]:
    providers = (recipe.providers.source, recipe.providers.site)
    return tuple(dict.fromkeys(package_of(p.spec) for p in providers if p))


def is_open(recipe: Recipe, facts: Facts) -> bool:
    """Whether a component is open source, whoever supplies it."""
    known = [facts.of("spack", name) for name in _packages(recipe)]
    return bool(known) and all(k is not None and k.licence_class == "osi" for k in known)


def canonical(kind: str, name: str) -> str:
    """A package's name as exceptions are found by: Python projects have many spellings."""
    return re.sub(r"[-_.]+", "-", name).lower() if kind == "wheel" else name


@dataclass
class _Assessment:
    """One run. `used`: exceptions that something needed, by package."""

    inventory: Inventory
    terms: Terms
    openings: Mapping[str, tuple[str, ...]]
    survey: Survey | None
    today: str | None
    into: Into = "any"
    used: set[tuple[Granted, str]] = field(default_factory=set)

    @cached_property
    def _granted(self) -> Mapping[tuple[str, str, str], tuple[Granted, ...]]:
        """(kind, package, rule) -> exceptions, the site's own first."""
        found: dict[tuple[str, str, str], tuple[Granted, ...]] = {}
        for granted in (*self.terms.own, *self.terms.shipped):
            for name in granted.packages:
                for rule in granted.rules:
                    key = (granted.kind, canonical(granted.kind, name), rule)
                    found[key] = (*found.get(key, ()), granted)
        return found

    def of(self, name: str, rule: Rule) -> Iterator[Finding]:
        """All that one rule finds."""
        if rule.level == "off":
            yield Finding(name, "warning", "not assessed", "the rule is turned off")
            return
        what, ask = question(rule, self.terms.allowed, self.survey, self.into)
        lacking: dict[str, None] = {}
        for item in self.inventory.items:
            if item.kind == "base" or rule.scope not in ("both", item.scope):
                continue
            said = ask(item)
            if said:
                yield self._found(name, rule, item, said)
            elif said is None:
                lacking[item.name] = None
        if lacking:
            yield Finding(name, rule.level, "not assessed", f"{LACKING[what]}: {_some(tuple(lacking))}")

    def _found(self, name: str, rule: Rule, item: Item, why: str) -> Finding:
        assert rule.level != "off"  # noqa: S101 - asked before
        package, path = canonical(item.kind, item.package), self.inventory.path_to(item.ref)
        made = Finding(
            rule=name,
            level=rule.level,
            state="breach",
            why=why,
            ref=item.ref,
            kind=item.kind,
            name=item.name,
            version=item.version,
            package=package,
            scope=item.scope,
            path=tuple(step.name for step in path) if path[0].ref in self.inventory.roots else (),
            alternatives=self.openings.get(package, ()),
        )
        granted = self._granted.get((item.kind, package, name), ()) if rule.waivable else ()
        self.used.update((exception, package) for exception in granted)
        in_force = [g for g in granted if g.until is None or (self.today is not None and self.today <= g.until)]
        if in_force:
            found = in_force[0]
            return replace(
                made, state="excepted", reason=found.reason, granted_by=found.granted_by, until=found.until or ""
            )
        if granted:
            return replace(made, why=f"{why}; {_over(granted[0], self.today)}", until=granted[0].until or "")
        return made

    def stale(self) -> Iterator[Finding]:
        """Packages of the site's own exceptions that no rule met."""
        for granted in self.terms.own:
            for name in granted.packages:
                package = canonical(granted.kind, name)
                if (granted, package) not in self.used:
                    rules, said = ", ".join(granted.rules), "the profile's exception is not needed"
                    yield Finding(
                        rules, "warning", "stale", said, kind=granted.kind, name=name, package=package,
                        reason=granted.reason, granted_by=granted.granted_by, until=granted.until or "",
                    )  # fmt: skip


def _over(granted: Granted, today: str | None) -> str:
    told = "has run out" if today else "may have run out, as no day was given"
    return f"its exception until {granted.until} {told}"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")

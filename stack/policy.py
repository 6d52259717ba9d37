"""Ring 1. What may be in a stack, as data: the rules that ship, and what a site's profile makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from stack.facts import Day, Kind, LicenceClass, May, PackageName
from stack.recipe import Schema1
from stack.words import Line, Means, Model, Name

Level = Literal["error", "warning", "off"]
LicencePattern = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9*][A-Za-z0-9.+*-]*( WITH [A-Za-z0-9*][A-Za-z0-9.*-]*)?$", max_length=128),
    Means("an SPDX licence id such as 'GPL-3.0-only', where '*' stands for any text"),
]
LicencePatterns = Annotated[tuple[LicencePattern, ...], Field(min_length=1)]


class Match(Model):
    """What a rule finds: one of these.

    `operators` and `vendors`: a source that no more independent archives hold, a package for the accelerators of no
    more makers.
    """

    licences: LicencePatterns | None = None
    licence: Literal["unknown"] | None = None
    classes: Annotated[tuple[LicenceClass, ...], Field(min_length=1)] | None = None
    binary: Annotated[tuple[May, ...], Field(min_length=1)] | None = Field(
        None, description="what the licence says of handing on a binary that an image or a build cache holds"
    )
    operators: Annotated[int, Field(ge=1, le=99)] | None = None
    vendors: Annotated[int, Field(ge=1, le=99)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Match:
        names = type(self).model_fields
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"should name one of {', '.join(names)}")
        return self


class Rule(Model):
    """One rule. `scope`: what runs, what only building needs, or both; `waivable`: whether an exception counts."""

    title: Line
    level: Level
    scope: Literal["run", "build", "both"] = "both"
    match: Match
    waivable: bool = True
    why: Line


class Granted(Model):
    """An exception: packages, by whose names they are called, that may break rules. `until`: the last day of it."""

    packages: tuple[PackageName, ...] = Field(min_length=1, description="as `stack/data/facts/` names them")
    kind: Kind
    rules: tuple[Name, ...] = Field(min_length=1)
    reason: Line
    granted_by: Line
    until: Day | None = None


class Work(Model):
    """What does the same work: packages, and open ones that can stand in."""

    work: Line
    packages: tuple[PackageName, ...] = Field(min_length=1)
    open: tuple[PackageName, ...] = Field(min_length=1)
    note: Line | None = None


class Policy(Model):
    """`stack/data/policy.yaml`."""

    schema_version: Schema1
    rules: dict[Name, Rule]
    exceptions: tuple[Granted, ...] = ()
    alternatives: tuple[Work, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Policy:
        if all(rule.match.binary is None for rule in self.rules.values()):
            raise ValueError("has no rule on 'binary': then everything could be published")
        for name in (name for granted in self.exceptions for name in granted.rules):
            if name not in self.rules:
                raise ValueError(f"has an exception from the rule {name!r}, and no such rule")
            if not self.rules[name].waivable:
                raise ValueError(f"has an exception from the rule {name!r}, which takes none")
        return self


class SitePolicy(Model):
    """What a profile says under `policy`."""

    rules: dict[Name, Level] = Field({}, description="rule -> `error`, `warning` or `off`")
    exceptions: tuple[Granted, ...] = ()
    shipped_exceptions: bool = Field(True, description="whether the exceptions of `policy.yaml` count here")
    forbid_licences: tuple[LicencePattern, ...] = ()
    allow_licences: tuple[LicencePattern, ...] = Field((), description="not forbidden, whatever forbids them")


@dataclass(frozen=True)
class Terms:
    """The policy as it is at one site. `own`: the exceptions of the profile, `shipped` the others."""

    rules: Mapping[str, Rule]
    own: tuple[Granted, ...]
    shipped: tuple[Granted, ...]
    allowed: tuple[str, ...]
    alternatives: tuple[Work, ...]


def terms(policy: Policy, site: SitePolicy | None = None) -> Terms:
    """What ships, as changed by a profile."""
    site = site or SitePolicy()
    rules = {name: _changed(rule, site.rules.get(name), site) for name, rule in policy.rules.items()}
    shipped = policy.exceptions if site.shipped_exceptions else ()
    return Terms(rules, site.exceptions, shipped, site.allow_licences, policy.alternatives)


def _changed(rule: Rule, level: Level | None, site: SitePolicy) -> Rule:
    match = rule.match
    if match.licences is not None and site.forbid_licences:
        match = match.model_copy(update={"licences": (*match.licences, *site.forbid_licences)})
    return rule.model_copy(update={"level": level or rule.level, "match": match})

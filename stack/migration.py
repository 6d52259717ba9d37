"""Ring 4. Leaving a vendor: which target is nearest without it, and what moving there changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stack import assertions, forbidding
from stack.assertions import applies
from stack.exit_test import Counterparts, Differences, Exits, Feature, Gone, New, Promise, Row, Scheduler, Side, Supply
from stack.facts import Kind, LicenceClass
from stack.forbidding import Ban, Found
from stack.graph import Graph, Node
from stack.hardware import Hardware
from stack.lock import Component, Lock
from stack.plan import Plan
from stack.recipe import Assertion
from stack.target import Target


@dataclass(frozen=True)
class Step:
    """How near a target is: criteria in order, each met or not, then names."""

    met: tuple[bool, ...]
    names: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def order(self) -> tuple[tuple[bool, ...], tuple[str, ...]]:
        """The nearest first."""
        return tuple(not m for m in self.met), self.names


def step(home: Plan, there: Plan, hardware: Hardware) -> Step:
    """How near another target is. The order of the criteria is that of the reference page."""
    mine, other = home.target, there.target
    kept = (mine.accelerator is None) == (other.accelerator is None)
    accelerator = ("no accelerator either", "an accelerator") if not mine.accelerator else (
        "an accelerator too", "no accelerator")  # fmt: skip
    same = home.profile.name == there.profile.name
    criteria = (
        (home.cell == there.cell, "the same target", "another target"),
        (same, "the same profile", f"another profile, {there.profile.name}"),
        (_system(mine) == _system(other), "the same OS", f"another OS, {other.os.title}"),
        (mine.family == other.family, "the same instruction set", f"another instruction set, {other.family}"),
        (kept, *accelerator),
        (same and mine.partition == other.partition, "the same partition", f"partition {other.partition}"),
        (not forbidding.owners(other.family, hardware), "an instruction set that nobody owns", ""),
    )
    words = tuple(yes if met else no for met, yes, no in criteria[1:] if (yes if met else no))
    names = (there.profile.name, other.partition, other.name)
    return Step(tuple(met for met, _, _ in criteria), names, words)


def _system(target: Target) -> tuple[str, bool]:
    return target.os.name, target.native


def side(plan: Plan, lock: Lock) -> Side:
    """One side of a record."""
    accelerator = plan.target.accelerator
    label = f"{plan.vendor.label} {accelerator.label}" if accelerator and plan.vendor else None
    return Side(
        profile=plan.profile.name,
        partition=plan.target.partition,
        target=plan.target.name,
        accelerator=label,
        lock=lock.digest,
    )


def compare(before: tuple[Plan, Lock], after: tuple[Plan, Lock], ban: Ban, exits: Exits) -> Differences:
    """What moving from one lock to the other changes."""
    had, has = ({(k, n): v for k, n, v in forbidding.packages(lock)} for _plan, lock in (before, after))
    work = [g for g in exits.counterparts if before[0].target.accelerator or not g.accelerator]
    fresh = sorted(set(has) - set(had))
    return Differences(
        components=tuple(_rows(before[1].components, after[1].components)),
        forbidden=tuple(_gone(f, has, ban, work) for f in forbidding.found(before[1], ban)),
        gone=tuple(f"{k} {n} {had[k, n]}" for k, n in sorted(set(had) - set(has))),
        new=tuple(_new(k, n, has[k, n], ban) for k, n in fresh),
        features=tuple(_features(before[1].spack, after[1].spack)),
        promises=tuple(_promises(before, after)),
        unknown=tuple(f"{k} {n}" for k, n in sorted(has) if ban.facts.of(k, n) is None),
    )


def _rows(before: Sequence[Component], after: Sequence[Component]) -> Iterable[Row]:
    """By name, else by role."""
    left = {c.name: c for c in after}
    same = {c.name: left.pop(c.name, None) for c in before}
    for old in before:
        filling = next((c.name for c in left.values() if old.role and c.role == old.role), "")
        new = same[old.name] or left.pop(filling, None)
        yield Row(role=old.role, before=_supply(old), after=_supply(new) if new else None)
    yield from (Row(role=c.role, before=None, after=_supply(c)) for c in left.values())


def _supply(c: Component) -> Supply:
    package = c.package if c.provider != "source" else c.spec  # a hash tells nobody anything
    return Supply(name=c.name, provider=c.provider, version=c.version, package=package or c.spec)


def _gone(one: Found, has: Mapping[tuple[Kind, str], str], ban: Ban, work: Sequence[Counterparts]) -> Gone:
    groups = [g for g in work if one.name in g.packages]
    names = {name for kind, name in has if not ban.takes(kind, name)}
    others = tuple(dict.fromkeys(p for g in groups for p in g.packages if p in names))
    kept = (one.kind, one.name) in has
    fate: Literal["replaced", "lost", "dropped", "kept"]
    fate = "kept" if kept else "replaced" if others else "lost" if groups else "dropped"
    return Gone(
        kind=one.kind,
        name=one.name,
        version=one.version,
        licence_class=_class(ban, one.kind, one.name),
        work=groups[0].work if groups else None,
        fate=fate,
        replaced_by=() if kept else others,
        through=one.through,
    )


def _class(ban: Ban, kind: Kind, name: str) -> LicenceClass:
    found = ban.facts.of(kind, name)
    return found.licence_class if found else "unknown"


def _new(kind: Kind, name: str, version: str, ban: Ban) -> New:
    facts = ban.facts.of(kind, name)
    steward = facts.steward if facts else None
    return New(kind=kind, name=name, version=version, steward=steward, licence_class=_class(ban, kind, name))


def _features(before: Graph | None, after: Graph | None) -> Iterable[Feature]:
    """Variants that were on and are not, and the other way round, of packages that both have once."""
    sides = [{n.name: n for n in graph.nodes} if graph else {} for graph in (before, after)]
    for name in sorted(set(sides[0]) & set(sides[1])):
        old, new = (_on(nodes[name]) for nodes in sides)
        lost, gained = tuple(f"+{v}" for v in sorted(old - new)), tuple(f"+{v}" for v in sorted(new - old))
        if lost or gained:
            yield Feature(package=name, lost=lost, gained=gained)


def _on(node: Node) -> set[str]:
    return {name for name, value in node.parameters.items() if value is True}


def _promises(before: tuple[Plan, Lock], after: tuple[Plan, Lock]) -> Iterable[Promise]:
    """Assertions that held of something and have no equal afterwards: none with the same reason holds there."""
    kept = {a.why for a in _holding(*after)}
    graph = after[1].spack
    broken = {_said(b.assertion) for b in assertions.failing(after[0], graph)} if graph else set()
    for assertion in dict.fromkeys(a for a in _holding(*before) if a.why not in kept):
        yield Promise(what=_said(assertion), why=assertion.why, failed=_said(assertion) in broken)


def _said(assertion: Assertion) -> str:
    return " ".join(filter(None, (assertion.node, assertion.has or "")))


def _holding(plan: Plan, lock: Lock) -> list[Assertion]:
    graph = lock.spack
    if graph is None:
        return []
    failing = {b.assertion for b in assertions.failing(plan, graph)}
    every = (a for c in plan.choices for a in plan.recipes[c.component].assertions if applies(a, plan))
    return [a for a in every if a not in failing and (graph.named(a.node) or graph.providers(a.node))]


def notes(plan: Plan, ban: Ban, exits: Exits) -> tuple[str, ...]:
    """What is in no lock: the scheduler, and whose chips the processors are."""
    made = []
    used = exits.schedulers.get(plan.profile.scheduler.kind)
    if used and ban.name in _control(used, ban):
        others = [s.title for s in exits.schedulers.values() if s.open and ban.name not in _control(s, ban)]
        free = "its licence lets others carry it on" if used.open else "its licence lets nobody carry it on"
        made.append(
            f"the scheduler, {used.title}, is steered by {ban.title}: {free}, and no lock depends on it; "
            f"open alternatives: {', '.join(others) or 'none'}"
        )
    microarchitecture, family = plan.target.microarchitecture, plan.target.family
    left = [ban.hardware.makers[o].label for o in forbidding.owners(family, ban.hardware) if o != ban.name]
    shared = len(left) < len(forbidding.owners(family, ban.hardware))
    if left and shared and not forbidding.maker(microarchitecture, ban.hardware):
        made.append(f"{microarchitecture} is {ban.title}'s too: the processors have to be {' or '.join(left)}'s")
    if ban.name in ban.hardware.implementers.get(microarchitecture, ()):
        made.append(f"{ban.title} makes processors of {microarchitecture}: the nodes have to be somebody else's")
    if used is not None and used.steward not in ban.facts.stewards:
        made.append(f"who decides about the scheduler, {used.title}, is not known")
    return tuple(made)


def left_behind(home: Plan, there: Plan) -> tuple[str, ...]:
    """What the machine's own software used of its nodes, where something else takes its place."""
    own = {c.component for c in home.choices if c.provider == "site"} - {c.component for c in there.choices}
    features = home.profile.partitions[home.target.partition].features
    if not own or not features or home.profile.name != there.profile.name:
        return ()
    return (f"the nodes have {', '.join(features)}: that what replaces {', '.join(sorted(own))} uses it is not shown",)


def unread(plan: Plan, lock: Lock) -> tuple[str, ...]:
    """The distribution's packages that no lock can look into."""
    names = [c.component for c in plan.choices if c.provider == "os"]
    if not names or lock.os.packages:
        return ()
    return (
        f"what {plan.target.os.title}'s packages of {', '.join(names)} bring is not known: they cannot be read here",
    )


def _control(scheduler: Scheduler, ban: Ban) -> tuple[str, ...]:
    steward = ban.facts.stewards.get(scheduler.steward)
    return (scheduler.steward, *([steward.vendor] if steward and steward.vendor else []))

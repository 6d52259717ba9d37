"""Ring 4. What changed between two locks: settings, levels, components, and every package that either of them has.

Both sides are compared with the same facts. `between(a, b)` and `between(b, a)` say the same with the sides exchanged,
but for what is `worse`, which is said of `after`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from stack import aspects, difference_settings
from stack.aspects import Aspect, Part, Terms
from stack.audit.inventory import Inventory, Item
from stack.audit.purl import spack_purl
from stack.lock import Component, Lock, package_of

Group = Literal["component", "spack", "os", "wheel", "tool"]
"""`os`: the distribution's packages; `tool`: those of them that only building needs."""
GROUPS: tuple[Group, ...] = get_args(Group)
Change = Literal["added", "removed", "changed", "rebuilt", "refiled"]
SCHEMA = 1


@dataclass(frozen=True)
class Side:
    """One of two locks, and where it was read. `levels`: layer -> level; None for a layer that was not assessed."""

    where: str
    inventory: Inventory
    levels: Mapping[str, int | None] | None = None

    @property
    def lock(self) -> Lock:
        """The lock itself."""
        return self.inventory.lock


@dataclass(frozen=True)
class Thing:
    """A package, or a component, as one lock has it. `path`: what brought it in, from what was asked for."""

    name: str
    version: str
    terms: Terms
    ref: str = ""
    scope: str = "run"
    origin: str = ""  # a component's provider, or where an external package is
    role: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One package, or component, that is not the same; None where a lock does not have it."""

    group: Group
    name: str
    before: Thing | None
    after: Thing | None
    aspects: tuple[Aspect, ...] = ()

    @property
    def change(self) -> Change:
        """What kind of a change it is; `rebuilt` and `refiled`: it differs only in what follows from other changes."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        if not all(a.quiet for a in self.aspects):
            return "changed"
        return "rebuilt" if any(a.what == aspects.REBUILT for a in self.aspects) else "refiled"

    @property
    def worse(self) -> bool:
        """Whether it should be looked at."""
        return any(a.worse for a in self.aspects)

    @property
    def build(self) -> bool:
        """Whether only building needs it."""
        return all(thing.scope == "build" for thing in (self.before, self.after) if thing)


@dataclass(frozen=True)
class Difference:
    """Two locks compared. `classes`: how many packages that run are of a class; `uses`: who supplies what Spack calls a
    virtual package, `mpi` for example."""

    before: Side
    after: Side
    settings: tuple[Aspect, ...]
    levels: tuple[Aspect, ...]
    classes: tuple[Aspect, ...]
    uses: tuple[Aspect, ...]
    entries: tuple[Entry, ...]

    @property
    def same(self) -> bool:
        """Whether the locks are the same, byte for byte in their canonical form, and their levels too."""
        return self.before.lock == self.after.lock and not self.levels

    @property
    def found(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.settings or self.levels or self.classes or self.uses or self.entries)

    def counts(self, entries: Iterable[Entry] | None = None) -> Mapping[str, int]:
        """How many entries there are of each kind, and how many should be looked at."""
        some = self.entries if entries is None else tuple(entries)
        tally = Counter(e.change for e in some)
        return {**{name: tally[name] for name in get_args(Change)}, "worse": sum(e.worse for e in some)}


def between(before: Side, after: Side) -> Difference:
    """What changed from one lock to the other; components first, then packages by group and name."""
    entries = [*_components(before, after), *_packages(before, after)]
    return Difference(
        before,
        after,
        settings=difference_settings.settings(before.inventory, after.inventory),
        levels=difference_settings.levels(before.levels, after.levels),
        classes=difference_settings.classes(before.inventory, after.inventory),
        uses=difference_settings.uses(before.lock.spack, after.lock.spack),
        entries=tuple(sorted(entries, key=_order)),
    )


def _order(entry: Entry) -> tuple[int, str, list[tuple[str, str, str]]]:
    """The same in both directions."""
    things = [(t.name, t.version, t.ref) for t in (entry.before, entry.after) if t]
    return GROUPS.index(entry.group), entry.name, sorted(things)


def _packages(before: Side, after: Side) -> Iterator[Entry]:
    sides = _by_name(before), _by_name(after)
    for kind, name in sorted({*sides[0], *sides[1]}):
        old, new = (side.get((kind, name), ()) for side in sides)
        for one, other in aspects.paired(old, new, aspects.likeness, lambda part: part.order):
            found = _package(one, other, before.inventory, after.inventory)
            if found:
                yield found


def _by_name(side: Side) -> Mapping[tuple[str, str], tuple[Part, ...]]:
    graph = side.lock.spack
    known = graph.by_hash() if graph else {}
    nodes = {spack_purl(node): node for node in known.values()}
    found: dict[tuple[str, str], tuple[Part, ...]] = {}
    for item in side.inventory.items:
        if item.kind != "base":  # what it is made of is among the packages, and its recipe among the inputs
            node = nodes.get(item.ref)
            edges = node.dependencies if node else ()
            needs = frozenset(known[e.hash].name for e in edges if {"link", "run"} & set(e.types))
            key = (item.kind, item.name)
            found[key] = (*found.get(key, ()), Part(item, node, needs))
    return found


def _package(old: Part | None, new: Part | None, before: Inventory, after: Inventory) -> Entry | None:
    """The entry of two packages that belong together, or of one that has no partner."""
    items = [part.item for part in (old, new) if part]
    kind, name = items[0].kind, items[0].name
    building = all(item.scope == "build" for item in items)
    group: Group = "spack" if kind == "spack" else "wheel" if kind == "wheel" else "tool" if building else "os"
    if old and new:
        found = tuple(aspects.of_parts(old, new))
        return Entry(group, name, _thing(old.item), _thing(new.item), found) if found else None
    if old:
        return Entry(group, name, _thing(old.item, before), None)
    thing = _thing(items[0], after)
    return Entry(group, name, None, thing, tuple(aspects.newly(thing.terms)))


def _thing(item: Item, inventory: Inventory | None = None) -> Thing:
    path = tuple(i.name for i in inventory.path_to(item.ref)[:-1]) if inventory else ()
    return Thing(item.name, item.version, Terms.of(item), item.ref, item.scope, origin=item.external, path=path)


def _components(before: Side, after: Side) -> Iterator[Entry]:
    """Matched by name, then by role: another BLAS is a change of who fills the role."""
    old, new = before.lock.components, after.lock.components
    homes = _Homes(before), _Homes(after)
    for one, other in aspects.paired(old, new, _likeness, lambda c: c.name):
        was, now = homes[0].thing(one) if one else None, homes[1].thing(other) if other else None
        if one and other and was and now:
            found = (*aspects.of_components(one, other), *aspects.terms_differ(was.terms, now.terms))
            if found:
                yield Entry("component", one.name if one.name == other.name else now.role, was, now, found)
        elif one:
            yield Entry("component", one.name, was, None)
        elif other and now:
            yield Entry("component", other.name, None, now, tuple(aspects.newly(now.terms)))


def _likeness(component: Component) -> tuple[Hashable, ...]:
    return (component.name,), (("role", component.role) if component.role else (component.name,))


class _Homes:
    """The items that the components of a lock are."""

    def __init__(self, side: Side) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        for item in side.inventory.items:
            self.items.setdefault((item.kind, item.name), item)
        graph = side.lock.spack
        roots = {r.hash for r in graph.roots} if graph else set[str]()
        refs = {spack_purl(node) for node in (graph.nodes if graph else ()) if node.hash in roots}
        self.items |= {(i.kind, i.name): i for i in side.inventory.items if i.ref in refs}

    def thing(self, component: Component) -> Thing:
        """A component with what is known of its package."""
        word = component.package.partition(" ")[0]
        kind = {"os": "debian", "wheel": "wheel"}.get(component.provider, "spack")
        item = self.items.get((kind, word)) or self.items.get(("spack", package_of(component.spec)))
        ref = item.ref if item else ""
        role = component.role or ""
        return Thing(component.name, component.version, Terms.of(item), ref, origin=component.provider, role=role)


def as_data(found: Difference) -> dict[str, Any]:
    """All of it, for `--json`."""
    return {
        "schema": SCHEMA,
        "same": found.same,
        "before": _side_data(found.before),
        "after": _side_data(found.after),
        "counts": dict(found.counts()),
        **{name: [_aspect_data(a) for a in getattr(found, name)] for name in ("settings", "levels", "classes", "uses")},
        "entries": [_entry_data(e) for e in found.entries],
    }


def _side_data(side: Side) -> dict[str, Any]:
    return {"read": side.where, "cell": side.lock.cell, "lock": side.lock.digest}


def _aspect_data(aspect: Aspect) -> dict[str, Any]:
    return {"what": aspect.what, "before": aspect.before, "after": aspect.after, "worse": aspect.worse}


def _entry_data(entry: Entry) -> dict[str, Any]:
    return {
        "group": entry.group,
        "name": entry.name,
        "change": entry.change,
        "build": entry.build,
        "worse": entry.worse,
        "before": _thing_data(entry.before),
        "after": _thing_data(entry.after),
        "differs": [_aspect_data(a) for a in entry.aspects],
    }


def _thing_data(thing: Thing | None) -> dict[str, Any] | None:
    if thing is None:
        return None
    terms = {"class" if k == "licence_class" else k: v for k, v in asdict(thing.terms).items()}
    made = {"name": thing.name, "version": thing.version, "purl": thing.ref, "scope": thing.scope, **terms}
    more = {"origin": thing.origin, "role": thing.role, "path": list(thing.path)}
    return made | {name: value for name, value in more.items() if value}

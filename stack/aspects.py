"""Ring 4. In what two packages, or the same component of two locks, differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from stack.audit.inventory import Item
from stack.facts import LicenceClass, May
from stack.graph import Node, Value
from stack.lock import Component

T = TypeVar("T")
UNKNOWN = "unknown"
REBUILT = "rebuilt"
COMMIT = "commit"  # Spack's variant of a version that is a commit: it names the source


@dataclass(frozen=True)
class Aspect:
    """One thing that differs; None where a side does not have it.

    `worse`: for whoever hands it on, or what should never happen by itself: to be looked at. `quiet`: it follows from
    other changes, and is counted.
    """

    what: str
    before: str | None
    after: str | None
    worse: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Part:
    """A package of a lock: an item of its inventory, and where Spack solved it the node that it is.

    `needs`: names of what the node links to or runs.
    """

    item: Item
    node: Node | None = None
    needs: frozenset[str] = frozenset()

    @property
    def order(self) -> tuple[str, str]:
        """Where it stands among packages of one name."""
        return self.item.version, self.item.ref


# From good to bad, as the facts' own types list them.
_CLASSES: tuple[str, ...] = get_args(LicenceClass)
OPEN = _CLASSES[0]
_MAY: tuple[str, ...] = get_args(May)


@dataclass(frozen=True)
class Terms:
    """What is known of a package's licence; everything unknown where there are no facts."""

    licence: str = UNKNOWN
    licence_class: str = UNKNOWN
    source: str = UNKNOWN
    binary: str = UNKNOWN
    steward: str = UNKNOWN

    @classmethod
    def of(cls, item: Item | None) -> Terms:
        """Those of an item of an inventory."""
        known = item.facts if item else None
        if item is None or known is None:
            return cls()
        may = known.redistribution
        return cls(item.licence or UNKNOWN, known.licence_class, may.source, may.binary, known.steward or UNKNOWN)


def newly(terms: Terms) -> Iterator[Aspect]:
    """What of a package that was not there before has to be looked at."""
    if terms.licence_class != OPEN:
        yield Aspect("class", None, terms.licence_class, worse=True)
    for what, may in (("source", terms.source), ("binary", terms.binary)):
        if _MAY.index(may) > _MAY.index("conditional"):
            yield Aspect(what, None, may, worse=True)


def terms_differ(before: Terms, after: Terms) -> Iterator[Aspect]:
    """Licence, class, redistribution and steward."""
    yield from _changed("licence", before.licence, after.licence)
    rows = (
        ("class", _CLASSES, before.licence_class, after.licence_class),
        ("source", _MAY, before.source, after.source),
        ("binary", _MAY, before.binary, after.binary),
    )
    for what, ranks, old, new in rows:
        if old != new:
            yield Aspect(what, old, new, worse=ranks.index(new) > ranks.index(old))
    yield from _changed("steward", before.steward, after.steward)


def _changed(what: str, before: str, after: str) -> Iterator[Aspect]:
    """One aspect where the two differ; an empty text is nothing."""
    if before != after:
        yield Aspect(what, before or None, after or None)


def of_parts(before: Part, after: Part) -> Iterator[Aspect]:
    """In what two packages of one name differ."""
    old, new = before.item, after.item
    yield from _changed("version", old.version, new.version)
    yield from _changed("scope", old.scope, new.scope)
    yield from terms_differ(Terms.of(old), Terms.of(new))
    if before.node and after.node:
        yield from _of_nodes(before.node, after.node, before.needs, after.needs)
        return
    yield from _changed("source package", old.package, new.package)
    if old.version == new.version and old.hashes != new.hashes:
        sums = (_sum(old.hashes), _sum(new.hashes))
        # The same package URL is the same package of the same distribution, or the same file of a project.
        if old.ref == new.ref:
            yield Aspect("bytes", *sums, worse=True)
        else:
            yield Aspect("file", *sums, quiet=True)


def _sum(hashes: Mapping[str, str]) -> str:
    return " ".join(f"{name}:{value}" for name, value in sorted(hashes.items()))


def _of_nodes(old: Node, new: Node, before: frozenset[str], after: frozenset[str]) -> Iterator[Aspect]:
    found = [
        *_changed("external", old.external, new.external),
        *_changed("namespace", old.namespace, new.namespace),
        *_variants(old, new),
        *_one_each("patch", old.patches, new.patches),
        *_one_each("needs", before, after),
    ]
    same = old.version == new.version and sorted(old.patches) == sorted(new.patches)
    if same and old.package_hash != new.package_hash:  # another version or patch has another hash anyhow
        found.append(Aspect("recipe", old.package_hash, new.package_hash))
    yield from found
    if not found and old.version == new.version and old.hash != new.hash:
        yield Aspect(REBUILT, old.hash, new.hash, quiet=True)


def _variants(old: Node, new: Node) -> Iterator[Aspect]:
    for name in sorted({*old.parameters, *new.parameters}):
        before, after = old.parameters.get(name), new.parameters.get(name)
        if before != after:
            again = name == COMMIT and old.version == new.version and None not in (before, after)
            yield Aspect(COMMIT if again else "variant", _written(name, before), _written(name, after), worse=again)


def _written(name: str, value: Value | None) -> str | None:
    """A variant as Spack writes it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return f"{'+' if value else '~'}{name}"
    return f"{name}={','.join(value) if isinstance(value, tuple) else value}"


def _one_each(what: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Aspect]:
    """One aspect for each of those that only one side has."""
    old, new = set(before), set(after)
    for name in sorted(old ^ new):
        yield Aspect(what, name if name in old else None, name if name in new else None)


def of_components(before: Component, after: Component) -> Iterator[Aspect]:
    """In what two components differ, without what is known of their packages."""
    yield from _changed("component", before.name, after.name)
    yield from _changed("version", before.version, after.version)
    yield from _changed("role", before.role or "", after.role or "")
    yield from _changed("provider", before.provider, after.provider)
    old, new = _package(before), _package(after)
    if before.provider == after.provider:  # another provider has another package anyhow
        yield from _changed("package", old, new)
    yield from _changed("spec", before.spec, after.spec)
    yield from _changed("prefix", before.prefix, after.prefix)
    if before.package != after.package and old == new:
        yield Aspect(REBUILT, before.package, after.package, quiet=True)


def _package(component: Component) -> str:
    """Its package: with the version where a package has one of its own, without the hash where Spack builds it."""
    return component.package.partition(" ")[0] if component.provider == "source" else component.package


def missing_or_not(what: str, before: Iterable[str], after: Iterable[str]) -> tuple[Aspect, ...]:
    """One aspect for each text of two lists that only one of them has."""
    return tuple(_one_each(what, before, after))


def values_differ(names: Iterable[str], before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Aspect, ...]:
    """One aspect for each of the names that has another value."""
    return tuple(a for name in names for a in _changed(name, before.get(name, ""), after.get(name, "")))


def likeness(part: Part) -> tuple[Hashable, ...]:
    """By what packages of one name are matched, the surest first."""
    item, node = part.item, part.node
    built = tuple(sorted(node.parameters.items())) if node else ()
    ways = ((item.ref,), (item.version, item.scope, built), (item.version, item.scope), (item.version,), (item.scope,))
    return (*ways, ())


def paired(
    before: Iterable[T], after: Iterable[T], ways: Callable[[T], Sequence[Hashable]], order: Callable[[T], Any]
) -> Iterator[tuple[T | None, T | None]]:
    """Match by the surest way first; what has no partner in any way stands alone. Exchanged sides match the same."""
    left, right = sorted(before, key=order), sorted(after, key=order)
    for way in range(max((len(ways(item)) for item in (*left, *right)), default=0)):
        if not left or not right:
            break
        waiting: dict[Hashable, list[T]] = {}
        for item in right:
            waiting.setdefault(ways(item)[way], []).append(item)
        alone = []
        for item in left:
            partners = waiting.get(ways(item)[way])
            if partners:
                yield item, partners.pop(0)
            else:
                alone.append(item)
        left, right = alone, [item for items in waiting.values() for item in items]
        right.sort(key=order)
    yield from ((item, None) for item in left)
    yield from ((None, item) for item in right)

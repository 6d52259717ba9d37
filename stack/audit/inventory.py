"""Ring 4. One graph over everything in a lock: Spack nodes, OS packages, wheels and the base they stand on.

A package that Spack was shown as an external is an item of its own, and depends on the OS package that supplies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from stack.audit.purl import purl_of, spack_purl, wheel_purl
from stack.audit.supply import Ref, Supplied, alternatives
from stack.catalogue import Container, Os
from stack.facts import Facts, Kind, PackageFacts
from stack.graph import Graph, Node
from stack.lock import Component, Lock, OsLock, package_of

Scope = Literal["run", "build"]


@dataclass(frozen=True)
class Deployable:
    """The file, or the folder, that stands in the image. Digests in hex; a folder's are over the list of its files."""

    filename: str
    sha256: str
    sha512: str
    size: int = 0
    executable: bool = False
    archive: bool = True
    structured: bool = True


@dataclass(frozen=True)
class Item:
    """One component. `scope`: needed to run, or to build alone; `closed`: all that it depends on is known."""

    ref: Ref
    kind: Kind | Literal["base"]
    name: str
    version: str
    purl: str
    facts: PackageFacts | None
    licence: str | None  # concluded, an SPDX expression; None where it is unknown
    scope: Scope
    hashes: Mapping[str, str] = field(default_factory=dict)
    depends: tuple[Ref, ...] = ()
    build_only: frozenset[Ref] = frozenset()  # those of `depends` that only building needs
    external: str = ""
    filename: str = ""
    package: str = ""
    closed: bool = True
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """All items of a lock, sorted by reference. `roots`: what was asked for."""

    lock: Lock
    items: tuple[Item, ...]
    roots: tuple[Ref, ...]

    @cached_property
    def by_ref(self) -> Mapping[Ref, Item]:
        """Reference -> item."""
        return {item.ref: item for item in self.items}

    def scoped(self, scope: Scope) -> tuple[Item, ...]:
        """Items of one scope."""
        return tuple(item for item in self.items if item.scope == scope)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the lock."""
        return self.lock.digest

    @cached_property
    def licence(self) -> str | None:
        """The licences of all that runs, joined; None where one is unknown."""
        return joined(item.licence for item in self.scoped("run") if item.kind != "base")

    @cached_property
    def _parents(self) -> Mapping[Ref, Ref | None]:
        """Item -> the item that brought it in first, breadth first from the roots."""
        found: dict[Ref, Ref | None] = dict.fromkeys(self.roots)
        queue = list(self.roots)
        for ref in queue:
            for needed in self.by_ref[ref].depends:
                if needed not in found:
                    found[needed] = ref
                    queue.append(needed)
        return found

    def path_to(self, ref: Ref) -> tuple[Item, ...]:
        """The shortest path of dependencies from something that was asked for to an item; the item alone otherwise."""
        path, at = [self.by_ref[ref]], self._parents.get(ref)
        while at is not None:
            path.append(self.by_ref[at])
            at = self._parents.get(at)
        return tuple(reversed(path))


def joined(licences: Iterable[str | None]) -> str | None:
    """One expression that all the licences together make; None where one of them is unknown."""
    found = set(licences)
    parts = sorted(f"({e})" if " OR " in e else e for e in found if e)
    flat = dict.fromkeys(word for part in parts for word in ([part] if "(" in part else part.split(" AND ")))
    return None if None in found or not flat else " AND ".join(sorted(flat))


def make(lock: Lock, facts: Facts, system: Os, base: Container | None) -> Inventory:
    """The graph of a lock; `system` is the distribution it is for, `base` the image that it goes into."""
    packages = (*lock.os.packages, *(lock.tools.packages if lock.tools else ()))
    supplied = Supplied(packages, system)
    made = [*_os_items(lock, facts, supplied), *_wheels(lock, facts, supplied)]
    if lock.spack:
        made += _spack_items(lock, lock.spack, facts, system, supplied)
    if base is not None:
        made.append(_base(lock, system, base, supplied, {item.ref: item for item in made}))
    items = tuple(sorted({item.ref: item for item in made}.values(), key=lambda item: item.ref))
    known = {item.ref for item in items}
    roots = dict.fromkeys(ref for c in lock.components if (ref := _root(c, lock, supplied)) in known)
    return Inventory(lock, items, (*roots, *(item.ref for item in items if item.kind == "base")))


def _os_items(lock: Lock, facts: Facts, supplied: Supplied) -> Iterator[Item]:
    parts: tuple[tuple[OsLock | None, Scope], ...] = ((lock.os, "run"), (lock.tools, "build"))
    for part, scope in parts:
        for package in part.packages if part else ():
            purl = supplied.purl(package)
            source = package.source.partition(" ")[0]
            known = facts.of("debian", source)
            needed = [package.control.get(name, "") for name in ("Pre-Depends", "Depends")]
            refs = (_first(names, supplied) for text in needed for names in alternatives(text))
            yield Item(
                ref=purl,
                kind="debian",
                name=package.name,
                version=package.version,
                purl=purl,
                facts=known,
                licence=_licence(known),
                scope=scope,
                hashes={"SHA-256": package.sha256},
                depends=tuple(sorted({ref for ref in refs if ref and ref != purl})),
                filename=package.filename,
                package=source,
                properties={"source": package.source},
            )


def _first(names: Iterable[str], supplied: Supplied) -> Ref | None:
    """The first of the alternatives that is there: what apt took may be any, and each satisfies."""
    return next((ref for name in names if (ref := supplied.of(name))), None)


def _wheels(lock: Lock, facts: Facts, supplied: Supplied) -> Iterator[Item]:
    """What a wheel needs stands in its own metadata, which a lock does not hold: so its dependencies are not closed."""
    for wheel in lock.wheels.files if lock.wheels else ():
        purl = wheel_purl(wheel)
        python = supplied.of("python3")
        known = facts.of("wheel", wheel.project)
        yield Item(
            ref=purl,
            kind="wheel",
            name=wheel.project,
            version=wheel.version,
            purl=purl,
            facts=known,
            licence=_licence(known),
            scope="run",
            hashes={"SHA-256": wheel.sha256},
            depends=(python,) if python else (),
            filename=wheel.filename,
            package=wheel.project,
            closed=False,
        )


def _spack_items(lock: Lock, graph: Graph, facts: Facts, system: Os, supplied: Supplied) -> Iterator[Item]:
    nodes, running = graph.by_hash(), _running(graph)
    purls = {h: spack_purl(node) for h, node in nodes.items()}
    natives = dict(_natives(lock, system))
    # A build tool of the distribution that something would call at run time: the image does not have it.
    absent = {supplied.purl(p) for p in (lock.tools.packages if lock.tools else ())}
    for node in graph.nodes:
        known = facts.of("spack", node.name)
        native = supplied.of(natives.get(node.name, "")) if node.external else None
        edges = {purls[e.hash] for e in node.dependencies} | ({native} if native else set())
        building = {purls[e.hash] for e in node.dependencies if not {"link", "run"} & set(e.types)}
        yield Item(
            ref=purls[node.hash],
            kind="spack",
            name=node.name,
            version=node.version,
            purl=purls[node.hash],
            facts=known,
            licence=_licence(known),
            scope="run" if node.hash in running and native not in absent else "build",
            depends=tuple(sorted(edges)),
            build_only=frozenset(building),
            external=node.external,
            package=node.name,
            closed=not node.external or native is not None,
            properties={
                "package_hash": node.package_hash,
                "variants": _variants(node),
                "absent": "what runs may call it; it is not installed" if native in absent else "",
            },
        )


def _natives(lock: Lock, system: Os) -> Iterator[tuple[str, str]]:
    """Spack's name -> the OS package that supplies it, for all that the distribution supplies."""
    for tool in system.tools.values():
        if tool.spec:
            yield package_of(tool.spec), tool.packages[0]
    if system.libc:
        yield system.libc.spack, system.libc.package
    for component in lock.components:
        if component.provider == "os":
            yield package_of(component.spec) or component.name, component.package.partition(" ")[0]


def _running(graph: Graph) -> frozenset[str]:
    """Hashes of the nodes that the roots link to or run."""
    nodes = graph.by_hash()
    queue = [root.hash for root in graph.roots]
    found = set(queue)
    for digest in queue:
        for edge in nodes[digest].dependencies:
            if edge.hash not in found and {"link", "run"} & set(edge.types):
                found.add(edge.hash)
                queue.append(edge.hash)
    return frozenset(found)


def _variants(node: Node) -> str:
    """Variants and flags as Spack writes them."""
    words = []
    for name, value in sorted(node.parameters.items()):
        if isinstance(value, bool):
            words.append(f"{'+' if value else '~'}{name}")
        else:
            words.append(f"{name}={','.join(value) if isinstance(value, tuple) else value}")
    return " ".join(words)


def _base(lock: Lock, system: Os, base: Container, supplied: Supplied, made: Mapping[Ref, Item]) -> Item:
    """The image that the rest stands on is the packages that it is made of, and nothing else."""
    essential = (p for p in lock.os.packages if "Essential" in p.control or p.name in base.packages)
    refs = tuple(sorted(supplied.refs[p.name] for p in essential))
    purl = purl_of("generic", "", base.name, system.release.version, arch=lock.os.architecture)
    licence = joined(made[ref].licence for ref in refs)
    return Item(purl, "base", base.name, system.release.version, purl, None, licence, "run", depends=refs)


def _licence(known: PackageFacts | None) -> str | None:
    return known.licence if known and known.licence != "unknown" else None


def _root(component: Component, lock: Lock, supplied: Supplied) -> Ref | None:
    """The item that a component is."""
    if component.provider == "os":
        return supplied.of(component.package.partition(" ")[0])
    if component.provider == "wheel":
        files = lock.wheels.files if lock.wheels else ()
        return next((wheel_purl(w) for w in files if w.project == component.package.partition(" ")[0]), None)
    node = lock.spack.root(package_of(component.spec)) if lock.spack else None
    return spack_purl(node) if node else None

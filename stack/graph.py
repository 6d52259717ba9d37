"""Ring 2. The graph that Spack solved: read from a `spack.lock`, kept in the cell's lock, and asked about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, StringConstraints, ValidationError, model_validator

from stack.errors import Fault, Position, StackError, bad_input
from stack.words import Digest, Means, Model, no_control

LOCKFILE_VERSIONS = (6, 7)  # what this program has read; Spack raises the number when the format changes

DagHash = Annotated[str, StringConstraints(pattern=r"^[a-z2-7]{32}$"), Means("a Spack hash of 32 letters and digits")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$"), Means("a commit of 40 hex digits")]
Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(no_control)]
NodeName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_][a-z0-9_-]*$", max_length=100), Means("a Spack package")
]
NodeVersion = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.=-]*$", max_length=100), Means("a version")
]
Value = bool | Text | tuple[Text, ...]
DependencyType = Literal["build", "link", "run", "test"]


class Edge(Model):
    """A dependency of a node; `virtuals`: what it is used as, `mpi` for example."""

    hash: DagHash
    types: tuple[DependencyType, ...]
    virtuals: tuple[NodeName, ...] = ()


class Node(Model):
    """One package of the solved graph. `external`: where it already is; `parameters`: variants and flags."""

    name: NodeName
    version: NodeVersion
    hash: DagHash
    namespace: NodeName
    package_hash: Text
    parameters: dict[NodeName, Value]
    patches: tuple[Digest, ...] = ()
    external: Text = ""
    dependencies: tuple[Edge, ...] = ()


class Root(Model):
    """What was asked for, and the node that it became."""

    spec: Text
    hash: DagHash


class Graph(Model):
    """All that one solve of Spack gave.

    `hashes`: whether this program knows what the target says of itself (`native`), or took its word from data files
    alone (`unverified`). `key` names everything that went into the solve; `file` is the SHA-256 of `spack.lock`.
    """

    spack: Commit
    packages: Commit
    overlay: Digest
    os: NodeName
    target: Text
    hashes: Literal["native", "unverified"]
    key: Digest
    file: Digest
    roots: tuple[Root, ...]
    nodes: tuple[Node, ...]

    @model_validator(mode="after")
    def _whole(self) -> Graph:
        """Whoever follows an edge finds a node."""
        found = [*_missing(self.roots, self.nodes)]
        if found or len({n.hash for n in self.nodes}) < len(self.nodes):
            raise ValueError(f"there is no node {found[0]}, which is referred to" if found else "a node stands twice")
        return self

    def by_hash(self) -> Mapping[str, Node]:
        """Hash -> node."""
        return {n.hash: n for n in self.nodes}

    def named(self, name: str) -> tuple[Node, ...]:
        """Nodes of a package."""
        return tuple(n for n in self.nodes if n.name == name)

    def root(self, name: str) -> Node | None:
        """The root of a package, if there is one."""
        nodes = self.by_hash()
        return next((nodes[r.hash] for r in self.roots if nodes[r.hash].name == name), None)

    def providers(self, virtual: str) -> tuple[Node, ...]:
        """The nodes that are used as a virtual package."""
        nodes = self.by_hash()
        found = {e.hash for n in self.nodes for e in n.dependencies if virtual in e.virtuals}
        return tuple(sorted((nodes[h] for h in found), key=lambda n: (n.name, n.hash)))


def read(text: str, name: str) -> tuple[tuple[Root, ...], tuple[Node, ...], str]:
    """Roots, nodes and Spack's own commit, of a `spack.lock`; raises `StackError` for a damaged one."""
    where = Position(name)
    try:
        data = json.loads(text)
        version = data["_meta"]["lockfile-version"]
        if version not in LOCKFILE_VERSIONS:
            raise bad_input(f"a Spack lock of version {version}; known: {LOCKFILE_VERSIONS}", where)
        roots = tuple(Root(spec=r["spec"], hash=r["hash"]) for r in _roots(data["roots"]))
        nodes = tuple(_node(h, n) for h, n in data["concrete_specs"].items())
        commit = str(data.get("spack", {}).get("commit", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise bad_input(f"a damaged Spack lock: {_told(error)}", where, "lock again") from None
    missing = _missing(roots, nodes)
    if missing:
        raise StackError(Fault(f"the Spack lock has no node {h}, which it refers to", where) for h in missing[:5])
    return tuple(sorted(roots, key=lambda r: r.spec)), tuple(sorted(nodes, key=lambda n: (n.name, n.hash))), commit


def _missing(roots: Iterable[Root], nodes: Iterable[Node]) -> list[str]:
    known, wanted = {n.hash for n in nodes}, {r.hash for r in roots}
    return sorted((wanted | {e.hash for n in nodes for e in n.dependencies}) - known)


def _roots(found: Any) -> Iterable[Mapping[str, str]]:
    """Version 7 has a list for each group."""
    return found if isinstance(found, list) else [root for group in found.values() for root in group]


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return repr(error)


def _node(digest: str, data: Mapping[str, Any]) -> Node:
    if data["hash"] != digest:
        raise ValueError(f"{digest} is not the hash of its node")
    parameters = {k: v for k, v in data["parameters"].items() if v != [] and k != "patches"}
    return Node(
        name=data["name"],
        version=data["version"],
        hash=digest,
        namespace=data["namespace"],
        package_hash=str(data.get("package_hash", "")),
        parameters={k: tuple(v) if isinstance(v, list) else v for k, v in sorted(parameters.items())},
        patches=tuple(data.get("patches", ())),
        external=data["external"]["path"] or "" if "external" in data else "",
        dependencies=tuple(_edge(e) for e in data.get("dependencies", ())),
    )


def _edge(data: Mapping[str, Any]) -> Edge:
    how = data["parameters"]
    return Edge(hash=data["hash"], types=tuple(how["deptypes"]), virtuals=tuple(how.get("virtuals", ())))

"""Small locks made for a test: packages, nodes and components as they are wanted, and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from stack.audit import inventory
from stack.catalogue import Container, Os
from stack.difference import Side
from stack.facts import Facts, PackageFacts, Reach, Redistribution
from stack.graph import Edge, Graph, Node, Root
from stack.lock import Component, Lock, OsLock, OsPackage, WheelFile, WheelLock

SYSTEM = Os.model_validate(
    {"schema": 1, "name": "tux-1", "label": "tux1", "title": "Tux 1", "release": {"id": "tux", "version": "1"},
     "architectures": {"x86_64": "amd64"}, "glibc": "2.41", "components": {}}
)  # fmt: skip


def known(licence: str = "MIT", licence_class: str = "osi", **more: Any) -> PackageFacts:
    may = Redistribution(source=more.pop("source", "allowed"), binary=more.pop("binary", "allowed"))
    return PackageFacts.model_validate(
        {"licence": licence, "class": licence_class, "redistribution": may, "reach": Reach(cpu="any"), **more}
    )


def facts(**kinds: Mapping[str, PackageFacts]) -> Facts:
    return Facts({"spack": {}, "debian": {}, "wheel": {}, **kinds}, {})  # type: ignore[dict-item]


def digest(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()


def deb(name: str, version: str = "1", **more: Any) -> OsPackage:
    made = {"name": name, "version": version, "architecture": "amd64", "size": 1, "source": name, "control": {}} | more
    made.setdefault("filename", f"{name}_{version}_{made['architecture']}.deb")
    made.setdefault("sha256", digest(made["filename"]))
    return OsPackage.model_validate(made)


def wheel(project: str, version: str = "1", filename: str = "", sha256: str = "") -> WheelFile:
    filename = filename or f"{project}-{version}-py3-none-any.whl"
    return WheelFile(project=project, version=version, filename=filename, sha256=sha256 or digest(filename))


def node(name: str, version: str = "1", *needs: Node | Edge, **more: Any) -> Node:
    """A node; its hash follows from everything else, as Spack's does."""
    edges = tuple(n if isinstance(n, Edge) else Edge(hash=n.hash, types=("build", "link")) for n in needs)
    made = {"namespace": "builtin", "package_hash": digest(name, version), "parameters": {}, **more}
    word = digest(name, version, edges, sorted(made.items()))[:32].translate(str.maketrans("0189", "wxyz"))
    return Node(name=name, version=version, hash=word, dependencies=edges, **made)


def uses(needed: Node, *types: Any, virtuals: tuple[str, ...] = ()) -> Edge:
    return Edge(hash=needed.hash, types=types, virtuals=virtuals)


def graph(*nodes: Node, roots: Iterable[Node] | None = None, **more: Any) -> Graph:
    made = {
        "spack": "a" * 40, "packages": "b" * 40, "overlay": "c" * 64, "os": "tux1", "target": "x86_64_v3",
        "hashes": "native", "key": "d" * 64, "file": "e" * 64,
        "roots": [Root(spec=n.name, hash=n.hash) for n in (nodes if roots is None else roots)], "nodes": nodes, **more,
    }  # fmt: skip
    return Graph.model_validate(made)


def component(name: str, version: str = "1", provider: str = "source", **more: Any) -> Component:
    made = {"name": name, "role": None, "provider": provider, "version": version, "spec": name, **more}
    return Component.model_validate(made)


def os_lock(*packages: OsPackage, **more: Any) -> OsLock:
    made = {"system": "tux-1", "architecture": "amd64", "suites": (), "requested": (), "packages": packages, **more}
    return OsLock.model_validate(made)


def lock(*packages: OsPackage, spack: Graph | None = None, **more: Any) -> Lock:
    made = {
        "schema": 1, "environment": "some", "profile": "site", "target": "tux1-x86_64_v3", "components": (),
        "os": os_lock(*packages), "spack": spack, "inputs": {}, **more,
    }  # fmt: skip
    return Lock.model_validate(made)


def wheels(*files: WheelFile, **more: Any) -> WheelLock:
    return WheelLock.model_validate({"python": "3.13", "platforms": (), "requested": (), "files": files, **more})


def side(
    made: Lock, about: Facts | None = None, where: str = "here", base: Container | None = None, **more: Any
) -> Side:
    return Side(where, inventory.make(made, about or facts(), SYSTEM, base), **more)

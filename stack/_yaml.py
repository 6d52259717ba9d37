"""Ring 0. What `document` needs of ruamel.yaml's nodes and pydantic's fields, kept apart because both are fiddly."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stack.errors import Faults, Position

Path = tuple[str | int, ...]
_PREFIX = "tag:yaml.org,2002:"
_NULL = ("", "~", "null", "Null", "NULL")


class Construction:
    """Turns composed nodes into plain values, noting positions and refusing what plain data does not need."""

    def __init__(self, name: str, faults: Faults, max_nodes: int, max_depth: int) -> None:
        self.name, self.faults, self.left, self.max_depth = name, faults, max_nodes, max_depth
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self._open: list[Node] = []

    def build(self, node: Node, path: Path) -> Any:
        """Plain value of a node: dict, tuple, str, int, float, bool or None."""
        where = self._mark(node)
        self.left -= 1
        if self.left < 0:
            if self.left == -1:
                self.faults.add("aliases expand to too many values", where, "write the values out")
            return None
        if any(node is other for other in self._open):
            self.faults.add("an anchor contains itself", where, "remove the alias")
            return None
        if len(path) > self.max_depth:
            self.faults.add(f"nested deeper than {self.max_depth} levels", where)
            return None
        self.values[path] = where
        self._open.append(node)
        try:
            return self._value(node, path, where)
        finally:
            self._open.pop()

    def _value(self, node: Node, path: Path, where: Position) -> Any:
        tag = str(node.tag or "")
        if isinstance(node, MappingNode) and tag in (_PREFIX + "map", ""):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and tag in (_PREFIX + "seq", ""):
            return tuple(self.build(child, (*path, i)) for i, child in enumerate(node.value))
        if isinstance(node, ScalarNode):
            return self._scalar(node, tag, where)
        self.faults.add(f"the tag {tag!r} is not accepted", where, "remove it; documents hold plain data")
        return None

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = self._mark(key_node)
            if not isinstance(key_node, ScalarNode):
                self.faults.add("a key must be plain text", where)
                continue
            if str(key_node.tag) == _PREFIX + "merge":
                self.faults.add("merge keys (<<) are not accepted", where, "write the keys out")
                continue
            key = str(key_node.value)
            if key in made:
                self.faults.add(f"duplicate key {key!r}", where, f"first given at line {self.keys[(*path, key)].line}")
                continue
            self.keys[(*path, key)] = where
            made[key] = self.build(value_node, (*path, key))
        return made

    def _scalar(self, node: ScalarNode, tag: str, where: Position) -> Any:
        text, kind = str(node.value), tag.removeprefix(_PREFIX)
        try:
            if kind == "str":
                return text
            if kind == "null" and text in _NULL:
                return None
            if kind == "bool":
                return text.lower() == "true"
            if kind == "int":
                return int(text.replace("_", ""), 0)
            if kind == "float":
                return float(text.replace("_", ""))
        except ValueError:
            self.faults.add(f"{text[:60]!r} is not a {kind}", where, "quote it if it is text")
            return None
        if kind == "timestamp":
            return text  # a date in a document is text; nothing here computes with it
        self.faults.add(f"the tag {tag!r} is not accepted", where, "remove it; documents hold plain data")
        return None

    def _mark(self, node: Node) -> Position:
        mark = node.start_mark
        return Position(self.name, mark.line + 1, mark.column + 1) if mark else Position(self.name)


def fields_at(model: type[BaseModel], path: Path) -> list[str]:
    """Names of the fields a model accepts at a path, for did-you-mean."""
    found: list[Any] = [model]
    for part in path:
        found = [inner for kind in found for inner in _step(kind, part)]
    return [name for kind in found for leaf in _members(kind) if _is_model(leaf) for name in leaf.model_fields]


def _step(kind: Any, part: str | int) -> list[Any]:
    out: list[Any] = []
    for member in _members(kind):
        if _is_model(member):
            if part in member.model_fields:
                out.append(member.model_fields[part].annotation)
        elif get_args(member):
            out.append(get_args(member)[-1] if get_origin(member) is dict else get_args(member)[0])
    return out


def _members(kind: Any) -> list[Any]:
    """The alternatives of a union, without Annotated."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [leaf for arg in get_args(kind) for leaf in _members(arg)]
    return [kind]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

"""Ring 0. What `document` needs of ruamel.yaml, kept apart because it is fiddly: a bounded composer, plain values."""

from __future__ import annotations

import math
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stack.errors import Faults, Position

Path = tuple[str | int, ...]
MAX_NODES = 20_000  # before and after aliases are expanded; the largest shipped document has a few hundred
MAX_DEPTH = 32
MAX_DIGITS = 24
_NO_TAG = "remove it; documents hold plain data"
_NO_TEMPLATE = "documents are not templates; quote text that holds '{' or '['"
_PREFIX = "tag:yaml.org,2002:"
_PLAIN = frozenset(("null", "bool", "int", "float", "timestamp", "value"))
# The core schema of YAML 1.2, section 10.3.2, whatever version a document claims to be.
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE, _FALSE = frozenset(("true", "True", "TRUE")), frozenset(("false", "False", "FALSE"))


class Bounded(Composer):
    """Composes lazily and stops early, so that neither a deep nor a wide text costs much."""

    nodes = 0
    level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As the base class, with bounds on depth and number; an anchor is given once."""
        event = self.parser.peek_event()
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise MarkedYAMLError(problem=f"more than {MAX_NODES} values", problem_mark=event.start_mark)
        if self.level > MAX_DEPTH:
            raise MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark)
        if not isinstance(event, AliasEvent) and event.anchor in self.anchors:
            raise MarkedYAMLError(problem=f"the anchor &{event.anchor} is given twice", problem_mark=event.start_mark)
        self.level += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.level -= 1


def compose(text: str) -> Node | None:
    """The node tree of the only document in a text, None when there is none. Raises what ruamel.yaml raises."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = Bounded
    node: Node | None = yaml.compose(text)
    return node


class Construction:
    """Turns composed nodes into plain values, noting positions and refusing what plain data does not need."""

    def __init__(self, name: str, faults: Faults) -> None:
        self.name, self.faults, self.left = name, faults, MAX_NODES
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self.written: dict[Path, str] = {}
        self.refused: set[Path] = set()
        self._open: list[Node] = []

    def build(self, node: Node, path: Path) -> Any:
        """Plain value of a node: dict, tuple, str, int, float, bool or None; None also for what is refused."""
        self.values[path] = self._mark(node)
        self.left -= 1
        if self.left < 0:
            return self._too_many(path)
        if any(node is other for other in self._open):
            return self._refuse(path, "an anchor contains itself", "remove the alias")
        if len(path) > MAX_DEPTH:
            return self._refuse(path, f"nested deeper than {MAX_DEPTH} levels")
        self._open.append(node)
        try:
            return self._value(node, path)
        finally:
            self._open.pop()

    def _too_many(self, path: Path) -> None:
        if self.left == -1:  # said once
            self._refuse(path, "aliases expand to too many values", "write the values out")
        self.refused.add(path)

    def _refuse(self, path: Path, what: str, remedy: str = "") -> None:
        self.refused.add(path)
        self.faults.add(what, self.values[path], remedy)

    def _value(self, node: Node, path: Path) -> Any:
        tag = str(node.tag or "")
        if isinstance(node, MappingNode) and tag == _PREFIX + "map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and tag == _PREFIX + "seq":
            return tuple(self.build(child, (*path, i)) for i, child in enumerate(node.value))
        if isinstance(node, ScalarNode) and (kind := tag.removeprefix(_PREFIX)) in _PLAIN | {"str", "merge"}:
            if kind == "str":
                return str(node.value)
            if not node.style:
                return self._plain(str(node.value), path)
        return self._refuse(path, f"the tag {_tag(node)!r} is not accepted", _NO_TAG)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in made:
                first = self.keys[(*path, key)].line
                self.faults.add(f"duplicate key {key!r}", self._mark(key_node), f"first given in line {first}")
                continue
            self.keys[(*path, key)] = self._mark(key_node)
            made[key] = self.build(value_node, (*path, key))
        return made

    def _key(self, node: Node) -> str | None:
        where, kind = self._mark(node), str(node.tag).removeprefix(_PREFIX)
        if kind == "merge":
            self.faults.add("merge keys (<<) are not accepted", where, "write the keys out")
        elif not isinstance(node, ScalarNode):
            self.faults.add("a key must be text, not a list or a mapping", where, _NO_TEMPLATE)
        elif kind in _PLAIN:
            self.faults.add(f"the key {str(node.value)[:60]!r} is not text", where, "quote it")
        elif kind != "str":
            self.faults.add(f"the tag {_tag(node)!r} is not accepted", where, _NO_TAG)
        else:
            return str(node.value)
        return None

    def _plain(self, text: str, path: Path) -> Any:
        self.written[path] = text
        if text in _NULL:
            return None
        if text in _TRUE | _FALSE:
            return text in _TRUE
        if _INT.fullmatch(text):
            if len(text) > MAX_DIGITS:
                return self._refuse(path, f"a number of {len(text)} characters is too long", "quote it if it is text")
            return int(text, 0 if text[:2] in ("0o", "0x") else 10)
        if _FLOAT.fullmatch(text):
            value = float(
                text.replace(".inf", "inf").replace(".nan", "nan") if "." in text[:2] and text[-1] in "fFnN" else text
            )
            return value if math.isfinite(value) else self._refuse(path, f"{text[:60]!r} is not a finite number")
        return text

    def _mark(self, node: Node) -> Position:
        return Position(self.name, node.start_mark.line + 1, node.start_mark.column + 1)


def _tag(node: Node) -> str:
    return str(node.tag).replace(_PREFIX, "!!")[:60]

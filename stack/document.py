"""Ring 0. YAML text -> plain data with the position of every key and value -> validated models.

Only the plain subset of YAML 1.2 is accepted (mappings, sequences, strings, numbers, booleans, null): no tags, no
cycles, no duplicate keys, and a bound on size, depth and on what aliases expand to.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from stack.artifact import digest
from stack.errors import Faults, Position

MAX_BYTES = 1 << 20  # a document is written by hand; the largest shipped one has a few thousand bytes
MAX_NODES = 50_000  # after aliases are expanded
MAX_DEPTH = 40

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """Plain data of one YAML file and where each part of it stands."""

    name: str
    data: Any
    keys: Mapping[Path, Position]
    values: Mapping[Path, Position]

    def at(self, path: Path, *, key: bool = False) -> Position:
        """Position of the value (or of the key) at a path, or of the nearest ancestor that is in the text."""
        table = self.keys if key else self.values
        while path and path not in table:
            path, table = path[:-1], self.values
        return table.get(path, Position(self.name, 1, 1))

    @property
    def digest(self) -> str:
        """SHA-256 of the content; comments and layout do not count."""
        return digest(self.data)


def parse(text: str, name: str, faults: Faults) -> Document | None:
    """Read one YAML document. Faults of syntax are collected and None is returned."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        faults.add(f"larger than {MAX_BYTES >> 20} MiB", Position(name), "a document is a short text written by hand")
        return None
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from stack._yaml import Construction

    before = len(faults.found)
    try:
        node = YAML(typ="rt").compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Position(name, mark.line + 1, mark.column + 1) if mark else Position(name)
        faults.add(*_syntax(text, mark, error.problem or error.context or "not valid YAML", where))
        return None
    except (YAMLError, ValueError, RecursionError) as error:
        faults.add(f"not readable as YAML: {_one_line(error)}", Position(name))
        return None
    if node is None:
        faults.add("the document is empty", Position(name, 1, 1))
        return None
    made = Construction(name, faults, MAX_NODES, MAX_DEPTH)
    data = made.build(node, ())
    if len(faults.found) > before:
        return None
    return Document(name, data, made.keys, made.values)


def _syntax(text: str, mark: Any, problem: str, where: Position) -> tuple[str, Position, str]:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "a tab is used for indentation", where, "indent with spaces"
    if "{{" in line or "{%" in line:
        return f"not valid YAML: {_one_line(problem)}", where, "documents are not templates; quote the text"
    return f"not valid YAML: {_one_line(problem)}", where, ""


def _one_line(value: object) -> str:
    return " ".join(str(value).split())[:200]


def validate(document: Document, model: type[M], faults: Faults) -> M | None:
    """Validate against a model; every error is collected with its position and, for a wrong word, the nearest right one."""
    try:
        return model.model_validate(document.data, strict=True)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            _explain(document, model, item, faults)
        return None


def read(text: str, name: str, model: type[M], faults: Faults) -> tuple[Document, M] | None:
    """`parse` and `validate`; None when either found a fault."""
    document = parse(text, name, faults)
    if document is None:
        return None
    made = validate(document, model, faults)
    return (document, made) if made is not None else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy naming the nearest known word, or all of them when they are few."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def _explain(document: Document, model: type[BaseModel], item: Any, faults: Faults) -> None:
    loc, kind, context = _in_text(document, item["loc"]), item["type"], item.get("ctx", {})
    where, field = document.at(loc), _dotted(loc)
    if kind == "extra_forbidden":
        from stack._yaml import fields_at

        name = str(loc[-1])
        faults.add(f"unknown key {name!r}", document.at(loc, key=True), did_you_mean(name, fields_at(model, loc[:-1])))
    elif kind == "missing":
        faults.add(f"{_dotted(loc[:-1]) or 'the document'} lacks {str(item['loc'][-1])!r}", where, "add it")
    elif kind == "literal_error":
        known = [w.strip(" '\"") for w in context["expected"].replace(" or ", ", ").split(",")]
        faults.add(f"{field}: unknown value {item['input']!r}", where, did_you_mean(str(item["input"]), known))
    elif kind == "string_type" and isinstance(item["input"], int | float):
        faults.add(f"{field}: should be text, not a {_kind(item['input'])}", where, f'quote it: "{item["input"]}"')
    elif kind == "value_error":
        faults.add(f"{field}: {context['error']}", where)
    else:
        shown = _one_line(repr(item["input"]))[:60]
        faults.add(f"{field}: {item['msg'][0].lower()}{item['msg'][1:]}, got {_kind(item['input'])} {shown}", where)


def _in_text(document: Document, loc: Path) -> Path:
    """Pydantic's location without the parts it adds for unions and keys."""
    kept: list[str | int] = []
    for part in loc:
        if (*kept, part) in document.values:
            kept.append(part)
        elif part == loc[-1] and part not in ("[key]",):
            kept.append(part)
    return tuple(kept)


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _kind(value: object) -> str:
    names = {bool: "true/false", int: "number", float: "number", str: "text", dict: "mapping", tuple: "list"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)

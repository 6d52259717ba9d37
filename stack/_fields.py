"""Ring 0. What `document` needs of pydantic's fields: which keys may stand at a path, what a value should be."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from stack.words import Means

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Leaf:
    """One alternative of a field's type, without `Annotated` and unions around it, and its constraints."""

    kind: Any
    constraints: tuple[Any, ...] = ()

    @property
    def is_model(self) -> bool:
        """Whether it is a mapping with fixed keys."""
        return isinstance(self.kind, type) and issubclass(self.kind, BaseModel)

    @property
    def words(self) -> tuple[str, ...]:
        """The texts it accepts, when they are a fixed list."""
        return tuple(w for w in get_args(self.kind) if isinstance(w, str)) if get_origin(self.kind) is Literal else ()

    def accepts(self, value: object) -> bool:
        """Whether a value would be right there."""
        kind: Any = Annotated[self.kind, *self.constraints] if self.constraints else self.kind
        try:
            TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError:
            return False
        return True

    def bound(self, name: str) -> int | None:
        """A numeric constraint: `ge`, `le` or `min_length`."""
        found = [getattr(c, name) for c in self.constraints if getattr(c, name, None) is not None]
        return found[0] if found else None


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by the name that a user writes."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def fields_at(model: type[BaseModel], path: Path) -> list[str]:
    """Keys a model accepts at a path, for did-you-mean; none where any key may stand."""
    return [name for leaf in leaves_at(model, path) if leaf.is_model for name in fields(leaf.kind)]


def leaves_at(model: type[BaseModel], path: Path) -> tuple[Leaf, ...]:
    """The alternatives of the type of the value at a path; none for a path the model does not have."""
    found: tuple[Leaf, ...] = (Leaf(model),)
    for part in path:
        found = tuple(inner for leaf in found for inner in _step(leaf, part))
    return found


def key_leaves_at(model: type[BaseModel], path: Path) -> tuple[Leaf, ...]:
    """The same for the key that ends a path, in a mapping with free keys."""
    parents = (leaf for leaf in leaves_at(model, path[:-1]) if get_origin(leaf.kind) is dict)
    return tuple(leaf for parent in parents for leaf in members(get_args(parent.kind)[0]))


def _step(leaf: Leaf, part: str | int) -> Iterator[Leaf]:
    if leaf.is_model:
        info = fields(leaf.kind).get(str(part))
        if info is not None:
            yield from members(info.annotation, tuple(info.metadata))
    elif get_origin(leaf.kind) is dict:
        yield from members(get_args(leaf.kind)[1])
    elif get_origin(leaf.kind) is tuple and isinstance(part, int):
        yield from members(get_args(leaf.kind)[0])


def members(kind: Any, constraints: tuple[Any, ...] = ()) -> Iterator[Leaf]:
    """The alternatives of a type, with the constraints around each; without None."""
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        flat = (c for m in more for c in (m.metadata if isinstance(m, FieldInfo) else (m,)))
        yield from members(inner, (*constraints, *flat))
    elif get_origin(kind) in (Union, types.UnionType):
        for argument in get_args(kind):
            yield from members(argument, constraints)
    elif kind is not type(None):
        yield Leaf(kind, constraints)


def in_words(leaves: tuple[Leaf, ...]) -> str:
    """What may stand there, to follow "should be"; empty when the model has no such place."""
    said = list(dict.fromkeys(text for leaf in leaves for text in _said(leaf)))
    return " or ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))


def _said(leaf: Leaf) -> tuple[str, ...]:
    means = next((c.text for c in leaf.constraints if isinstance(c, Means)), None)
    if means:
        return (means,)
    if get_origin(leaf.kind) is Literal:
        return tuple(repr(value) for value in get_args(leaf.kind))
    if leaf.kind is int:
        return (_whole_number(leaf.bound("ge"), leaf.bound("le")),)
    if leaf.is_model or get_origin(leaf.kind) is dict:
        return ("a mapping" + (" with at least one entry" if leaf.bound("min_length") else ""),)
    if get_origin(leaf.kind) is tuple:
        return ("a list" + (" with at least one entry" if leaf.bound("min_length") else ""),)
    return ({bool: "true or false", float: "a number", str: "text"}.get(leaf.kind, "something else"),)


def _whole_number(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f"a whole number from {low} to {high}"
    return "a whole number" + (f" of at least {low}" if low is not None else "")

"""Ring 0. Pydantic's errors -> faults with a position, in the words of whoever wrote the document."""

from __future__ import annotations

import re
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from stack._document import Document, Path, did_you_mean
from stack._fields import Leaf, fields_at, in_words, key_leaves_at, leaves_at
from stack.errors import Faults


def explain(document: Document, model: type[BaseModel], error: ValidationError, faults: Faults) -> None:
    """Add one fault for each place that is wrong, however many alternatives of a type it misses."""
    items = [(_in_text(document, item), item) for item in error.errors(include_url=False)]
    inner = {path[:n] for path, _ in items for n in range(len(path))}
    seen: set[Path] = set()
    for path, item in items:
        if any(path[:n] in document.refused for n in range(len(path) + 1)):
            continue
        if _is_key(item):
            _key(document, model, path, faults)
        elif item["type"] == "extra_forbidden":
            key, place = str(path[-1]), f" in {dotted(path[:-1])}" if path[:-1] else ""
            remedy = did_you_mean(key, fields_at(model, path[:-1]))
            faults.add(f"unknown key {key!r}{place}", document.at(path, key=True), remedy)
        elif item["type"] == "missing":
            remedy = f"add it: {in_words(leaves_at(model, path)).split(' (')[0]}"
            faults.add(f"{dotted(path[:-1])} lacks the key {str(path[-1])!r}", document.at(path[:-1]), remedy)
        elif path not in seen and path not in inner:  # inside, an alternative that fits in kind is explained better
            seen.add(path)
            _value(document, model, path, item, faults)


def _is_key(item: Any) -> bool:
    loc = item["loc"]
    return len(loc) > 1 and loc[-1] == "[key]" and loc[-2] == item["input"]


def _in_text(document: Document, item: Any) -> Path:
    """Pydantic's location without the parts it adds for keys and for alternatives of a type."""
    kept: Path = ()
    for part in item["loc"][:-1] if _is_key(item) else item["loc"]:
        if (*kept, part) in document.values:
            kept = (*kept, part)
    return (*kept, item["loc"][-1]) if item["type"] == "missing" else kept


def _key(document: Document, model: type[BaseModel], path: Path, faults: Faults) -> None:
    wanted = in_words(key_leaves_at(model, path))
    what = f"the key {_shown(path[-1])} in {dotted(path[:-1])} should be {wanted}"
    faults.add(what, document.at(path, key=True))


def _value(document: Document, model: type[BaseModel], path: Path, item: Any, faults: Faults) -> None:
    value, leaves = item["input"], leaves_at(model, path)
    where = document.at(path)
    if path == ("schema",):
        faults.add(
            f"this program reads schema {in_words(leaves)}, not {_shown(value)}", where, "a newer one may read it"
        )
    elif item["type"] == "value_error":
        faults.add(f"{dotted(path)}: {_shown(value)} {item['ctx']['error']}", where)
    elif value is None:
        remedy = "write {}" if path and any(leaf.accepts({}) for leaf in leaves) else ""
        where = document.at(path, key=not document.written.get(path))
        faults.add(f"{dotted(path)} is empty; it should be {in_words(leaves)}", where, remedy)
    else:
        written = document.written.get(path) or str(value)
        shown = _shown(value) if isinstance(value, str | dict | tuple) else written
        what = f"{dotted(path)} should be {in_words(leaves)}, not {shown}"
        faults.add(what, where, _remedy(value, written, leaves))


def _remedy(value: object, written: str, leaves: tuple[Leaf, ...]) -> str:
    """What would probably make the value right."""
    if isinstance(value, str):
        if _takes(leaves, int) and re.fullmatch(r"[0-9]{1,9}", value):
            return "remove the quotes"
        near = did_you_mean(value, [word for leaf in leaves for word in leaf.words])
        return near if near.startswith("did") else "write a list: [...]" if _takes(leaves, tuple) else ""
    if isinstance(value, int | float) and any(leaf.accepts(written) for leaf in leaves):
        return f'quote it: "{written}"'
    return (
        "write 'key: value' lines, without '-'" if isinstance(value, tuple) and value and _takes(leaves, dict) else ""
    )


def _takes(leaves: tuple[Leaf, ...], kind: type) -> bool:
    return any(
        leaf.kind is kind or get_origin(leaf.kind) is kind or (kind is dict and leaf.is_model) for leaf in leaves
    )


def dotted(path: Path) -> str:
    """A path as text on one line; what is no plain word is quoted."""
    plain = (p if isinstance(p, int) or re.fullmatch(r"[\w-]{1,64}", p) else _shown(p) for p in path)
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in plain).removeprefix(".") or "the document"


def _shown(value: object) -> str:
    if isinstance(value, dict | tuple):
        return ("a " if value else "an empty ") + ("mapping" if isinstance(value, dict) else "list")
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 64 else f"{text[:60]}..."

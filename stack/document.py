"""Ring 0. YAML text -> plain data with the position of every key and value -> validated models.

Only the plain subset of YAML 1.2 is accepted (mappings, sequences, strings, numbers, booleans, null): no tags, no
cycles, no duplicate or merged keys, and a bound on size, depth, number of values and what aliases expand to.
"""

from __future__ import annotations

import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from stack._document import Document, Path, did_you_mean
from stack._explain import explain
from stack.errors import Faults, Position
from stack.words import HIDDEN

MAX_BYTES = 1 << 18  # a document is written by hand; the largest shipped one has a few thousand bytes

__all__ = ["MAX_BYTES", "Document", "Path", "did_you_mean", "parse", "read", "validate"]
M = TypeVar("M", bound=BaseModel)


def parse(text: str, name: str, faults: Faults) -> Document | None:
    """Read one YAML document; None when it has no readable structure.

    Where single values are at fault (a tag, a duplicate key) the rest is still returned, so that its faults show too:
    whoever uses the data looks at `faults` first.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        faults.add(
            f"larger than {MAX_BYTES >> 10} KiB", Position(name, 1, 1), "a document is a short text written by hand"
        )
        return None
    if _hidden(text, name, faults):
        return None
    from stack._yaml import Construction, compose

    try:
        node = compose(text)
    except Exception as error:  # a broken text can make the YAML library fail in ways of its own
        faults.add(*_syntax(text, name, error))
        return None
    if node is None:
        faults.add("the document is empty", Position(name, 1, 1))
        return None
    made = Construction(name, faults)
    data = made.build(node, ())
    return Document(name, data, made.keys, made.values, made.written, made.refused)


def _hidden(text: str, name: str, faults: Faults) -> bool:
    found = [m for m in re.finditer(f"{HIDDEN.pattern}|[\ud800-\udfff\ufffe\uffff]", text) if m[0] not in "\t\r\n"]
    for match in found[:20]:
        lines = re.split("\r\n|\r|\n", text[: match.start()])
        where = Position(name, len(lines), len(lines[-1]) + 1)
        faults.add(f"the character U+{ord(match[0]):04X} is not accepted", where, "remove it, or write it as an escape")
    return bool(found)


# What ruamel.yaml says -> what is wrong, what to do, and whether the place where it began is the better one to show.
_PROBLEMS: tuple[tuple[str, str, str, bool], ...] = (
    (r"found character '\\t'", "a tab is used for indentation", "indent with spaces", False),
    (r"found character ('.') that", "text may not begin with {0}", "quote it", False),
    (r"found unexpected end of stream", "a quote is never closed", "add the closing quote", True),
    (r"expected ',' or '(\W)', but got '<stream end>'", "a bracket is never closed", "add the closing {0}", True),
    (r"expected ',' or '(\W)'", "not valid YAML: ',' or {0!r} should stand here", "", False),
    (r"mapping values are not allowed", "a ':' may not stand here", "quote the text, or mend the indentation", False),
    (r"expected the node content, but found '<stream end>'", "the text ends where a value should stand", "", False),
    (r"could not find expected ':'", "this should read 'key: value'", "", True),
    (r"expected <block end>", "this does not belong here", "mend the indentation, or quote the text", False),
    (r"found another document", "a second document begins here", "one file holds one document", False),
    (r"found undefined alias '?(.*?)'?$", "the alias *{0} has no anchor", "quote text that begins with '*'", False),
    (r"(.*(?:more than|deeper than).*)", "{0}", "", False),
    (r"(the anchor .* is given twice)", "{0}", "", False),
)  # fmt: skip


def _syntax(text: str, name: str, error: Exception) -> tuple[str, Position, str]:
    problem = _one_line(getattr(error, "problem", None) or getattr(error, "context", None) or error)
    mark, began = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    said, remedy = f"not valid YAML: {problem}", ""
    for pattern, what, advice, at_context in _PROBLEMS:
        if match := re.search(pattern, problem):
            said, remedy = what.format(*match.groups()), advice.format(*match.groups())
            mark = began or mark if at_context else mark
            break
    mark = mark or began
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = re.split("\r\n|\r|\n", text)
    if not remedy and line < len(lines) and re.search(r"\{\{ |\{%", lines[line]):
        remedy = "documents are not templates; quote the text"
    return said, Position(name, line + 1, column + 1), remedy


def _one_line(value: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(value).split()))[:200]


def validate(document: Document, model: type[M], faults: Faults) -> M | None:
    """Validate against a model; every error is collected with its position and, where it can be told, the remedy."""
    try:
        return model.model_validate(document.data, strict=True)
    except ValidationError as error:
        explain(document, model, error, faults)
        return None


def read(text: str, name: str, model: type[M], faults: Faults) -> tuple[Document, M] | None:
    """`parse` and `validate`; None when either found a fault."""
    before = len(faults.found)
    document = parse(text, name, faults)
    made = validate(document, model, faults) if document else None
    return (document, made) if document and made is not None and len(faults.found) == before else None

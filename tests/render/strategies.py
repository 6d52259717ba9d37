"""Free text as documents may hold it, with what a shell, Lua, Jinja or a definition file would take for its own."""

from __future__ import annotations

from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from stack.words import Line

_LINE: TypeAdapter[str] = TypeAdapter(Line)
SPECIAL = ("'", '"', "`", "$(id)", "${HOME}", "$x", "\\", "\\n", "]]", "[[", "]=]", "--", "%post", "%", "{{", "}}",
           "{{ x }}", "{{ lbrace }}", "{{lbrace}}", "{{{", "{%", "%}", "{#", "#}", "# ", "#", "#!", ";", "&", "|", "!",
           "*", "~", " ", "  ", "é", "\u3000", "<", ">", "hash", "lbrace")  # fmt: skip


def is_line(text: str) -> bool:
    """Whether a document may hold the text as one line."""
    try:
        _LINE.validate_python(text)
    except ValidationError:
        return False
    return True


_pieces = st.one_of(st.sampled_from(SPECIAL), st.text(st.characters(codec="utf-8"), max_size=8))
lines = st.lists(_pieces, min_size=1, max_size=8).map("".join).filter(is_line)

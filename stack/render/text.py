"""Ring 4. What every renderer needs: the components with their versions, escaping for each text format, templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from stack.errors import bad_input
from stack.lock import Lock
from stack.offer import Choice
from stack.plan import Plan
from stack.recipe import Recipe
from stack.words import Provider

if TYPE_CHECKING:
    from jinja2 import Environment

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LUA = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\0": "\\0"}


@dataclass(frozen=True)
class Part:
    """A component as it is rendered: `version` is the lock's where there is a lock, else what the plan expects."""

    choice: Choice
    recipe: Recipe
    version: str

    @property
    def name(self) -> str:
        """The component's name."""
        return self.choice.component

    @property
    def provider(self) -> Provider:
        """Who supplies it."""
        return self.choice.provider


def parts(plan: Plan, lock: Lock | None) -> tuple[Part, ...]:
    """All components of a plan, in its order. Raises `StackError` when the lock is of another plan."""
    return tuple(_parts(plan, lock))


def _parts(plan: Plan, lock: Lock | None) -> Iterator[Part]:
    locked = {c.name: c for c in lock.components} if lock else {}
    for choice in plan.choices:
        if lock and (choice.component not in locked or locked[choice.component].provider != choice.provider):
            raise bad_input(f"the lock of {lock.cell} does not fit the plan: {choice.component}", remedy="lock again")
        version = locked[choice.component].version if lock else choice.version
        yield Part(choice, plan.recipes[choice.component], version)


def variables(values: Mapping[str, str]) -> dict[str, str]:
    """Environment variables, sorted; raises `StackError` for a name that a shell would not take."""
    for name in values:
        if not _VARIABLE.fullmatch(name):
            raise bad_input(f"{name!r} is not the name of an environment variable")
    return dict(sorted(values.items()))


def sh(value: str) -> str:
    """One shell word that means exactly `value`, to a shell and to Apptainer.

    It never holds two braces in a row, which Apptainer would replace in a definition, nor a backslash outside quotes,
    which Apptainer's own shell keeps when it reads an image's environment.
    """
    if "\0" in value:
        raise bad_input("a NUL character cannot be passed to a program")
    return "'" + re.sub(r"\{(?=\{)", "{''", value.replace("'", "'\"'\"'")) + "'"


def lua(value: str) -> str:
    """A Lua short string that means exactly `value`."""
    return '"' + "".join(_LUA.get(c, c) for c in value) + '"'


def definition_line(line: str) -> str:
    """A line of a definition file's free text. Apptainer replaces `{{ name }}`, except after a `#`; so both are named
    (see `definition_arguments`) in a line that has two braces in a row."""
    if "{{" not in line:
        return line
    return re.sub(r"\{\{|#", lambda m: "{{ lbrace }}" if m[0] == "{{" else "{{ hash }}", line)


def definition_arguments(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The `%arguments` that `definition_line` relies on; none when no line needs them."""
    return ("lbrace={{", "hash=#") if any("{{" in line for line in lines) else ()


def version_pattern(version: str) -> str:
    """POSIX extended regular expression: the version, whole, anywhere in a line."""
    exact = re.sub(r"[.+]", r"[\g<0>]", version)
    return f"(^|[^0-9.]){exact}([^0-9.]|[.]([^0-9]|$)|$)"


@cache
def _templates() -> Environment:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("stack.render", "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML here; each format has its own filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(sh=sh, lua=lua, definition_line=definition_line)
    return made


def template(file: str, /, **values: Any) -> str:
    """Fill one of the templates; every value a template names must be given."""
    return _templates().get_template(file).render(values)

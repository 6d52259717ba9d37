"""Ring 4. Templates of pages: everything escaped and visible, and a name that is not there is an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from stack import quantity
from stack.visible import visible

if TYPE_CHECKING:
    import jinja2


@cache
def template(name: str) -> jinja2.Template:
    """A template of `stack/render/templates`, for HTML."""
    return _environment().get_template(name)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    loader = jinja2.PackageLoader("stack.render")
    env = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown,
                             trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    env.filters.update(number=quantity.number, size=quantity.size, duration=quantity.duration, pair=_pair, when=_when)
    return env


def _shown(value: Any) -> Any:
    """Every value on its way into the page; markup (which only the template makes) stays as it is."""
    return visible(value) if type(value) is str else value


def _pair(metric: Mapping[str, Any]) -> tuple[str, str]:
    if metric["bound"] is None:
        return quantity.number(metric["value"]), ""
    return quantity.pair(metric["value"], metric["bound"])


def _when(date: str) -> str:
    """`2026-03-02 14:07 UTC` of an ISO 8601 moment; a day, and anything else, as it stands."""
    try:
        return datetime.fromisoformat(date).strftime("%Y-%m-%d %H:%M %Z").strip() if "T" in date else date
    except ValueError:
        return date

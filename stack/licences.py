"""Ring 1. What licences are called elsewhere, and their SPDX expressions."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from stack.facts import Expression
from stack.recipe import Schema1
from stack.words import Means, Model

ShortName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+/_-]*( with [A-Za-z0-9][A-Za-z0-9. +/_-]*)?$", max_length=128),
    Means("a licence's short name, with its exception where it has one"),
]


class Licences(Model):
    """`stack/data/licences.yaml`. `debian`: short names of Debian's copyright format -> SPDX expressions.

    A name is here where the format defines it, or where all that use it mean one licence by it. `MIT` and `BSD` do not.
    """

    schema_version: Schema1
    debian: dict[ShortName, Expression]

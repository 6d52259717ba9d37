"""Ring 4. What an assessment is of: the lock with what is known of it, and the evidence that stands beside it.

`None` where nobody looked: what was not assessed is never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from pydantic import Field, StrictBool, StringConstraints, ValidationError

from stack.audit.completeness import Gap
from stack.audit.coverage import steered, steward_known
from stack.audit.document import Phase
from stack.audit.inventory import Inventory
from stack.audit.supply import Ref
from stack.facts import Facts
from stack.words import Digest, Model


@dataclass(frozen=True)
class Locked:
    """Another lock of the same environment. `makers`: whose accelerator it is for, or whose processors run it."""

    cell: str
    makers: tuple[str, ...]


@dataclass(frozen=True)
class Exit:
    """One exit test of this cell. `found`: another lock, or the same, does without; `built`: an image of it stands."""

    forbidden: str
    found: bool
    built: bool
    date: str


@dataclass(frozen=True)
class Proof:
    """A passed run of the numerical suite. `makers`: whose hardware it ran on; `isa`: the CPU family, and that it was
    emulated; `open`: whether anybody may make it."""

    cell: str
    makers: tuple[str, ...]
    isa: str
    open: bool
    date: str


@dataclass(frozen=True)
class Rebuild:
    """A build without a network. `same`: its bytes were those of an earlier build of the same lock."""

    date: str
    same: bool | None
    host: str = ""


Day = Annotated[str, StringConstraints(pattern=r"^20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\dZ$")]


class RebuildNote(Model):
    """`rebuild.json`: what a build with no network proved, of which image of which lock."""

    lock: Digest
    date: Day
    same: StrictBool | None
    host: str
    image: Digest | None = None


class SourceNote(Model):
    """One source of a survey. `had`: where it was taken from, or nothing."""

    packages: tuple[str, ...] = Field(min_length=1)
    kind: str
    sha256: str
    holders: tuple[str, ...]
    had: str


class SurveyNote(Model):
    """`survey.json`: what `sovstack mirror --survey` saw of the sources of a lock."""

    lock: Digest
    date: str = ""
    folder: str = ""
    sources: tuple[SourceNote, ...]
    unhashed: tuple[tuple[str, str], ...]


N = TypeVar("N", RebuildNote, SurveyNote)


def note(text: str, model: type[N], lock: str) -> N | None:
    """A note beside a lock; None where it is damaged, or about another lock."""
    try:
        found = model.model_validate_json(text)
    except ValidationError:
        return None
    return found if found.lock == lock else None


@dataclass(frozen=True)
class Mirrored:
    """Sources in the source mirror: how many of those wanted are there, and which are not."""

    there: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Signed:
    """The signature over the image and its evidence. `own`: the key is the site's."""

    key: str
    own: bool


@dataclass(frozen=True)
class Situation:
    """Everything that the levels are judged by. `today`: the day, ISO 8601.

    `invalid`: licences that are no SPDX expression; `excepted`: component -> why it may be what it is;
    `confirmed`: keys of other builders who signed an image of the same bytes; `makers`: whom an exit test is due for;
    `providers`: role -> its open components; `scheduled`: open schedulers; `unsteered`: see below.
    """

    inventory: Inventory
    phase: Phase
    gaps: tuple[Gap, ...]
    today: str
    invalid: tuple[str, ...] = ()
    excepted: Mapping[Ref, str] = field(default_factory=dict)
    others: tuple[Locked, ...] = ()
    makers: tuple[str, ...] = ()
    exits: tuple[Exit, ...] = ()
    proofs: tuple[Proof, ...] = ()
    mirrored: Mirrored | None = None
    rebuild: Rebuild | None = None
    confirmed: tuple[str, ...] = ()
    signed: Signed | None = None
    verified: str = ""
    providers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scheduled: tuple[str, ...] = ()
    unsteered: tuple[Ref, ...] = ()


def unsteered(found: Inventory, facts: Facts) -> tuple[Ref, ...]:
    """What was asked for, is not open source, or is for one vendor's hardware alone, and has no known steward."""
    asked = frozenset(found.roots)
    return tuple(
        item.ref
        for item in found.scoped("run")
        if item.kind != "base"
        and (item.ref in asked or steered(item.facts))
        and not steward_known((item.kind, item.package or item.name), facts)
    )

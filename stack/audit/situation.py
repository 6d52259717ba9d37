"""Ring 4. What an assessment is of: the lock with what is known of it, and the evidence that stands beside it.

`None` where nobody looked: what was not assessed is never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stack.audit.completeness import Gap
from stack.audit.document import Phase
from stack.audit.inventory import Inventory, Ref


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
    """A passed run of the numerical suite. `isa`: the CPU family; `open`: whether anybody may make it."""

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
    `makers`: whom an exit test is due for; `providers`: role -> its open components; `scheduled`: open schedulers.
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
    signed: Signed | None = None
    verified: str = ""
    providers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scheduled: tuple[str, ...] = ()

"""Ring 4. What an exit test keeps: its record, and the data that it needs beside the catalogue and the facts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from stack.errors import Position, bad_input
from stack.facts import Kind, LicenceClass, PackageName
from stack.lock import TargetName
from stack.recipe import Schema1
from stack.visible import visible
from stack.words import Digest, Line, Model, Name, Provider


class Scheduler(Model):
    """A kind of scheduler; `steward`: an entry of stewards.yaml, `open`: others may carry it on."""

    title: Line
    steward: Name
    open: bool


class Counterparts(Model):
    """Packages that do the same work, whoever makes them."""

    work: Line
    accelerator: bool = Field(False, description="nodes without an accelerator do not have this work")
    packages: tuple[PackageName, ...] = Field(min_length=1)


class Exits(Model):
    """`stack/data/exits.yaml`."""

    schema_version: Schema1
    schedulers: dict[Name, Scheduler]
    counterparts: tuple[Counterparts, ...]


Day = Annotated[str, StringConstraints(pattern=r"^20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\dZ$")]


class Side(Model):
    """One of the two locks. `accelerator`: nothing where the target has none."""

    profile: Name
    partition: Name
    target: TargetName
    accelerator: Line | None = None
    lock: Digest

    @property
    def place(self) -> str:
        """`profile/target`."""
        return f"{self.profile}/{self.target}"


class Supply(Model):
    """Who supplies a component."""

    name: Name
    provider: Provider
    version: str
    package: str


class Row(Model):
    """One component or role, before and after; nothing where it is not there."""

    role: Name | None
    before: Supply | None
    after: Supply | None


class Gone(Model):
    """A forbidden package that the lock had. `replaced`: by what does the same work; `lost`: nothing there does it;
    `dropped`: only what went with it needed it; `kept`: it is still there, so that there is no exit yet."""

    kind: Kind
    name: PackageName
    version: str
    licence_class: LicenceClass
    work: Line | None
    fate: Literal["replaced", "lost", "dropped", "kept"]
    replaced_by: tuple[PackageName, ...] = ()
    through: tuple[str, ...] = ()


class New(Model):
    """A package that only the lock afterwards has."""

    kind: Kind
    name: PackageName
    version: str
    steward: Name | None
    licence_class: LicenceClass


class Feature(Model):
    """Variants of a package that both locks have."""

    package: str
    lost: tuple[str, ...]
    gained: tuple[str, ...]


class Promise(Model):
    """An assertion of a recipe that held and does not hold any more; `why`: what that means."""

    what: Line
    why: Line
    failed: bool = Field(description="it does not hold; otherwise it is not asked for on the target")


class Tried(Model):
    """A target that is nearer and is no exit."""

    place: Line
    why: tuple[Line, ...]


class Nearly(Model):
    """A lock that has nothing of the vendor but what is open and runs on any hardware: others can carry that on."""

    to: Side
    packages: tuple[PackageName, ...]


class Differences(Model):
    """What moving from one lock to the other changes."""

    components: tuple[Row, ...] = ()
    forbidden: tuple[Gone, ...] = ()
    gone: tuple[str, ...] = ()
    new: tuple[New, ...] = ()
    features: tuple[Feature, ...] = ()
    promises: tuple[Promise, ...] = ()
    unknown: tuple[str, ...] = Field((), description="packages afterwards of which nothing is known")


class ExitRecord(Model):
    """What one exit test found. `result`: the same target does, another one does, or none.

    `key` names everything that the answer depends on; `anew`: the lock afterwards was made for this test; `built`: an
    image of that lock stands.
    """

    schema_version: Schema1
    environment: Name
    forbidden: Name
    title: Line
    result: Literal["stays", "moves", "none"]
    before: Side
    after: Side | None
    anew: bool
    built: bool
    date: Day
    key: Digest
    nearness: tuple[Line, ...] = ()
    changed: tuple[Line, ...] = Field((), description="providers and components that were refused or replaced")
    tried: tuple[Tried, ...] = ()
    nearly: Nearly | None = Field(None, description="where there is no exit: what would be one, were it carried on")
    others: tuple[Line, ...] = Field((), description="targets further away that remain")
    notes: tuple[Line, ...] = ()
    differences: Differences = Differences()

    @property
    def exists(self) -> bool:
        """Whether there is an exit."""
        return self.after is not None


def parse(text: str, name: str) -> ExitRecord:
    """Read a record; raises `StackError` that names the file for anything else."""
    try:
        return ExitRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"no record of an exit test: {'.'.join(map(str, first['loc']))[:80]}: {first['msg'][:200]}"
        raise bad_input(what, Position(name), "delete it and run sovstack exit-test again") from None


def line(text: str) -> str:
    """What a program said, as one line of a record."""
    return " ".join(visible(text).split())[:500] or "?"

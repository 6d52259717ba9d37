"""Ring 3. What the checks of one image said, as data that a report can show and a later run can reuse."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from stack.visible import one_line
from stack.words import Digest, Line, Means, Model, no_control

MAX_POINTS, MAX_PARTS, MAX_NUMBERS = 64, 64, 500  # of one number, of one check: what a foreign suite may print


class Metric(Model):
    """One number a check measured. `bound` is the largest accepted value, None when nothing is demanded of it."""

    # A broken library gives infinities and not-a-number: they are answers, and go through JSON as such.
    model_config = ConfigDict(ser_json_inf_nan="constants")

    name: str
    value: float
    bound: float | None = None
    unit: str = ""
    origin: str = Field("", description="where the bound comes from")
    values: tuple[float, ...] = Field((), description="of every repeat, where there were several")

    @property
    def ok(self) -> bool:
        """Whether the value is within its bound; not-a-number never is."""
        return self.value == self.value and (self.bound is None or self.value <= self.bound)


def _hex_float(text: str) -> str:
    try:
        float.fromhex(text)
    except OverflowError:
        raise ValueError("is more than a number of 64 bits can hold") from None
    return text


HexFloat = Annotated[
    str,
    StringConstraints(pattern=r"^-?(0x[0-9a-f](\.[0-9a-f]{1,30})?p[+-]?[0-9]{1,5}|inf|nan)$"),
    AfterValidator(_hex_float),
    Means("a number as C99 writes it in base 16, such as '0x1.8p+3': no bit of it is lost"),
]
Where = Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(no_control)]
NumberName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60), Means("a lower-case word")]
_Part = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$"), Means("8 hex digits of a digest")]
_SWITCH = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"
Switch = Annotated[str, StringConstraints(pattern=_SWITCH)]


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("an error is not negative")
    return value


class Point(Model):
    """One entry of a result: where it stands, its value, and how far from the truth it may be.

    A check prints it as a list of the three.
    """

    where: Where
    value: HexFloat
    bound: HexFloat

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        fits = isinstance(value, list | tuple) and len(value) == 3
        return dict(zip(cls.model_fields, value, strict=True)) if fits else value

    @model_validator(mode="after")
    def _bounded(self) -> Point:
        if not 0 <= float.fromhex(self.bound) < math.inf:
            raise ValueError("the bound is no finite number from 0 on")
        return self


class Number(Model):
    """One result of a computation, by its bits: `exact` ones are the same on every machine.

    `bounded` ones may differ, each within its bound of the truth. `digest`: of the values' little-endian bytes.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    name: NumberName
    precision: NumberName = Field(description="such as fp64")
    kind: Literal["exact", "bounded"]
    inputs: Digest = Field(description="SHA-256 of the input bytes")
    said: Line = Field(description="what was computed, in words, with shapes and seed")
    digest: Digest
    count: Annotated[int, Field(ge=1)] = Field(description="how many values")
    points: Annotated[tuple[Point, ...], Field(max_length=MAX_POINTS)] = ()
    parts: Annotated[tuple[_Part, ...], Field(max_length=MAX_PARTS)] = Field(
        (), description="the first digits of a digest of each of as many equal parts of the values, in their order"
    )
    ratio: Annotated[float, AfterValidator(_not_negative)] | None = Field(
        None, description="largest error as a multiple of its bound"
    )
    basis: Annotated[str, StringConstraints(max_length=500), AfterValidator(no_control)] = Field(
        "", description="where the bound comes from"
    )

    @property
    def ok(self) -> bool:
        """Whether the error is within its own bound; not-a-number never is."""
        return self.ratio is None or self.ratio <= 1


class Machine(Model):
    """What the checks ran on. `emulator`: such as `qemu-riscv64 7.2.22, cpu rv64`; empty on a CPU of its own."""

    family: Line
    microarchitecture: Line
    emulator: str = ""


class Check(Model):
    """One ReFrame test on one image. `reproduce` is the command line that runs this check alone."""

    name: str
    title: str
    tags: tuple[str, ...] = ()
    result: Literal["pass", "fail", "skip"]
    seconds: float = 0.0
    metrics: tuple[Metric, ...] = ()
    numbers: tuple[Number, ...] = Field((), description="what goes on the numerical identity card")
    switches: dict[Switch, str] = Field({}, description="variables that change how numbers are computed, where set")
    reason: str = Field("", description="why it failed or was skipped, in words")
    output: str = Field("", description="the end of what it printed, when it failed")
    nodes: tuple[str, ...] = Field((), description="of a scheduler, that its ranks ran on")
    reproduce: str = ""


class Verdict(Model):
    """All checks of one image. `date` is ISO 8601 UTC; `image` the SHA-256 of the SIF file."""

    schema_version: Literal[1] = Field(1, alias="schema")
    cell: str
    image: Digest
    lock: Digest
    suite: Digest = Field(description="SHA-256 over the suite's files and settings: other checks, another verdict")
    files: Digest | None = Field(None, description="SHA-256 over the suite's files alone, the same for every cell")
    date: str
    reframe: str
    host: str = Field(description="machine the checks ran on: CPU and OS, in words")
    machine: Machine | None = None
    provider: Literal["", "site"] = Field("", description="`site`: not ours, and no evidence for anything of ours")
    checks: tuple[Check, ...]
    left_out: dict[str, str] = Field({}, description="checks that could not be part of it, and what each needs")
    session: Annotated[str, StringConstraints(max_length=100), AfterValidator(no_control)] = Field(
        "", description="what ReFrame calls the run; it is in the history where that was kept"
    )

    @property
    def needs(self) -> dict[str, list[str]]:
        """What the subject does not have, and the checks that were left out for it."""
        found: dict[str, list[str]] = {}
        for name, need in self.left_out.items():
            found.setdefault(need, []).append(name)
        return found

    @property
    def passed(self) -> bool:
        """No check failed, no number is out of its bound, and at least one check ran."""
        failed = any(c.result == "fail" or not all(m.ok for m in c.metrics) for c in self.checks)
        return not failed and any(c.result == "pass" for c in self.checks)


def numbers(messages: Any) -> tuple[tuple[Number, ...], dict[str, str], tuple[str, ...]]:
    """A check's `number` and `switch` lines -> the numbers, the switches, and what is wrong with others, in words.

    They come from whoever wrote the suite: nothing of their form is taken for granted.
    """
    if not isinstance(messages, list | tuple):
        return (), {}, ("the numbers of the identity card are no list",)
    found: dict[str, Number] = {}
    switches: dict[str, str] = {}
    wrong: list[str] = []
    for message in messages:
        if not isinstance(message, Mapping):
            wrong.append("a number of the identity card is no mapping")
            continue
        fields = {key: value for key, value in message.items() if key != "sovstack"}
        if message.get("sovstack") == "switch":
            name, value = str(fields.get("name")), one_line(str(fields.get("value")))[:500]
            if re.fullmatch(_SWITCH, name):
                switches[name] = value
            else:
                wrong.append(f"the switch {one_line(name)[:60]} has no name of a variable")
            continue
        try:
            made = Number.model_validate(fields)
        except ValidationError as error:
            wrong.append(_wrong(fields, error))
            continue
        if made.name in found:
            wrong.append(f"the number {made.name} was printed twice")
        found[made.name] = made
    if len(found) > MAX_NUMBERS:
        wrong.append(f"{len(found)} numbers, and at most {MAX_NUMBERS} go on a card")
    return tuple(found.values())[:MAX_NUMBERS], switches, tuple(wrong)


def _wrong(fields: Mapping[Any, Any], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "it"
    name = one_line(str(fields.get("name")))[:60]
    return f"the number {name} cannot be read: {place}: {one_line(str(first['msg']))[:200]}"

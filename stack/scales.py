"""Ring 1. Scales of the suite: how many nodes a run takes, and how much of each. `reframe_tests/scales.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from stack.document import did_you_mean, read
from stack.errors import Faults, StackError, bad_input
from stack.words import Means, Model

FILE = "scales.yaml"
Count = Annotated[int, Field(ge=1, le=1 << 16)]
ScaleName = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+(_[0-9]+)?_[a-z]+$", max_length=40), Means("a scale such as '1_2_node'")
]


class Scale(Model):
    """So many nodes; and of each so many `cores`, or one `part` of so many equal ones, or all of it."""

    nodes: Count
    cores: Count | None = None
    part: Count | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Scale:
        if self.cores and self.part:
            raise ValueError("has cores, and a part of a node: keep one of them")
        return self

    def fits(self, nodes: int, cores: int) -> bool:
        """Whether a place with so many nodes, each of so many cores, can give it."""
        return self.nodes <= nodes and (self.cores or self.part or 1) <= cores


class Scales(Model):
    """All, by name."""

    schema_version: Literal[1] = Field(alias="schema")
    scales: dict[ScaleName, Scale] = Field(min_length=1)

    def offered(self, nodes: int, cores: int) -> tuple[str, ...]:
        """Names of those that a place can give."""
        return tuple(name for name, scale in self.scales.items() if scale.fits(nodes, cores))

    def asked(self, name: str, nodes: int, cores: int) -> str:
        """The name again; raises `StackError` for one that is not known, or that the place cannot give."""
        if name not in self.scales:
            known = ", ".join(self.scales)
            raise bad_input(f"no scale {name!r}", remedy=did_you_mean(name, self.scales) or f"known: {known}")
        found = self.scales[name]
        if not found.fits(nodes, cores):
            there = f"{nodes} node{'s' * (nodes > 1)} of {cores} cores"
            wanted, count = found.cores or found.part or 1, f"{found.nodes} node{'s' * (found.nodes > 1)}"
            what = f"the scale {name} takes {count} of at least {wanted} core{'s' * (wanted > 1)}, and there is {there}"
            raise bad_input(what, remedy="take a smaller one, or more nodes: --scheduler slurm --nodes N")
        return name


def parse(text: str, name: str) -> Scales:
    """The scales of a file; raises `StackError` with every fault of it."""
    faults = Faults()
    made = read(text, name, Scales, faults)
    if made is None:
        raise StackError(faults.found)
    return made[1]

"""Ring 3. What the checks of one image said, as data that a report can show and a later run can reuse."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from stack.words import Digest, Model


class Metric(Model):
    """One number a check measured. `bound` is the largest accepted value, None when nothing is demanded of it."""

    # A broken library gives infinities and not-a-number: they are answers, and go through JSON as such.
    model_config = ConfigDict(ser_json_inf_nan="constants")

    name: str
    value: float
    bound: float | None = None
    unit: str = ""
    origin: str = Field("", description="where the bound comes from")

    @property
    def ok(self) -> bool:
        """Whether the value is within its bound; not-a-number never is."""
        return self.value == self.value and (self.bound is None or self.value <= self.bound)


class Check(Model):
    """One ReFrame test on one image. `reproduce` is the command line that runs this check alone."""

    name: str
    title: str
    tags: tuple[str, ...] = ()
    result: Literal["pass", "fail", "skip"]
    seconds: float = 0.0
    metrics: tuple[Metric, ...] = ()
    reason: str = Field("", description="why it failed or was skipped, in words")
    output: str = Field("", description="the end of what it printed, when it failed")
    reproduce: str = ""


class Verdict(Model):
    """All checks of one image. `date` is ISO 8601 UTC; `image` the SHA-256 of the SIF file."""

    schema_version: Literal[1] = Field(1, alias="schema")
    cell: str
    image: Digest
    lock: Digest
    suite: Digest = Field(description="SHA-256 over the suite's files and settings: other checks, another verdict")
    date: str
    reframe: str
    host: str = Field(description="machine the checks ran on: CPU and OS, in words")
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """No check failed, no number is out of its bound, and at least one check ran."""
        failed = any(c.result == "fail" or not all(m.ok for m in c.metrics) for c in self.checks)
        return not failed and any(c.result == "pass" for c in self.checks)

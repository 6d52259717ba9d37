"""What an image of ours expects of a host, as `suite` reads it out of the image: by a stand-in for Apptainer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack import contract
from stack.catalogue import Catalogue
from stack.host import promised
from stack.host.emulating import Judge
from stack.lock import Component
from stack.plan import Plan
from stack.verify import Start
from tests.locked import lock

Says = Callable[[str, int], Start]


@pytest.fixture
def says(tmp_path: Path) -> Says:
    """An Apptainer of whose images each holds this text, and that keeps what it was asked."""

    def made(text: str, status: int = 0) -> Start:
        program = tmp_path / "apptainer"
        asked = f"printf '%s\\n' \"$@\" > {tmp_path}/asked"
        program.write_text(f"#!/bin/sh\n{asked}\nprintf %s {shlex.quote(text)}\nexit {status}\n")
        program.chmod(0o755)
        return Start("image", apptainer=str(program), image="/i.sif")

    return made


def text(plan: Plan, **changes: Any) -> str:
    return json.dumps(contract.make(plan, None, "/opt/sovstack/x").model_dump(mode="json", by_alias=True) | changes)


def test_the_contract_is_the_one_in_the_image(says: Says, laptop: Plan, tmp_path: Path) -> None:
    found = promised.expected(says(text(laptop), 0), None, "x86_64")
    assert found and (found.cell, found.cpu.baseline) == (laptop.cell, laptop.baseline)
    assert (tmp_path / "asked").read_text().splitlines()[-2:] == [str(1 << 20), "/opt/sovstack/contract.json"]


def test_what_is_no_contract_of_that_family_is_none(says: Says, laptop: Plan) -> None:
    assert promised.expected(says(text(laptop), 0), None, "riscv64") is None
    assert promised.expected(says(text(laptop), 1), None, "x86_64") is None
    assert promised.expected(says("head: no such file", 1), None, "x86_64") is None
    for baseline in ("no-such-cpu", "riscv64", "../x", ""):
        other = text(laptop, cpu={"family": "x86_64", "baseline": baseline})
        assert promised.expected(says(other, 0), None, "x86_64") is None
    assert promised.expected(says(text(laptop, libraries={"a": 1}), 0), None, "x86_64") is None


@pytest.mark.parametrize(("provider", "baseline", "cpu"), [
    ("os", "x86_64_v2", "Nehalem"), ("os", "x86_64_v4", "Haswell"),
    ("source", "x86_64", "qemu64"), ("source", "zen5", ""),
])  # fmt: skip
def test_what_was_built_is_judged_by_no_lesser_processor(
    provider: str, baseline: str, cpu: str, says: Says, laptop: Plan, catalogue: Catalogue
) -> None:
    told = text(laptop, cpu={"family": "x86_64", "baseline": baseline})
    expects = promised.expected(says(told, 0), None, "x86_64")
    component = Component(name="x", role=None, provider=provider, version="1")
    own = lock(components=(component,))
    made = promised.judge(expects, own, catalogue.hardware).cpu
    assert made.startswith(cpu) if cpu else made == ""
    assert promised.judge(None, own, catalogue.hardware) == Judge("", None)

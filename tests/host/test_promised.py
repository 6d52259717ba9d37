"""What an image of ours expects of a host, as `suite` reads it out of the image: by a stand-in for Apptainer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack import contract
from stack.catalogue import Catalogue
from stack.host import emulating, promised, suiting
from stack.host.emulating import Judge
from stack.host.suiting import Asked
from stack.lock import Component, Lock
from stack.plan import Plan
from stack.verify import Start
from tests.locked import lock

Says = Callable[[str], Start]


@pytest.fixture
def says(tmp_path: Path) -> Says:
    """An Apptainer that complains as the real one does: each of its images holds this text. Keeps what it was asked."""

    def made(text: str) -> Start:
        program, held = tmp_path / "apptainer", tmp_path / "held"
        held.write_text(text)
        asked = f"printf '%s\\n' \"$@\" > {tmp_path}/asked; env > {tmp_path}/variables"
        program.write_text(f"#!/bin/sh\n{asked}\necho 'WARNING: {{' >&2\nexec cat {held}\n")
        program.chmod(0o755)
        return Start("image", apptainer=str(program), image="/i.sif")

    return made


def text(plan: Plan, **changes: Any) -> str:
    return json.dumps(contract.make(plan, None, "/opt/sovstack/x").model_dump(mode="json", by_alias=True) | changes)


@pytest.fixture
def own(laptop: Plan) -> Lock:
    """The lock of the laptop's plan, as far as a contract is held against it."""
    environment, profile, target = laptop.cell.split("/")
    return lock(environment=environment, profile=profile, target=target)


def test_the_contract_is_the_one_in_the_image(
    says: Says, laptop: Plan, own: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("APPTAINERENV_LD_PRELOAD", "SINGULARITYENV_X", "APPTAINER_BIND", "APPTAINERENV_QEMU_CPU"):
        monkeypatch.setenv(name, "/nowhere")
    found = promised.expected(says(text(laptop)), None, own, "x86_64")
    assert found and (found.cell, found.cpu.baseline) == (laptop.cell, laptop.baseline)
    assert (tmp_path / "asked").read_text().splitlines()[-3:] == ["/i.sif", "cat", "/opt/sovstack/contract.json"]
    variables = {line.partition("=")[0] for line in (tmp_path / "variables").read_text().splitlines()}
    assert {v for v in variables if os.environ.get(v) == "/nowhere"} == {"APPTAINERENV_QEMU_CPU"}


def test_what_is_no_contract_of_that_image_is_none(says: Says, laptop: Plan, own: Lock) -> None:
    assert promised.expected(says(text(laptop)), None, own, "riscv64") is None
    assert promised.expected(says(text(laptop)), None, lock(), "x86_64") is None
    assert promised.expected(says(text(laptop, schema=2)), None, own, "x86_64") is None
    for baseline in ("no-such-cpu", "riscv64", "../x", ""):
        other = text(laptop, cpu={"family": "x86_64", "baseline": baseline})
        assert promised.expected(says(other), None, own, "x86_64") is None
    for broken in ("", "[" * 200_000, "\x00\u202e", text(laptop, libraries={"a": 1})):
        assert promised.expected(says(broken), None, own, "x86_64") is None


def test_an_image_that_talks_without_end_or_not_at_all_is_given_up(
    says: Says, own: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promised, "_PATIENCE", 1)
    begin = says("")
    for lines in ("exec yes", "exec sleep 300"):
        (tmp_path / "apptainer").write_text(f"#!/bin/sh\n{lines}\n")
        assert promised.expected(begin, None, own, "x86_64") is None


@pytest.mark.parametrize(("provider", "baseline", "cpu"), [
    ("os", "x86_64_v2", "Nehalem"), ("os", "x86_64_v4", "Haswell"),
    ("source", "x86_64", "qemu64"), ("source", "zen5", ""),
])  # fmt: skip
def test_what_was_built_is_judged_by_no_lesser_processor(
    provider: str, baseline: str, cpu: str, says: Says, laptop: Plan, own: Lock, catalogue: Catalogue
) -> None:
    told = text(laptop, cpu={"family": "x86_64", "baseline": baseline})
    expects = promised.expected(says(told), None, own, "x86_64")
    component = Component(name="x", role=None, provider=provider, version="1")
    own = own.model_copy(update={"components": (component,)})
    made = promised.judge(expects, own, catalogue.hardware).cpu
    assert made.startswith(cpu) if cpu else made == ""
    assert promised.judge(None, own, catalogue.hardware) == Judge("", None)


def test_suite_takes_it_from_the_image_that_it_is_pointed_at(
    says: Says, laptop: Plan, own: Lock, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(suiting, "image_family", lambda *_: "x86_64")
    monkeypatch.setattr(suiting, "_sha256", lambda *_: "0" * 64)
    monkeypatch.setattr(emulating, "static", lambda _emulator: Path("/bin/qemu"))
    subjects = []
    for said in (text(laptop), "nothing"):
        monkeypatch.setattr(suiting, "_begin", lambda *_, said=said: (says(said), None, own))
        subjects.append(suiting.open_subject(Asked(image=Path("/i.sif"), build_dir=tmp_path), catalogue))
    with_one, without = subjects
    told = json.loads(with_one.manifest)
    assert (told["contract"]["cell"], told["emulation"]["program"]) == (laptop.cell, "qemu")
    assert told["emulation"]["cpu"].startswith("Nehalem")
    assert (with_one.begin.binds, with_one.notes) == (("/bin/qemu:/sovstack/qemu:ro",), ())
    assert "qemu" in with_one.features and "qemu" not in without.features
    assert (without.begin.binds, without.notes) == ((), (promised.NONE,))
    assert "contract" not in json.loads(without.manifest)

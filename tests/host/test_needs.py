"""The data about hosts: typed, and readable without any package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.host import needs


def test_the_bootstrap_and_the_program_read_the_same() -> None:
    bare = json.loads(needs.FILE.read_text())
    assert needs.needs().model_dump(mode="json", by_alias=True, exclude_defaults=True) == {
        **bare,
        "programs": {k: {n: v for n, v in p.items() if v not in (False, "all")} for k, p in bare["programs"].items()},
    }


def test_a_misspelt_key_is_a_fault_with_its_place(tmp_path: Path) -> None:
    bad = tmp_path / "host.yaml"
    bad.write_text(needs.FILE.read_text().replace('"purpose"', '"purpos"', 1))
    with pytest.raises(StackError, match=r"host\.yaml:\d+:\d+: unknown key 'purpos'.*did you mean 'purpose'"):
        needs.needs(bad)


def test_our_own_apptainer_has_a_system_that_has_its_archive() -> None:
    own, system = needs.needs().apptainer, needs.tool_system()
    assert own.archive in system.archives
    assert set(own.architectures) <= set(system.architectures.values())
    assert set(own.packages) <= set(own.unpack)

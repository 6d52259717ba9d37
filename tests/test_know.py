"""`sovstack facts` as a user types it: what it says, what it writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stack import cli
from tests.host.test_knowing import MINE, nodes, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of one's own with a lock of two packages, of which nobody knows one."""
    folder = tmp_path / "site"
    put(folder / "environments/locks", spack=nodes("own-tool", "zlib-ng"))
    return folder


class Said:
    """What one run of the command said."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str | Path) -> None:
        self.code = cli.run(["facts", *map(str, words)])
        said = capsys.readouterr()
        self.out, self.err = said.out, said.err

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def test_a_package_with_its_evidence_and_its_locks(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    said = Said(capsys, "zlib-ng", "--root", root)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("zlib-ng (spack)\n  licence         Zlib (osi)\n")
    assert "\n  evidence        licence" in said.out and "\n                  e/p/t: 1\n" in said.out
    (row,) = Said(capsys, "zlib-ng", "--root", root, "--json").data["packages"]
    assert row["facts"]["licence"] == "Zlib" and row["locks"]["e/p/t"] == ["1"] and len(row["locks"]) > 20


def test_several_packages_and_one_kind(capsys: pytest.CaptureFixture[str]) -> None:
    both = Said(capsys, "openblas", "openblas", "numactl", "--json").data["packages"]
    assert [(row["kind"], row["name"]) for row in both][:2] == [("spack", "openblas"), ("debian", "openblas")]
    assert len({(row["kind"], row["name"]) for row in both}) == len(both)
    one = Said(capsys, "openblas", "--kind", "debian", "--json").data["packages"]
    assert [row["kind"] for row in one] == ["debian"]


def test_coverage_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    plain, asked = Said(capsys), Said(capsys, "--coverage")
    assert plain.code == 0 and plain.out == asked.out
    data = Said(capsys, "--json").data
    assert f"everything known: {data['all']['figure']}\n" in plain.out
    assert plain.out.startswith(f"{data['locks']} locks\n")
    spack = Said(capsys, "--kind", "spack", "--json").data
    assert spack["kinds"]["spack"] == data["kinds"]["spack"]
    assert spack["all"]["packages"] == data["kinds"]["spack"]["packages"] < data["all"]["packages"]


def test_strict_is_exit_code_1_where_something_is_unknown(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    said = Said(capsys, "--coverage", "--strict", "--root", root)
    assert (said.code, said.err) == (1, "") and "no facts, spack: own-tool\n" in said.out
    assert Said(capsys, "--root", root).code == 0
    assert Said(capsys, "--kind", "wheel", "--strict", "--root", root).code == (
        1 if Said(capsys, "--kind", "wheel", "--json").data["stewards"]["unknown"] else 0
    )


def test_a_build_folders_locks_count_too(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> None:
    put(tmp_path / "build", spack=nodes("new-tool"))
    words = ("--kind", "spack", "--json", "--root", root)
    more = Said(capsys, *words, "--build-dir", tmp_path / "build").data
    fewer = Said(capsys, *words).data
    assert more["kinds"]["spack"]["unknown"]["facts"] == ["new-tool", "own-tool"]
    assert fewer["kinds"]["spack"]["unknown"]["facts"] == ["own-tool"]


def test_missing_entries_are_written_once(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    path = root / "facts/missing-spack.yaml"
    dry = Said(capsys, "--missing", "--dry-run", "--root", root)
    assert (dry.code, dry.out) == (0, f"{path}: 1 entry would be written: own-tool\n") and not path.exists()
    done = Said(capsys, "--missing", "--root", root)
    assert (done.code, done.out) == (0, f"{path}: 1 entry written: own-tool\n")
    assert path.read_text().endswith(
        "  own-tool:\n    licence: unknown\n    class: unknown\n"
        "    redistribution: {source: unknown, binary: unknown}\n    reach: {cpu: unknown, accelerator: unknown}\n"
    )
    before = path.read_bytes()
    again = Said(capsys, "--missing", "--root", root)
    assert again.out == "every package of the locks has an entry\n" and path.read_bytes() == before
    assert cli.run(["check", str(path)]) == 0
    coverage = Said(capsys, "--root", root).out
    assert "no facts" not in coverage and "unknown licence, spack: " in coverage


def test_missing_as_data_and_into_a_file(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace("own-tool", "another"))
    data = Said(capsys, "--missing", "--into", path, "--root", root, "--json").data
    row = {"file": str(path), "kind": "spack", "packages": ["own-tool"], "licences_read": {}}
    assert data == {"files": [row], "written": True}
    assert path.read_text().startswith(MINE.replace("own-tool", "another"))
    data = Said(capsys, "--missing", "--into", path, "--root", root, "--json").data
    assert data == {"files": [], "written": False}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["openblass"], "did you mean 'openblas'?"),
        (["--kind", "debain"], "no kind of packages 'debain' (did you mean 'debian'?)"),
        (["openblas", "--coverage"], "ask one of them"),
        (["--missing", "--coverage"], "ask one of them"),
        (["openblas", "--strict"], "--strict is for the coverage"),
        (["--missing", "--strict"], "--strict is for the coverage"),
        (["--into", "x.yaml"], "nothing is written without --missing"),
        (["openblas", "--dry-run"], "nothing is written without --missing"),
    ],
)
def test_what_is_wrong_is_exit_code_2(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    done = Said(capsys, *words)
    assert (done.code, done.out) == (2, "") and said in done.err


def test_a_fault_in_a_file_of_facts_is_exit_code_2(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    path = root / "facts/own.yaml"
    path.parent.mkdir()
    path.write_text(MINE.replace("'MIT'", "'GPL-2.0'").replace("class: osi", "class: osi\n    steward: gnv"))
    done = Said(capsys, "--root", root)
    assert done.code == 2
    assert done.err.splitlines() == [
        f"{path}:7:14: SPDX gave up the id 'GPL-2.0', or never had it (write GPL-2.0-only)",
        f"{path}:9:14: unknown steward 'gnv' (add it to stewards.yaml)",
    ]

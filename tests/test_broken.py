"""Every broken document in `tests/broken/` gives exactly the faults that stand beside it, and exit code 2.

A folder is a kind of document and a file is named for its fault. `<fault>.expected` holds one line for each fault:
`line:column: what is wrong (remedy)`. After a change of wording: `PYTHONPATH=. python tests/test_broken.py`,
and read the difference.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from stack import cli
from stack.check import KINDS
from stack.errors import ExitCode, Fault, Faults, StackError
from stack.host import checking, files
from stack.host.library import STEWARDS, Library, shipped

BROKEN = Path(__file__).parent / "broken"
DOCUMENTS = sorted(BROKEN.glob("*/*.yaml"))


def found(library: Library, path: Path) -> list[str]:
    faults, _count = checking.check(library, (str(path),))
    return [_line(fault) for fault in faults]


def _line(fault: Fault) -> str:
    assert fault.where is not None, fault
    return str(fault).removeprefix(fault.where.file + ":")


def test_there_are_enough_and_none_is_unexpected() -> None:
    assert len(DOCUMENTS) >= 40
    assert {p.with_suffix("") for p in DOCUMENTS} == {p.with_suffix("") for p in BROKEN.glob("*/*.expected")}
    assert {p.parent.name for p in DOCUMENTS} <= set(checking.FOLDERS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_faults_are_found_and_placed(path: Path, library: Library) -> None:
    expected = path.with_suffix(".expected").read_text(encoding="utf-8").splitlines()
    assert expected
    assert found(library, path) == expected


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_position_is_in_the_text(path: Path, library: Library) -> None:
    lines = path.read_bytes().decode("utf-8", "replace").removeprefix("\ufeff").splitlines() or [""]
    for fault in checking.check(library, (str(path),))[0]:
        assert fault.where is not None
        assert 1 <= fault.where.line <= len(lines) + 1
        line = lines[fault.where.line - 1] if fault.where.line <= len(lines) else ""
        assert 1 <= fault.where.column <= len(line) + 1


def test_messages_are_in_the_users_words() -> None:
    said = "\n".join(p.read_text(encoding="utf-8") for p in BROKEN.glob("*/*.expected"))
    for jargon in (
        "Input should",
        "valid dictionary",
        "tuple",
        "schema_version",
        "constrained",
        "None",
        "Traceback",
        "ruamel",
    ):
        assert jargon not in said
    assert all(line.isprintable() for line in said.splitlines())


def test_the_command_reports_all_of_them_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["check", *map(str, DOCUMENTS)])
    out = capsys.readouterr()
    assert code == ExitCode.BAD_INPUT
    assert "Traceback" not in out.out + out.err
    for path in DOCUMENTS:
        for line in path.with_suffix(".expected").read_text(encoding="utf-8").splitlines():
            assert f"{path.parent.name}/{path.name}:{line}" in out.err


def test_a_huge_file_is_refused_without_reading_it_all(tmp_path: Path, library: Library) -> None:
    path = tmp_path / "profiles" / "huge.yaml"
    path.parent.mkdir()
    with path.open("wb") as handle:
        handle.write(b"schema: 1\nname: huge\n")
        handle.truncate(100 << 20)
    tracemalloc.start()
    assert found(library, path) == ["1:1: larger than 256 KiB (a document is a short text written by hand)"]
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "{a: ", "[{a: "])
def test_deep_nesting_is_refused(opening: str, tmp_path: Path, library: Library) -> None:
    path = tmp_path / "profiles" / "deep.yaml"
    path.parent.mkdir()
    path.write_text(opening * 10_000, encoding="utf-8")
    (fault,) = found(library, path)
    assert fault.endswith(": nested deeper than 32 levels")


@pytest.mark.parametrize("special", ["folder", "missing"])
def test_what_is_no_file_is_refused(special: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    if special == "folder":
        path.mkdir()
    with pytest.raises(StackError) as caught:
        files.read_text(path, 100)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_data_files_of_the_program_are_sound(library: Library) -> None:
    data = shipped() / "stack" / "data"
    kinds = {
        "hardware": [data / "hardware.yaml"],
        "defaults": [data / "defaults.yaml"],
        "os": sorted((data / "os").glob("*.yaml")),
        "facts": [path for path in sorted((data / "facts").glob("*.yaml")) if path.stem != STEWARDS],
        "stewards": [data / "facts/stewards.yaml"],
        "licences": [data / "licences.yaml"],
    }
    for kind, paths in kinds.items():
        assert paths
        for path in paths:
            faults = Faults()
            made = library.load(path, KINDS[kind][0], faults)
            assert made, faults.found
            KINDS[kind][1](made[0], library.catalogue, faults)
            assert not faults.found


def _record() -> None:
    library = Library((shipped(),))
    for path in DOCUMENTS:
        path.with_suffix(".expected").write_text(
            "".join(f"{line}\n" for line in found(library, path)), encoding="utf-8"
        )


if __name__ == "__main__":
    _record()

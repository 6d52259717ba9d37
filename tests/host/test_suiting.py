"""The suite on software that is not ours: what it is pointed at, what it finds, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stack import probing, sif
from stack.artifact import Command
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.host import apptainer, checks, emulating, standing, suiting
from stack.host.run import Result
from stack.host.suiting import Asked
from stack.statements import LOCK
from tests.test_sif import file

NOTHING = Asked()


def refused(asked: Asked, catalogue: Catalogue) -> StackError:
    with pytest.raises(StackError) as raised:
        suiting.open_subject(asked, catalogue)
    return raised.value


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue) -> list[Command]:
    """A machine where Python and a NumPy that brings its BLAS answer; gathers what was run."""
    ran: list[Command] = []
    mark = probing._mark(catalogue)
    answers = {"machine family": "x86_64", "machine system": "Rocky Linux 9.4", "version python": "3.11.2",
               "version numpy": "2.4.6", "carries numpy blas": "scipy-openblas 0.3"}  # fmt: skip
    answers |= {f"command python {name}": name for name in ("python", "python3")}
    said = "".join(f"\n{mark} {q}\n{a}\n\n{mark}: 0\n" for q, a in answers.items())

    def run(command: Command, *_more: object, **_words: object) -> Result:
        ran.append(command)
        return Result(0, said, said)

    monkeypatch.setattr(suiting, "run", run)
    return ran


def test_what_it_is_called_and_how_it_is_asked_again(tmp_path: Path) -> None:
    assert NOTHING.called == "machine"
    modules = Asked(modules=Path("/apps/modules"), load=("openmpi/5.0", "numpy"), build_dir=tmp_path)
    assert modules.called == "openmpi-5.0-numpy"
    assert modules.words == ("--modules", "/apps/modules", "--load", "openmpi/5.0,numpy", "--build-dir", str(tmp_path))
    assert Asked(image=Path("/i/a b.sif")).called == "a-b"
    assert Asked(name="../..").called == "software"


def test_things_that_cannot_be_meant(catalogue: Catalogue) -> None:
    both = Asked(image=Path("a.sif"), modules=Path("m"), load=("a",))
    assert "two things" in str(refused(both, catalogue))
    assert "--load" in str(refused(Asked(modules=Path("m")), catalogue))
    assert refused(Asked(load=("a",)), catalogue).exit_code == ExitCode.BAD_INPUT


def test_a_file_that_is_no_image(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "x.sif").write_text("hello")
    assert "not a SIF file" in str(refused(Asked(image=tmp_path / "x.sif"), catalogue))
    error = refused(Asked(image=tmp_path / "y.sif"), catalogue)
    assert "no such file" in str(error) and error.exit_code == ExitCode.BAD_INPUT


def test_an_image_of_another_family_without_an_emulator(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "riscv.sif"
    at = file().index(b"02\0")
    image.write_bytes(file()[:at] + b"12\0" + file()[at + 3 :])
    assert suiting.image_family(image, catalogue) == "riscv64"
    monkeypatch.setattr(emulating, "static", lambda _emulator: None)
    monkeypatch.setattr(emulating, "registered", lambda _emulator: "")
    emulating._tried.cache_clear()
    monkeypatch.setattr(emulating, "here", lambda: "x86_64")
    error = refused(Asked(image=image), catalogue)
    emulating._tried.cache_clear()
    assert "programs of riscv64 cannot be run on x86_64" in str(error) and error.exit_code == ExitCode.HOST


def test_an_image_without_apptainer(catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.sif").write_bytes(file())
    monkeypatch.setattr(emulating, "here", lambda: "x86_64")
    monkeypatch.setattr(apptainer, "find", lambda: None)
    error = refused(Asked(image=tmp_path / "x.sif"), catalogue)
    assert "Apptainer is not installed" in str(error) and error.exit_code == ExitCode.HOST


def test_the_machines_own_software(catalogue: Catalogue, answering: list[Command], tmp_path: Path) -> None:
    subject = suiting.open_subject(replace(NOTHING, python="/opt/python", build_dir=tmp_path), catalogue)
    assert {"native", "local", "site", "numpy", "blas", "python", "x86_64"} <= {*subject.features}
    assert "'/opt/python'" not in answering[0].argv and "/opt/python -c" in answering[0].argv[-1]
    assert (subject.lock, subject.begin.python) == (None, "/opt/python")
    assert json.loads(subject.manifest)["roles"] == {"blas": "numpy"}
    left = {row["check"]: row["left_out"] for row in suiting.rows(subject)}
    assert left["Gemm"] == "" and left["Versions"] == "no site" and "openmpi" not in left["MpiProgram"]
    assert "mpi" in left["MpiProgram"]


@pytest.mark.usefixtures("answering")
def test_a_check_that_cannot_run_says_what_it_needs(catalogue: Catalogue, tmp_path: Path) -> None:
    subject = suiting.open_subject(replace(NOTHING, build_dir=tmp_path), catalogue)
    with pytest.raises(StackError, match="MpiProgram needs compilers, mpi") as raised:
        suiting.check(subject, print, ("MpiProgram",))
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    assert not (tmp_path / "suite").exists()


def test_software_that_does_not_answer(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    monkeypatch.setattr(suiting, "run", lambda *_a, **_k: Result(127, "sh: not found\n", "sh: not found\n"))
    error = refused(replace(NOTHING, build_dir=tmp_path), catalogue)
    assert "nothing can be run" in str(error) and "sh: not found" in str(error) and error.exit_code == ExitCode.HOST


def test_an_image_with_a_lock_that_cannot_be_read_is_not_ours(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "x.sif").write_bytes(file((sif.JSON, b"{broken", LOCK)))
    assert suiting._lock_inside(tmp_path / "x.sif", catalogue) is None
    (tmp_path / "y.sif").write_bytes(file())
    assert suiting._lock_inside(tmp_path / "y.sif", catalogue) is None


def test_the_suite_runs_on_this_machine_and_its_verdict_is_no_evidence(catalogue: Catalogue, tmp_path: Path) -> None:
    subject = suiting.open_subject(replace(NOTHING, build_dir=tmp_path), catalogue)
    if "numpy" not in subject.features:
        pytest.skip("this machine's Python has no NumPy: python3 -m pip install numpy")
    verdict = suiting.check(subject, lambda _line: None, ("FourierTransform",))
    assert (verdict.provider, verdict.cell) == ("site", "suite/machine") and verdict.checks[0].result == "pass"
    assert not (subject.folder / "verdict.json").exists()  # one check alone is no verdict on the software
    suiting._keep(subject, verdict)
    kept = checks.read(subject.folder / "verdict.json")
    assert kept == verdict
    lock = tmp_path / "stack.lock.json"
    lock.write_text(subject.manifest)
    about = verdict.model_copy(update={"lock": subprocess.check_output(["sha256sum", lock], text=True).split()[0]})
    (tmp_path / "verdict.json").write_text(about.model_dump_json(by_alias=True))
    assert standing.verdict(tmp_path / "verdict.json") is None
    (tmp_path / "verdict.json").write_text(about.model_copy(update={"provider": ""}).model_dump_json(by_alias=True))
    assert standing.verdict(tmp_path / "verdict.json") is not None
    card = json.loads((subject.folder / "card.json").read_text())
    assert {part["provider"] for part in card["software"]} == {"site"}
    assert "numpy" in (subject.folder / "report.txt").read_text()

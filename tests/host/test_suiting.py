"""The suite on software that is not ours: what it is pointed at, what it finds, and what it refuses."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack import probing, sif
from stack.artifact import Command
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.host import apptainer, emulating, suiting
from stack.host.placing import Cluster, Place
from stack.host.run import Result
from stack.host.suiting import Asked
from stack.profile import Scheduler
from stack.statements import LOCK
from stack.verify import Start
from tests.locked import lock
from tests.test_sif import file

NOTHING = Asked()


def refused(asked: Asked, catalogue: Catalogue) -> StackError:
    with pytest.raises(StackError) as raised:
        suiting.open_subject(asked, catalogue)
    return raised.value


def answers_of(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue, **more: str) -> list[Command]:
    """A machine where Python and a NumPy that brings its BLAS answer; gathers what was run. `more`: other versions."""
    ran: list[Command] = []
    mark = probing._mark(catalogue)
    answers = {"machine family": "x86_64", "machine system": "Rocky Linux 9.4", "version python": "3.11.2",
               "version numpy": "2.4.6", "carries numpy blas": "scipy-openblas 0.3"}  # fmt: skip
    answers |= {f"command python {name}": name for name in ("python", "python3")}
    answers |= {f"version {name}": version for name, version in more.items()}
    said = "".join(f"\n{mark} {q}\n{a}\n\n{mark}: 0\n" for q, a in answers.items())

    def run(command: Command, *_more: object, **_words: object) -> Result:
        ran.append(command)
        return Result(0, said, said)

    monkeypatch.setattr(suiting, "run", run)
    return ran


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue) -> list[Command]:
    """That machine."""
    return answers_of(monkeypatch, catalogue)


def test_what_it_is_called_and_how_it_is_asked_again(tmp_path: Path) -> None:
    assert NOTHING.called == "machine"
    modules = Asked(modules=Path("/apps/modules"), load=("openmpi/5.0", "numpy"), build_dir=tmp_path)
    assert modules.called == "openmpi-5.0-numpy"
    assert modules.words == ("--modules", "/apps/modules", "--load", "openmpi/5.0,numpy", "--build-dir", str(tmp_path))
    assert Asked(image=Path("/i/a b.sif")).called == "a-b"
    assert Asked(name="../..").called == "software"


def test_every_option_that_changes_what_is_seen_is_in_the_words() -> None:
    there = Place(cluster=Cluster(Scheduler(), 4, pending=5), scale="2_nodes")
    asked = Asked(python="python3", name="a", place=there, preload=Path("/l.so"), root=Path("/my root"))
    assert shlex.join(asked.words) == (
        "--python python3 --name a --scheduler slurm --nodes 4 --pending 5 --scale 2_nodes "
        "--preload /l.so --root '/my root' --build-dir build"
    )
    assert "--pending" not in replace(asked, place=Place(cluster=Cluster(Scheduler(), 4))).words
    assert NOTHING.words == ("--build-dir", "build")


def test_paths_are_absolute_wherever_it_is_asked_again(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.so").touch()
    (tmp_path / "python").symlink_to("/usr/bin/env")  # a virtual environment is known by such a link
    asked = suiting._plain(Asked(python="./python", preload=Path("l.so"), root=Path("mine")))
    assert (asked.python, asked.preload, asked.root) == (f"{tmp_path}/python", tmp_path / "l.so", tmp_path / "mine")
    assert suiting._plain(Asked(python="py")).python == "py"
    assert suiting._plain(Asked(image=Path("a.sif"), python="opt/py")).python == "opt/py"
    assert "none.so is not a file" in str(refused(Asked(preload=Path("none.so")), catalogue))


def test_a_python_that_does_not_answer_is_an_error_where_it_was_named(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(python="/no/python", build_dir=tmp_path)
    mark = probing._mark(catalogue)
    said = f"\n{mark} machine family\nx86_64\n\n{mark}: 0\n\n{mark} version gcc\ngcc 12.2.0\n\n{mark}: 0\n"
    monkeypatch.setattr(suiting, "run", lambda *_a, **_k: Result(0, said, said))
    error = refused(asked, catalogue)
    assert "no Python answers as /no/python in the software" in str(error) and error.exit_code == ExitCode.BAD_INPUT
    found = suiting.open_subject(replace(asked, python=""), catalogue).found
    assert found and [part.name for part in found.parts] == ["gcc"]
    own = (Start("image", apptainer="/a", image="/i.sif"), None, lock())
    monkeypatch.setattr(suiting, "_begin", lambda *_a: own)  # an image of ours, which nobody would ask otherwise
    assert "no Python answers as /no/python in /i.sif" in str(refused(replace(asked, image=Path("/i.sif")), catalogue))


@pytest.mark.usefixtures("answering")
def test_a_subject_takes_the_scale_that_its_place_offers(catalogue: Catalogue, tmp_path: Path) -> None:
    subject = suiting.open_subject(Asked(place=Place(scale="1_core"), build_dir=tmp_path), catalogue)
    assert subject.begin.scale == "1_core" and "scale_1_core" in subject.features
    assert "scale_2_nodes" not in subject.features


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


def test_the_family_of_our_own_image_is_its_headers_and_its_locks(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerated: Any = SimpleNamespace(target="debian13-x86_64_v3-sm90")
    other: Any = SimpleNamespace(target="debian13-riscv64")
    monkeypatch.setattr(suiting, "image_family", lambda _image, _catalogue: "x86_64")
    asked = Asked(image=Path("/i.sif"))
    assert suiting._family(asked, accelerated, catalogue) == "x86_64"
    with pytest.raises(StackError, match="says that it is for x86_64, and the lock in it is of riscv64"):
        suiting._family(asked, other, catalogue)

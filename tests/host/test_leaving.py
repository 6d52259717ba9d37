"""One exit test: the nearest lock that holds is taken, one is made only where none does, and the record is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stack import migration
from stack.errors import ExitCode, Fault, StackError, host_lacks
from stack.facts import Facts
from stack.forbidding import Ban
from stack.host import clock, image, leaving, leaving_lock, resolving
from stack.host.cells import Cell, open_cell
from stack.host.leaving import Office
from stack.host.library import Library, shipped
from stack.host.resolving import Markets, Relocked
from stack.host.run import Sink
from stack.lock import Lock
from tests.host.test_locking import quiet
from tests.leaving import facts, forbid, package, released

CUDA = facts(spack={n: package("nvidia") for n in ("cuda", "cudnn", "nccl", "cusparselt")})
NVTX = facts(spack={n: package("nvidia") for n in ("cuda", "cudnn", "nccl", "cusparselt", "nvtx")})


def office_of(build: Path, known: Facts) -> Office:
    return Office(Library((shipped(),)), build, known)


def home(build: Path, profile: str = "generic-x86", partition: str = "nvidia", environment: str = "ai-hpc") -> Cell:
    return open_cell(Library((shipped(),)), profile, environment, partition, build)


def never(_cell: Cell, _markets: Markets, _sink: Sink) -> Relocked:
    raise AssertionError("nothing should be locked")


def test_the_nearest_lock_that_holds_is_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "relock", never)
    office, cell = office_of(tmp_path, CUDA), home(tmp_path)
    made, reused = leaving.test(office, cell, office.ban("nvidia"), quiet)
    assert (made.result, made.anew, made.built, reused) == ("moves", False, False, False)
    assert made.after and made.after.target == "debian13-x86_64_v3-gfx942"
    assert made.after.lock == released("generic-x86", "amd", "ai-hpc", tmp_path)[1].digest
    assert made.before.lock == released("generic-x86", "nvidia", "ai-hpc", tmp_path)[1].digest
    assert made.nearness[0] == "the same profile" and made.others[0] == "generic-x86/debian13-x86_64_v3"
    assert not [o for o in made.others if "sm90" in o]
    assert {g.name for g in made.differences.forbidden} == {"cuda", "cudnn", "nccl", "cusparselt"}
    path = tmp_path / "exit-test/ai-hpc/generic-x86/debian13-x86_64_v3-sm90/nvidia.json"
    assert leaving.record_path(cell, office.ban("nvidia")) == path
    assert leaving.read_record(path) == made
    assert not cell.folder.exists(), "the cell's own folder is not touched"


def test_a_record_stands_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "relock", never)
    office, cell = office_of(tmp_path, CUDA), home(tmp_path)
    ban, path = office.ban("nvidia"), tmp_path / "exit-test/ai-hpc/generic-x86/debian13-x86_64_v3-sm90/nvidia.json"
    first, _reused = leaving.test(office, cell, ban, quiet)
    monkeypatch.setattr(clock, "now", lambda: "2027-01-01T00:00:00Z")
    assert leaving.test(office, cell, ban, quiet) == (first, True)
    fresh, reused = leaving.test(office, cell, ban, quiet, fresh=True)
    assert not reused and fresh.date == "2027-01-01T00:00:00Z" and fresh.key == first.key
    more = office_of(tmp_path, facts(spack={**CUDA.packages["spack"], "zlib": package("club")}))
    assert not leaving.test(more, cell, more.ban("nvidia"), quiet)[1], "other facts, another record"
    for damaged in ("{", json.dumps({**json.loads(path.read_text()), "key": "0" * 64})):
        path.write_text(damaged)
        assert not leaving.test(office, cell, ban, quiet)[1]


def test_where_everything_has_the_vendors_hardware_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "relock", never)
    office, cell = office_of(tmp_path, facts()), home(tmp_path)
    monkeypatch.setattr(Office, "places", lambda _self, one: ((migration.step(one.plan, one.plan,
                        one.catalogue.hardware), one),))  # fmt: skip
    made, _reused = leaving.test(office, cell, office.ban("nvidia"), quiet)
    assert made.result == "none" and made.after is None and made.tried == () and not made.exists


def failing(monkeypatch: pytest.MonkeyPatch, error: StackError, log: str = "") -> list[str]:
    """Locking that always fails as the solver does; the cells that were asked for."""
    asked: list[str] = []

    def relock(cell: Cell, _markets: Markets, _sink: Sink) -> Relocked:
        asked.append(cell.plan.cell)
        resolving.solve_log(cell).write_text(log)
        raise error

    monkeypatch.setattr(resolving, "relock", relock)
    return asked


LOG = """\
==> Error: failed to concretize `py-torch` for the following reasons:
     1. Cannot build nvtx, since it is configured `buildable:false` and no externals satisfy the request
     2. Cannot satisfy 'foo@3'
"""


def test_what_has_no_replacement_is_told_in_the_solvers_words_and_with_who_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = failing(monkeypatch, StackError([Fault("Spack found no solution")]), LOG)
    office, cell = office_of(tmp_path, NVTX), home(tmp_path)
    made, _reused = leaving.test(office, cell, office.ban("nvidia"), quiet)
    assert asked == ["ai-hpc/generic-x86/debian13-x86_64_v3-gfx942"], "one is made, for the nearest"
    assert made.result == "none" and [t.place for t in made.tried] == ["generic-x86/debian13-x86_64_v3-gfx942"]
    first, second, refused, third = made.tried[0].why
    assert refused.startswith("pytorch not from source: Spack cannot build it without nvtx")
    assert (first, second) == ("nvtx has no replacement: py-torch -> nvtx", "Spack found no solution")
    assert third.startswith("nobody can supply pytorch")  # the distribution has none for this accelerator
    assert made.nearly and made.nearly.packages == ("nvtx",)
    assert made.nearly.to.target == "debian13-x86_64_v3-gfx942"
    assert made.others[0] == "generic-x86/debian13-x86_64_v3"


def test_a_lock_further_away_is_taken_where_the_nearest_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, StackError([Fault("no")]))
    office = office_of(tmp_path, facts(spack={"hip": package("nvidia"), **CUDA.packages["spack"]}))
    made, _reused = leaving.test(office, home(tmp_path), office.ban("nvidia"), quiet)
    assert made.after and made.after.target == "debian13-x86_64_v3" and not made.anew
    assert made.tried[0].place == "generic-x86/debian13-x86_64_v3-gfx942"


def test_what_the_host_lacks_says_nothing_of_the_vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, host_lacks("no network"))
    office, cell = office_of(tmp_path, NVTX), home(tmp_path)
    with pytest.raises(StackError, match="no network") as caught:
        leaving.test(office, cell, office.ban("nvidia"), quiet)
    assert caught.value.exit_code == ExitCode.HOST
    assert not leaving.record_path(cell, office.ban("nvidia")).exists()


def relocking(monkeypatch: pytest.MonkeyPatch, change: Callable[[Cell], Lock]) -> list[Cell]:
    asked: list[Cell] = []

    def relock(cell: Cell, _markets: Markets, _sink: Sink) -> Relocked:
        asked.append(cell)
        return Relocked(change(cell))

    monkeypatch.setattr(resolving, "relock", relock)
    return asked


def test_a_lock_made_for_the_test_stands_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, lock = released("csc-lumi-g", "lumi-g", "hpc-mpi", tmp_path)
    clean = released("bsc-marenostrum5-acc", "acc", "hpc-mpi", tmp_path)[1]
    asked = relocking(monkeypatch, lambda _cell: clean)
    office = office_of(tmp_path, facts(spack={"cray-mpich": package("hpe")}))
    made, _reused = leaving.test(office, cell, office.ban("hpe"), quiet)
    assert (made.result, made.anew) == ("stays", True)
    assert made.after and made.after.lock == clean.digest and made.before.lock == lock.digest
    (other,) = asked
    own = tmp_path / "exit-test/hpc-mpi/csc-lumi-g/sles15-zen3-gfx90a/hpe"
    assert other.folder == own / "hpc-mpi/csc-lumi-g/sles15-zen3-gfx90a"
    assert other.plan.forbidden == ("cray-mpich",) and other.plan.choice("openmpi").provider == "source"
    assert made.changed == ("cray-mpich from site: cray-mpich is HPE's",)
    assert any("slingshot-11" in note for note in made.notes)


def test_an_image_of_that_very_lock_counts_as_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office, cell = office_of(tmp_path, CUDA), home(tmp_path)
    there = released("generic-x86", "amd", "ai-hpc", tmp_path)
    found = {"lock": there[1].digest}

    class Image:
        lock = found["lock"]

    monkeypatch.setattr(image, "present", lambda folder, _name: Image() if folder == there[0].folder else None)
    assert leaving.test(office, cell, office.ban("nvidia"), quiet)[0].built
    monkeypatch.setattr(Image, "lock", "0" * 64)
    assert not leaving.test(office, cell, office.ban("nvidia"), quiet, fresh=True)[0].built


def test_a_cell_without_a_current_lock_is_not_compared(tmp_path: Path) -> None:
    office, cell = office_of(tmp_path, CUDA), home(tmp_path)
    moved = replace(cell, documents={**cell.documents, "profile": "0" * 64})
    with pytest.raises(
        StackError, match=r"the profile changed .*lock again: `sovstack lock generic-x86 ai-hpc --partition nvidia`"
    ):
        leaving.test(office, moved, office.ban("nvidia"), quiet)


def test_what_would_be_done(tmp_path: Path) -> None:
    office, cell = office_of(tmp_path, CUDA), home(tmp_path)
    (line,) = leaving.planned(office, cell, office.ban("nvidia"))
    assert line.startswith("# generic-x86/debian13-x86_64_v3-gfx942 (the same profile") and "has nothing of" in line
    office = office_of(tmp_path, facts(spack={"cray-mpich": package("hpe")}))
    lumi = home(tmp_path, "csc-lumi-g", "lumi-g", "hpc-mpi")
    first, *commands = leaving.planned(office, lumi, office.ban("hpe"))
    assert first.endswith("a lock would be made") and "solve" in commands[-1]
    assert not (tmp_path / "exit-test").exists()
    office = office_of(tmp_path, facts(spack={"hdf5": package("hpe")}))
    (line,) = leaving.planned(office, lumi, office.ban("hpe"))
    assert "nobody can supply hdf5" in line


def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    office, made = office_of(tmp_path, CUDA), []

    def make() -> leaving_lock.Answer:
        made.append(1)
        raise StackError([Fault("no")])

    for _time in range(2):
        with pytest.raises(StackError, match="no"):
            office.once(("a", "b"), make)
    assert made == [1]


def test_an_environment_that_no_other_profile_has(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("schema: 1\nname: mine\npurpose: x\ncomponents: {bzip2: {}}\n")
    office, cell = office_of(tmp_path, facts()), home(tmp_path, environment=str(path))
    names = [c.plan.target.partition for _step, c in office.places(cell)]
    assert names[0] == "nvidia" and set(names) == {"nvidia", "amd", "cpu"}


def test_a_missing_record_names_the_verb(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="exit-test"):
        leaving.read_record(tmp_path / "no.json")


def ban_of(known: Facts, cell: Cell, name: str) -> Ban:
    return forbid(name, known, cell.catalogue)


def test_a_plan_that_has_to_be_built_now_knows_what_that_depends_on(tmp_path: Path) -> None:
    laptop = open_cell(Library((shipped(),)), "laptop", "hpc-mpi", None, tmp_path)
    plain = replace(laptop, documents={k: v for k, v in laptop.documents.items() if k != "overlay"})
    other = leaving_lock.replanned(plain, home(tmp_path).plan)
    assert len(other.documents["overlay"]) == 64
    known = facts(debian={"fftw3": package("hpe")})
    assert leaving_lock.revised(plain, plain, (), ban_of(known, laptop, "hpe")).documents["forbidden"]

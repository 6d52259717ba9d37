"""A lock made for an exit test: what it still brings is refused in another round, and what stays is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack import exit_test
from stack.errors import ExitCode, Fault, StackError, host_lacks
from stack.host import leaving_lock, locking, resolving
from stack.host.cells import Cell
from stack.host.resolving import Markets, Relocked
from stack.host.run import Sink
from stack.host.spack import Spack
from tests.command import sovstack
from tests.host.test_leaving import failing, relocking
from tests.host.test_locking import quiet
from tests.leaving import facts, forbid, package, released

BROUGHT = facts(debian={"libxnvctrl": package("nvidia")})


def test_what_the_first_lock_brings_is_refused_in_the_second_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, lock = released("generic-x86", "cpu", "numerics", tmp_path)
    bare = lock.model_copy(update={"os": lock.os.model_copy(update={"packages": ()}), "tools": None})
    asked = relocking(monkeypatch, lambda c: lock if c.plan.choice("openmpi").provider == "os" else bare)
    ban = forbid("nvidia", BROUGHT, cell.catalogue)
    answer = leaving_lock.anew(cell, cell, None, ban, Markets(), quiet)  # no lock yet that shows what it brings
    assert [c.plan.choice("openmpi").provider for c in asked] == ["os", "source"]
    assert answer.lock == bare and answer.anew
    assert answer.changed == ("openmpi from os: its packages bring libxnvctrl, which is NVIDIA's",)


def test_what_stays_whatever_is_refused_is_named_with_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, lock = released("generic-x86", "cpu", "numerics", tmp_path)
    asked = relocking(monkeypatch, lambda _cell: lock)
    ban = forbid(
        "nvidia", facts(debian={"libxnvctrl": package("nvidia"), "base-files": package("nvidia")}), cell.catalogue
    )
    with pytest.raises(StackError) as caught:
        leaving_lock.anew(cell, cell, lock, ban, Markets(), quiet)
    said = [str(f) for f in caught.value.faults]
    assert any(s.startswith("libxnvctrl ") and "is still needed: " in s and "libxnvctrl0" in s for s in said)
    assert any(s.startswith("base-files ") and s.endswith("the base of the image") for s in said)
    assert len(asked) <= leaving_lock.ROUNDS


def test_another_ban_is_another_input_of_the_lock(tmp_path: Path) -> None:
    cell, _lock = released("csc-lumi-g", "lumi-g", "hpc-mpi", tmp_path)
    one, two = (
        leaving_lock.revised(cell, cell, (), forbid("hpe", facts(spack={n: package("hpe")}), cell.catalogue))
        for n in ("cray-mpich", "cray-libsci")
    )
    assert locking.inputs(one) != locking.inputs(two) != locking.inputs(cell)
    lock = resolving.resolve(cell, None, quiet)
    assert resolving.question(one, lock).key != resolving.question(cell, lock).key


LOG = "==> Error: x for the following reasons:\n     1. Cannot build nvtx, since it is y\n"


def test_what_spack_cannot_build_without_it_is_sought_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, lock = released("generic-x86", "cpu", "ai-hpc", tmp_path)
    ban = forbid("nvidia", facts(spack={"nvtx": package("nvidia")}), cell.catalogue)
    assert lock.spack
    clean = lock.model_copy(update={"spack": None})
    asked: list[str] = []

    def relock(other: Cell, _markets: Markets, _sink: Sink) -> Relocked:
        provider = other.plan.choice("pytorch").provider
        asked.append(provider)
        if provider == "source":
            resolving.solve_log(other).write_text(LOG)
            raise StackError([Fault("Spack found no solution")])
        assert not resolving.solve_log(other).exists(), "an old log is not taken for this solve's"
        return Relocked(clean)

    monkeypatch.setattr(resolving, "relock", relock)
    answer = leaving_lock.anew(cell, cell, lock, ban, Markets(), quiet)
    assert asked == ["source", "os"] and answer.lock == clean
    assert answer.changed == ("pytorch from source: Spack cannot build it without nvtx, which is NVIDIA's",)


def test_when_every_provider_is_refused_each_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, lock = released("generic-x86", "cpu", "ai-hpc", tmp_path)
    known = facts(spack={"nvtx": package("nvidia")}, debian={"pytorch": package("nvidia"), "python3-torch": package(
        "nvidia")}, wheel={"torch": package("nvidia")})  # fmt: skip
    failing(monkeypatch, StackError([Fault("Spack found no solution")]), LOG)
    with pytest.raises(StackError) as caught:
        leaving_lock.anew(cell, cell, lock, forbid("nvidia", known, cell.catalogue), Markets(), quiet)
    said = [str(f) for f in caught.value.faults]
    assert said[:2] == ["nvtx has no replacement: py-torch -> nvtx", "Spack found no solution"]
    assert "pytorch not from source: Spack cannot build it without nvtx, which is NVIDIA's" in said
    assert "pytorch not from os: python3-torch is NVIDIA's" in said
    assert "pytorch not from wheel: torch is NVIDIA's" in said
    assert said[-1].startswith("nobody can supply pytorch")


def test_nothing_is_sought_elsewhere_for_what_is_nobodys_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, lock = released("generic-x86", "cpu", "ai-hpc", tmp_path)
    ban = forbid("nvidia", facts(spack={"nvtx": package("nvidia")}), cell.catalogue)
    asked = failing(monkeypatch, StackError([Fault("no")]), LOG.replace("nvtx", "perl"))
    with pytest.raises(StackError, match=r"^no$"):
        leaving_lock.anew(cell, cell, lock, ban, Markets(), quiet)
    assert len(asked) == 1
    failing(monkeypatch, host_lacks("no memory"), LOG)
    with pytest.raises(StackError, match="no memory") as caught:
        leaving_lock.anew(cell, cell, lock, ban, Markets(), quiet)
    assert caught.value.exit_code == ExitCode.HOST


SITE = {
    "profiles/old.yaml": """\
schema: 1
name: old
description: A machine with an MPI of its own
os: rocky-8
build_for: machine
partitions: {cpu: {cpu: {microarchitecture: zen3}}}
roles: {mpi: cray-mpich}
providers: [site, source, os]
site: {cray-mpich: {version: "8.1.29", prefix: /opt/mpi}}
scheduler: {kind: slurm}
""",
    "environments/passing.yaml": """\
schema: 1
name: passing
purpose: Message passing
components: {gcc: {}}
roles: [mpi]
""",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in SITE.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text)
    return tmp_path / "site"


def test_a_real_solve_finds_what_replaces_the_sites_mpi(real_spack: Spack, site: Path, tmp_path: Path) -> None:
    """Before, nothing is built: Spack is asked for the exit alone."""
    words = ("old", "passing", "--root", site, "--build-dir", tmp_path / "build")
    assert sovstack("lock", *words).returncode == 0
    own = (tmp_path / "build/passing/old/rocky8-zen3/stack.lock.json").read_bytes()
    done = sovstack("exit-test", *words, "--forbid", "hpe", "--json")
    assert done.returncode == 0, done.stderr
    record = exit_test.parse(done.stdout, "stdout")
    assert (record.result, record.anew) == ("stays", True)
    (row,) = [r for r in record.differences.components if r.role == "mpi"]
    assert row.after and (row.after.name, row.after.provider) == ("openmpi", "source")
    (gone,) = record.differences.forbidden
    assert (gone.name, gone.fate, gone.replaced_by) == ("cray-mpich", "replaced", ("openmpi",))
    folder = tmp_path / "build/exit-test/passing/old/rocky8-zen3/hpe/passing/old/rocky8-zen3"
    lock = json.loads((folder / "stack.lock.json").read_text())
    assert "cray-mpich" not in {n["name"] for n in lock["spack"]["nodes"]}
    assert (tmp_path / "build/passing/old/rocky8-zen3/stack.lock.json").read_bytes() == own
    again = sovstack("exit-test", *words, "--forbid", "hpe", PATH="/nonexistent")
    assert again.returncode == 0 and "reused" in again.stderr and "openmpi" in again.stdout

"""An audit of released locks, with the evidence that stands beside them, and with none."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from stack.audit.policy import Finding
from stack.audit.situation import Rebuild
from stack.errors import StackError
from stack.host import auditing, cells
from stack.host.auditing import Auditor
from stack.host.cells import Cell
from stack.host.library import Library, roots
from stack.policy import terms
from stack.verdict import Check, Machine, Verdict

ENVIRONMENT = "numerics"


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A released cell with its lock in a build folder of its own."""
    made = cells.open_cell(Library(roots(None)), "generic-x86", ENVIRONMENT, None, tmp_path)
    made.folder.mkdir(parents=True)
    shutil.copy(made.released / "stack.lock.json", made.lock_path)
    shutil.copy(made.released / "spack.lock", made.folder)
    return made


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(Library(roots(None)), tmp_path)


def digest(cell: Cell) -> str:
    return auditing._lock(cell).digest


def note(cell: Cell, name: str, **content: Any) -> None:
    (cell.folder / name).write_text(json.dumps({"lock": digest(cell), **content}))


def test_a_lock_alone_has_a_design_sbom_and_no_evidence(auditor: Auditor, cell: Cell) -> None:
    found, texts = auditor.audit(cell)
    assert sorted(texts) == ["sbom.cdx.json", "sbom.spdx.json"]
    assert found.situation.phase == "design"
    assert (found.situation.mirrored, found.situation.rebuild, found.situation.signed) == (None, None, None)
    assert (found.situation.exits, found.situation.proofs) == ((), ())
    assert found.assessment.level("operational") == 0


def test_the_same_audit_again_gives_the_same_bytes(auditor: Auditor, cell: Cell) -> None:
    assert auditor.audit(cell)[1] == auditor.audit(cell)[1]


def test_other_locks_of_the_environment_are_known_by_their_folders(auditor: Auditor, cell: Cell) -> None:
    found = {other.cell: other.makers for other in auditor.audit(cell)[0].situation.others}
    assert found["numerics/generic-x86/debian13-x86_64_v3-sm90"] == ("nvidia",)
    assert found["numerics/generic-x86/debian13-x86_64_v3-gfx942"] == ("amd",)
    assert found["numerics/generic-x86/debian13-x86_64_v3"] == ("amd", "intel")
    assert found["numerics/generic-riscv/debian13-riscv64"] == ()
    assert found["numerics/macc-deucalion-arm/rocky8-a64fx"] == ("fujitsu",)


def test_a_survey_of_this_lock_tells_what_is_in_the_mirror(auditor: Auditor, cell: Cell) -> None:
    row = {"packages": ["numactl@2.0.19"], "kind": "archive", "sha256": "0" * 64, "holders": ["github"]}
    note(
        cell, "survey.json", sources=[{**row, "had": "here"}, {**row, "packages": ["blis@2.0"], "had": ""}], unhashed=[]
    )
    found = auditor.audit(cell)[0]
    assert found.situation.mirrored
    assert (found.situation.mirrored.there, found.situation.mirrored.missing) == (1, ("blis@2.0",))
    alone = [f for f in found.findings if f.rule == "single-forge" and f.state == "breach"]
    assert {f.name for f in alone} >= {"numactl"}


def test_a_note_about_another_lock_does_not_count(auditor: Auditor, cell: Cell) -> None:
    (cell.folder / "survey.json").write_text(json.dumps({"lock": "0" * 64, "sources": [], "unhashed": []}))
    (cell.folder / "rebuild.json").write_text("{")
    found = auditor.audit(cell)[0].situation
    assert (found.mirrored, found.rebuild) == (None, None)


def test_a_rebuild_with_no_network_is_known(auditor: Auditor, cell: Cell) -> None:
    note(cell, "rebuild.json", date="2026-05-01T10:00:00Z", same=True, host="Debian 12")
    assert auditor.audit(cell)[0].situation.rebuild == Rebuild("2026-05-01", True, "Debian 12")


def verdict(cell: Cell, lock: str, result: Any = "pass", tags: tuple[str, ...] = ("precision",), of: str = "") -> None:
    folder = cell.build_dir / (of or cell.plan.cell)
    made = Verdict(
        schema=1, cell=of or cell.plan.cell, image="a" * 64, lock=lock, suite="b" * 64, date="2026-05-01T10:00:00Z",
        reframe="4.10", host="zen2, 2 cores", checks=(Check(name="Gemm", title="products", result=result, tags=tags),),
    )  # fmt: skip
    (folder / "verdict.json").write_text(made.model_dump_json(by_alias=True))


def test_a_passed_suite_is_a_proof_on_the_machine_that_it_ran_on(auditor: Auditor, cell: Cell) -> None:
    verdict(cell, digest(cell))
    (proof,) = auditor.audit(cell)[0].situation.proofs
    assert (proof.makers, proof.isa, proof.open) == (("amd",), "x86_64", False)


def test_an_emulated_run_proves_nothing_of_hardware(auditor: Auditor, cell: Cell) -> None:
    verdict(cell, digest(cell))
    path = cell.folder / "verdict.json"
    emulated = Machine(family="x86_64", microarchitecture="x86_64_v3", emulator="qemu-x86_64 9.2")
    made = Verdict.model_validate_json(path.read_text()).model_copy(update={"machine": emulated})
    path.write_text(made.model_dump_json(by_alias=True))
    (proof,) = auditor.audit(cell)[0].situation.proofs
    assert (proof.makers, proof.isa) == ((), "x86_64 (emulated)")


@pytest.mark.parametrize(("lock", "result"), [("0" * 64, "pass"), (None, "fail")])
def test_a_suite_that_failed_or_is_of_another_lock_is_none(
    auditor: Auditor, cell: Cell, lock: str | None, result: str
) -> None:
    verdict(cell, lock or digest(cell), result)
    assert auditor.audit(cell)[0].situation.proofs == ()


def test_a_run_without_a_check_of_numbers_or_in_the_folder_of_another_cell_proves_nothing(
    auditor: Auditor, cell: Cell
) -> None:
    verdict(cell, digest(cell), tags=("smoke",))
    assert auditor.audit(cell)[0].situation.proofs == ()
    verdict(cell, digest(cell))
    other = cell.folder.parent.parent / "any/debian13-riscv64"
    shutil.copytree(cell.folder, other)
    assert [proof.isa for proof in auditor.audit(cell)[0].situation.proofs] == ["x86_64"]


@pytest.mark.parametrize(("tags", "maker"), [(("precision",), "amd"), (("precision", "accelerator"), "nvidia")])
def test_an_image_for_an_accelerator_proves_it_only_by_a_check_that_used_one(
    auditor: Auditor, cell: Cell, tags: tuple[str, ...], maker: str
) -> None:
    name = f"{ENVIRONMENT}/generic-x86/debian13-x86_64_v3-sm90"
    (cell.build_dir / name).mkdir()
    shutil.copy(cell.lock_path, cell.build_dir / name)
    verdict(cell, digest(cell), tags=tags, of=name)
    assert [proof.makers for proof in auditor.audit(cell)[0].situation.proofs] == [(maker,)]


@pytest.mark.parametrize("text", ["", "{}", "lock", "swapped"])
def test_a_file_that_is_no_lock_of_the_cell_of_its_folder_is_no_other_lock(
    auditor: Auditor, cell: Cell, text: str
) -> None:
    name = f"{ENVIRONMENT}/nowhere/debian13-neoverse_v2-sm90"
    (cell.build_dir / name).mkdir(parents=True)
    (cell.build_dir / name / "stack.lock.json").write_text(cell.lock_path.read_text() if text == "swapped" else text)
    assert name not in {other.cell for other in auditor.audit(cell)[0].situation.others}


def test_only_an_exception_from_a_rule_on_classes_says_why_a_class_may_be_what_it_is(auditor: Auditor) -> None:
    rules = terms(auditor.library.policy)

    def finding(rule: str, ref: str, state: Any = "excepted") -> Finding:
        return Finding(rule, "error", state, "why", ref, reason="needed")

    said = [finding("proprietary", "a"), finding("single-forge", "b"), finding("proprietary", "c", "breach")]
    assert auditing._excepted(said, rules) == {"a": "needed"}


def test_a_lock_for_another_system_is_not_taken_for_one_of_the_cell(auditor: Auditor, cell: Cell) -> None:
    cell.lock_path.write_text(cell.lock_path.read_text().replace('"system": "debian-13"', '"system": "plan9-4"'))
    with pytest.raises(StackError, match="is for plan9-4, which the cell is not"):
        auditor.audit(cell)


def test_open_schedulers_and_providers_come_from_data(auditor: Auditor, cell: Cell) -> None:
    found = auditor.audit(cell)[0].situation
    assert set(found.scheduled) >= {"slurm", "flux"}
    assert set(found.providers["mpi"]) == {"mpich", "openmpi"}
    assert set(found.providers["blas"]) >= {"blis", "openblas"}


def test_a_target_names_its_family_and_whose_it_is(auditor: Auditor) -> None:
    catalogue = auditor.library.catalogue
    assert auditing.makers_of("debian13-neoverse_v2-sm90", catalogue) == ("nvidia",)
    assert auditing.makers_of("debian13-nonsense", catalogue) == ()
    assert auditing.family_of("nonsense") == ""


def test_an_audit_keeps_a_page_that_leads_to_the_files_beside_it(auditor: Auditor, cell: Cell) -> None:
    paths = auditing.write(cell, *auditor.audit(cell))
    folder = cell.folder / "audit"
    assert {p.name for p in paths} == {p.name for p in folder.iterdir()} == {
        "audit.html", "audit.json", "sbom.cdx.json", "sbom.spdx.json"}  # fmt: skip
    page = (folder / "audit.html").read_text()
    assert all(f'href="./{p.name}"' in page for p in paths if p.name != "audit.html")
    assert cell.plan.cell in page


def test_an_audit_of_all_writes_an_overview_that_leads_to_each_cells_page(auditor: Auditor, tmp_path: Path) -> None:
    def ask(*, dry: bool) -> int:
        return len(auditing.audit_all(auditor, "generic-x86", ENVIRONMENT, quiet=True, dry=dry))

    assert ask(dry=True) > 1
    assert not (tmp_path / "audit.html").exists()
    count = ask(dry=False)
    links = re.findall(r'href="\./([^"]+)"', (tmp_path / "audit.html").read_text())
    assert len(links) == len(set(links)) == count
    assert all((tmp_path / link).is_file() for link in links)
    data = json.loads((tmp_path / "audit.json").read_text())
    assert [f"{one['cell']}/audit/audit.html" for one in data] == links

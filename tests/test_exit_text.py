"""The migration plan as a director reads it."""

from __future__ import annotations

import pytest

from stack import exit_text
from stack.exit_test import Differences, ExitRecord, Feature, Gone, Nearly, New, Promise, Row, Side, Supply, Tried
from tests.test_exit_test import AFTER, BEFORE, RECORD


def gone(name: str, fate: str, *by: str, licence: str = "proprietary") -> Gone:
    return Gone.model_validate(
        {"kind": "spack", "name": name, "version": "1.2", "licence_class": licence, "fate": fate,
         "work": None if fate == "dropped" else f"work of {name}", "replaced_by": by}
    )  # fmt: skip


def supply(name: str, version: str, package: str) -> Supply:
    return Supply(name=name, provider="source", version=version, package=package)


FULL = RECORD.model_copy(
    update={
        "nearness": ("the same profile", "no accelerator"),
        "changed": ("openmpi from os: its packages bring x",),
        "notes": ("the scheduler is somebody's",),
        "others": tuple(f"p/t{i}" for i in range(7)),
        "tried": (Tried(place="here/other", why=("nvtx has no replacement",)),),
        "differences": Differences(
            components=(
                Row(role="mpi", before=supply("cray", "8", "cray+x"), after=supply("openmpi", "5", "openmpi")),
                Row(role=None, before=supply("torch", "2.12", "py-torch"), after=supply("torch", "2.5", "py-torch")),
                Row(role=None, before=supply("same", "1", "same"), after=supply("same", "1", "same")),
                Row(role=None, before=None, after=supply("extra", "1", "extra")),
            ),
            forbidden=(gone("nccl", "replaced", "rccl"), gone("cudnn", "lost"), gone("helper", "dropped")),
            gone=("spack a 1",),
            new=(New(kind="spack", name="rccl", version="6", steward="amd", licence_class="osi"),),
            features=(
                *(Feature(package=f"lib{i:02}", lost=("+x",), gained=()) for i in range(14)),
                Feature(package="py-torch", lost=("+cuda",), gained=("+rocm",)),
                Feature(package="better", lost=(), gained=("+y",)),
            ),
            promises=(Promise(what="magma +cuda", why="work is slow", failed=False),
                      Promise(what="torch +mkldnn", why="loops are plain", failed=True)),
            unknown=("spack q",),
        ),
    }
)  # fmt: skip


def test_the_plan_says_all_of_it() -> None:
    said = exit_text.plan_text(FULL)
    lines = said.splitlines()
    assert lines[0] == "exit test: ai-hpc on here/debian13-x86_64_v3-sm90 without NVIDIA"
    assert lines[1] == "an exit exists: here/debian13-x86_64_v3 (partition cpu); its lock 111111111111 holds"
    assert "  no accelerator" in lines and "note: the scheduler is somebody's" in lines
    assert "no exit at here/other:" in lines and "  nvtx has no replacement" in lines
    assert "  openmpi from os: its packages bring x" in lines
    assert "mpi (cray) cray 8 from source: cray+x openmpi 5 from source: openmpi" in [
        " ".join(x.split()) for x in lines
    ]
    assert any(x.strip().startswith("extra") and "none" in x for x in lines)
    assert not any(x.strip().startswith("same") for x in lines)
    assert any("cudnn" in x and "proprietary" in x and "NO REPLACEMENT" in x for x in lines)
    assert "  cudnn: work of cudnn" in lines
    assert "  1 more that nothing needs there: helper" in lines
    assert "  accelerator: NVIDIA H100 -> none, the CPU alone" in lines
    assert "  version: torch 2.12 -> 2.5" in lines
    assert "  magma +cuda is not asked for there: work is slow" in lines
    assert "  torch +mkldnn does not hold any more: loops are plain" in lines
    cost = lines[lines.index("what it costs:") :]
    losing = [x for x in cost if "loses" in x]
    assert losing[0] == "  py-torch loses +cuda, and has +rocm" and len(losing) == exit_text.MANY
    assert "  and variants of 3 more packages; the record has all" in cost
    assert "packages: 1 go, 1 come (whose stewards are amd)" in lines
    assert "nothing is known of 1 packages afterwards: whose they are is not shown" in lines
    assert "no image of this lock was built here: that it builds is not shown" in lines
    assert lines[-1] == "further away: p/t0, p/t1, p/t2, p/t3 and 3 more"


def test_an_image_that_stands_and_nothing_lost_are_said() -> None:
    said = exit_text.plan_text(RECORD.model_copy(update={"built": True, "after": BEFORE, "result": "stays"}))
    assert "an exit exists on the same target: its lock 000000000000 holds" in said
    assert "nothing that the recipes know of" in said and "no image" not in said and "packages:" not in said


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"anew": True}, "an exit exists: here/debian13-x86_64_v3 (partition cpu); a new lock, 111111111111, was made"),
        ({"after": None, "result": "none"}, "NO EXIT: every target that is known here has hardware of NVIDIA's"),
        ({"after": None, "result": "none", "tried": (Tried(place="a/b", why=("no",)),)},
         "NO EXIT: a/b cannot be locked without NVIDIA, and no lock further away holds"),
    ],
)  # fmt: skip
def test_the_head_line(changed: dict[str, object], line: str) -> None:
    assert exit_text.headline(RECORD.model_copy(update=changed)) == line


def test_where_only_what_is_open_is_in_the_way_that_is_said() -> None:
    near = Nearly(to=AFTER, packages=("nvtx",))
    none: ExitRecord = RECORD.model_copy(update={"after": None, "result": "none", "nearly": near})
    assert "all that here/debian13-x86_64_v3 has of NVIDIA is open and runs anywhere: nvtx" in exit_text.plan_text(none)


def test_text_from_documents_cannot_hide() -> None:
    sly = Tried.model_construct(place="a\u202eb", why=("c\x1b[2Jd",))
    said = exit_text.plan_text(RECORD.model_copy(update={"tried": (sly,)}))
    assert "\u202e" not in said and "\x1b" not in said


def test_the_table_of_many_has_a_column_for_each_vendor() -> None:
    elsewhere = Side(profile="there", partition="cpu", target="debian13-riscv64", lock="3" * 64)
    records = [
        RECORD,
        RECORD.model_copy(update={"forbidden": "arm", "result": "stays", "after": BEFORE, "anew": True}),
        RECORD.model_copy(update={"forbidden": "amd", "result": "none", "after": None}),
        RECORD.model_copy(update={"before": elsewhere, "result": "stays", "after": elsewhere}),
    ]
    quiet = [r.model_copy(update={"forbidden": "ibm", "result": "stays", "after": r.before}) for r in records]
    assert exit_text.matrix(quiet) == "without ibm: all of them stay"
    said = exit_text.matrix([*records, *quiet], [("ai-hpc/there/debian13-riscv64", "arm", "no network")]).splitlines()
    assert said[0].split("  ")[0] == "cell"
    assert [w.strip() for w in said[0].split("  ") if w.strip()] == [
        "cell",
        "without amd",
        "without arm",
        "without nvidia",
    ]
    assert said[1].startswith("ai-hpc/here/debian13-x86_64_v3-sm90  NO EXIT")
    assert "stays, new lock" in said[1] and said[1].endswith("to here/debian13-x86_64_v3")
    assert "failed" in said[2] and said[2].endswith("stays")
    assert said[3] == "without ibm: all of them stay"
    assert said[4] == "ai-hpc/there/debian13-riscv64 without arm: no network"

"""One graph over a lock's parts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from packageurl import PackageURL

from stack.audit.inventory import joined
from stack.lock import OsPackage
from tests.audit.locks import of, released, released_inventory

SMALL = "numerics/jsc-jupiter/*v2"
CELLS = ("ai-hpc/generic-x86/*sm90", "numerics/generic-riscv/*", "ai-hpc/csc-lumi-g/*gfx90a", SMALL)


@pytest.mark.parametrize("cell", CELLS)
def test_every_edge_leads_to_an_item_and_every_part_of_the_lock_is_one(cell: str) -> None:
    lock, found = released(cell), released_inventory(cell)
    assert all(ref in found.by_ref for item in found.items for ref in item.depends)
    assert all(ref in found.by_ref for ref in found.roots)
    assert len(found.by_ref) == len(found.items)
    parts = len(lock.os.packages) + len(lock.tools.packages if lock.tools else ()) + len(lock.spack.nodes)  # type: ignore[union-attr]
    assert len(found.items) == parts + bool(lock.os.packages)


@pytest.mark.parametrize("cell", CELLS)
def test_every_reference_is_a_package_url(cell: str) -> None:
    for item in released_inventory(cell).items:
        assert PackageURL.from_string(item.purl).to_string() == item.purl


@pytest.mark.parametrize("cell", CELLS)
def test_what_runs_needs_only_what_runs_or_what_the_image_is_said_not_to_have(cell: str) -> None:
    found = released_inventory(cell)
    for item in found.scoped("run"):
        needed = [found.by_ref[ref] for ref in item.depends if ref not in item.build_only]
        assert all(i.scope == "run" or i.properties["absent"] for i in needed)


def test_a_build_tool_that_something_would_call_is_not_said_to_be_installed() -> None:
    found = released_inventory("ai-hpc/generic-x86/*sm90")
    ssh = next(item for item in found.items if item.kind == "spack" and item.name == "openssh")
    assert (ssh.scope, bool(ssh.properties["absent"])) == ("build", True)


def test_the_compiler_only_builds_and_the_c_library_runs() -> None:
    found = released_inventory("ai-hpc/generic-x86/*sm90")
    scopes = {item.name: item.scope for item in found.items if item.kind == "spack"}
    assert scopes["glibc"] == "run"
    assert scopes["compiler-wrapper"] == "build"


def test_an_external_depends_on_the_package_that_supplies_it() -> None:
    found = released_inventory("ai-hpc/generic-x86/*sm90")
    glibc = next(item for item in found.items if item.kind == "spack" and item.name == "glibc")
    assert [found.by_ref[ref].name for ref in glibc.depends] == ["libc6"]
    assert glibc.closed


def test_what_a_site_brings_is_listed_and_not_said_to_be_whole() -> None:
    found = released_inventory("ai-hpc/csc-lumi-g/*gfx90a")
    mpi = next(item for item in found.items if item.name == "cray-mpich")
    assert mpi.external
    assert not mpi.closed
    assert not mpi.hashes


def test_a_path_leads_from_what_was_asked_for() -> None:
    found = released_inventory("ai-hpc/generic-x86/*sm90")
    cuda = next(item for item in found.items if item.name == "cuda")
    path = found.path_to(cuda.ref)
    assert path[0].ref in found.roots
    assert path[-1] is cuda
    assert all(after.ref in before.depends for before, after in pairwise(path))


def test_an_alternative_is_the_first_that_is_there_and_a_provided_name_counts() -> None:
    lock = released("ai-hpc/generic-x86/*sm90")
    bare = dict.fromkeys(("filename", "source"), "x")

    def package(name: str, **control: str) -> OsPackage:
        fields = {"name": name, "version": "1", "architecture": "amd64", "size": 1, "sha256": "0" * 64}
        return OsPackage.model_validate({**bare, **fields, "control": control})

    packages = (
        package("aa", Depends="gone | bb (>= 1), virtual, cc:any, missing"),
        package("bb", **{"Pre-Depends": "cc"}),
        package("cc"),
        package("dd", Provides="virtual (= 3), other"),
    )
    found = of(lock.model_copy(update={"os": lock.os.model_copy(update={"packages": packages}), "tools": None}))
    needed = {i.name: [found.by_ref[r].name for r in i.depends] for i in found.items if i.kind == "debian"}
    assert needed == {"aa": ["bb", "cc", "dd"], "bb": ["cc"], "cc": [], "dd": []}


def test_joined_licences_are_sorted_and_an_unknown_one_leaves_the_whole_unknown() -> None:
    assert joined(["MIT", "Apache-2.0 AND MIT", "MIT OR Zlib"]) == "(MIT OR Zlib) AND Apache-2.0 AND MIT"
    assert joined(["MIT", None]) is None
    assert joined([]) is None

"""What recipes assert of the solved graph, on graphs that Spack solved: trimmed in `tests/recorded/solver/`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack import assertions
from stack import plan as planning
from stack import target as targets
from stack.catalogue import Catalogue
from stack.check import check_recipe
from stack.document import parse
from stack.errors import ExitCode, Faults, StackError
from stack.graph import Edge, Graph, Node, Value
from stack.host import spack
from stack.host.library import Library
from stack.host.run import run
from stack.host.spack import Spack
from stack.plan import Plan
from stack.profile import Accelerators, Partition, Wish
from stack.recipe import Assertion, Recipe
from tests.conftest import FACTS, RECORDED

MODELS = {"cpu": None, "sm90": "nvidia-h100", "gfx942": "amd-mi300x"}


def _plan(library: Library, name: str, **profile: Any) -> Plan:
    """`ai-hpc` with everything from source but compilers and Python, which is what the recorded graphs are of."""
    model = MODELS[name]
    nodes = {"default": Partition(accelerators=(Accelerators(model=model),) if model else ())}
    wishes = {"gcc": Wish(provider="os"), "python": Wish(provider="os")}
    update = {"partitions": nodes, "providers": ("source", "os"), "components": wishes, **profile}
    site = library.profile("laptop")[1].model_copy(update=update)
    target = targets.resolve(site, "default", library.catalogue, FACTS)
    return planning.make(site, library.environment("ai-hpc")[1], target, library.catalogue)


def _graph(name: str) -> Graph:
    return Graph.model_validate_json((RECORDED / f"solver/{name}.json").read_text(encoding="utf-8"))


def _without(graph: Graph, name: str) -> Graph:
    """The graph less a package, and less all edges to it."""
    gone = {n.hash for n in graph.named(name)}
    kept = tuple(n for n in graph.nodes if n.hash not in gone)
    return graph.model_copy(
        update={
            "nodes": tuple(_changed(n, dependencies=[e for e in n.dependencies if e.hash not in gone]) for n in kept)
        }
    )


def _changed(node: Node, **update: Any) -> Node:
    made: Node = node.model_copy(update=update)
    return made


def _variants(graph: Graph, name: str, **parameters: Value) -> Graph:
    """The graph with other variants of one package."""
    nodes = (_changed(n, parameters={**n.parameters, **parameters}) if n.name == name else n for n in graph.nodes)
    return graph.model_copy(update={"nodes": tuple(nodes)})


def _bare(graph: Graph, name: str) -> Graph:
    """The graph with one package that has no variants at all."""
    nodes = (_changed(n, parameters={}) if n.name == name else n for n in graph.nodes)
    return graph.model_copy(update={"nodes": tuple(nodes)})


def _used_as(graph: Graph, name: str, virtual: str, instead: str) -> Graph:
    """The graph with one more node, used as a virtual by the first node that uses another for it."""
    new = graph.named(instead)[0]
    extra = _changed(new, name=name, hash="z" * 32, dependencies=())
    user = next(n for n in graph.nodes if any(virtual in e.virtuals for e in n.dependencies))
    edge = next(e for e in user.dependencies if virtual in e.virtuals).model_copy(update={"hash": extra.hash})
    nodes = (_changed(n, dependencies=(*n.dependencies, edge)) if n is user else n for n in graph.nodes)
    return graph.model_copy(update={"nodes": (*nodes, extra)})


def _needing(graph: Graph, user: str, name: str) -> Graph:
    """The graph with a package more, which another one names in its recipe."""
    extra = _changed(graph.named("openblas")[0], name=name, hash="z" * 32, dependencies=())
    edge = Edge(hash=extra.hash, types=("link",))
    nodes = (_changed(n, dependencies=(*n.dependencies, edge)) if n.name == user else n for n in graph.nodes)
    return graph.model_copy(update={"nodes": (*nodes, extra)})


def _told(faults: Iterable[object]) -> str:
    return "\n".join(map(str, faults))


@pytest.mark.parametrize("name", MODELS)
def test_what_spack_solved_holds(library: Library, name: str) -> None:
    assert assertions.broken(_plan(library, name), _graph(name)) == ()
    assertions.check(_plan(library, name), _graph(name))


BREAKS: dict[str, tuple[str, Any, str, str]] = {
    "no-nccl": ("sm90", lambda g: _without(g, "nccl"), "pytorch", "nccl is not in the graph"),
    "nccl-for-another": (
        "sm90", lambda g: _variants(g, "nccl", cuda_arch=("80",)), "pytorch",
        r"nccl@\S+ has cuda_arch=80, and should be cuda_arch=90",
    ),
    "nccl-for-none": ("sm90", lambda g: _variants(g, "nccl", cuda=False), "pytorch", "nccl@.*~cuda.*should be \\+cuda"),
    "no-magma": ("sm90", lambda g: _without(g, "magma"), "pytorch", "magma is not in the graph"),
    "no-rccl": ("gfx942", lambda g: _without(g, "rccl"), "pytorch", "rccl is not in the graph"),
    "rccl-for-another": (
        "gfx942", lambda g: _variants(g, "rccl", amdgpu_target=("gfx90a",)), "pytorch",
        "should be amdgpu_target=gfx942",
    ),
    "mpi-without-cuda": ("sm90", lambda g: _variants(g, "openmpi", cuda=False), "openmpi", "openmpi@.*has ~cuda"),
    "mpi-without-rocm": ("gfx942", lambda g: _variants(g, "openmpi", rocm=False), "openmpi", "openmpi@.*has ~rocm"),
    "ucx-without-cuda": ("sm90", lambda g: _variants(g, "ucx", cuda=False), "openmpi", "ucx@.*has ~cuda"),
    "two-mpi": ("cpu", lambda g: _used_as(g, "mpich", "mpi", "openmpi"), "openmpi", "2 nodes supply mpi, mpich@"),
    "two-blas": ("cpu", lambda g: _used_as(g, "netlib-lapack", "blas", "openblas"), "openblas", "2 nodes supply blas"),
    "mkl-by-name": (
        "cpu", lambda g: _needing(g, "py-numpy", "intel-oneapi-mkl"), "openblas",
        "intel-oneapi-mkl@.* is in the graph, for py-numpy",
    ),
    "no-onednn": ("cpu", lambda g: _variants(g, "py-torch", mkldnn=False), "pytorch", "py-torch@.*has ~mkldnn"),
    "no-variants": ("sm90", lambda g: _bare(g, "nccl"), "pytorch", "nccl@.* has no cuda no cuda_arch"),
}  # fmt: skip


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_graph_names_recipe_node_and_variant(library: Library, case: str) -> None:
    name, breaking, recipe, said = BREAKS[case]
    with pytest.raises(StackError, match=said) as caught:
        assertions.check(_plan(library, name), breaking(_graph(name)))
    assert caught.value.exit_code == ExitCode.CHECK_FAILED
    assert {f.where and f.where.file for f in caught.value.faults} == {f"recipes/{recipe}.yaml"}
    assert all(f.remedy and f.what.startswith("in ai-hpc/laptop/debian13-") for f in caught.value.faults)


def test_every_broken_assertion_is_told_at_once(library: Library) -> None:
    graph = _without(_variants(_graph("sm90"), "openmpi", cuda=False, cuda_arch=()), "nccl")
    told = assertions.broken(_plan(library, "sm90"), graph)
    assert [f.where.file for f in told if f.where] == ["recipes/openmpi.yaml", "recipes/pytorch.yaml"]
    assert "~cuda cuda_arch=, and should be +cuda cuda_arch=90" in told[0].what


def test_what_is_off_and_accepted_is_noted(library: Library) -> None:
    """Open MPI's recipe upstream takes ROCm from libfabric or from UCX, so one of them is without."""
    told = assertions.notes(_plan(library, "gfx942"), _graph("gfx942"))
    assert any(n.startswith("ucx@") and "has ~rocm, and should be +rocm" in n for n in told)
    assert any(n.startswith("magma is not in the graph") for n in told)
    assert not any("mkldnn" in n for n in told)


def test_on_riscv_onednn_is_a_note(library: Library) -> None:
    plan = _plan(library, "cpu")
    elsewhere = replace(plan, target=replace(plan.target, family="riscv64"))
    graph = _variants(_graph("cpu"), "py-torch", mkldnn=False)
    assert assertions.broken(elsewhere, graph) == ()
    assert any("py-torch@" in n and "~mkldnn" in n for n in assertions.notes(elsewhere, graph))


def test_what_the_machine_brings_fails_nothing_and_is_noted(library: Library) -> None:
    """Of an external the graph has only the description; but two of them are still two."""
    plan = _plan(library, "sm90")
    brought = replace(
        plan, choices=tuple(replace(c, provider="os") if c.component == "openmpi" else c for c in plan.choices)
    )
    graph = _variants(_graph("sm90"), "openmpi", cuda=False)
    assert assertions.broken(brought, graph) == ()
    assert any(n.startswith("openmpi@") and "should be +cuda" in n for n in assertions.notes(brought, graph))
    assert "2 nodes supply mpi" in _told(assertions.broken(brought, _used_as(graph, "mpich", "mpi", "openmpi")))


def test_of_a_wheel_the_graph_knows_nothing(library: Library) -> None:
    plan = _plan(library, "sm90")
    wheel = replace(
        plan, choices=tuple(replace(c, provider="wheel") if c.component == "pytorch" else c for c in plan.choices)
    )
    graph = _without(_graph("sm90"), "nccl")
    assert assertions.broken(wheel, graph) == ()
    assert not any("nccl" in n for n in assertions.notes(wheel, graph))


def _asserting(library: Library, **assertion: Any) -> tuple[str, ...]:
    plan = _plan(library, "cpu")
    recipe: Recipe = plan.recipes["numpy"].model_copy(update={"assertions": (Assertion(why="so", **assertion),)})
    return tuple(
        f.what for f in assertions.broken(replace(plan, recipes={**plan.recipes, "numpy": recipe}), _graph("cpu"))
    )


def test_a_virtual_package_is_whatever_supplies_it(library: Library) -> None:
    assert _asserting(library, node="mpi", has="@4:5") == ()
    assert "openmpi@" in _told(_asserting(library, node="mpi", has="@:4"))
    assert "openmpi@5.0.10 (as mpi) is in the graph, for py-mpi4py" in _told(
        _asserting(library, node="mpi", absent=True)
    )


def test_one_says_nothing_of_none(library: Library) -> None:
    assert _asserting(library, node="no-such", one=True) == ()
    assert _asserting(library, node="no-such", optional=True, has="+x") == ()
    assert "no-such is not in the graph" in _told(_asserting(library, node="no-such"))


def test_values_are_a_subset(library: Library) -> None:
    assert _asserting(library, node="openmpi", has="fabrics=ucx") == ()
    assert _asserting(library, node="openmpi", has="fabrics=ucx,ofi") == ()
    assert "fabrics=ofi,ucx" in _told(_asserting(library, node="openmpi", has="fabrics=ucx,psm2"))


@pytest.mark.parametrize(
    ("version", "wanted", "holds"),
    [
        ("1.2.3", "1.2", True), ("1.20.3", "1.2", False), ("1.2", "1.2.3", False),
        ("1.2.3", "=1.2", False), ("1.2", "=1.2", True),
        ("1.2.3", "1.2:", True), ("1.2", "1.2.3:", False), ("2", "1.2:", True),
        ("1.2.3", ":1.2", True), ("1.3", ":1.2", False), ("1.10", "1.9:", True),
        ("1.5", "1.2:1.4", False), ("1.4.9", "1.2:1.4", True), ("1.5", "1.2,1.5:", True),
        ("2.29.7-1", "2.29.7", True), ("main", "2:", True), ("develop", ":9", False), ("1.2rc1", "1.2:", False),
    ],
)  # fmt: skip
def test_versions_are_read_as_spack_reads_them(version: str, wanted: str, holds: bool) -> None:
    assert assertions.version_in(version, wanted) is holds


def test_what_spack_said_of_versions_and_ranges() -> None:
    """Recorded from the pinned Spack: `Version(v).satisfies(ver(range))`."""
    rows = json.loads((RECORDED / "spack/versions.json").read_text(encoding="utf-8"))
    assert len(rows) > 300
    assert [(v, r) for v, r, holds in rows if assertions.version_in(v, r) is not holds] == []


@pytest.mark.parametrize("has", ["rocm yes", "-cuda", "", "+", "^ucx", "%gcc", "+cuda  ~rocm", "cuda_arch={model}"])
def test_what_nothing_can_read_is_refused(has: str) -> None:
    with pytest.raises(ValueError, match="has"):
        Assertion(node="x", has=has, why="so")


@pytest.mark.parametrize(
    ("assertion", "said"),
    [
        ("{node: a, has: 'x={arch}', why: w}", "'{arch}' stands for nothing"),
        ("{node: a, has: 'x={arch}', when: none, why: w}", "'{arch}' stands for nothing"),
        ("{node: a, absent: true, has: +x, why: w}", "'has' says nothing of what is absent"),
        ("{node: a, absent: true, one: true, why: w}", "'one' says nothing of what is absent"),
        ("{node: a, when: nvidla, why: w}", "unknown accelerator vendor 'nvidla'"),
        ("{node: a, families: [x86_46], why: w}", "unknown CPU family 'x86_46'"),
    ],
)
def test_a_senseless_assertion_is_a_fault_of_the_recipe(catalogue: Catalogue, assertion: str, said: str) -> None:
    faults = Faults()
    document = parse(f"assertions:\n  - {assertion}\n", "recipes/x.yaml", faults)
    assert document
    check_recipe(document, catalogue, faults)
    assert [f.what for f in faults.found if said in f.what], faults.found
    assert all(f.where and f.where.line == 2 for f in faults.found)


_LOOK = """
import json, spack.repo
def told(repository):
    made = spack.repo.PATH.get_repo(repository).get_pkg_class("py-torch")
    wanted = sorted((str(when), str(d.spec)) for when, found in made.dependencies.items() for d in found.values())
    return wanted, len(made.versions), len(made.patches), sorted(str(when) for when in made.conflicts)
print(json.dumps([told("sovstack"), told("builtin")]))
"""


def test_the_overlay_takes_mkl_from_pytorch_and_nothing_else(real_spack: Spack, tmp_path: Path) -> None:
    scope = spack.scope(real_spack, tmp_path)
    (tmp_path / "look.py").write_text(_LOOK, encoding="utf-8")
    command = real_spack.command(("python", str(tmp_path / "look.py")), "look at a package", tmp_path, scope=scope)
    ours, upstreams = json.loads(run(command).stdout.splitlines()[-1])
    gone = [wanted for wanted in upstreams[0] if wanted not in ours[0]]
    assert gone and all(spec.partition("@")[0] == "mkl" for _when, spec in gone)
    assert [wanted for wanted in ours[0] if wanted not in upstreams[0]] == []
    assert ours[1:3] == upstreams[1:3]
    assert set(ours[3]) - set(upstreams[3]) == {"target=riscv64:"}

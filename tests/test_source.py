from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from stack import graph, source
from stack.buildroot import Room
from stack.errors import StackError
from stack.source import Wanted
from tests.conftest import RECORDED


def node(name: str, *uses: tuple[str, str], external: bool = False, **more: Any) -> dict[str, Any]:
    """A node of a lock; its hash is made of its name. `uses`: (package, virtual)."""
    edges = [
        {"name": n, "hash": dag(n), "parameters": {"deptypes": ["build", "link"], "virtuals": [v] if v else []}}
        for n, v in uses
    ]
    return {
        "name": name,
        "version": "1.0",
        "namespace": "builtin",
        "hash": dag(name),
        "package_hash": "x",
        "parameters": {},
        "dependencies": edges,
        "arch": {"platform": "linux", "platform_os": "debian13", "target": "x86_64_v3"},
        **({"external": {"path": "/usr", "module": None}} if external else {}),
        **more,
    }


def dag(name: str) -> str:
    return name.replace("-", "").ljust(32, "a")[:32]


def lock(*more: dict[str, Any]) -> str:
    nodes = (
        node("gcc", external=True),
        node("cmake", external=True),
        node("openmpi", external=True),
        node("numpy", ("gcc", "c"), ("cmake", ""), ("openmpi", "mpi")),
        *more,
    )
    roots = [{"hash": dag("numpy"), "spec": "numpy"}]
    meta = {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5}
    return json.dumps({"_meta": meta, "roots": roots, "concrete_specs": {n["hash"]: n for n in nodes}})


WANTED = Wanted("spack: {specs: [numpy], view: true}\n", lock(), ("ours",), "/opt/sovstack/numerics")


def read(stage: str, name: str) -> Any:
    return json.loads(source.settings(WANTED).files[f"{stage}/{name}"].text)


def test_what_is_built_stands_in_padded_paths_and_is_unpacked_at_the_prefix() -> None:
    assert read("build", "scope/config.yaml")["config"]["install_tree"] == {"root": source.TREE, "padded_length": 128}
    tree = read("unpack", "scope/config.yaml")["config"]["install_tree"]
    assert tree["root"] == "/opt/sovstack/numerics/software"
    assert read("build", "env/spack.yaml")["spack"]["view"] is False
    assert read("unpack", "env/spack.yaml")["spack"] == {
        "specs": ["numpy"],
        "view": {"default": {"root": "/opt/sovstack/numerics/view", "link_type": "hardlink"}},
    }


def test_the_lock_is_handed_on_as_it_is() -> None:
    files = source.settings(WANTED).files
    assert files["build/env/spack.lock"].text == files["unpack/env/spack.lock"].text == WANTED.lock
    for words in (source.installing(2), source.unpacking(2)):
        assert {"--only-concrete", "--no-add"} < {*words}


def test_spack_asks_no_mirror_but_ours_and_takes_our_packages_first() -> None:
    mirrors = read("build", "scope/mirrors.yaml")["mirrors:"]  # the second colon: in place of Spack's own
    assert [m["url"] for m in mirrors.values()] == ["file:///sovstack/mirror", "file:///sovstack/cache"]
    assert list(read("build", "scope/repos.yaml")["repos"]) == ["ours:", "builtin:"]  # the order in the file counts


def test_the_compiler_is_no_level_of_the_modules_and_mpi_is() -> None:
    made = read("unpack", "scope/modules.yaml")["modules"]["default"]["lmod"]
    assert (made["core_compilers"], made["hierarchy"]) == (["gcc@=1.0"], ["mpi"])
    assert (made["include"], made["exclude"]) == (["openmpi"], ["cmake", "gcc"])


def test_where_spack_keeps_its_bytecode_is_not_told_to_what_it_builds() -> None:
    room = Room((), "/root", (), 0)
    call = source.spack(room, "build", source.installing(2), "build")
    assert not [word for word in call.argv if "PYTHONPYCACHEPREFIX" in word]
    assert "SPACK_PYTHON=/sovstack/work/python" in call.argv
    python = source.settings(WANTED).files["python"]
    assert python.executable and "-X pycache_prefix=/sovstack/work/" in python.text


def test_another_way_in_is_another_build() -> None:
    assert source.way(0) != source.way(1)


def test_an_environment_in_which_nothing_is_compiled_has_modules_too() -> None:
    data = json.loads(WANTED.lock)
    data["concrete_specs"] = {dag("numpy"): node("numpy")}
    made = source.settings(Wanted(WANTED.environment, json.dumps(data), (), "/opt/x")).files[
        "unpack/scope/modules.yaml"
    ]
    assert json.loads(made.text)["modules"]["default"]["lmod"]["core_compilers"] == ["none"]


@pytest.mark.parametrize("text", ["", "specs: []\n", "spack: [\n", "spack: 3\n"])
def test_a_damaged_environment_is_told(text: str) -> None:
    with pytest.raises(StackError, match=r"spack\.yaml is damaged"):
        source.settings(Wanted(text, lock(), (), "/opt/x"))


def test_a_lock_that_an_installation_changed_is_seen() -> None:
    source.same(WANTED.lock, json.dumps(json.loads(WANTED.lock), indent=4))
    with pytest.raises(StackError, match="zlib"):
        source.same(WANTED.lock, lock(node("zlib")))


def test_a_module_makes_the_view_usable_and_its_text_is_lua() -> None:
    text = source.module("numerics", '/opt/a"b').files["modules/Core/numerics.lua"].text
    assert 'local view = "/opt/a\\"b/view"' in text
    assert 'prepend_path("PATH", pathJoin(view, "bin"))' in text


def test_a_modulefile_loses_its_date() -> None:
    head = "-- -*- lua -*-\n-- Module file created by spack (https://spack.io) on 2026-11-21 11:26:52.292273\n--\n"
    assert source.undated(head) == head.replace(" on 2026-11-21 11:26:52.292273", "")
    assert source.undated("whatis([[on 2026-11-21 11:26:52]])\n") == "whatis([[on 2026-11-21 11:26:52]])\n"


@pytest.mark.parametrize(
    ("path", "goes"),
    [
        ("software/bzip2-1.0.8-q5/bin/bzip2", True),
        ("software/bzip2-1.0.8-q5/.spack", True),
        ("software/bzip2-1.0.8-q5/.spack/spec.json", True),
        ("software/bzip2-1.0.8-q5/.spack/install_environment.json", False),
        ("software/.spack-db/index.json", False),
        ("view/.spack/bzip2/spec.json", False),
        ("view/.spack-view", False),
        ("view/bin/bzip2", True),
    ],
)
def test_of_spacks_notes_the_spec_alone_is_shipped(path: str, goes: bool) -> None:
    assert source.shipped(PurePosixPath(path)) is goes


def test_only_what_is_installed_and_ours_is_pushed() -> None:
    text = (RECORDED / "spack/rocky8-zen3.spack.lock").read_text()
    nodes = graph.read(text, "spack.lock")[1]
    ours = sorted(n.hash for n in nodes if not n.external)
    system = next(n.hash for n in nodes if n.external)
    output = "\n".join(["==> a line", f"/{ours[0]}", f"/{system}", "/short", f" /{ours[-1]}"])
    assert source.installed(output, text) == (ours[0],)
    assert source.pushing(2, ours[:1])[-2:] == ("built", f"/{ours[0]}")

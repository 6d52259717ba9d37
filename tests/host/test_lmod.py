"""Modules by the site's own `module` command, and what counts of the environment that they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import lmod


def test_what_loading_changed_without_the_commands_own_notes() -> None:
    before = {"PATH": "/usr/bin", "HOME": "/h", "_": "x"}
    after = {"PATH": "/a/bin:/usr/bin", "HOME": "/h", "LOADEDMODULES": "a", "_ModuleTable001_": "x", "A": "1", "_": "y"}
    assert lmod.changed(before, after, before) == {"PATH": "/a/bin:/usr/bin", "A": "1"}


def test_for_another_system_lists_grow_onto_its_own() -> None:
    before, after = {"PATH": "/host"}, {"PATH": "/a/bin:/host", "B": "/host"}
    assert lmod.changed(before, after, {"PATH": "/other"}) == {"PATH": "/a/bin:/other", "B": "/host"}
    assert lmod.changed(before, after, {}) == {"PATH": "/a/bin", "B": "/host"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.0.lua").write_text('prepend_path("PATH", "/opt/a b/bin")\nsetenv("A_HOME", "/opt/$(id)")\n')
    return tmp_path


def loaded(tree: Path, *names: str) -> dict[str, str]:
    try:
        return lmod.load(tree, names)
    except StackError as error:
        if "no module command" in str(error):
            pytest.skip("no module command here: apt-get install lmod")
        raise


def test_modules_load(tree: Path) -> None:
    found = loaded(tree, "a/1.0")
    assert found["PATH"].startswith("/opt/a b/bin:")
    assert found["A_HOME"] == "/opt/$(id)"
    assert not [name for name in found if "LMOD" in name or "ModuleTable" in name or name == "MODULEPATH"]


def test_a_module_that_is_not_there(tree: Path) -> None:
    with pytest.raises(StackError, match=r"do not load.*nothing") as raised:
        loaded(tree, "nothing")
    assert raised.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("name", ["-h", "--help", " ", ""])
def test_an_option_is_no_module(tree: Path, name: str) -> None:
    with pytest.raises(StackError, match="is no module's name"):
        lmod.load(tree, ("a/1.0", name))


def test_a_module_command_that_keeps_silent_of_what_it_does_not_know() -> None:
    assert lmod._absent(("gcc@12", "b"), {"LOADEDMODULES": "core/b/2:gcc/12.2:x/1"}) == ""
    assert lmod._absent(("a", "c/1"), {"LOADEDMODULES": "a/1.0"}) == "of a, c/1 only a/1.0 is loaded then"
    assert lmod._absent(("a",), {}) == "of a only nothing is loaded then"


def test_a_modulefile_that_has_no_end(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmod, "PATIENCE", 3)
    (tree / "b.lua").write_text('os.execute("sleep 60")\n')
    (tree / "c.lua").write_text('LmodMessage("it begins")\nos.execute("sleep 60")\n')
    for name in ("b", "c"):
        with pytest.raises(StackError, match="no end after 3 seconds"):
            loaded(tree, name)


def test_a_tree_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="there is no module tree"):
        lmod.load(tmp_path / "x", ("a",))


def test_without_a_module_command(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmod, "_LOAD", "type no-such-command > /dev/null 2>&1 || exit 90")
    with pytest.raises(StackError, match="there is no module command here") as raised:
        lmod.load(tree, ("a/1.0",))
    assert raised.value.exit_code == ExitCode.HOST

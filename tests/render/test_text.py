"""Escaping: what comes out of a real shell and a real Lua is the text that went in."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stack.catalogue import Catalogue
from stack.errors import StackError
from stack.host.library import Library
from stack.render import text

from .conftest import lock_of, plan_of
from .strategies import lines

LUA = shutil.which("lua5.3") or shutil.which("lua")
any_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(st.lists(st.one_of(lines, any_text), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_shell_words(values: list[str]) -> None:
    script = "printf '%s\\0' " + " ".join(map(text.sh, values))
    assert "{{" not in script
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == values


def test_shell_words_that_apptainer_reads_alike() -> None:
    """Apptainer 1.4 kept the backslash of `'it'\\''s'` in an image's environment."""
    assert text.sh("it's") == "'it'\"'\"'s'"
    assert text.sh("{{{x") == "'{''{''{x'"


def test_no_shell_word_for_nul() -> None:
    with pytest.raises(StackError, match="NUL"):
        text.sh("a\0b")


@pytest.mark.skipif(LUA is None, reason="no Lua here: apt-get install lua5.3")
@given(st.lists(st.one_of(lines, any_text), min_size=1, max_size=20))
@example(["]]", "a\\", '"', "\r\n", "[[", "\\065"])
@settings(max_examples=40, deadline=None)
def test_lua_strings(values: list[str]) -> None:
    script = "".join(f"io.write({text.lua(v)}, '\\0')\n" for v in values)
    done = subprocess.run([str(LUA), "-"], input=script.encode(), capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == values


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("2.6.0", True), ("torch 2.6.0+debian", True), ("v2.6.0", True), ("(Open MPI) 2.6.0.", True),
        ("12.6.0", False), ("2.6.01", False), ("2.6.0.1", False), ("1.2.6.0", False), ("2x6x0", False), ("", False),
    ],
)  # fmt: skip
def test_version_pattern(said: str, whole: bool) -> None:
    done = subprocess.run(["grep", "-Eq", "--", text.version_pattern("2.6.0")], input=said.encode(), check=False)
    assert (done.returncode == 0) is whole
    assert bool(re.search(text.version_pattern("2.6.0"), said)) is whole


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A=B", "A\nB", "A;id"])
def test_variable_names(name: str) -> None:
    with pytest.raises(StackError, match="environment variable"):
        text.variables({name: "x"})


def test_a_template_needs_every_value() -> None:
    import jinja2

    with pytest.raises(jinja2.UndefinedError):
        text.template("modulerc.lua.j2")


def test_a_lock_of_another_plan_is_refused(library: Library, catalogue: Catalogue) -> None:
    plan, other = plan_of("laptop", library, catalogue), plan_of("blis-mpich", library, catalogue)
    with pytest.raises(StackError, match="does not fit the plan"):
        text.parts(other, lock_of(plan))
    changed = tuple(dataclasses.replace(c, provider="wheel") for c in plan.choices)
    with pytest.raises(StackError, match="does not fit the plan"):
        text.parts(dataclasses.replace(plan, choices=changed), lock_of(plan))

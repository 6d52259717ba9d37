from __future__ import annotations

import pytest

from stack.artifact import Command, File, Tree, canonical_json, digest, public
from stack.errors import StackError


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../b", "a//b", "./a"])
def test_a_tree_refuses_paths_that_are_not_plain(path: str) -> None:
    with pytest.raises(StackError, match="plain relative path"):
        Tree.of({path: "text"})


def test_a_tree_is_sorted_joined_and_moved() -> None:
    tree = (Tree.of({"b": "2"}) | Tree.of({"a": File("1", executable=True)})).under("x")
    assert [p for p, _ in tree] == ["x/a", "x/b"]


def test_the_digest_sees_modes_paths_and_texts() -> None:
    trees = [Tree.of({"a": "1"}), Tree.of({"a": "2"}), Tree.of({"b": "1"}), Tree.of({"a": File("1", executable=True)})]
    assert len({t.digest for t in trees}) == 4
    assert Tree.of({"a": "1", "b": "2"}).digest == Tree.of({"b": "2", "a": "1"}).digest


def test_a_command_prints_as_a_line_that_a_shell_reads_back() -> None:
    command = Command(("echo", "a b", "$(id)"), "say", cwd="/x y", env={"A": "1 2"}, stdin="/in put")
    assert str(command) == "(cd '/x y' && A='1 2' echo 'a b' '$(id)' < '/in put')"


def test_canonical_json_does_not_depend_on_order() -> None:
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1})
    assert digest({"a": 1}) != digest({"a": 2})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@mirror.example/a@b", "https://mirror.example/a@b"),
        ("https://me:se@cret@mirror.example", "https://mirror.example"),
        ("git+https://me@host.example/x", "git+https://host.example/x"),
        ("url.ssh://me:secret@a.example/.insteadOf=https://me:secret@b.example/", None),
        ("/srv/a@b", "/srv/a@b"),
        ("git@host.example:owner/name", "git@host.example:owner/name"),
    ],
)
def test_a_password_in_a_url_is_not_shown(text: str, shown: str | None) -> None:
    assert "secret" not in str(Command(("git", "fetch", text), "fetch"))
    assert shown is None or public(text) == shown

"""Reading: nothing a text holds makes the reader raise, every fault has a place in the text, and values are plain."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stack import document
from stack.check import KINDS
from stack.document import did_you_mean, parse, read
from stack.environment import Environment
from stack.errors import Faults
from stack.profile import Profile
from stack.recipe import Recipe

ROOT = Path(__file__).parent.parent
SHIPPED = [
    (kind, path)
    for kind in ("profile", "environment", "recipe", "container")
    for path in sorted((ROOT / f"{kind}s").glob("*.yaml"))
]
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def value(text: str) -> Any:
    faults = Faults()
    made = parse(f"x: {text}\n", "f", faults)
    assert made is not None and not faults.found, faults.found
    return made.data["x"]


def placed(text: str, faults: Faults) -> None:
    lines = re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))
    for fault in faults.found:
        assert fault.where is not None
        assert fault.where.file == "f.yaml"
        assert 1 <= fault.where.line <= len(lines)
        assert 1 <= fault.where.column <= len(lines[fault.where.line - 1]) + 1
        assert str(fault).isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-3", -3),
        ("017", 17),
        ("0o17", 15),
        ("0xff", 255),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("!!str 5", "5"),
        ('"5"', "5"),
        ("'a''b'", "a'b"),
        ("[a, 1]", ("a", 1)),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, expected: Any) -> None:
    made = value(text)
    assert made == expected
    assert type(made) is type(expected)


def test_a_version_directive_changes_no_value() -> None:
    faults = Faults()
    made = parse("%YAML 1.1\n---\nx: [yes, 1:30, 17]\n", "f", faults)
    assert made is not None
    assert made.data == {"x": ("yes", "1:30", 17)}


def test_aliases_are_expanded() -> None:
    faults = Faults()
    made = parse("a: &a {b: 1}\nc: *a\n", "f", faults)
    assert made is not None and not faults.found
    assert made.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert made.at(("c", "b")).line == 1


def test_positions_of_keys_values_and_what_is_not_there() -> None:
    made = parse("a: 1\nb:\n  - c: [x, yy]\n", "f", Faults())
    assert made is not None
    assert str(made.at(("b", 0, "c", 1))) == "f:3:12"
    assert str(made.at(("b",), key=True)) == "f:2:1"
    assert str(made.at(("b", 0, "c", 7, "d"))) == "f:3:8"
    assert str(made.at(("zz",))) == "f:1:1"


@pytest.mark.parametrize("text", ["\ufeffa: 1\nb: x\n", "a: 1\r\nb: x\r\n"])
def test_marks_and_line_endings_move_no_position(text: str) -> None:
    made = parse(text, "f", Faults())
    assert made is not None
    assert made.data == {"a": 1, "b": "x"}
    assert str(made.at(("b",))) == "f:2:4"


def test_layout_does_not_change_the_digest_and_content_does() -> None:
    texts = ["a: 1\nb: [x]\n", "# said\nb:\n  - x\na: 1\n", "a: 2\nb: [x]\n"]
    digests = [made.digest for text in texts if (made := parse(text, "f", Faults()))]
    assert digests[0] == digests[1] != digests[2]


def test_a_text_at_the_limit_is_read_and_one_above_is_not() -> None:
    fits = "#" * document.MAX_BYTES
    for text, said in ((fits, "the document is empty"), (fits + "#", "larger than 256 KiB")):
        faults = Faults()
        assert parse(text, "f", faults) is None
        assert faults.found[0].what == said


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("oenmpi", ["openmpi", "mpich"], "did you mean 'openmpi'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("zzz", [], ""),
        ("zzz", map(str, range(13)), ""),
        ("x" * 10**6, ["x"], "known: x"),
    ],
)
def test_did_you_mean(word: str, known: Any, said: str) -> None:
    assert did_you_mean(word, known) == said


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=lambda p: p.stem if isinstance(p, Path) else p)
def test_shipped_documents_are_read(kind: str, path: Path) -> None:
    faults = Faults()
    assert read(path.read_text(encoding="utf-8"), path.name, KINDS[kind][0], faults), faults.found


@given(st.text(st.characters(codec=None), max_size=200))
@FUZZ
def test_no_text_makes_it_raise(text: str) -> None:
    faults = Faults()
    assert read(text, "f.yaml", Profile, faults) is None or not faults.found
    placed(text, faults)


@given(st.text(st.sampled_from("ab1 \n\t:-?[]{},&*!|>'\"%@`#~<=.\\\r\ufeff\x85\u2028"), max_size=60))
@settings(FUZZ, max_examples=400)
def test_no_text_of_indicators_makes_it_raise(text: str) -> None:
    for model in (Profile, Environment):
        faults = Faults()
        assert read(text, "f.yaml", model, faults) is None
        assert faults.found
        placed(text, faults)


@given(st.data())
@settings(FUZZ, max_examples=300)
def test_no_change_to_a_shipped_document_makes_it_raise(data: st.DataObject) -> None:
    kind, path = data.draw(st.sampled_from(SHIPPED))
    text = path.read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.text(st.sampled_from(" \n:-[]{}&*'\"ax1.#\0"), max_size=6)) + text[end:]
    faults = Faults()
    made = read(text, "f.yaml", KINDS[kind][0], faults)
    assert (made is None) == bool(faults.found)
    placed(text, faults)


def test_a_fault_of_structure_does_not_hide_faults_of_meaning() -> None:
    faults = Faults()
    text = "schema: 1\nname: a\nname: b\nsumary: x\nproviders: {}\n"
    assert read(text, "f", Recipe, faults) is None
    said = [fault.what for fault in faults.found]
    assert said[0] == "duplicate key 'name'"
    assert "unknown key 'sumary'" in said

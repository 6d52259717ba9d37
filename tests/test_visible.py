"""Text from elsewhere hides nothing and moves no cursor."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.visible import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e9\ttab\nline", "plain \u00e9\ttab\nline"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("user\u202etxt.exe", "user\ufffdtxt.exe"),
        ("\ud800\x00\x1b\x9b2J", "\ufffd\ufffd\ufffd\ufffd2J"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_the_newest_that_says_something() -> None:
    assert one_line("10 %\r 50  %\r\n \n") == "50 %"
    assert one_line(" \n") == ""


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_nothing_that_controls_is_left(text: str) -> None:
    shown = visible(text)
    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") for c in shown)
    assert "\n" not in one_line(text)
    shown.encode()

"""Ring 0. Text from elsewhere made safe to look at: nothing hidden, nothing that moves a terminal's cursor."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
# Other control characters, text-direction overrides and lone surrogates could hide what a line says.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def visible(text: str) -> str:
    """The text without terminal colours, line ends as newlines, and U+FFFD for every character that could deceive."""
    return _HIDDEN.sub("\ufffd", _COLOURS.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """The last line that says something, with single spaces: what a progress bar has overwritten is gone."""
    lines = [" ".join(line.split()) for line in visible(text).split("\n")]
    return next((line for line in reversed(lines) if line), "")

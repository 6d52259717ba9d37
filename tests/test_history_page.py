"""The page of earlier runs, and its data."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import Any

from stack import history_text
from stack.history_page import SHOWN, History, as_html, content, view
from stack.regression import Rule, compare
from tests.measured import DIRECTIONS, OTHER, session
from tests.test_report import Page

GOLDEN = Path(__file__).parent / "golden" / "history"
FAST = [60.0, 60.5, 61.0, 61.5, 62.0, 62.5, 63.0]
BY = Rule(schema=1, alpha=0.01, least_change=0.05, origin="chosen")
SESSIONS = (
    session(1, {"fp64_speed": FAST, "latency": [1.25] * 7}),
    session(2, {"fp64_speed": FAST[:3], "latency": [1.5]}),
    session(3, {"fp64_speed": [v * 0.8 for v in FAST], "latency": [1.25] * 7}, image=OTHER, failed=1),
)


def told(*sessions: Any, compared: bool = True) -> dict[str, Any]:
    made = compare(sessions[:1], sessions[-1], sessions[:-1], DIRECTIONS, BY) if compared else None
    return content(History("ai-hpc/laptop/x", sessions, DIRECTIONS, "0.5", "2026-03-04T10:00:00Z", made))


def test_the_page_is_what_it_was() -> None:
    """SOVSTACK_REGOLDEN=1 writes it anew."""
    path, made = GOLDEN / "history.html", as_html(told(*SESSIONS))
    if os.environ.get("SOVSTACK_REGOLDEN"):
        path.write_text(made)
    assert made == path.read_text()


def test_the_page_says_what_became_slower_and_loads_nothing() -> None:
    page = Page(as_html(told(*SESSIONS)))
    assert "1 number became slower" in page.words
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    plain = Page(as_html(told(*SESSIONS, compared=False)))
    assert "What the checks measured over time" in plain.words
    assert "became slower" not in plain.words


def test_trends_are_by_number_and_say_where_something_was_changed() -> None:
    data = json.loads(json.dumps(told(*SESSIONS), allow_nan=False))
    assert [(t["check"], t["metric"], t["better"]) for t in data["trends"]] == [
        ("Gemm", "fp64_speed", "higher"),
        ("Mpi4py", "latency", "lower"),
    ]
    points = data["trends"][0]["points"]
    assert [p["changed"] for p in points] == [[], [], ["image"]]
    assert [(p["n"], p["median"]) for p in points] == [(7, 61.5), (3, 60.5), (7, 49.2)]
    assert [s["failed"] for s in data["sessions"]] == [0, 0, 1]


def test_image_and_native_have_plots_of_their_own() -> None:
    both = (SESSIONS[0], session(2, {"fp64_speed": FAST}, subject="native"))
    data = told(*both, compared=False)
    assert [(t["subject"], len(t["points"])) for t in data["trends"]] == [("image", 1), ("native", 1), ("image", 1)]
    assert [p["title"] for p in view(data)["plots"]][1] == "fp64_speed, Gemm: about Gemm (native)"


def test_emulation_is_said() -> None:
    page = Page(as_html(told(session(1, {"latency": [1.0]}, emulator="qemu-riscv64 7.2"), compared=False)))
    assert "Measured under emulation." in page.words
    assert "never judged" in page.words
    assert "emulat" not in Page(as_html(told(*SESSIONS))).words


def test_only_the_newest_are_drawn() -> None:
    many = tuple(session(n, {"latency": [float(n)]}, day=n % 28 + 1) for n in range(1, SHOWN + 6))
    (one,) = view(told(*many, compared=False))["plots"]
    assert len(one["shape"].dots) == len(one["points"]) == SHOWN
    assert one["points"][0]["median"] == SHOWN + 5


def test_nothing_measured_is_a_page_too() -> None:
    assert "No performance was measured yet." in Page(as_html(told(compared=False))).words
    huge = told(session(1, {"latency": [1e305]}), compared=False)
    assert "No value that can be drawn." in Page(as_html(huge)).words


def test_no_text_becomes_markup() -> None:
    bad = "<script>alert(1)</script>\x1b[31m"
    made = session(1, {"latency": [1.0]}, host=bad, place=bad, emulator=bad, subject=bad, image=bad)
    text = as_html(told(made, session(2, {"latency": [1.0]})))
    assert "<script" not in text
    assert "\x1b" not in text
    assert html.escape("<script>") in text


def test_sessions_in_a_terminal() -> None:
    lines = history_text.listed("ai-hpc/laptop/x", SESSIONS).splitlines()
    assert lines[0] == "ai-hpc/laptop/x"
    assert lines[1].split() == ["session", "began", "subject", "image", "checks", "repeats"]
    assert lines[4].split() == ["00030000", "2026-03-03T10:00:00Z", "image", OTHER[:12], "2", "7", "1", "failed"]
    assert "nothing was measured" in history_text.listed("c", ())
    assert "under qemu" in history_text.listed("c", [session(1, {}, emulator="qemu")])

"""Plots: the same picture for the same numbers, nothing outside of it, and no markup out of a text."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.render.plot import BOTTOM, LEFT, MOST, RIGHT, TOP, Dot, Plot, shape, svg

GOLDEN = Path(__file__).parent.parent / "golden" / "history"
SVG = "{http://www.w3.org/2000/svg}"


def plot(*middles: float, changed: int = 0, spread: float = 0.0) -> Plot:
    dots = tuple(
        Dot(f"2026-03-{i + 1:02d}T10:00:00Z", v, v - spread, v + spread, ("image",) if i == changed and i else ())
        for i, v in enumerate(middles)
    )
    return Plot("trend-0", "fp64_speed, Gemm", "GFLOP/s", "Some sessions.", dots)


CASES = {
    "one.svg": plot(61.5, spread=1.0),
    "several.svg": plot(60.0, 61.0, 60.5, 48.0, 48.5, 48.2, changed=3, spread=0.75),
    "none.svg": plot(),
}


@pytest.mark.parametrize("name", CASES)
def test_pictures_are_what_they_were(name: str) -> None:
    """SOVSTACK_REGOLDEN=1 writes them anew."""
    path, made = GOLDEN / name, svg(CASES[name])
    if os.environ.get("SOVSTACK_REGOLDEN"):
        path.write_text(made)
    assert made == path.read_text()


def test_a_picture_has_words_for_who_does_not_see_it() -> None:
    root = ET.fromstring(svg(CASES["several.svg"]))
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert (title.text, desc.text, root.get("role")) == ("fp64_speed, Gemm", "Some sessions.", "img")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"


def test_a_line_breaks_where_something_was_changed() -> None:
    made = shape(CASES["several.svg"])
    assert [len(line.split()) for line in made.lines] == [3, 3]
    assert [d.changed for d in made.dots] == ["", "", "", "image", "", ""]
    assert svg(CASES["several.svg"]).count('class="mark"') == 1
    assert [len(line.split()) for line in shape(plot(1.0, 2.0)).lines] == [2]
    assert shape(plot(1.0)).lines == ()


def test_noise_of_a_percent_stays_small() -> None:
    made = shape(plot(100.0, 101.0))
    assert abs(float(made.dots[0].y) - float(made.dots[1].y)) < (BOTTOM - TOP) / 10


numbers = st.floats(-MOST, MOST)


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=50))
def test_everything_is_inside_and_ticks_go_up(rows: list[tuple[float, float, float]]) -> None:
    dots = tuple(Dot("2026-03-01", sorted(r)[1], min(r), max(r)) for r in rows)
    made = shape(Plot("p", "t", "u", "s", dots))
    for dot in made.dots:
        assert LEFT <= float(dot.x) <= RIGHT
        assert TOP <= float(dot.top) <= float(dot.y) <= float(dot.bottom) <= BOTTOM
    ys = [float(t.y) for t in made.ticks]
    assert ys == sorted(ys, reverse=True)
    assert 3 <= len(set(ys)) == len(ys) <= 6
    assert len({t.label for t in made.ticks}) == len(ys) or max(abs(v) for r in rows for v in r) > 1e4


@given(st.text(max_size=40))
def test_no_text_becomes_markup(text: str) -> None:
    made = svg(Plot("p", text, text, text, (Dot(text, 1.0, 1.0, 1.0), Dot(text, 1.0, 1.0, 1.0, (text,)))))
    root = ET.fromstring(made)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "text", "line", "polyline", "circle"}
    assert not re.search(r"<script|\son\w+=", made.replace(text, "") if text else made)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e301])
def test_a_number_without_a_place_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="beyond every scale"):
        shape(plot(value))

"""Pages of identity cards: golden, well-formed, with nothing unescaped and no meaning in colour alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from stack import card as cards
from stack import card_page
from stack.card_difference import compare
from stack.verdict import Metric
from tests import cards as samples
from tests.audit.test_page import Linked
from tests.cards import bounded, card, check, number, verdict
from tests.test_card_text import hostile, wrong

GOLDEN = Path(__file__).parent / "golden" / "card"


def pages() -> dict[str, str]:
    x86, arm, riscv = samples.three()
    part = cards.Part(name="numpy", version="2.2.4", provider="os")
    whole = riscv.model_copy(update={"software": (part,), "switches": {"EMULATE_FP64": "1"}})
    links = [f"ai-hpc/laptop/{name}/card.html" for name in ("debian13-x86_64_v3", "debian13-aarch64")]
    return {
        "card.html": card_page.as_html(whole),
        "cards.html": card_page.as_overview(compare([x86, arm]), links),
        "wrong.html": card_page.as_overview(wrong()),
    }


@pytest.mark.parametrize("name", sorted(pages()))
def test_golden(name: str) -> None:
    path, text = GOLDEN / name, pages()[name]
    if os.environ.get("SOVSTACK_REGOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs: run with SOVSTACK_REGOLDEN=1, and look at the difference"


def test_pages_are_well_formed_and_load_nothing() -> None:
    bad = (card_page.as_html(card(bounded(ratio=float("nan")))), card_page.as_html(card(machine=None)),
           card_page.as_overview(compare([card(), card()])), card_page.as_overview(hostile()))  # fmt: skip
    for text in (*pages().values(), *bad):
        page = Linked(text)
        assert len(page.ids) == len(set(page.ids))
        assert set(page.labels) <= set(page.ids)
        assert not page.tags & {"script", "img", "link", "iframe", "object", "form"}
        assert "http" not in text.replace("http-equiv", "")
        assert "url(" not in text and "@import" not in text


def test_a_card_says_its_kind_bits_and_error() -> None:
    text = pages()["card.html"]
    row = next(line for line in text.splitlines() if "<b>gemm_fp64</b>" in line)
    assert "width:2.1%" in row and "0.0214" in row and "Higham" in row
    assert "bounded" in row and samples.three()[2].numbers[1].digest in row
    said = Linked(text).words
    assert said.startswith("✓ 7 numbers: 3 exact, 4 bounded Numerical identity card of ai-hpc/laptop/debian13-riscv64")
    assert "EMULATE_FP64=1" in said and "numpy 2.2.4 os" in said
    assert "1 of 36,864 values" in said and re.search("Without a number: GpuGemm . skipped , Versions . passed", said)


def test_a_card_that_is_beyond_its_bound_is_no_good_card() -> None:
    said = Linked(card_page.as_html(card(number(), bounded(ratio=3)))).words
    assert said.startswith("✗ 2 numbers: 1 exact, 1 bounded; 1 beyond their own bound; 1 of 1 checks failed")
    assert "beyond its bound" in said
    metric = Metric(name="e", value=2, bound=1, unit="of the bound")
    failed = card_page.as_html(cards.make(verdict(check("Gemm", number(), metrics=(metric,)))))
    assert Linked(failed).words.startswith("✗") and "out of bounds" in Linked(failed).words


def test_what_failed_stands_first_and_no_tile_says_otherwise() -> None:
    metric = Metric(name="fp64_exact", value=7, bound=0, unit="entries", origin="whole numbers")
    said = Linked(card_page.as_html(cards.make(verdict(
        check("Gemm", number(), bounded(ratio=3), metrics=(metric,), reason="entry (0, 0) differs", result="fail"),
        check("Fft", number("x")))))).words  # fmt: skip
    order = ["What failed", "Out of bounds: fp64_exact is 7 entries, accepted up to 0: whole numbers",
             "The check says: entry (0, 0) differs", "Summary"]  # fmt: skip
    places = [said.index(words) for words in order]
    assert places == sorted(places)
    assert "1 of them of checks that failed, not to be relied on" in said
    assert "the same bits on every machine" not in said and "each within its bound" not in said
    good = Linked(pages()["card.html"]).words
    assert "What failed" not in good and "the same bits on every machine" in good


def test_software_that_is_no_image_is_not_called_one() -> None:
    said = Linked(card_page.as_html(cards.foreign(card(number()), [], image=False))).words
    assert "what the software said of itself" in said and " Lock " not in said and " Image " not in said


def test_no_number_is_no_good_card() -> None:
    said = Linked(card_page.as_html(card())).words
    assert said.startswith("✗ No check printed a number")


def test_equal_bits_are_one_group_by_letter_and_by_colour() -> None:
    text = card_page.as_overview(compare(samples.three()))
    row = next(line for line in text.splitlines() if "<b>gemm_fp64_wide</b>" in line)
    chips = re.findall(r'class="bits (g\d)" title="([0-9a-f]{64})"><b>(\w)</b>', row)
    assert [(tone, letter) for tone, _digest, letter in chips] == [("g0", "A"), ("g0", "A"), ("g1", "B")]
    assert chips[0][1] == chips[1][1] != chips[2][1]


def test_the_overview_names_machines_emulators_and_times() -> None:
    page = Linked(pages()["cards.html"])
    assert page.words.startswith(
        "✓ Every number is the same or within its bounds Identity cards of ai-hpc on 2 machines"
    )
    assert "aarch64 under qemu-aarch64 7.2.22, cpu max,pauth-impdef=on" in page.words
    assert "12 min 15 s" in page.words and "2026-03-02 14:05 UTC" in page.words
    assert page.links == [f"./ai-hpc/laptop/debian13-{name}/card.html" for name in ("x86_64_v3", "aarch64")]


def test_what_is_wrong_comes_before_the_table() -> None:
    said = Linked(pages()["wrong.html"]).words
    assert said.startswith("✗ Not every number is the same or within its bounds")
    order = [
        said.index(words)
        for words in (
            "What differs",
            "entry 0,0: 4.0 on x86_64",
            "Not compared",
            "Together",
        )
    ]
    assert order == sorted(order)


def test_nothing_of_a_card_is_markup() -> None:
    text = card_page.as_overview(hostile()) + card_page.as_html(hostile().cards[0])
    assert "c</td>\x1b" not in text and "\x1b" not in text
    assert "a|b`c&lt;/td&gt;" in text

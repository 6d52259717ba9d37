"""Cards and their differences in words, as Markdown and as data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stack import card as cards
from stack import card_text
from stack.artifact import canonical_json
from stack.card import Card
from stack.card_difference import Comparison, compare
from stack.verdict import Number
from tests import cards as samples
from tests.cards import bounded, card, check, number, point, verdict
from tests.test_difference_markdown import assert_tables_are_whole

HOSTILE = "a|b`c</td>\x1b[31m @all #1 [x](y)"


def wrong() -> Comparison:
    """A machine that computes wrongly beside one that does not."""
    good = card(number(points=(point("0,0", 4, 0),)), bounded(), number("old", inputs="2" * 64))
    checks = check("Gemm", number(bits="wrong", points=(point("0,0", 3, 0),)), bounded(value=1.6, ratio=3e7),
                   number("new"), number("old", inputs="1" * 64))  # fmt: skip
    return compare([good, cards.make(verdict(checks, machine=samples.RISCV, suite="9" * 64))])


def hostile() -> Comparison:
    made = [
        cards.make(verdict(check(HOSTILE, number(said=HOSTILE.replace("\x1b", ""), bits=bits)), machine=machine,
                           host=HOSTILE, cell=HOSTILE))
        for bits, machine in (("a", samples.NATIVE), ("b", samples.RISCV))
    ]  # fmt: skip
    return compare(made)


def test_one_card_says_every_number() -> None:
    said = card_text.show(samples.three()[2])
    assert "machine  riscv64 under qemu-riscv64 7.2.22, cpu rv64" in said
    assert "date     2026-03-02T14:05:51Z, the checks took 17 min 49 s" in said
    assert "7 numbers: 3 exact, 4 bounded" in said
    assert re.search(r"gemm_fp64 \(fp64\) +0\.0214 of its bound [0-9a-f]{12}\n", said)
    assert re.search(r"gemm_fp64_exact \(fp64\) +exact +[0-9a-f]{12}\n +A B with integers", said)
    assert said.endswith("without a number: GpuGemm, Versions")


def recorded() -> str:
    """Gemm with a BLAS that computes fp64 in fp32, as it was recorded."""
    name = "wrong-blas.json"
    return card_text.show(cards.parse((Path(__file__).parent / "recorded" / "card" / name).read_text(), name))


def test_a_wrong_library_is_told_with_its_metrics_before_any_number() -> None:
    head, found, _numbers = recorded().partition("\nGemm: fail\n")
    assert found and "; 4 beyond their own bound; 3 metrics out of bounds; 1 of 1 checks failed\n" in head
    assert "\n! Gemm failed\n" in head
    assert re.search(r"out of bounds: fp64_exact is 1,194,481 \w+, accepted up to 0: integers with k max", head)
    assert "exact numbers, not to be relied on: gemm_fp32_exact, gemm_fp64_exact\n" in head
    assert "! " not in card_text.show(samples.three()[0])


def test_a_check_that_failed_for_no_metric_says_why() -> None:
    late = cards.make(verdict(check("Mpi", result="fail", reason="job timed out (600 s > 600 s)" + " x" * 900)))
    said = card_text.show(late)
    assert "! Mpi failed\n    the check says: job timed out (600 s > 600 s) x" in said and " [...]" in said
    silent = cards.make(verdict(check("Mpi", result="fail")))
    assert "    why: the card does not say; the verdict beside it does" in card_text.show(silent)


def test_software_that_is_no_image_is_not_called_one() -> None:
    said = card_text.show(cards.foreign(samples.card(number()), [], image=False))
    assert not re.search(r"^(image|lock) ", said, re.M)
    assert re.search(r"^answers  [0-9a-f]{64} of what the software said of itself$", said, re.M)
    assert re.search(r"^image  ", card_text.show(cards.foreign(samples.card(number()), [], image=True)), re.M)


def test_what_is_beyond_its_bound_is_loud() -> None:
    assert "2 of its bound: BEYOND" in card_text.show(card(bounded(ratio=2)))
    assert "NaN of its bound: BEYOND" in card_text.show(card(bounded(ratio=float("nan"))))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (compare(samples.three()), "4 of 7 numbers have the same bits on all 3 machines; 3 differ within their bounds, "
         "in the entries that cards record by at most 0.08 of what is allowed"),
        (compare(samples.three()[:1] * 2), "all 7 numbers have the same bits on both machines"),
        (compare([card(number())] * 2), "the one number has the same bits on both machines"),
        (compare([card(), card()]), "no card has a number"),
        (wrong(), "0 of 4 numbers have the same bits on both machines; 2 beyond the bounds: Gemm gemm_fp64, "
         "Gemm gemm_fp64_exact; 1 not comparable: Gemm old; 1 not on all of them: Gemm new"),
    ],
)  # fmt: skip
def test_one_sentence_says_where_machines_differ(found: Comparison, said: str) -> None:
    assert card_text.summary(found) == said


def test_the_worst_stands_first_with_both_values() -> None:
    lines = card_text.render(wrong()).splitlines()
    marks = [line[0] for line in lines if re.match(r"[!?] ", line)]
    assert marks == ["!", "!", "?", "?"]
    at = lines.index("! beyond the bounds: Gemm gemm_fp64_exact, fp64, bits A B")
    assert lines[at + 2].strip() == "entry 0,0: 4.0 on x86_64, 3.0 on riscv64: 1 apart, 0 allowed"
    assert "      entry 3,5: 1.5 on x86_64, 1.6 on riscv64: 0.1 apart, 2e-13 allowed" in lines
    assert "? not on all of them: Gemm new" in lines
    assert "      x86_64 lacks it: Gemm passed without it there" in lines


def test_the_same_bits_are_told_in_a_line_of_each_check() -> None:
    said = card_text.render(compare(samples.three()))
    assert "\n  the same bits: Gemm: gemm_fp32_exact, gemm_fp64_exact\n" in said
    assert "within the bounds: Gemm gemm_fp64_wide, fp64, bits A A B" in said


def test_many_numbers_within_their_bounds_have_an_end_and_the_others_do_not() -> None:
    names = [f"n{i:02}" for i in range(30)]
    good = card(*(bounded(n, value=1 + i / 100, bound=1) for i, n in enumerate(names)), *map(number, ("x", "y")))
    other = card(*(bounded(n, value=1, bound=1, bits="b") for n in names),
                 *(number(n, bits="b") for n in ("x", "y")), machine=samples.ARM)  # fmt: skip
    found = compare([good, other])
    said = card_text.render(found)
    assert said.count("\n  within the bounds: ") == card_text.MANY and "\n  20 more within the bounds; --json" in said
    assert said.index("Gemm n29, fp64, bits A B: in the one entry that both record at most 0.15 of") < said.index(
        "Gemm n28"
    )
    assert said.count("! beyond the bounds") == 2
    same = card_text.render(compare([good, good]))
    assert same.endswith("the same bits: Gemm: n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 and 22 more")
    table = card_text.markdown(found)
    assert table.count("| within the bounds |") == card_text.MANY and "and 20 more within the bounds" in table
    assert len(card_text.as_data(found)["numbers"]) == 32


def test_a_number_within_its_bounds_says_what_was_seen_of_it() -> None:
    same = tuple(point(str(i), 1, 0.5) for i in range(8))
    a, b = bounded(points=same, parts=("0" * 8, "1" * 8)), bounded(bits="b", points=same, parts=("0" * 8, "2" * 8))
    unseen = compare([card(a), card(b, machine=samples.ARM)])
    said = "no difference in the 8 entries that both record; among the values 18432 to 36863 of 36864"
    assert said in card_text.render(unseen)
    assert said in card_text.markdown(unseen)
    seen = compare([card(bounded(value=1.5)), card(bounded(value=1.5 + 2**-44), machine=samples.ARM)])
    assert "      entry 3,5: 1.5 on x86_64, 1.5000000000000568 on aarch64: " in card_text.render(seen)
    (row,) = card_text.as_data(seen)["numbers"]
    assert row["state"] == "within" and row["beyond"] == [] and row["entries"][0]["where"] == "3,5"


def test_many_entries_have_an_end() -> None:
    a = bounded(points=tuple(point(str(i), 0, 0) for i in range(9)))
    b = bounded(bits="b", points=tuple(point(str(i), 1, 0) for i in range(9)))
    said = card_text.render(compare([card(a), card(b, machine=samples.ARM)]))
    assert said.count("entry ") == card_text.SPOTS
    assert "      and 6 more entries" in said


def test_what_else_differs_is_noted() -> None:
    part = cards.Part(name="numpy", version="2.2.4", provider="os")
    one = card(number()).model_copy(update={"software": (part,), "switches": {"EMULATE": "1"}})
    other = one.model_copy(update={"software": (part.model_copy(update={"version": "2.3.0"}),), "switches": {},
                                   "suite": "1" * 64, "results": {"Gemm": "pass", "Mpi": "fail"}})  # fmt: skip
    assert card_text.notes(compare([one, other])) == (
        "the suites differ: a number is compared where its inputs and its description are the same",
        "other versions: numpy 2.2.4 and 2.3.0",
        "the switches of emulated arithmetic are not set alike",
        "failed on zen2 (2): Mpi",
    )
    assert card_text.notes(compare([one, one])) == ()
    assert card_text.notes(wrong())[1] == "beyond its own bound on riscv64: gemm_fp64"


def test_markdown_has_whole_tables() -> None:
    for found in (wrong(), compare(samples.three()), hostile()):
        assert_tables_are_whole(card_text.markdown(found))
    said = card_text.markdown(wrong())
    assert "**0 of 4 numbers have the same bits on both machines; 2 beyond the bounds; 1 not comparable;" in said
    assert "| **beyond the bounds** | `Gemm gemm_fp64_exact` |" in said
    assert "entry 0,0: 4.0 and 3.0`" in said


def test_a_text_of_a_card_is_never_markup_and_hides_nothing() -> None:
    for text in (card_text.markdown(hostile()), card_text.render(hostile()), card_text.show(hostile().cards[0])):
        assert "\x1b" not in text
    outside = re.sub(r"(`+) .*? \1(?= \||$)|`[^`]*`", "", card_text.markdown(hostile()))
    assert not re.search(r"@all|#1|<|\[x\]", outside)


def test_data_is_json_whatever_was_computed() -> None:
    nan = card(bounded(value=float("nan"), ratio=float("inf")), machine=samples.ARM)
    text = canonical_json(card_text.as_data(compare([card(bounded()), nan])))

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} stands bare in the JSON")

    data = json.loads(text, parse_constant=refuse)
    (row,) = data["numbers"]
    assert (row["state"], row["ratios"]) == ("beyond", [0.019, "Infinity"])
    assert row["beyond"][0]["values"] == ["0x1.8000000000000p+0", "nan"]
    assert (data["schema"], data["ok"]) == (1, False)


def test_data_says_which_machines_have_the_same_bits() -> None:
    data = card_text.as_data(compare(samples.three()))
    assert data["ok"] is True
    assert [m["machine"]["family"] for m in data["machines"]] == ["x86_64", "aarch64", "riscv64"]
    assert {row["name"]: "".join(row["bits"]) for row in data["numbers"]}["gemm_fp64_wide"] == "AAB"
    assert sum(data["counts"].values()) == len(data["numbers"])


def test_the_same_card_gives_the_same_text() -> None:
    def once(made: tuple[Card, ...]) -> list[str]:
        found = compare(made)
        return [card_text.render(found), card_text.markdown(found), canonical_json(card_text.as_data(found))]

    assert once(samples.three()) == once(samples.three())


def test_a_number_without_an_error_is_bounded_all_the_same() -> None:
    entry: Number = bounded(ratio=None)
    assert card_text.size(card(entry).numbers[0]) == "bounded"

"""The identity card: made of a verdict, read back, and every way in which a file is none."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack import card as cards
from stack import card_page, card_text
from stack.card_difference import compare
from stack.errors import StackError
from stack.lock import Lock
from stack.plan import Plan
from stack.verdict import Metric
from stack.visible import visible
from tests import cards as samples
from tests.cards import bounded, check, number, verdict
from tests.test_lock import make as make_lock


@pytest.fixture
def lock(laptop: Plan) -> Lock:
    return make_lock(laptop)


def wrong(text: str) -> str:
    with pytest.raises(StackError) as raised:
        cards.parse(text, "a/card.json")
    assert raised.value.exit_code == 2
    assert all(fault.where and fault.where.file == "a/card.json" for fault in raised.value.faults)
    return str(raised.value)


def changed(**given: Any) -> str:
    return json.dumps({**json.loads(cards.text(samples.three()[0])), **given})


def test_it_has_the_numbers_the_software_and_the_metrics_with_a_bound(lock: Lock) -> None:
    made = cards.make(samples.honest(samples.RISCV), lock)
    assert [entry.key for entry in made.numbers] == sorted(entry.key for entry in made.numbers)
    assert {entry.check for entry in made.numbers} == {"Gemm", "TorchOperators"}
    assert [metric.name for metric in made.metrics] == ["fp64_error"]
    assert {(part.name, part.provider) for part in made.software} == {(c.name, c.provider) for c in lock.components}
    assert made.results == {"Versions": "pass", "Gemm": "pass", "TorchOperators": "pass", "GpuGemm": "skip"}
    assert made.seconds == 70
    assert made.machine == samples.RISCV


def test_it_reads_back_and_equal_cards_are_equal_bytes(lock: Lock) -> None:
    made = cards.make(samples.honest(samples.ARM, 1), lock)
    text = cards.text(made)
    assert cards.parse(text, "x") == made
    assert cards.text(cards.parse(text, "x")) == text


def test_a_broken_library_goes_through_json() -> None:
    metric = Metric(name="e", value=math.inf, bound=1)
    for ratio in (math.inf, math.nan):
        bad = cards.make(verdict(check("Gemm", bounded(value=math.nan, ratio=ratio), metrics=(metric,))))
        again = cards.parse(cards.text(bad), "x")
        assert again.beyond and not again.passed
        assert again.numbers[0].points[0].value == "nan"
        assert again.metrics[0].value == math.inf


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((), "No check printed a number"),
        ((number(), bounded()), "2 numbers: 1 exact, 1 bounded"),
        (
            (number(), bounded(ratio=1.01)),
            "2 numbers: 1 exact, 1 bounded; 1 beyond their own bound; 1 of 1 checks failed",
        ),
    ],
)
def test_the_headline(numbers: Any, said: str) -> None:
    assert cards.headline(samples.card(*numbers)) == said


def test_a_failed_check_is_in_the_headline() -> None:
    made = cards.make(verdict(check("Gemm", number()), check("Mpi", result="fail")))
    assert cards.headline(made).endswith("; 1 of 2 checks failed")
    assert not made.passed


def test_what_is_out_of_bounds_failed_whatever_it_says_of_itself() -> None:
    out = Metric(name="fp64_exact", value=7, bound=0)
    made = cards.make(verdict(check("Blas", number("x"), metrics=(out,)), check("Gemm", number(), bounded(ratio=2)),
                              check("Good", number("y"))))  # fmt: skip
    assert made.failed == ("Blas", "Gemm") and not made.passed
    assert [entry.name for entry in made.doubtful] == ["x", "gemm_fp64_exact"]
    assert cards.headline(made).endswith("; 1 beyond their own bound; 1 metric out of bounds; 2 of 3 checks failed")
    assert [cards.outcome(made, name) for name in ("Blas", "Good")] == ["fail", "pass"]


def test_a_check_that_failed_says_why_on_one_line_and_not_without_end() -> None:
    made = cards.make(verdict(check("A", result="fail", reason="first\nsecond" + "x" * 5000),
                              check("B", result="skip", reason="no accelerator")))  # fmt: skip
    assert list(made.reasons) == ["A"]
    assert made.reasons["A"].startswith("first") and made.reasons["A"].endswith("x [...]")
    assert "\n" not in made.reasons["A"] and len(made.reasons["A"]) < 700
    assert cards.parse(cards.text(made), "x") == made


def test_software_that_is_no_image_has_neither_an_image_nor_a_lock() -> None:
    part, whole = cards.Part(name="numpy", version="2.4.6", provider="site"), samples.card(number())
    modules, image = (cards.foreign(whole, [part], image=image) for image in (False, True))
    assert (modules.image, modules.lock, modules.answers) == (None, None, whole.image)
    assert (image.image, image.lock, image.answers) == (whole.image, None, None)
    assert modules.software == (part,) and cards.parse(cards.text(modules), "x") == modules


def test_the_machine_in_words() -> None:
    assert cards.machine(samples.card(machine=samples.NATIVE)) == "zen2"
    assert cards.machine(samples.card(machine=samples.RISCV)) == "riscv64 under qemu-riscv64 7.2.22, cpu rv64"
    assert cards.machine(samples.card(machine=None)) == "machine not told"


def test_switches_of_all_checks_are_on_it() -> None:
    made = cards.make(verdict(check("A", switches={"EMULATE": "1"}), check("B", switches={"SLICES": "7"})))
    assert made.switches == {"EMULATE": "1", "SLICES": "7"}


# --- bad input ---


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_card_that_was_cut_off_says_so(share: float) -> None:
    text = cards.text(samples.three()[0])
    assert "is cut off: its JSON has no end" in wrong(text[: int(len(text) * share)].rstrip())


@pytest.mark.parametrize("text", ["", "not JSON", "{'a': 1}", "[" * 100_000])
def test_what_is_no_json_says_so(text: str) -> None:
    said = wrong(text)
    assert "is not JSON" in said or "is cut off" in said
    assert "run `sovstack verify`" in said


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", '{"bomFormat": "CycloneDX"}', '{"schema": 1}'])
def test_foreign_json_is_no_card(text: str) -> None:
    assert "is no numerical identity card (name a card.json)" in wrong(text)


def test_a_verdict_points_to_the_card_beside_it() -> None:
    text = json.dumps(samples.honest(samples.ARM).model_dump(mode="json", by_alias=True))
    assert "this is a verdict: name the card.json beside it" in wrong(text)


def test_a_newer_schema_is_told_before_its_fields() -> None:
    said = wrong(changed(schema=2, unheard_of=[]))
    assert said == "a/card.json: a card of schema 2, and this program reads 1 (a newer sovstack reads it)"


def test_every_fault_has_its_place_and_there_is_an_end_of_them() -> None:
    said = wrong(changed(suite="x", host=3, frob=1))
    assert all(f"a/card.json: {field}:" in said for field in ("suite", "host", "frob"))
    assert "a/card.json: seconds:" in wrong(changed(seconds=-1e308))
    many = [{"check": "x"}] * 40
    assert "more faults" in wrong(changed(numbers=many))
    assert len(wrong(changed(numbers=many)).splitlines()) == cards.MAX_FAULTS + 1


@pytest.mark.parametrize(
    "field",
    [
        {"digest": "abc"}, {"kind": "nearly"}, {"points": [["1", "1.5", "0x1p-3"]]}, {"points": [["1", "0x1p0"]]},
        {"points": [["1", "0x1p+0", "-0x1p-3"]]}, {"points": [["1", "0x1p+0", "inf"]]},
        {"points": [["1", "0x1p+99999", "0x0p+0"]]}, {"said": "two\nlines"}, {"count": 0}, {"name": "A B"},
        {"ratio": -5},
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_refused(field: dict[str, Any]) -> None:
    data = json.loads(cards.text(samples.three()[0]))
    data["numbers"][1].update(field)
    assert f"numbers.1.{next(iter(field))}" in wrong(json.dumps(data))


def test_one_number_may_not_stand_twice() -> None:
    data = json.loads(cards.text(samples.three()[0]))
    data["numbers"].append(data["numbers"][0])
    assert "Gemm gemm_fp32_exact stands twice" in wrong(json.dumps(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("\udfff"), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(changed()))), JSON, max_size=4))
def test_a_foreign_card_is_bad_input_or_a_card(parts: dict[str, Any]) -> None:
    try:
        found = cards.parse(changed(**parts), "a/card.json")
    except StackError as error:
        assert error.exit_code == 2
        assert not any(fault.what != visible(fault.what) for fault in error.faults)
    else:
        assert card_text.render(compare([found, found])) and card_page.as_html(found)


def test_a_message_hides_nothing() -> None:
    assert "\x1b" not in wrong(changed(**{"\x1b[31mfrob": 1}))

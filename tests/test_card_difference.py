"""Where machines differ: the states, their reasons, and what must hold of any two cards."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack import card as cards
from stack import card_difference as differences
from stack import card_page, card_text
from stack import verdict as verdicts
from stack.artifact import digest
from stack.card import Card
from stack.card_difference import Pair, State, compare, difference
from stack.verdict import Number
from tests import cards as samples
from tests.cards import bounded, card, check, number, point, verdict
from tests.reframe_tests.programs import load

ULP = math.ulp(1.5)
RECORDED = Path(__file__).parent / "recorded"


def pair(a: Number, b: Number) -> Pair:
    (found,) = difference(card(a), card(b, machine=samples.RISCV), ("x86", "riscv")).pairs
    return found


def test_the_same_bits_are_identical() -> None:
    assert pair(number(), number()).state == "identical"
    assert pair(bounded(), bounded()).state == "identical"


def test_a_card_against_itself_is_identical() -> None:
    for made in samples.three():
        assert {p.state for p in difference(made, made).pairs} == {"identical"}


def test_honest_machines_are_within_the_bounds() -> None:
    found = compare(samples.three())
    assert found.ok
    assert found.names == ("x86_64", "aarch64", "riscv64")
    assert found.counts == {"identical": 4, "within": 3, "not comparable": 0, "only in one": 0, "beyond": 0}


def test_exact_bits_that_differ_are_beyond_and_where_is_told() -> None:
    found = pair(
        number(points=(point("0,0", 4, 0), point("0,1", 5, 0))),
        number(bits="other", points=(point("0,0", 4, 0), point("0,1", 5.5, 0))),
    )
    assert found.state == "beyond"
    assert digest("gemm_fp64_exact")[:12] in found.why and digest("other")[:12] in found.why
    (spot,) = found.spots
    assert (spot.where, spot.a, spot.b, spot.difference, spot.allowed) == ("0,1", 5, 5.5, 0.5, 0)


def test_an_exact_zero_of_the_other_sign_is_another_number() -> None:
    found = pair(number(points=(point("0", 0.0, 0),)), number(bits="b", points=(point("0", -0.0, 0),)))
    assert (found.state, [s.where for s in found.spots]) == ("beyond", ["0"])


def test_an_exact_one_without_entries_says_that_it_cannot_say_where() -> None:
    assert pair(number(), number(bits="other")).why.endswith("; no entry is recorded on both")
    same = (point("0", 4, 0), point("7", 5, 0))
    why = pair(number(points=same), number(bits="other", points=same)).why
    assert why.endswith("none of the 2 entries that both record")


@pytest.mark.parametrize(
    ("apart", "state"), [(ULP, "within"), (4 * ULP, "within"), (5 * ULP, "beyond"), (-4 * ULP, "within")]
)
def test_the_sum_of_both_bounds_is_the_limit_to_the_last_bit(apart: float, state: State) -> None:
    found = pair(bounded(value=1.5, bound=ULP), bounded(value=1.5 + apart, bound=3 * ULP))
    assert found.state == state
    assert found.share == (1 if apart in (4 * ULP, -4 * ULP) else abs(apart) / (4 * ULP))
    assert [spot.where for spot in found.spots] == ["3,5"]


def test_entries_beyond_are_told_worst_first() -> None:
    a = bounded(points=tuple(point(str(i), 1, 0.5) for i in range(3)))
    b = bounded(bits="b", points=(point("0", 1.2, 0.5), point("1", 3, 0.5), point("2", 9, 0.5)))
    found = pair(a, b)
    assert (found.state, [s.where for s in found.spots], found.compared) == ("beyond", ["2", "1"], 3)
    assert found.why == "2 of 3 recorded entries differ by more than both bounds together"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_beyond(value: float) -> None:
    assert pair(bounded(value=1.5), bounded(value=value)).state == "beyond"


def test_the_same_infinity_on_both_is_no_difference() -> None:
    assert pair(bounded(value=math.inf), bounded(value=math.inf, bits="b")).state == "within"
    assert pair(bounded(value=math.nan), bounded(value=math.nan, bits="b")).state == "beyond"


def test_the_largest_numbers_do_not_overflow() -> None:
    most = 1.7976931348623157e308
    found = pair(bounded(value=most, bound=most), bounded(value=-most, bound=most))
    assert (found.state, found.share) == ("within", 1)
    assert pair(bounded(value=most, bound=0), bounded(value=-most, bound=5e-324)).spots[0].difference == math.inf


@pytest.mark.parametrize("ratio", [1.5, math.nan, math.inf])
def test_one_that_is_beyond_its_own_bound_does_not_differ_within_it(ratio: float) -> None:
    found = pair(bounded(), bounded(bits="b", ratio=ratio))
    assert (found.state, found.why) == ("beyond", "beyond its own bound on riscv")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (bounded(inputs="1" * 64), "the inputs differ: "),
        (number("gemm_fp64"), "the kind differs: bounded and exact"),
        (bounded(precision="fp32"), "the precision differs: fp64 and fp32"),
        (bounded(count=4), "the number of values differs: 36864 and 4"),
        (bounded(said="B A"), "in other words"),
        (bounded(bits="b", points=()), "no entry is recorded on both"),
        (bounded(bits="b", points=(point("other", 1.5, 1),)), "no entry is recorded on both"),
    ],
)
def test_what_is_not_the_same_computation_is_not_compared(other: Number, why: str) -> None:
    found = pair(bounded(), other)
    assert found.state == "not comparable"
    assert why in found.why


def test_a_digest_that_contradicts_its_entries_is_not_believed() -> None:
    found = pair(bounded(bits="b", value=1.5), bounded(bits="b", value=1.5 + ULP))
    assert found.state == "beyond"
    assert "one of the cards is not what a check printed" in found.why


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ((), "riscv lacks it: Gemm did not run there"),
        ((check("Gemm", result="skip"),), "riscv lacks it: Gemm was skipped there"),
        ((check("Gemm", result="fail"),), "riscv lacks it: Gemm failed there"),
        ((check("Gemm"),), "riscv lacks it: Gemm passed without it there"),
    ],
)
def test_what_only_one_has_says_why_the_other_lacks_it(checks: Any, why: str) -> None:
    lacking = cards.make(verdict(*checks, machine=samples.RISCV))
    found = difference(card(number()), lacking, ("x86", "riscv"))
    assert [(p.state, p.why) for p in found.pairs] == [("only in one", why)]
    turned = difference(lacking, card(number()), ("riscv", "x86"))
    assert [(p.state, p.why) for p in turned.pairs] == [("only in one", why)]
    assert not found.ok


def test_of_several_machines_the_worst_two_decide_and_equal_bits_are_a_group() -> None:
    made = [card(bounded(value=v, bound=1), machine=m)
            for v, m in ((1.5, samples.NATIVE), (1.5, samples.ARM), (9.5, samples.RISCV))]  # fmt: skip
    (row,) = compare(made).rows
    assert (row.state, row.groups, row.between) == ("beyond", ("A", "A", "B"), (0, 2))
    assert row.share == 4


def test_a_result_of_other_inputs_is_in_another_group() -> None:
    (row,) = compare([card(number()), card(number(inputs="1" * 64), machine=samples.ARM)]).rows
    assert row.groups == ("A", "B")


def test_every_machine_that_lacks_it_is_told() -> None:
    empty = [card(machine=machine) for machine in (samples.ARM, samples.RISCV)]
    (row,) = compare([card(number()), *empty]).rows
    assert row.groups == ("A", "", "")
    assert row.why.count("lacks it") == 2


def test_machines_of_one_kind_are_told_apart() -> None:
    one = card(number())
    assert compare([one, one]).names == ("zen2 (1)", "zen2 (2)")
    assert differences.labels([one, one], ["a", "b"]) == ("zen2 (a)", "zen2 (b)")
    assert differences.labels([one, one], ["a", "a"]) == ("zen2 (1)", "zen2 (2)")
    other = one.model_copy(update={"cell": "numerics/laptop/debian13-x86_64_v3"})
    assert compare([one, other]).names[1] == "zen2, numerics/laptop/debian13-x86_64_v3"


def test_no_number_at_all_is_not_ok() -> None:
    assert not compare([card(), card(machine=samples.ARM)]).ok


@pytest.mark.parametrize(("index", "said"), [(0, "A"), (25, "Z"), (26, "AA"), (53, "BB")])
def test_letters(index: int, said: str) -> None:
    assert differences.letter(index) == said


# --- as they were recorded: Gemm of one environment, OpenBLAS 0.3.29 of Debian 13 ---


def recorded(name: str) -> Card:
    return cards.parse((RECORDED / "card" / f"{name}.json").read_text(), name)


def test_an_x86_machine_and_an_emulated_riscv_agree() -> None:
    found = compare([recorded("x86_64"), recorded("riscv64")])
    assert found.ok
    assert {row.state for row in found.rows if row.number.kind == "exact"} == {"identical"}
    assert {"identical", "within"} == {row.state for row in found.rows if row.number.kind == "bounded"}
    assert max(row.share or 0 for row in found.rows) < 0.01


def test_a_blas_that_computes_fp64_in_fp32_is_beyond_in_every_fp64_number_and_no_other() -> None:
    found = compare([recorded("x86_64"), recorded("wrong-blas")])
    assert {row.number.precision for row in found.rows if row.state == "beyond"} == {"fp64"}
    assert {row.number.precision for row in found.rows if row.state != "beyond"} == {"fp32"}
    worst = next(row for row in found.rows if row.number.name == "gemm_fp64_k192")
    assert worst.share and worst.share > 1e5 and worst.spots[0].difference > worst.spots[0].allowed


# --- an exact number that another library computes wrongly, as checks print them ---


def printed(result: Callable[[Any, Any], Any], name: str) -> Card:
    """The card of a check that printed one exact number, which `result` makes with NumPy of whole numbers."""
    np = pytest.importorskip("numpy", reason="needs NumPy: pip install 'sovereign-stack[dev]'")
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        report = load(patch, "lib/report.py").Report(stream)
        identity = load(patch, "lib/identity.py")
        whole = identity.integers(1, (12, 12), 20)
        identity.exact(
            report, "gemm_fp64_exact", "fp64", "A B, 12 x 12, seed 1", [whole], result(np, whole), "k <= 2^53"
        )
    found, _switches, wrong = verdicts.numbers([json.loads(line) for line in stream.getvalue().splitlines()])
    assert not wrong
    machine = samples.NATIVE.model_copy(update={"family": name})
    return cards.make(verdict(check("Gemm", *found), machine=machine))


def test_an_exact_number_that_differs_is_shown_by_its_entries() -> None:
    right = printed(lambda np, a: (a @ a).astype(np.float64), "right")
    wrong = printed(lambda np, a: (a.astype(np.float32) @ a.astype(np.float32)).astype(np.float64), "wrong")
    found = compare([right, wrong])
    (row,) = found.rows
    assert row.state == "beyond" and 3 < len(row.spots) <= 8
    assert all(spot.allowed == 0 < spot.difference for spot in row.spots)
    largest = [spot.difference for spot in row.spots]
    assert largest == sorted(largest, reverse=True)
    spot = row.spots[0]
    line = f"entry {spot.where}: {spot.a!r} on right, {spot.b!r} on wrong: {spot.difference:.4g} apart, 0 allowed"
    said = card_text.render(found)
    assert line in said and f"      and {len(row.spots) - card_text.SPOTS} more entries" in said
    assert card_page.as_overview(found).count("<li>entry ") == len(row.spots)
    (data,) = card_text.as_data(found)["numbers"]
    assert [float.fromhex(v) for v in data["beyond"][0]["values"]] == [spot.a, spot.b]
    assert [one["allowed"] for one in data["beyond"]] == [0] * len(row.spots)


def test_an_exact_number_that_differs_where_nothing_is_recorded_says_so() -> None:
    right = printed(lambda np, a: (a @ a).astype(np.float64), "right")

    def other(np: Any, a: Any) -> Any:
        result = (a @ a).astype(np.float64)
        result[0, 1] += 1
        return result

    (row,) = compare([right, printed(other, "other")]).rows
    assert row.why.endswith("; among the values 0 to 8 of 144") and not row.spots


def test_the_parts_say_where_bits_differ() -> None:
    def parts(*changed: int, n: int = 16) -> tuple[str, ...]:
        return tuple(f"{i + (100 if i in changed else 0):08x}" for i in range(n))

    a = bounded(parts=parts(), count=1000)
    for changed, region in (
        ((0, 1, 5), "among the values 0 to 124 and 312 to 374 of 1000"),
        ((15,), "among the values 937 to 999 of 1000"),
        (tuple(range(16)), "in each of 16 parts of the 1000 values"),
        ((), ""),
    ):
        found = pair(a, bounded(bits="b", parts=parts(*changed), count=1000))
        assert (found.state, found.region) == ("within", region)
    assert pair(a, bounded(bits="b", parts=parts(3, n=8), count=1000)).region == ""
    few = pair(number(parts=parts(n=3), count=3), number(bits="b", parts=parts(1, n=3), count=3))
    assert few.why.endswith("; among the values 1 of 3")
    many = pair(number(parts=parts(), count=3), number(bits="b", parts=parts(1), count=3))  # more parts than values
    assert many.region == ""
    assert pair(a, bounded(parts=parts(2), count=1000)).state == "beyond"  # one digest, other parts


# --- what must hold of any two ---

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
BOUNDS = st.floats(min_value=0, allow_infinity=False)
POINTS = st.dictionaries(st.sampled_from("abcd"), st.tuples(FLOATS, BOUNDS), max_size=4)


@st.composite
def numbers(draw: st.DrawFn) -> Number:
    points = tuple(point(where, v, b) for where, (v, b) in sorted(draw(POINTS).items()))
    return number(
        draw(st.sampled_from(("one", "two"))),
        kind=draw(st.sampled_from(("exact", "bounded"))),
        bits=draw(st.sampled_from(("x", "y"))),
        inputs=digest(draw(st.sampled_from("ij"))),
        points=points,
        ratio=draw(st.none() | (st.floats(min_value=0) | st.just(math.nan))),
    )


@st.composite
def any_card(draw: st.DrawFn) -> Card:
    found = draw(st.lists(numbers(), max_size=2, unique_by=lambda n: n.name))
    return card(*found, machine=draw(st.sampled_from((samples.NATIVE, samples.ARM))))


@given(any_card(), any_card())
def test_it_is_symmetric(a: Card, b: Card) -> None:
    one, two = difference(a, b, ("a", "b")), difference(b, a, ("b", "a"))
    assert [(p.state, p.share, p.compared) for p in one.pairs] == [(p.state, p.share, p.compared) for p in two.pairs]
    assert [[(s.where, s.b, s.a) for s in p.spots if s.difference == s.difference] for p in one.pairs] == [
        [(s.where, s.a, s.b) for s in p.spots if s.difference == s.difference] for p in two.pairs
    ]
    assert one.ok == two.ok


@given(any_card())
def test_any_card_against_itself_is_identical(made: Card) -> None:
    assert {p.state for p in difference(made, made).pairs} <= {"identical"}


@given(any_card(), any_card(), st.floats(min_value=1, max_value=1e6))
def test_a_wider_bound_never_puts_anything_beyond_it(a: Card, b: Card, factor: float) -> None:
    wider = []
    for entry in b.numbers:
        bounds = [min(float.fromhex(p.bound) * factor, 1.7976931348623157e308) for p in entry.points]
        points = tuple(
            p.model_copy(update={"bound": bound.hex()}) for p, bound in zip(entry.points, bounds, strict=True)
        )
        wider.append(entry.model_copy(update={"points": points}))
    loose = b.model_copy(update={"numbers": tuple(wider)})
    for before, after in zip(difference(a, b).pairs, difference(a, loose).pairs, strict=True):
        assert after.state == before.state or (before.state, after.state) == ("beyond", "within")
        assert before.share is None or after.share is None or after.share <= before.share


@given(st.lists(any_card(), min_size=2, max_size=4))
def test_many_machines_agree_with_every_two_of_them(some: list[Card]) -> None:
    found = compare(some)
    every = [difference(a, b).ok for i, a in enumerate(some) for b in some[i + 1 :]]
    assert found.ok == (all(every) and bool(found.rows))

"""Sessions of ReFrame's JSON; which of them a word means; what keeps two from being compared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack import history
from stack.errors import ExitCode, StackError
from stack.history import Kept, Session, chosen, extras, meant, newest, read, unlike
from tests.measured import IMAGE, LOCK, OTHER, case, report, session, uuid

MANY = [session(n, {"fp64_speed": [60.0] * n}) for n in range(1, 6)]


def test_the_repeats_of_a_check_are_one_series_and_failed_ones_are_only_counted() -> None:
    first = case("Gemm", {"fp64_speed": 60.0})
    cases = [
        case("Gemm", {"fp64_speed": 61.0}),
        case("Gemm", {"fp64_speed": 900.0}, "fail"),
        case("Gemm", {"fp64_speed": float("inf")}),
        case("Gemm", {"fp64_speed": None}),
        case("Versions", {}, "skip"),
    ]
    data = report(1, [first], suite="s")
    data["runs"].append({"testcases": cases})  # the second round
    (made,) = read(json.dumps([data]))
    (series,) = made.series
    assert (series.check, series.metric, series.unit, series.title) == ("Gemm", "fp64_speed", "GFLOP/s", "about Gemm")
    assert (series.values, series.lost) == ((60.0, 61.0), 3)
    assert (made.failed, made.repeats) == (1, 2)
    assert (made.id, made.date, made.place) == (uuid(1), "2026-03-02T10:00:00Z", "vm")


def test_sessions_come_oldest_first_and_those_of_others_are_left_out() -> None:
    other = report(3, [])
    del other["session_info"]["sovstack_cell"]
    made = read(json.dumps([report(2, [], 200.0), other, report(1, [], 100.0)]))
    assert [s.id for s in made] == [uuid(1), uuid(2)]
    assert read("") == read("[]") == ()


def test_under_a_scheduler_the_place_is_its_partition() -> None:
    cases = [case("Gemm", {}, scheduler="squeue", partition="cpu")] * 2
    assert read(json.dumps([report(1, cases)]))[0].place == "squeue, laptop:cpu"


@given(st.dictionaries(st.sampled_from(history.EXTRAS), st.text(max_size=30), min_size=1))
def test_what_a_session_says_of_itself_comes_back(said: dict[str, str]) -> None:
    """ReFrame splits the argument at commas and at the first equals sign, and ends its search at a brace."""
    words = extras(said)
    assert set(words[::2]) == {"--session-extras"}
    assert not [w for w in words[1::2] if set(",{}\"'\n") & set(w) or w.count("=") != 1]
    kept = dict(word.split("=", maxsplit=1) for word in words[1::2])
    data = report(1, [])
    data["session_info"].update({"sovstack_cell": "c", **kept})
    (made,) = read(json.dumps([data]))
    plain = {k: v for k, v in said.items() if v.isascii() and v.isprintable() and v == " ".join(v.split())}
    assert {k: getattr(made, k) for k in plain} == plain


@pytest.mark.parametrize("text", ["{", "[1]", '[{"session_info": {"sovstack_cell": "c"}}]', '{"a": 1}', "[" * 99999])
def test_what_is_no_history_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        read(text)


def test_a_measurement_with_a_part_missing_and_a_time_that_is_none_are_refused() -> None:
    good = report(1, [case("Gemm", {"fp64_speed": 60.0})])
    assert read(json.dumps([good]))
    for place, wrong in (("perfvalues", {"a:b:c": [1, 2]}), ("time", 1e18)):
        data = json.loads(json.dumps(good))
        if place == "time":
            data["session_info"]["time_start_unix"] = wrong
        else:
            data["runs"][0]["testcases"][0]["perfvalues"] = wrong
        with pytest.raises(ValueError, match=r"\w+"):
            read(json.dumps([data]))


def test_repeats_go_round_and_nothing_runs_beside_them() -> None:
    assert Kept().words == ["--exec-policy=async"]
    assert Kept(4).words == ["--exec-policy=serial", "--reruns", "3"]
    assert Kept(1, "/db", ("--session-extras", "a=b")).words == ["--exec-policy=async", "--session-extras", "a=b"]
    assert Kept(1, "", ("--session-extras", "a=b")).words == ["--exec-policy=async"]
    assert Kept().variables == {"RFM_ENABLE_RESULTS_STORAGE": "0"}
    assert Kept(1, "/db").variables == {"RFM_ENABLE_RESULTS_STORAGE": "1", "RFM_SQLITE_DB_FILE": "/db"}


def test_the_newest_and_none() -> None:
    assert newest(MANY) is MANY[-1]
    with pytest.raises(StackError, match="nothing was measured here yet"):
        newest(())


def test_last_is_the_newest_that_is_alike_and_was_repeated() -> None:
    now = session(9, {"fp64_speed": [1.0] * 9})
    assert chosen([*MANY, now], "last", now) == (MANY[-1],)
    once = session(6, {"fp64_speed": [60.0]})
    elsewhere = session(7, {"fp64_speed": [60.0] * 9}, host="another")
    assert chosen([*MANY, once, elsewhere, now], "last", now) == (MANY[-1],)
    assert chosen([once, elsewhere, now], "last", now) == (once,)
    others = session(8, {"latency": [1.0] * 9})
    assert chosen([*MANY, others, now], "last", now) == (MANY[-1],)  # a run of another check says nothing of this one
    assert chosen([others, now], "last", now) == (others,)
    assert chosen([elsewhere, now], "last", now) == (elsewhere,)  # and the comparison says why not


def test_only_what_was_before_is_meant() -> None:
    assert chosen(MANY, "last", MANY[2]) == (MANY[1],)
    assert chosen(MANY, "last", MANY[0]) == ()
    with pytest.raises(StackError, match="nothing was measured here before, so '0002' means nothing"):
        chosen(MANY, "0002", MANY[0])


def test_a_word_that_will_mean_nothing_is_refused_before_anything_is_run() -> None:
    for word in ("last", "0005", "2026-03-05", IMAGE[:8]):
        meant(MANY, word)
    meant((), "last")
    for word in ("0006", "2026-01-01", "nothing"):
        with pytest.raises(StackError):
            meant(MANY, word)


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("0002", 1),
        (uuid(3), 2),
        ("2026-03-02", 1),
        ("2026-03-02T09:59", 0),
        ("2026-03-03 23:00Z", 2),
        ("2027-01-01", 3),
    ],
)
def test_a_session_or_a_date_is_meant(wanted: str, place: int) -> None:
    assert chosen(MANY, wanted, MANY[-1]) == (MANY[place],)


def test_an_image_means_all_its_sessions_that_are_alike() -> None:
    once, *others = [replace(s, image=OTHER) for s in MANY[:3]]
    strange = replace(MANY[3], id="ffff", image=OTHER, host="another")
    every = [once, *others, strange, *MANY[3:]]
    assert chosen(every, OTHER[:10], MANY[-1]) == tuple(others)
    assert chosen(every, f"sha256:{OTHER}", MANY[-1]) == tuple(others)
    assert chosen(every, IMAGE[:6].upper(), MANY[-1]) == (MANY[3],)
    assert chosen(every, LOCK[:8], MANY[-1]) == (*others, MANY[3])
    assert chosen([strange, MANY[-1]], OTHER[:9], MANY[-1]) == (strange,)
    assert chosen([once, strange, MANY[-1]], OTHER[:9], MANY[-1]) == (once,)


@pytest.mark.parametrize("wanted", ["nothing", "ffff", "000", "", "1; DROP", "2026-3-2", "sha256:"])
def test_a_word_that_means_nothing_is_refused(wanted: str) -> None:
    with pytest.raises(StackError, match="no earlier session is meant by") as raised:
        chosen(MANY, wanted, MANY[-1])
    assert raised.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("wanted", ["2026-99-99", "2026-02-30", "2026-11-21T99:99"])
def test_a_date_that_no_calendar_has_is_refused(wanted: str) -> None:
    with pytest.raises(StackError, match=f"there is no {wanted}"):
        chosen(MANY, wanted, MANY[-1])


def test_a_date_before_everything_and_a_word_that_means_several() -> None:
    with pytest.raises(StackError, match="no session is as old as 2025-01-01"):
        chosen(MANY, "2025-01-01", MANY[-1])
    twins = [replace(MANY[0], id="aaaa1"), replace(MANY[1], id="aaaa2"), MANY[-1]]
    with pytest.raises(StackError, match="the beginning of several: aaaa1, aaaa2"):
        chosen(twins, "aaaa", MANY[-1])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"host": "b"}, "the host differs"),
        ({"place": "b"}, "the machine differs"),
        ({"suite": "b"}, "the suite differs"),
        ({"subject": "native"}, "what was checked differs"),
        ({"emulator": "qemu-riscv64 7.2"}, "the emulator differs (none"),
    ],
)
def test_what_keeps_two_from_being_compared(said: dict[str, Any], words: str) -> None:
    other: Session = replace(MANY[1], **said)
    assert unlike(MANY[0], other)[0].startswith(words)
    assert unlike(MANY[0], replace(MANY[1], image=OTHER, lock="l")) == ()

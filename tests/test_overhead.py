"""An image beside the same software without one: the numbers, and what the image costs."""

from __future__ import annotations

import json

from stack import overhead, report
from stack.plan import Plan
from stack.verdict import Metric, Verdict
from tests import cards as samples
from tests.test_report import make_report


def speed(value: float, bound: float | None = None, name: str = "speed") -> Metric:
    return Metric(name=name, value=value, bound=bound, unit="GFLOP/s")


def pair(bits: str = "same") -> tuple[Verdict, Verdict]:
    made = samples.check("Gemm", samples.number(), seconds=12.0, metrics=(speed(90.0), speed(0.1, 1, "error")))
    other = samples.check("Gemm", samples.number(**({} if bits == "same" else {"bits": bits})), seconds=10.0,
                          metrics=(speed(100.0), speed(0.2, 1, "error")))  # fmt: skip
    return samples.verdict(made), samples.verdict(other, samples.check("More", samples.number("more")))


def test_the_same_numbers_and_the_cost() -> None:
    data = overhead.content(*pair())
    assert data["same"] and data["sentence"].startswith("The same numbers")
    (check,) = data["checks"]
    assert check["ratio"] == 1.2
    assert [(m["name"], m["ratio"]) for m in check["metrics"]] == [("speed", 0.9)]  # what is judged is no cost
    assert data["alone"] == ["More"]


def test_other_bits_are_told() -> None:
    data = overhead.content(*pair("other"))
    assert not data["same"] and data["sentence"].startswith("Not the same numbers")
    assert [d["state"] for d in data["numbers"]["differ"]] == ["beyond"]
    assert "beyond" in overhead.text(data)


def test_without_numbers_nothing_is_claimed() -> None:
    data = overhead.content(samples.verdict(samples.check("A")), samples.verdict(samples.check("A")))
    assert "nothing is compared" in data["sentence"]
    assert data["checks"][0]["ratio"] is None  # no time was measured


def test_the_table_has_both_and_the_ratio() -> None:
    lines = overhead.text(overhead.content(*pair())).splitlines()
    row = next(line for line in lines if "speed" in line).split()
    assert row == ["speed", "90", "100", "0.9", "GFLOP/s"]
    assert "on one side only: More" in lines


def test_the_report_has_the_table(laptop: Plan) -> None:
    told = overhead.content(*pair("other"))
    told = {**told, "host": {**told["host"], "native": "<b>zen2</b>; in a root file system"}}
    page = report.as_html(make_report(laptop, native=told))
    assert "Image and no image" in page and "Not the same numbers" in page
    assert "&lt;b&gt;zen2" in page and "<b>zen2" not in page
    assert json.loads(report.as_json(make_report(laptop, native=told)))["native"]["checks"][0]["ratio"] == 1.2
    assert "Image and no image" not in report.as_html(make_report(laptop))

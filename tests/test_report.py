"""The report: what failed comes first, nothing escapes unescaped, and equal content gives equal bytes."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stack import report as reports
from stack.artifact import digest
from stack.lock import Component, Lock, OsLock, OsPackage, WheelFile, WheelLock, upstream
from stack.plan import Plan
from stack.report import Image, Report, Stage
from stack.verdict import Check, Metric, Verdict
from tests.audit.contents import content as audited
from tests.conftest import FACTS, RECORDED

GOLDEN = Path(__file__).parent / "golden" / "report"
IMAGE = digest("an image")
EXACT = "integers with k max|a| max|b| <= 2^53: every order of summation gives the same bits"
GAMMA = "max |C^ - C| / (|A||B|) <= gamma_k, u = 2^-53; C in doubled precision"
TORCH = "|y - y64| <= 1e-5 + 1.6e-2 |y64|, tolerances of torch.testing"
REPRODUCE = "sovstack verify laptop ai-hpc --check "


def packages(most: int | None = None) -> tuple[OsPackage, ...]:
    """Rows of a real image (Debian 13): name, version, architecture, bytes, SHA-256, source."""
    rows = [line.split("\t") for line in (RECORDED / "report" / "packages.tsv").read_text().splitlines()]
    return tuple(
        OsPackage(
            name=n,
            version=v,
            architecture=a,
            filename=f"{n}_{v}_{a}.deb",
            size=int(size),
            sha256=sha,
            source=source,
            control={},
        )
        for n, v, a, size, sha, source in rows[:most]
    )


def make_lock(plan: Plan, most: int | None = None) -> Lock:
    held = {p.name: p for p in packages()}
    parts = []
    for c in plan.choices:
        found = held[str(c.version_of)]
        parts.append(Component(name=c.component, role=c.role, provider=c.provider, version=upstream(found.version),
                               package=f"{found.name} {found.version}"))  # fmt: skip
    os_lock = OsLock(system="debian-13", architecture="amd64", suites=("trixie", "trixie-updates", "trixie-security"),
                     requested=("python3-torch", "gcc"), packages=packages(most))  # fmt: skip
    return Lock(schema=1, environment=plan.environment.name, profile=plan.profile.name, target=plan.target.name,
                components=tuple(parts), os=os_lock, inputs={"profile": digest("laptop")})  # fmt: skip


def number(name: str, value: float, bound: float | None = None, unit: str = "", origin: str = "") -> Metric:
    return Metric(name=name, value=value, bound=bound, unit=unit, origin=origin)


def good(name: str, title: str, seconds: float, *metrics: Metric, tags: tuple[str, ...] = ("ci",)) -> Check:
    return Check(name=name, title=title, tags=tags, result="pass", seconds=seconds, metrics=metrics,
                 reproduce=REPRODUCE + name)  # fmt: skip


CHECKS = (
    good("Versions", "Every component loads and has the locked version", 9.31,
         number("wrong_versions", 0, 0, "components"), number("components", 7, None, "components"),
         tags=("ci", "smoke")),
    good("Compilers", "C, C++, Fortran and OpenMP programs compile and run", 3.2,
         number("failed_programs", 0, 0, "programs"), tags=("ci", "smoke")),
    good("Gemm", "Matrix products in fp64 and fp32 against exact and doubled-precision references", 6.84,
         number("fp64_exact", 0, 0, "entries", EXACT), number("fp64_error", 0.0194, 1, "of the bound", GAMMA),
         number("fp64_error_wide", 0.0151, 1, "of the bound", "the same for (A D)(D^-1 B), D = 2^(+-30)"),
         number("fp32_error", 0.01664, 1, "of the bound"), number("fp64_speed", 71.3825, None, "GFLOP/s"),
         tags=("ci", "precision")),
    good("MpiProgram", "A compiled MPI program on two ranks", 2.9,
         number("allreduce_wrong", 0, 0, "values"), number("ring_wrong", 0, 0, "values")),
    good("Mpi4py", "Ping-pong and an exact all-reduce through mpi4py", 3.75,
         number("pingpong_wrong", 0, 0, "bytes"), number("allreduce_error", 0.5, 1, "of the bound"),
         number("latency", 0.482, None, "us"), number("bandwidth", 6.1234, None, "GB/s")),
    good("TorchOperators", "PyTorch operators in fp32, bf16 and fp16 against fp64", 11.2,
         number("elementwise_float32", 0.4113, 1, "of the bound"),
         number("elementwise_bfloat16", 0.2441, 1, "of the bound", TORCH),
         number("matmul_float64", 0.00813, 1, "of the bound"), number("operators", 58, None, "operators"),
         tags=("ci", "precision")),
    good("TorchTraining", "PyTorch training on two ranks: the loss falls and the ranks agree", 12.6,
         number("loss_ratio", 0.0213, 0.5, "final/initial", "a loss that halves has surely fallen"),
         number("final_loss", 1.84e-05)),
    Check(name="GpuGemm", title="Matrix products on the accelerator", tags=("ci",), result="skip",
          reason="The target has no accelerator."),
)  # fmt: skip

BROKEN = Check(
    name="Gemm", title=CHECKS[2].title, tags=("ci", "precision"), result="fail", seconds=7.11,
    metrics=(
        number("fp64_exact", 4032, 0, "entries", EXACT), number("fp64_error", 7.31e8, 1, "of the bound", GAMMA),
        number("fp32_error", 0.01664, 1, "of the bound"), number("fp64_speed", 244.1, None, "GFLOP/s"),
    ),
    reason="fp64_error: entry (17, 3) should be 12.408613 and is 12.408602",
    output="$ apptainer exec image.sif python3 gemm.py\n\x1b[31mlibrary\x1b[0m: /tmp/lib<fp32>.so is preloaded\n"
           "fp64_error 7.31e8 > 1\n",
    reproduce=REPRODUCE + "Gemm",
)  # fmt: skip


def make_verdict(plan: Plan, checks: tuple[Check, ...] = CHECKS, image: str = IMAGE) -> Verdict:
    return Verdict(schema=1, cell=plan.cell, image=image, lock=digest("lock"), suite=digest("suite"),
                   files=digest("files"), date="2026-03-02T14:05:51Z", reframe="4.10.1",
                   host="zen2, 2 cores, Debian GNU/Linux 12", checks=checks)  # fmt: skip


STAGES = (
    Stage("tools", "reused", 0.4, "mmdebstrap 1.2.4, Apptainer 1.4.5"),
    Stage("lock", "done", 14.8, "265 packages"),
    Stage("render", "done", 0.021, "14 files"),
    Stage("build", "done", 48.2, "root file system 33.1 s, image 12.9 s"),
    Stage("verify", "done", 61.3, "8 checks"),
    Stage("publish", "skipped", 0, "not asked for"),
)


def make_report(plan: Plan, **changes: Any) -> Report:
    """A report of a run in which all went well."""
    image = Image("build/ai-hpc/laptop/debian13-x86_64_v3/image.sif", IMAGE, 396_820_480, digest("file system"),
                  {"mmdebstrap": "1.2.4", "apptainer": "1.4.5", "mksquashfs": "4.5.1"}, digest("sealed file"),
                  digest("site.pub"))  # fmt: skip
    given = Report(plan, FACTS, "0.1.0", "2026-03-02T14:07:03Z", lock=make_lock(plan), image=image,
                   verdict=make_verdict(plan), stages=STAGES, modules="build/modules", audit=audited())  # fmt: skip
    return dataclasses.replace(given, **changes)


def failing(plan: Plan) -> Report:
    checks = (*CHECKS[:2], BROKEN, *CHECKS[3:])
    changes = ("openmpi-bin 5.0.6-2 -> 5.0.7-1", "libpmix2t64 5.0.6-5 -> 5.0.7-1")
    notices = ("No mirror of debian-security is known here, so it is left out.",)
    return make_report(plan, lock=make_lock(plan, 12), verdict=make_verdict(plan, checks), verdict_reused=True,
                       lock_changes=changes, notices=notices)  # fmt: skip


VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page strictly: tags balance, ids are unique, labels name something, nothing is loaded."""

    refused: tuple[str, ...] = ("src", "href", "action")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.tags: set[str] = set()
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        assert len(given) == len(attrs), f"an attribute of <{tag}> stands twice"
        assert not {k for k in given if k.startswith("on") or k in self.refused}
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.labels += [v for k, v in attrs if k == "aria-labelledby" and v]
        if tag == "th":
            assert given.get("scope") in ("col", "row", "rowgroup")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.mark.parametrize("name", ["pass", "fail"])
def test_golden(laptop: Plan, name: str) -> None:
    made = make_report(laptop) if name == "pass" else failing(laptop)
    for suffix, text in ((".json", reports.as_json(made)), (".html", reports.as_html(made))):
        path = GOLDEN / (name + suffix)
        if os.environ.get("SOVSTACK_REGOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"{path} differs: run with SOVSTACK_REGOLDEN=1, and look at the difference"


def test_the_page_is_well_formed(laptop: Plan) -> None:
    for made in (make_report(laptop), failing(laptop)):
        text = reports.as_html(made)
        page = Page(text)
        assert len(page.ids) == len(set(page.ids))
        assert set(page.labels) <= set(page.ids)
        assert not page.tags & {"script", "img", "link", "iframe", "object", "form"}
        assert "http" not in re.sub(r"http-equiv|cpp-httplib", "", text)
        assert "url(" not in text and "@import" not in text


def test_a_failing_check_is_the_first_thing(laptop: Plan) -> None:
    page = Page(reports.as_html(failing(laptop))).words
    assert page.startswith("✗ Failed: 1 of 7 checks failed")
    assert page.index("Expected") < page.index("12.408613") + 1000
    order = [page.index(w) for w in ("What failed", "12.408613", "is preloaded", "--check Gemm", "Summary", "Stages")]
    assert order == sorted(order)
    data = json.loads(reports.as_json(failing(laptop)))
    assert list(data)[:4] == ["schema", "result", "headline", "failures"]
    assert [f["name"] for f in data["failures"]] == ["Gemm"]
    assert [c["result"] for c in data["checks"]] == ["fail", *["pass"] * 6, "skip"]
    assert data["failures"][0]["expected"][0]["value"] == 4032


def test_passed_shows_no_failure(laptop: Plan) -> None:
    made = make_report(laptop)
    page = Page(reports.as_html(made)).words
    assert made.result == "pass"
    assert page.startswith("✓ Passed: 7 checks passed, 1 skipped")
    assert "What failed" not in page and "not verified" not in page
    assert json.loads(reports.as_json(made))["failures"] == []


def test_every_number_stands_beside_its_bound(laptop: Plan) -> None:
    text = reports.as_html(make_report(laptop))
    row = next(line for line in text.splitlines() if 'scope="row">fp64_error<' in line)
    cells = [html.unescape(re.sub(r"<[^>]+>", "", c)) for c in re.findall(r"<td[^>]*>(.*?)</td>", row)]
    assert cells == ["0.0194", "1", "0.0194"]
    assert "width:1.9%" in row and html.escape(GAMMA) in row


def test_a_reused_verdict_says_when(laptop: Plan) -> None:
    page = Page(reports.as_html(failing(laptop))).words
    assert "2026-03-02 14:05 UTC reused: this very image was checked then" in page
    assert "checked in this run" in Page(reports.as_html(make_report(laptop))).words


def test_nothing_ran_is_not_a_pass(laptop: Plan) -> None:
    skipped = make_verdict(laptop, (CHECKS[-1],))
    for verdict in (None, make_verdict(laptop, ()), skipped):
        made = make_report(laptop, verdict=verdict)
        assert made.result == "incomplete"
        assert json.loads(reports.as_json(made))["result"] == "incomplete"
        page = Page(reports.as_html(made)).words
        assert "Not verified" in page[:40] and "Passed:" not in page
        assert "what it computes may be wrong" in page


def test_a_verdict_of_another_image_does_not_count(laptop: Plan) -> None:
    made = make_report(laptop, verdict=make_verdict(laptop, image=digest("another")))
    assert made.result == "error"
    assert json.loads(reports.as_json(made))["failures"][0]["kind"] == "verdict"
    assert Page(reports.as_html(made)).words.startswith("! Error: The verdict is about another image ai-hpc on laptop")


def test_a_failed_stage_without_image(laptop: Plan) -> None:
    stages = (Stage("lock", "done", 3.0), Stage("build", "failed", 4.0, "the disk is full (12 MiB free)"))
    made = make_report(laptop, image=None, verdict=None, lock=None, stages=stages)
    assert made.result == "error"
    page = Page(reports.as_html(made)).words
    assert page.startswith("! Error: The stage build failed")
    assert page.index("the disk is full") < page.index("Summary")
    assert "How to use" not in page and "(planned)" in page


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_fails_and_the_json_stays_valid(laptop: Plan, value: float) -> None:
    check = good("Gemm", "Products", 1.0, number("error", value, 1.0), number("free", 2.0))
    made = make_report(laptop, verdict=make_verdict(laptop, (check, CHECKS[0])))
    assert made.result == "fail"

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} stands bare in the JSON")

    data = json.loads(reports.as_json(made), parse_constant=refuse)
    assert data["checks"][0]["metrics"][0]["value"] == ("NaN" if math.isnan(value) else "Infinity")
    assert data["failures"][0]["reason"] == "A measured number is out of its bound."
    Page(reports.as_html(made))


def test_not_a_number_fails_without_a_bound_too(laptop: Plan) -> None:
    check = good("Speed", "Speed", 1.0, number("speed", math.nan))
    verdict = make_verdict(laptop, (check, CHECKS[0]))
    assert not verdict.passed
    assert make_report(laptop, verdict=verdict).result == "fail"
    assert "Expected a number Came out NaN" in Page(reports.as_html(make_report(laptop, verdict=verdict))).words


def test_result_and_verdict_agree(laptop: Plan) -> None:
    """The exit code comes from the verdict and the banner from here."""
    for checks in ((), CHECKS, (BROKEN,), (*CHECKS, BROKEN), CHECKS[-1:]):
        verdict = make_verdict(laptop, checks)
        assert (make_report(laptop, verdict=verdict).result == "pass") == verdict.passed


def test_the_same_content_gives_the_same_bytes(laptop: Plan) -> None:
    one, two = make_report(laptop), make_report(laptop)
    assert two.image
    turned = dataclasses.replace(two.image, tools=dict(reversed(list(two.image.tools.items()))))
    two = dataclasses.replace(two, image=turned)
    assert reports.as_json(one) == reports.as_json(two)
    assert reports.as_html(one) == reports.as_html(two)


def test_pages_beside_it_are_linked_and_nothing_else(laptop: Plan) -> None:
    pages = (("identity card", "ai-hpc/a b/card.html"), ("<b>", "cards.html"))
    text = reports.as_html(make_report(laptop, pages=pages))
    assert 'Beside this page: <a href="./ai-hpc/a%20b/card.html">identity card</a>, <a' in text
    assert '<a href="./cards.html">&lt;b&gt;</a>' in text
    assert text.count("href=") == 2
    assert "href=" not in reports.as_html(make_report(laptop))


def test_lines_to_type_are_quoted_for_a_shell(laptop: Plan) -> None:
    image = Image("build/a b'; rm -rf $HOME/i.sif", IMAGE, 1)
    data = json.loads(reports.as_json(make_report(laptop, image=image, modules="my modules")))
    assert data["use"][0]["line"] == "module use 'my modules' && module load ai-hpc"
    assert data["use"][1]["line"].startswith("apptainer exec 'build/a b'\"'\"'; rm -rf $HOME/i.sif' python3 -c ")


def test_the_file_as_it_is_the_image_as_built_and_who_signed_are_told_apart(laptop: Plan) -> None:
    report = make_report(laptop)
    shown = json.loads(reports.as_json(report))["image"]
    assert shown["sha256"] == IMAGE
    assert (shown["file_sha256"], shown["signed_by"]) == (digest("sealed file"), digest("site.pub"))
    page = reports.as_html(report)
    assert all(digest(name) in page for name in ("sealed file", "site.pub"))
    plain = dataclasses.replace(report, image=Image("i.sif", IMAGE, 1))
    shown = json.loads(reports.as_json(plain))["image"]
    assert (shown["file_sha256"], shown["signed_by"]) == (IMAGE, None)
    nobody = "Signed by</dt><dd>nobody"
    assert nobody in reports.as_html(plain)
    assert nobody not in page


def test_wheels_are_counted(laptop: Plan) -> None:
    wheel = WheelFile(project="torch", version="2.6.0", filename="t.whl", sha256=digest("t"))
    wheels = WheelLock(python="3.13", platforms=("any",), requested=("torch",), files=(wheel,))
    lock = make_lock(laptop, 3).model_copy(update={"wheels": wheels})
    data = json.loads(reports.as_json(make_report(laptop, lock=lock)))
    assert (data["lock"]["packages"], data["lock"]["wheels"]) == (3, 1)
    assert data["lock"]["bytes"] == sum(p.size for p in packages(3))


def test_the_audit_is_told_beside_the_checks(laptop: Plan) -> None:
    made = make_report(laptop)
    page = Page(reports.as_html(made)).words
    assert "Sovereignty Policy broken; weakest link: software, level 0 of 4 2 breaches, 2 warnings" in page
    order = [
        "Summary",
        "Every number that was measured",
        "Sovereignty levels",
        "Policy: broken",
        "Licences",
        "Components",
    ]
    assert [page.index(w) for w in order] == sorted(page.index(w) for w in order)
    assert made.result == "pass", "the checks say whether the image is right, and the audit whose it is"
    assert json.loads(reports.as_json(made))["audit"] == audited()


def test_without_an_audit_nothing_is_said_of_levels(laptop: Plan) -> None:
    made = make_report(laptop, audit=None)
    assert json.loads(reports.as_json(made))["audit"] is None
    page = Page(reports.as_html(made)).words
    assert "Sovereignty" not in page and "weakest" not in page


# --- hostile strings ----------------------------------------------------------------------------------------------

MARK = "Zq7"
HOSTILE = st.sampled_from([
    f"<script>{MARK}</script>", f"\"><img src=x onerror={MARK}>", f"' onmouseover='{MARK}", f"</pre></style>{MARK}<b>",
    f"{{{{ {MARK} }}}}{{% raw %}}", f"<!--{MARK}", f"&lt;{MARK}&#60;", f"\x00\x1b[2J\u202e{MARK}<i>",
    f"]]>{MARK}<svg onload=1>", f"javascript:{MARK}", f"`{MARK}`<a href=//x>",
])  # fmt: skip


KEPT = ("pass", "fail", "skip", "done", "reused", "failed", "skipped", "x86_64", "not assessed", "breach", "excepted",
        "stale", "error", "warning")  # states, and a key that is looked up  # fmt: skip


def poisoned(value: Any, bad: str) -> Any:
    """A copy of frozen data in which every string (but digests and names of states) is `bad`."""
    if isinstance(value, str):
        keep = re.fullmatch(r"[0-9a-f]{64}", value) or value in KEPT
        return value if keep else bad
    if isinstance(value, tuple | list):
        return type(value)(poisoned(v, bad) for v in value)
    if isinstance(value, dict):
        return {k: poisoned(v, bad) for k, v in value.items()}
    if hasattr(value, "model_fields_set"):
        return value.model_copy(update={k: poisoned(getattr(value, k), bad) for k in type(value).model_fields})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = object.__new__(type(value))
        for field in dataclasses.fields(value):
            object.__setattr__(made, field.name, poisoned(getattr(value, field.name), bad))
        return made
    return value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bad=HOSTILE, more=st.text(max_size=30))
def test_hostile_strings_never_appear_unescaped(laptop: Plan, bad: str, more: str) -> None:
    sane = dataclasses.replace(failing(laptop), host=dataclasses.replace(FACTS, accelerators=(("10de", "2330"),)))
    made = poisoned(sane, bad + more)
    text = reports.as_html(made)
    page = Page(text)
    assert page.tags == Page(reports.as_html(sane)).tags
    assert bad not in text or not set("<>&\"'") & set(bad)
    assert text.count(MARK) > 100, "the strings did not reach the page"
    assert not re.search("[\x00\x1b\u202e]", text)
    text.encode()
    plain = reports.as_json(made)
    plain.encode("ascii")
    assert MARK in json.loads(plain)["failures"][0]["title"]


def test_bytes_that_were_no_text_do_not_break_the_report(laptop: Plan) -> None:
    """A program's output, or a file name, may hold what UTF-8 cannot write."""
    check = BROKEN.model_copy(update={"output": "50 %\r100 %\r\n\udce9\ud800 end\x07"})
    made = make_report(laptop, verdict=make_verdict(laptop, (check,)))
    assert "50 %\n100 %\n\ufffd\ufffd end\ufffd" in reports.as_html(made).encode().decode()
    assert json.loads(reports.as_json(made))["failures"][0]["output"].endswith("\ufffd end\ufffd")

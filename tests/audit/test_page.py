"""The pages of an audit: the weakest link and the policy first, every check behind them, nothing unescaped."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings

from stack import policy as policies
from stack.artifact import canonical_json
from stack.audit import answer, coverage, levels, page, policy
from stack.audit.levels import SHOWN
from stack.audit.situation import Situation
from tests.audit import contents, locks
from tests.audit.contents import check, content, finding, level
from tests.test_report import HOSTILE, MARK, Page


class Linked(Page):
    """A page that may point to files beside it, and to nothing else."""

    refused = ("src", "action")

    def __init__(self, text: str) -> None:
        self.links: list[str] = []
        super().__init__(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        found = [v or "" for k, v in attrs if k == "href"]
        assert all(link.startswith("./") and ".." not in link and ":" not in link for link in found)
        self.links += found


def words(**changes: Any) -> str:
    return Linked(page.as_html(content(**changes))).words


def part(text: str, name: str) -> str:
    """What stands in one section of a page."""
    found = re.search(rf'<section aria-labelledby="{name}".*?</section>', text, re.DOTALL)
    assert found, name
    return str(found[0])


def row(text: str, layer: str) -> str:
    """The two rows of one layer, as words and as they are."""
    bodies: list[str] = re.findall(r"<tbody>.*?</tbody>", part(text, "levels"), re.DOTALL)
    return next(body for body in bodies if f">{layer}</b>" in body)


@pytest.fixture(scope="module")
def text() -> str:
    return page.as_html(content(), ("audit.json", "sbom.cdx.json"))


def real(cell: str, phase: Any = "design") -> Any:
    """The answer on a released lock, with no evidence beside it."""
    found = locks.released_inventory(cell)
    library = locks.library()
    said = policy.assess(found, policies.terms(library.policy), library.facts, library.catalogue.recipes,
                         today="2026-06-01")  # fmt: skip
    situation = Situation(found, phase, (), "2026-06-01", makers=("amd",))
    return answer.content(answer.Audit(situation, levels.assess(situation), said, "0.1.0"))


# --- one cell ---


def test_a_page_is_whole_and_loads_nothing(text: str) -> None:
    for made in (text, page.as_overview([content(), content(cell="hpc-mpi/b/c")])):
        read = Linked(made)
        assert len(read.ids) == len(set(read.ids))
        assert set(read.labels) <= set(read.ids)
        assert not read.tags & {"script", "img", "link", "iframe", "object", "form"}
        assert "default-src 'none'" in made
        assert "http" not in made.replace("http-equiv", "")
        assert "url(" not in made and "@import" not in made


def test_the_policy_and_the_weakest_link_are_the_first_thing() -> None:
    assert words().startswith("✗ Policy broken; weakest link: software, level 0 of 4 ai-hpc/laptop/debian13-x86_64_v3")
    kept = words(passed=True, weakest=["compute", "software", "data"])
    assert kept.startswith("✓ Policy kept; weakest links: compute, software and data, level 0 of 4")
    assert "weakest links: compute and software, level" in words(weakest=["compute", "software"])


def test_with_no_layer_assessed_none_is_the_weakest() -> None:
    unknown = [{**layer, "level": None} for layer in content()["levels"]]
    said = words(levels=unknown, weakest=[])
    assert "no layer was assessed" in said and "weakest link:" not in said and "level 0" not in said


@pytest.mark.parametrize(
    ("layer", "said", "steps"),
    [
        ("compute", "level 2 of 4", ["past", "past", "here", "ahead", "ahead"]),
        ("software", "level 0 of 4", ["here", "ahead", "ahead", "ahead", "ahead"]),
        ("operational", "level 4 of 4", ["past", "past", "past", "past", "here"]),
        ("data", "not assessed", ["unknown"] * 5),
    ],
)
def test_a_level_is_said_and_drawn(text: str, layer: str, said: str, steps: list[str]) -> None:
    found = row(text, layer)
    assert re.findall(r'<i class="(\w+)">', found) == steps
    assert re.findall(r'<i class="\w+">(\d)</i>', found) == ["0", "1", "2", "3", "4"]
    assert f">{said}</b>" in found


def test_only_the_weakest_link_is_marked(text: str) -> None:
    marked = [layer for layer in ("compute", "software", "operational", "data") if "weakest link" in row(text, layer)]
    assert marked == ["software"]


def test_what_keeps_a_layer_from_the_next_level_is_that_levels_checks(text: str) -> None:
    def reason(layer: str) -> str:
        return Linked(row(text, layer).split('<tr class="more')[0].removeprefix("<tbody>").split("<td>")[2]
                      .removesuffix("\n</tr>\n").removesuffix("</td>")).words  # fmt: skip

    assert reason("compute").startswith("? not assessed: Level 3: an exit from any one \u2013 no exit test")
    assert "two makers" not in reason("compute")
    assert reason("software") == (
        "✗ fail: Level 1: inventory with hashes \u2013 3 stand in the way, such as closed-mpi 8: no hash"
    )
    assert reason("operational") == "Nothing: it is the highest level."
    assert reason("data") == "environments carry no data yet"


def test_a_command_in_a_text_is_code_and_a_lone_backtick_stays() -> None:
    assert "<code>sovstack exit-test --all</code> makes them" in page.as_html(content())
    data = content()
    level(data, "compute")["checks"][2]["said"] = "a ` alone"
    assert "a ` alone" in page.as_html(data)


def test_every_check_can_be_looked_up_with_its_evidence(text: str) -> None:
    for layer in contents.LEVELS:
        found = row(text, layer["name"]).split('<ul class="asks">')[1]
        assert found.count("<li><span>Level ") == len(layer["checks"])
        for one in layer["checks"]:
            assert one["title"] in found
            assert not one["evidence"] or f"Evidence: {one['evidence']}" in found
    assert "4 checks of compute: 2 passed, 2 not assessed" in text
    assert "3 in the way" in text and "tar 1.34: no hash" in text


def test_one_offender_is_not_told_twice(text: str) -> None:
    assert row(text, "software").split('<ul class="asks">')[1].count("closed-mpi 8: licence unknown") == 1


def test_a_list_that_was_cut_says_so() -> None:
    data = content()
    long = [f"package-{n}" for n in range(SHOWN)]
    level(data, "software")["checks"][0].update(details=long, said="900 stand in the way")
    said = Linked(page.as_html(data)).words
    assert f"the first {SHOWN} in the way" in said and "900 stand in the way" in said and long[-1] in said
    level(data, "software")["checks"][0].update(details=long[:-1])
    assert "the first" not in Linked(page.as_html(data)).words


def test_the_policy_tells_breaches_first_and_then_the_rest(text: str) -> None:
    found = part(text, "policy")
    said = Linked(found).words
    assert said.startswith("Policy: broken 2 breaches, 2 warnings, 1 exception, 1 rule not fully assessed")
    order = ["✗ broken proprietary", "✗ broken unknown-licence", "! warning single-vendor 2: libx, liby", "Exceptions",
             "Not assessed", "Exceptions that nothing needs any more"]  # fmt: skip
    assert [said.index(w) for w in order] == sorted(said.index(w) for w in order)
    assert "py-torch → middle → libx neural kernels: open-a, open-b" in said
    assert "closed-mpi 8 why of unknown-licence asked for by name none known" in said
    assert "for 2 uses of it one use: open-a another use: open-c" in said
    assert "liby 2 only builds why of single-vendor nothing that was asked for" in said
    assert "nothing else runs it the steering board, until 2027-06-30" in said
    assert "single-forge : not looked yet ( sovstack mirror --survey does)" in said
    assert "proprietary , gone-package: why of proprietary (once needed; the board)" in said


def test_a_policy_that_says_nothing_is_kept() -> None:
    said = Linked(part(page.as_html(content(passed=True, findings=[])), "policy")).words
    assert said.startswith("Policy: kept nothing to say Handing it to others")


def test_each_thing_that_is_known_has_its_own_count(text: str) -> None:
    said = Linked(part(text, "known")).words
    counts = (
        "any facts 7 of 7",
        "licence 6 of 7",
        "whether it may be handed on 5 of 7",
        "whether it is open source 6 of 7",
        "evidence for the licence 0 of 7",
    )
    assert all(count in said for count in counts)
    assert "width:57.1%" in part(text, "known")


def test_gaps_of_the_sbom_stand_by_field(text: str) -> None:
    said = Linked(part(text, "known")).words
    assert "creator of the SBOM, with e-mail or URL; no tool the SBOM itself, tar 1.34" in said
    assert "SHA-512 of that file, with the algorithm's name libx 1" in said
    assert "lacks nothing" in words(gaps=[]) and "lacks nothing" not in words()


def test_the_most_frequent_licences_come_first() -> None:
    many = {f"L-{n:02}": n for n in range(1, 20)} | {"A-long " + "AND MIT " * 30: 50}
    found = part(page.as_html(content(licences=many)), "licences")
    assert re.findall(r"L-(\d\d)", found) == [f"{n:02}" for n in range(19, 0, -1)]
    said = Linked(found).words
    assert said.index("A-long") < said.index("L-19")
    assert f"{20 - page.FREQUENT} more" in said
    assert found.count("A-long") == 2  # short in sight, whole behind it


def test_files_beside_the_page_are_pointed_to(text: str) -> None:
    assert Linked(text).links == ["./audit.json", "./sbom.cdx.json"]
    assert Linked(page.as_html(content(), ('a"b <c>#?.json',))).links == ["./a%22b%20%3Cc%3E%23%3F.json"]


def test_the_same_content_gives_the_same_bytes() -> None:
    data = content()
    again = json.loads(canonical_json(data))  # its keys stand in another order
    assert page.as_html(again) == page.as_html(data)
    assert page.as_overview([again]) == page.as_overview([data])
    assert data == contents.CONTENT, "a page changes nothing of what it shows"


@pytest.mark.parametrize("cell", ["ai-hpc/generic-x86/*sm90", "ai-hpc/csc-lumi-g/*gfx90a"])
def test_a_real_lock_is_shown_whole(cell: str) -> None:
    data = real(cell)
    made = page.as_html(data)
    said = Linked(made).words
    shown = [(k, n) for k, n in data["licences"].items() if len(k) < 100]
    assert shown and all(f"{k} {n}" in said for k, n in shown)
    for name in {f["name"] for f in data["findings"] if f["state"] in ("breach", "excepted")}:
        assert f"<b>{name}</b>" in made
    assert said.count("not assessed") > 8
    assert json.loads(canonical_json(data)) == json.loads(canonical_json(real(cell)))


def test_every_layer_says_what_it_is_about() -> None:
    assert tuple(page.MEANS) == levels.LAYERS


def test_what_is_known_is_what_the_answer_counts() -> None:
    assert tuple(page.KNOWN) == coverage.ASPECTS


def test_what_may_not_be_handed_on_is_named(text: str) -> None:
    said = Linked(part(text, "policy")).words
    assert "! kept here 1 of its packages may not go into a registry" in said
    assert "driver 12 why of not-redistributable py-torch → driver" in said
    assert "No licence forbids it" not in said
    free = Linked(part(page.as_html(content(held=[])), "policy")).words
    assert "Handing it to others No licence forbids it" in free and "kept here" not in free


def test_a_note_stands_before_the_levels(text: str) -> None:
    said = Linked(part(text, "levels")).words
    assert said.index("the lock is not current") < said.index("Each layer stands at")
    assert "To know" not in words(notes=[])
    assert (
        "see its note" in page.as_overview([content()]),
        "see its note" in page.as_overview([content(notes=[])]),
    ) == (
        True,
        False,
    )


# --- many cells ---


def many() -> list[dict[str, Any]]:
    good = content(cell="ai-hpc/b/t1", passed=True, findings=[finding("breach", "single-vendor", "warning", name="z")])
    level(good, "software").update(level=1)
    return [content(cell="ai-hpc/a/t1"), content(cell="hpc-mpi/a/t1", phase="build"), good]


def test_an_overview_has_each_cell_once_under_its_environment() -> None:
    made = page.as_overview(many())
    found = Linked(made)
    assert found.links == [f"./{cell}/audit/audit.html" for cell in ("ai-hpc/a/t1", "ai-hpc/b/t1", "hpc-mpi/a/t1")]
    assert found.words.startswith("✗ Policy broken in 2 of 3 cells")
    assert len(re.findall(r'scope="rowgroup"', made)) == 2
    assert "Policy kept in all 1 cells" in Linked(page.as_overview(many()[2:])).words


def test_the_matrix_has_a_level_for_each_layer_and_frames_the_weakest() -> None:
    rows = [line for line in page.as_overview(many()).splitlines() if 'class="lv"' in line]
    assert [re.findall(r'lvl( weak| none|)">(?:<span aria-hidden="true">.</span>)?<?(\d|span)', r) for r in rows] == [
        [("", "2"), (" weak", "0"), ("", "4"), (" none", "span")],
        [("", "2"), (" weak", "1"), ("", "4"), (" none", "span")],
        [("", "2"), (" weak", "0"), ("", "4"), (" none", "span")],
    ]
    assert ["2 broken" in r for r in rows] == [True, False, True]
    assert "1 warning<" in rows[1] and "2 warnings<" in rows[0]
    assert [">image<" in r for r in rows] == [False, False, True]
    assert "not assessed" in rows[0]


def test_layers_have_a_range_and_no_mean() -> None:
    said = Linked(part(page.as_overview(many()), "summary")).words
    assert said == ("Levels by layer of 3 cells compute 2 of 4; never the weakest link software "
                    "0 to 1 of 4; weakest link in 3 operational 4 of 4; never the weakest link data "
                    "\u2013 not assessed")  # fmt: skip


def test_what_stands_in_the_way_most_often_comes_first() -> None:
    said = Linked(part(page.as_overview(many()), "barriers")).words
    assert said.index("compute level 3 an exit from any one ? not assessed 3 of 3") < said.index("software level 1")
    assert "software level 1 inventory with hashes ✗ not met 2 of 3" in said
    assert "software level 2 licences known ✗ not met 1 of 3" in said
    assert "data" not in said and "operational" not in said


def test_rules_are_told_with_their_packages_and_cells() -> None:
    said = Linked(part(page.as_overview(many()), "rules")).words
    assert "✗ broken proprietary libx 2 of 3 ✗ broken unknown-licence closed-mpi 2 of 3" in said
    assert "! warning single-vendor libx, liby, z 3 of 3" in said
    kept = [content(passed=True, findings=[])]
    assert "No rule is broken." in page.as_overview(kept)


def test_no_cell_is_an_overview_too() -> None:
    assert "Policy kept in all 0 cells" in Linked(page.as_overview([])).words


# --- hostile strings ---

KEPT = ("pass", "fail", "not assessed", "breach", "excepted", "stale", "error", "warning", "run", "build", "design")


def poisoned(value: Any, bad: str) -> Any:
    """A copy in which every string but the names of states, and every name of a licence, is `bad`."""
    if isinstance(value, str):
        return value if value in KEPT else bad
    if isinstance(value, list):
        return [poisoned(v, bad) for v in value]
    if isinstance(value, dict):
        return {k if k != "MIT" else bad: poisoned(v, bad) for k, v in value.items()}
    return value


@settings(max_examples=20, deadline=None)
@given(bad=HOSTILE)
def test_hostile_strings_never_appear_unescaped(bad: str) -> None:
    sane = content()
    hostile = poisoned(sane, bad)
    for render in (page.as_html, lambda data: page.as_overview([data])):
        made = render(hostile)
        read = Linked(made)
        assert read.tags - {"code"} == Linked(render(sane)).tags - {"code"}
        assert bad not in made or not set("<>&\"'") & set(bad)
        assert made.count(MARK) > 10, "the strings did not reach the page"
        assert not re.search("[\x00\x1b\u202e]", made)
        made.encode()


def test_unknown_words_of_a_newer_program_do_not_break_a_page() -> None:
    data = content(phase="other")
    data["levels"].append({"name": "people", "level": 1, "checks": [check("people", 2, "t", "perhaps")]})
    data["gaps"].append({"field": "new-field", "component": "x"})
    said = Linked(page.as_html(data)).words
    assert "people" in said and "perhaps" in said and "new-field x" in said

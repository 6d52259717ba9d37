"""What the policy says of an inventory: each rule, its exceptions, what is not assessed, and what may be published."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from stack.artifact import canonical_json
from stack.audit.inventory import Inventory, Item
from stack.audit.policy import Finding, State, assess, openings, publishable, stale_in_all
from stack.audit.policy_text import as_data, text
from stack.audit.questions import Survey, published, question, survey
from stack.audit.supply import Ref
from stack.catalogue import Catalogue
from stack.expressions import problems
from stack.facts import KINDS, Facts, PackageFacts
from stack.graph import Graph
from stack.host.library import Library
from stack.independence import Row, Seen
from stack.origins import Candidate
from stack.policy import Policy, SitePolicy, Terms, terms
from stack.sources import Wanted, needed
from tests.audit.locks import released, released_inventory

NVIDIA = "ai-hpc/generic-x86/*sm90"
AMD = "ai-hpc/generic-x86/*gfx942"
CRAY = "ai-hpc/csc-lumi-g/*gfx90a"


def known(licence: str = "MIT", **changed: Any) -> PackageFacts:
    plain = {
        "licence": licence,
        "class": "osi",
        "redistribution": {"source": "allowed", "binary": "allowed"},
        "reach": {"cpu": "any", "accelerator": "none"},
    }
    return PackageFacts.model_validate({**plain, **changed})


CLOSED = known(
    "LicenseRef-EULA",
    **{"class": "proprietary", "redistribution": {"source": "forbidden", "binary": "conditional"}},
)


def item(name: str, facts: PackageFacts | None, *depends: str, **changed: Any) -> Item:
    licence = facts.licence if facts and facts.licence != "unknown" else None
    made = Item(name, "spack", name, "1.0", name, facts, licence, "run", depends=depends, package=name)
    return dataclasses.replace(made, **changed)


def inventory(*items: Item, roots: tuple[Ref, ...] = ("app",)) -> Inventory:
    return Inventory(released(NVIDIA), tuple(sorted(items, key=lambda i: i.ref)), roots)


@pytest.fixture(scope="module")
def policy(library: Library) -> Policy:
    return library.policy


@pytest.fixture(scope="module")
def facts(library: Library) -> Facts:
    return library.facts


def site(policy: Policy, **said: Any) -> Terms:
    return terms(policy, SitePolicy.model_validate(said))


def only(found: tuple[Finding, ...], state: State, rule: str = "") -> list[Finding]:
    return [f for f in found if f.state == state and rule in ("", f.rule)]


def found(policy: Policy | Terms, *items: Item, **more: Any) -> tuple[Finding, ...]:
    made = policy if isinstance(policy, Terms) else terms(policy)
    return assess(inventory(*items), made, Facts({"spack": {}, "debian": {}, "wheel": {}}, {}), {}, **more)


# --- each rule ---


@pytest.mark.parametrize(
    ("facts_of", "rule", "fails"),
    [
        (known("SSPL-1.0"), "forbidden-licences", True),
        (known("MIT AND BUSL-1.1"), "forbidden-licences", True),
        (known("CC-BY-NC-SA-4.0"), "forbidden-licences", True),
        (known("unknown"), "unknown-licence", True),
        (known("custom"), "unknown-licence", True),
        (known("MIT AND"), "unknown-licence", True),
        (None, "unknown-licence", True),
        (None, "unknown-class", True),
        (known(**{"class": "unknown"}), "unknown-class", True),
        (CLOSED, "proprietary", True),
        (known(**{"class": "source-available"}), "proprietary", True),
        (CLOSED, "not-redistributable", False),
        (known(redistribution={"source": "allowed", "binary": "forbidden"}), "not-redistributable", False),
        (known(redistribution={"source": "allowed", "binary": "unknown"}), "not-redistributable", False),
        (None, "not-redistributable", False),
        (known(reach={"cpu": "any", "accelerator": ("nvidia",)}), "single-vendor-hardware", False),
    ],
)
def test_a_breach_is_found_by_its_rule(policy: Policy, facts_of: PackageFacts | None, rule: str, fails: bool) -> None:
    breaches = only(found(policy, item("app", facts_of)), "breach", rule)
    assert [(f.name, f.fails) for f in breaches] == [("app", fails)]


@pytest.mark.parametrize(
    "facts_of",
    [
        known(),
        known("MIT OR SSPL-1.0"),
        known("GPL-3.0-or-later WITH GCC-exception-3.1"),
        known(reach={"cpu": "any", "accelerator": ("nvidia", "amd")}),
    ],
)
def test_what_keeps_the_rules_has_no_breach(policy: Policy, facts_of: PackageFacts) -> None:
    assert only(found(policy, item("app", facts_of)), "breach") == []


def test_a_rule_on_what_runs_says_nothing_of_what_builds(policy: Policy) -> None:
    one = known(reach={"cpu": "any", "accelerator": ("amd",)})
    app = item("app", known(), "tool", build_only=frozenset(("tool",)))
    breaches = only(found(policy, app, item("tool", one, scope="build")), "breach")
    assert breaches == []
    assert only(found(policy, app, item("tool", CLOSED, scope="build")), "breach", "proprietary")[0].scope == "build"


def test_the_base_is_judged_by_its_packages(policy: Policy) -> None:
    base = item("base", None, "libc", kind="base")
    assert only(found(policy, base, item("libc", known(), kind="debian")), "breach") == []


def test_a_breach_says_how_the_package_came_in_and_what_is_open(library: Library, catalogue: Catalogue) -> None:
    at = terms(library.policy, SitePolicy(shipped_exceptions=False))
    every = assess(released_inventory(NVIDIA), at, library.facts, catalogue.recipes)
    breach = next(f for f in every if f.rule == "proprietary" and f.name == "cudnn")
    assert breach.fails
    assert breach.path == ("py-torch", "cudnn")
    assert breach.alternatives == ("neural network kernels: miopen-hip, onednn, composable-kernel",)
    told = text(every, at)
    assert "error: proprietary: it is not open source; nobody but its maker" in told
    assert "through: py-torch -> cudnn\n    open instead, neural network kernels: miopen-hip" in told
    assert told.endswith("; the audit fails by 3\n")


def test_a_package_that_nothing_asked_for_has_no_path(policy: Policy) -> None:
    every = found(policy, item("app", known()), item("tool", CLOSED, scope="build"))
    assert only(every, "breach", "proprietary")[0].path == ()
    assert "through: no dependency of what was asked for" in text(every, terms(policy))


# --- what a site changes ---


def test_a_profile_changes_levels_and_what_is_off_is_no_pass(policy: Policy) -> None:
    lone = item("app", known(reach={"cpu": "any", "accelerator": ("amd",)}))
    strict = found(site(policy, rules={"single-vendor-hardware": "error"}), lone)
    assert [f.fails for f in only(strict, "breach")] == [True]
    off = found(site(policy, rules={"single-vendor-hardware": "off"}), lone)
    assert only(off, "breach") == []
    assert [f.why for f in only(off, "not assessed", "single-vendor-hardware")] == ["the rule is turned off"]


def test_a_profile_forbids_and_allows_licences(policy: Policy) -> None:
    app = item("app", known("AGPL-3.0-only"))
    assert only(found(policy, app), "breach") == []
    assert only(found(site(policy, forbid_licences=("AGPL-*",)), app), "breach")[0].rule == "forbidden-licences"
    server = item("app", known("SSPL-1.0", **{"class": "osi"}))
    assert only(found(site(policy, allow_licences=("SSPL-1.0",)), server), "breach") == []


EXCEPTION = {"packages": ("app",), "kind": "spack", "rules": ("proprietary",), "reason": "so", "granted_by": "us"}


@pytest.mark.parametrize(
    ("until", "today", "state"),
    [
        (None, None, "excepted"),
        ("2026-11-21", "2026-11-21", "excepted"),
        ("2026-11-21", "2026-11-22", "breach"),
        ("2026-11-21", None, "breach"),
    ],
)
def test_an_exception_counts_until_its_last_day(policy: Policy, until: str, today: str, state: State) -> None:
    every = found(site(policy, exceptions=({**EXCEPTION, "until": until},)), item("app", CLOSED), today=today)
    told = [f for f in every if f.rule == "proprietary"]
    assert [f.state for f in told] == [state]
    assert told[0].reason == ("so" if state == "excepted" else "")
    assert (f"its exception until {until}" in told[0].why) is (state == "breach")
    assert only(every, "stale") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"packages": ("other",)},
        {"kind": "debian"},
        {"rules": ("unknown-licence",)},
    ],
)
def test_an_exception_for_something_else_does_not_count_and_is_stale(policy: Policy, changed: dict[str, Any]) -> None:
    every = found(site(policy, exceptions=({**EXCEPTION, **changed},)), item("app", CLOSED))
    assert len(only(every, "breach", "proprietary")) == 1
    assert [(f.name, f.reason) for f in only(every, "stale")] == [(changed.get("packages", ("app",))[0], "so")]


def test_one_of_two_packages_of_an_exception_may_be_stale(policy: Policy) -> None:
    at = site(policy, exceptions=({**EXCEPTION, "packages": ("app", "gone")},))
    every = found(at, item("app", CLOSED))
    assert [f.name for f in only(every, "stale")] == ["gone"]
    assert "stale: proprietary\n  gone (spack): the profile's exception is not needed\n" in text(every, at)


def test_an_exception_is_stale_for_a_profile_where_no_cell_needs_it(policy: Policy) -> None:
    at = site(policy, exceptions=({**EXCEPTION, "packages": ("app", "gone")},))
    with_it, without = found(at, item("app", CLOSED)), found(at, item("app", known()))
    assert [f.name for f in stale_in_all([with_it, without])] == ["gone"]
    assert [f.name for f in stale_in_all([without])] == ["app", "gone"]
    assert stale_in_all([]) == ()


def test_a_wheel_is_excepted_by_any_spelling_of_its_name(policy: Policy) -> None:
    wheel = item("app", CLOSED, kind="wheel", package="The_Wheel")
    exception = {**EXCEPTION, "kind": "wheel", "packages": ("the.wheel",)}
    assert len(only(found(site(policy, exceptions=(exception,)), wheel), "excepted")) == 1


def test_no_exception_lets_binaries_out(policy: Policy) -> None:
    """The profile's check refuses it, and if it came through, it would count for nothing."""
    at = site(policy, exceptions=({**EXCEPTION, "rules": ("not-redistributable",)},))
    assert len(only(found(at, item("app", CLOSED)), "breach", "not-redistributable")) == 1


def test_a_site_takes_the_shipped_exceptions_back(library: Library, catalogue: Catalogue) -> None:
    cell, recipes = released_inventory(NVIDIA), catalogue.recipes
    shipped = assess(cell, terms(library.policy), library.facts, recipes)
    assert [f.name for f in only(shipped, "excepted")] == ["cuda", "cudnn", "cusparselt"]
    assert all(f.reason and f.granted_by for f in only(shipped, "excepted"))
    assert not any(f.fails for f in shipped)
    strict = assess(cell, terms(library.policy, SitePolicy(shipped_exceptions=False)), library.facts, recipes)
    assert [f.name for f in strict if f.fails] == ["cuda", "cudnn", "cusparselt"]
    assert only(strict, "stale") == []  # nor are shipped ones stale where a lock has none of their packages


# --- what is not known ---


def test_without_a_survey_sources_are_not_assessed(policy: Policy) -> None:
    names = [f"lib{n}" for n in range(9)]
    every = found(policy, item("app", known(), *names), *(item(n, known()) for n in names))
    (one,) = only(every, "not assessed", "single-forge")
    assert one.why.startswith("nobody has looked who holds the sources")
    assert one.why.endswith(": app, lib0, lib1, lib2, lib3 and 5 more")
    assert only(every, "breach") == []


def test_what_is_unknown_to_one_rule_is_said_there_too(policy: Policy) -> None:
    every = found(policy, item("app", None))
    assert {f.rule for f in only(every, "not assessed")} == {
        "forbidden-licences", "proprietary", "single-forge", "single-vendor-hardware",
    }  # fmt: skip


def test_a_survey_tells_who_alone_has_a_source(policy: Policy) -> None:
    app = item("app", known(), "two", "bundle", "git", "new", "os", "deb")
    others = (
        item("two", known()), item("bundle", known()), item("git", known()), item("new", known()),
        item("os", known(), external="/usr"), item("deb", known(), kind="debian"),
    )  # fmt: skip
    seen = Survey(
        {"app@1.0": (("forge", "copy"), ("forge",)), "two@1.0": (("a", "b"),), "bundle@1.0": (), "git@1.0": ()},
        {"git@1.0": "git at commit 1"},
    )
    every = found(policy, app, *others, survey=seen)
    told = {f.name: f.why for f in only(every, "breach", "single-forge")}
    assert told == {
        "app": "forge alone has a source of it",
        "git": "its source is named by git at commit 1: no other archive can stand in",
    }
    (lacking,) = only(every, "not assessed", "single-forge")
    assert lacking.why.endswith(": deb, new")


def test_a_source_that_nobody_has_is_a_breach(policy: Policy) -> None:
    every = found(policy, item("app", known()), survey=Survey({"app@1.0": ((),)}))
    assert [f.why for f in only(every, "breach")] == ["no archive that is known has a source of it"]


def test_a_survey_is_made_of_its_table() -> None:
    def file(digest: str, **changed: Any) -> dict[str, Any]:
        plain = {"kind": "archive", "label": "x", "path": f"p/{digest[:4]}", "method": "url", "urls": ("u",)}
        return {**plain, "digest": digest, **changed}

    def package(name: str, *files: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "version": "1", "hash": "h", "build_system": "b", "licence": "MIT", "files": files}

    git = file("", method="git", path="", commit="abc")
    listed = (
        package("a", file("a" * 64), file("c" * 64)),
        package("b", file("a" * 64)),
        package("c"),
        package("d", git),
    )
    wanted = Wanted.model_validate({"schema": 1, "spack": "1", "packages": listed})
    operators = {"a" * 64: ("forge", "copy"), "c" * 64: ("forge",)}
    table = [
        Row(s, tuple(Seen(Candidate(o, "mirror", o, "w"), "held") for o in operators[s.sha256])) for s in needed(wanted)
    ]
    made = survey(table, wanted)
    assert made.holders["a@1"] == (("forge",), ("forge", "copy"))
    assert {name: held for name, held in made.holders.items() if name != "a@1"} == {
        "b@1": (("forge", "copy"),), "c@1": (), "d@1": (),
    }  # fmt: skip
    assert list(made.unhashed) == ["d@1"]


# --- publishing ---


@pytest.mark.parametrize(
    ("changed", "image", "cache"),
    [
        ({}, True, True),
        ({"scope": "build"}, False, True),
        ({"external": "/opt/it"}, False, False),
        ({"kind": "debian"}, True, False),
        ({"kind": "debian", "scope": "build"}, False, False),
        ({"kind": "wheel"}, True, False),
        ({"kind": "base"}, False, False),
    ],
)
def test_where_a_component_is_published(changed: dict[str, Any], image: bool, cache: bool) -> None:
    made = item("app", CLOSED, **changed)
    assert (published(made, "image"), published(made, "cache"), published(made)) == (image, cache, image or cache)


def test_what_may_not_be_handed_on_keeps_all_of_it_here(library: Library, catalogue: Catalogue) -> None:
    def kept(cell: str) -> list[tuple[str, bool]]:
        back = publishable(released_inventory(cell), library.policy, library.facts, catalogue.recipes)
        return [(f.name, f.fails) for f in back]

    assert kept(NVIDIA) == [("cuda", True), ("cudnn", True), ("cusparselt", True)]
    assert kept(AMD) == []
    assert kept(CRAY) == []  # the site's MPI is not in what is made


def test_a_tool_that_may_not_be_handed_on_keeps_the_cache_and_not_the_image(policy: Policy, facts: Facts) -> None:
    made = inventory(item("app", known(), "tool"), item("tool", CLOSED, scope="build"))
    assert [f.name for f in publishable(made, policy, facts, {}, "cache")] == ["tool"]
    assert publishable(made, policy, facts, {}, "image") == ()


def test_no_exception_and_no_level_lets_it_out(policy: Policy, facts: Facts) -> None:
    rule = policy.rules["not-redistributable"]
    changed = {"not-redistributable": rule.model_copy(update={"level": "off", "waivable": True})}
    granted = SitePolicy.model_validate({"exceptions": ({**EXCEPTION, "rules": ("not-redistributable",)},)}).exceptions
    lax = policy.model_copy(update={"rules": {**policy.rules, **changed}, "exceptions": granted})
    assert [f.fails for f in publishable(inventory(item("app", CLOSED)), lax, facts, {})] == [True]


# --- the data ---


def test_every_package_and_rule_that_ships_is_known(policy: Policy, facts: Facts, catalogue: Catalogue) -> None:
    for granted in policy.exceptions:
        for name in granted.packages:
            entry = facts.of(granted.kind, name)
            assert entry is not None and entry.licence_class in ("proprietary", "source-available"), name
            assert name in openings(terms(policy), facts, catalogue.recipes) or "cufile" in name, name
    for rule in policy.rules.values():
        plain = [p for p in rule.match.licences or () if "*" not in p]
        assert [problem for p in plain for problem in problems(p)] == []


def test_what_is_offered_as_open_is_not_known_to_be_closed(policy: Policy, facts: Facts) -> None:
    for work in policy.alternatives:
        for name in work.open:
            entries = [entry for kind in KINDS if (entry := facts.of(kind, name)) is not None]
            assert all(entry.licence_class == "osi" for entry in entries), name
            assert name not in work.packages


def test_every_closed_package_of_the_released_locks_has_a_way_out(
    library: Library, catalogue: Catalogue, policy: Policy
) -> None:
    ways = openings(terms(policy), library.facts, catalogue.recipes)
    closed = {
        f.package
        for cell in (NVIDIA, AMD, CRAY)
        for f in assess(released_inventory(cell), terms(policy), library.facts, catalogue.recipes)
        if f.rule in ("proprietary", "unknown-class") and f.ref
    }
    assert {"cuda", "cudnn", "cray-mpich"} <= closed
    assert closed <= set(ways)


def test_a_role_adds_the_open_components_that_fill_it(policy: Policy, facts: Facts, catalogue: Catalogue) -> None:
    bare = dataclasses.replace(terms(policy), alternatives=())
    ways = openings(bare, facts, catalogue.recipes)
    assert ways["cray-mpich"] == ("the role mpi: mpich, openmpi",)
    assert "cray-libsci" not in " ".join(ways["openblas"])  # which is not open
    assert openings(terms(policy), facts, catalogue.recipes)["cray-mpich"] == ("message passing: openmpi, mpich",)


def test_every_kind_of_match_has_its_question(policy: Policy) -> None:
    seen = {question(rule, (), None, "any")[0] for rule in policy.rules.values()}
    assert seen == {"licences", "licence", "classes", "binary", "operators", "vendors"}


def test_the_same_twice_and_as_data(library: Library, catalogue: Catalogue) -> None:
    at = terms(library.policy)
    every = [assess(released_inventory(NVIDIA), at, library.facts, catalogue.recipes) for _ in range(2)]
    assert every[0] == every[1]
    data = json.loads(canonical_json(as_data(every[0])))
    assert data[0]["rule"] == every[0][0].rule and data[0]["path"] == list(every[0][0].path)
    assert "until" not in data[0]


def test_what_a_lock_says_cannot_deceive_a_terminal(policy: Policy) -> None:
    every = found(policy, item("app", CLOSED, version="1\x1b[31m\u202e"))
    assert "\x1b" not in text(every, terms(policy)) and "\u202e" not in text(every, terms(policy))


@pytest.mark.parametrize("each", [known("MIT AND (BSD-3-Clause OR SSPL-1.0)"), CLOSED], ids=["kept", "broken"])
def test_ten_thousand_components_take_less_than_two_seconds(policy: Policy, each: PackageFacts) -> None:
    def one(n: int) -> Item:
        facts = each.model_copy(update={"licence": f"{each.licence} AND LicenseRef-{n % 300}"})
        return item(f"p{n:05}", facts, *(f"p{m:05}" for m in (2 * n + 1, 2 * n + 2) if m < 10_000))

    made = Inventory(Stub(), tuple(map(one, range(10_000))), ("p00000",))  # type: ignore[arg-type]
    nothing: Mapping[str, Any] = {}
    start = time.process_time()
    every = assess(made, terms(policy), Facts({"spack": {}, "debian": {}, "wheel": {}}, {}), nothing)
    assert time.process_time() - start < 2
    assert sum(f.rule == "proprietary" for f in every) == (10_000 if each is CLOSED else 0)


class Stub:
    """Stands for a lock that nobody looks into."""

    spack: Graph | None = None

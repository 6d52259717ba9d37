"""What is known of one package, as people and as programs see it."""

from __future__ import annotations

from stack.audit.facts_text import Known, as_data, entry, text
from stack.facts import PackageFacts, Steward

FACTS = PackageFacts.model_validate(
    {
        "licence": "LicenseRef-x",
        "class": "proprietary",
        "redistribution": {"source": "forbidden", "binary": "conditional"},
        "reach": {"cpu": ("x86_64", "aarch64"), "accelerator": ("nvidia",)},
        "homepage": "https://example.org/",
        "steward": "maker",
        "note": "A note.",
        "evidence": (
            {"url": "https://example.org/EULA", "date": "2026-11-21"},
            {"of": ("reach",), "archive": "x.tar", "sha256": "0" * 64, "path": "x/README", "date": "2026-11-20"},
        ),
    }
)
MAKER = Steward.model_validate(
    {
        "title": "Maker of things",
        "jurisdiction": "US",
        "governance": "single-vendor",
        "vendor": "maker",
        "contact": "https://example.org/",
        "evidence": ({"of": ("steward",), "url": "https://example.org/about", "date": "2026-11-19"},),
    }
)


def test_everything_that_is_known_is_said() -> None:
    known = Known("debian", "x", FACTS, MAKER, {"b/b/b": ("1", "2"), "a/a/a": ("1",)}, ("libx1",))
    assert text(known).splitlines() == [
        "x (debian)",
        "  licence         LicenseRef-x (proprietary)",
        "  redistribution  source forbidden, binary conditional",
        "  reach           CPU x86_64, aarch64; accelerator nvidia",
        "  steward         Maker of things (US, single-vendor; belongs to the vendor maker)",
        "  homepage        https://example.org/",
        "  note            A note.",
        "  evidence        licence: https://example.org/EULA, read 2026-11-21",
        f"                  reach: x/README in x.tar (sha256 {'0' * 64}), read 2026-11-20",
        "                  steward: https://example.org/about, read 2026-11-19",
        "  packages        libx1",
        "  locks           2",
        "                  a/a/a: 1",
        "                  b/b/b: 1, 2",
    ]


def test_what_nobody_looked_at() -> None:
    assert text(Known("spack", "x", None, None, {})).splitlines() == [
        "x (spack)",
        "  facts           none; `sovstack facts --missing` writes an entry to fill in",
        "  locks           in none that is released",
    ]


def test_no_name_moves_the_cursor() -> None:
    assert "\x1b" not in text(Known("spack", "x", FACTS, MAKER, {"a/\x1b[2J/b": ("1",)}))


def test_as_data() -> None:
    made = as_data(Known("spack", "x", FACTS, MAKER, {"a/a/a": ("1",)}))
    assert (made["kind"], made["name"], made["locks"]) == ("spack", "x", {"a/a/a": ["1"]})
    assert made["facts"]["class"] == "proprietary" and made["facts"]["evidence"][0]["of"] == ["licence"]
    assert made["steward"]["jurisdiction"] == "US"
    assert as_data(Known("spack", "x", None, None, {}))["facts"] is None


def test_an_entry_says_unknown_of_everything() -> None:
    made = PackageFacts.model_validate(entry())
    assert (made.licence, made.licence_class, made.evidence) == ("unknown", "unknown", ())
    assert {made.redistribution.source, made.redistribution.binary, made.reach.cpu, made.reach.accelerator} == {
        "unknown"
    }


def test_an_entry_with_a_licence_that_was_read_claims_nothing_else() -> None:
    where = {"archive": "x.deb", "sha256": "0" * 64, "path": "usr/share/doc/x/copyright", "date": "2026-11-21"}
    assert {**entry("MIT", [where]), "licence": "unknown"} == {**entry(), "evidence": [where]}

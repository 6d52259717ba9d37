"""Debian's copyright files: what is read of them, and what is said of those that cannot be read."""

from __future__ import annotations

import pytest

from stack.audit.copyright import Conclusion, conclude, stanzas
from stack.document import read
from stack.errors import Faults
from stack.host.library import PACKAGE
from stack.licences import Licences

HEADER = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: it\n"


@pytest.fixture(scope="module")
def licences() -> Licences:
    faults = Faults()
    made = read((PACKAGE / "data/licences.yaml").read_text(), "licences.yaml", Licences, faults)
    assert made is not None, faults.found
    return made[1]


def file(*synopses: str, header: str = HEADER) -> str:
    """A copyright file with a stanza of files for each synopsis."""
    parts = (f"Files: part{n}/*\nCopyright: 2026 A\nLicense: {synopsis}\n" for n, synopsis in enumerate(synopses))
    return "\n".join((header, *parts))


@pytest.mark.parametrize(
    ("synopses", "expression"),
    [
        (["Expat"], "MIT"),
        (["expat", "EXPAT"], "MIT"),
        (["GPL-2+", "BSD-3-clause", "GPL-2+"], "BSD-3-Clause AND GPL-2.0-or-later"),
        (["GPL-2.0+", "GPL-2"], "GPL-2.0-only AND GPL-2.0-or-later"),
        (["LGPL-2.1+", "Apache-2"], "Apache-2.0 AND LGPL-2.1-or-later"),
        (["CC0"], "CC0-1.0"),
        (["public-domain"], "LicenseRef-Public-Domain"),
        (["GFDL-NIV-1.3+"], "GFDL-1.3-no-invariants-or-later"),
        (["GPL-3+ with  GCC exception"], "GPL-3.0-or-later WITH GCC-exception-3.1"),
        (["GPL-2+ with Libtool exception and ISC"], "GPL-2.0-or-later WITH Libtool-exception AND ISC"),
    ],
)  # fmt: skip
def test_short_names_become_one_expression(synopses: list[str], expression: str, licences: Licences) -> None:
    assert conclude(file(*synopses), licences) == Conclusion(expression)


@pytest.mark.parametrize(
    ("synopsis", "expression"),
    [
        ("Artistic or GPL-1+", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("GPL-1+ or Artistic", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("Expat and ISC", "ISC AND MIT"),
        ("Expat or ISC and Zlib", "(ISC AND Zlib) OR MIT"),
        ("Expat or ISC, and Zlib", "(ISC OR MIT) AND Zlib"),
        ("GPL-2 Or ISC, or Zlib", "GPL-2.0-only OR ISC OR Zlib"),
        ("Perl and ISC", "(Artistic-1.0-Perl OR GPL-1.0-or-later) AND ISC"),
        ("Perl or ISC", "Artistic-1.0-Perl OR GPL-1.0-or-later OR ISC"),
    ],
)
def test_and_binds_closer_than_or_unless_a_comma_stands_before_it(
    synopsis: str, expression: str, licences: Licences
) -> None:
    assert conclude(file(synopsis), licences).expression == expression


def test_a_choice_among_others_keeps_its_brackets(licences: Licences) -> None:
    made = conclude(file("GPL-1+ or Artistic", "Expat", "Artistic or GPL-1+"), licences)
    assert made.expression == "(Artistic-1.0-Perl OR GPL-1.0-or-later) AND MIT"


def test_packaging_alone_does_not_count(licences: Licences) -> None:
    own = "Files: debian/*\n debian/rules\nCopyright: 2026 B\nLicense: GPL-3+\n"
    both = "Files: debian/* doc/*\nCopyright: 2026 B\nLicense: ISC\n"
    assert conclude(f"{file('Expat')}\n{own}", licences).expression == "MIT"
    assert conclude(f"{file('Expat')}\n{own}\n{both}", licences).expression == "ISC AND MIT"
    assert conclude(f"{HEADER}\n{own}", licences) == Conclusion(None, "has no stanza of installed files")


def test_licence_stanzas_and_the_header_say_nothing_of_files(licences: Licences) -> None:
    header = f"{HEADER}License: GPL-3+\n"
    text = f"# a comment\n{file('Expat', header=header)}\nLicense: ISC\n the words\n .\n of it\n"
    assert conclude(text, licences).expression == "MIT"


def test_an_empty_line_in_a_text_does_not_end_a_stanza() -> None:
    made = stanzas("License: ISC\n one\n\n two\n# no\n three\nComment: x\n \nFiles: *\n")
    assert [(s.line, dict(s.fields)) for s in made] == [
        (1, {"license": "ISC\none\ntwo\nthree", "comment": "x"}),
        (9, {"files": "*"}),
    ]


@pytest.mark.parametrize("name", ["MIT", "BSD", "GPL", "LGPL+", "GPL-2+ with Autoconf exception", "other", "MIT | ISC"])
def test_a_name_that_may_mean_several_licences_is_not_guessed(name: str, licences: Licences) -> None:
    made = conclude(file("Expat", name), licences)
    assert made.expression is None
    assert made.reason == f"no SPDX expression is known of {name.lower()!r}"


def test_all_unknown_names_are_said_at_once(licences: Licences) -> None:
    made = conclude(file("Foo or Expat, and Bar", "Baz with foo exception"), licences)
    assert made == Conclusion(None, "no SPDX expression is known of 'bar', 'baz with foo exception', 'foo'")


OLD = "is not in the machine-readable format, version 1.0"
NEITHER = "is neither a stanza of files nor one of a licence"
REST = "\nFiles: *\nCopyright: 2026 A\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", OLD),
        ("This package was debianized by A.\n\nLicense: Expat\n", OLD),
        (file("Expat", header="Format: http://dep.debian.net/deps/dep5\n"), OLD),
        (file("Expat", header=HEADER.replace("1.0", "2.0")), OLD),
        (HEADER, "has no stanza of installed files"),
        (f"{HEADER}{REST}", "line 4: these files have no licence's short name"),
        (f"{HEADER}{REST}License:\n some words\n", "line 4: these files have no licence's short name"),
        (f"{HEADER}{REST}License: Expat\nwords that are not indented\n", "line 7: is not a field"),
        (f"{HEADER}{REST}License: Expat\nFiles: b\n", "line 7: the stanza has the field 'files' twice"),
        (f"{HEADER}{REST}License: Expat\nLicense: ISC\n", "line 7: the stanza has the field 'license' twice"),
        (f"{HEADER}\nFile: *\nCopyright: A\nLicense: ISC\n", f"line 4: {NEITHER}"),
        (f"{HEADER}\nComment: x\n", f"line 4: {NEITHER}"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_a_reason(text: str, reason: str, licences: Licences) -> None:
    assert conclude(text, licences) == Conclusion(None, reason)


def test_no_two_names_of_the_data_file_are_one_name(licences: Licences) -> None:
    for name, expression in licences.debian.items():
        assert conclude(file(name), licences).expression == expression, name

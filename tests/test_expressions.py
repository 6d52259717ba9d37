"""SPDX licence expressions: what is right, what is wrong with the others, and classes that licences contradict."""

from __future__ import annotations

import pytest

from stack.expressions import Problem, contradiction, problems


@pytest.mark.parametrize(
    "expression",
    [
        "unknown",
        "MIT",
        "GPL-2.0-or-later WITH Libtool-exception",
        "MIT AND (BSD-3-Clause OR Apache-2.0)",
        "LicenseRef-NVIDIA-CUDA-EULA",
        "LicenseRef-one AND LicenseRef-two.3",
        "AFL-2.1+",
        "(Apache-2.0+) OR MIT",
        " AND ".join(["MIT"] * 200),
        "(" * 300 + "MIT" + ")" * 300,
    ],
)
def test_these_are_right(expression: str) -> None:
    assert problems(expression) == ()


@pytest.mark.parametrize(
    ("expression", "remedies"),
    [
        ("GPL-2.0", ["write GPL-2.0-only"]),
        ("LGPL-2.1+", ["write LGPL-2.1-or-later"]),
        ("GPL-3.0 AND GFDL-1.3", ["write GPL-3.0-only", "write GFDL-1.3-only"]),
        ("GPL-2.0-with-classpath-exception", ["write GPL-2.0-only WITH Classpath-exception-2.0"]),
        ("wxWindows", ["write LGPL-2.0-or-later WITH WxWindows-exception-3.1"]),
        ("bzip2-1.0.5", ["write bzip2-1.0.6"]),
        ("mit", ["write MIT"]),
        ("MIT and BSD-3-Clause", ["write AND"]),
        ("Apache-2", ["did you mean 'Apache-2.0'?"]),
        ("GPL-2.0-only+", ["did you mean 'GPL-2.0-only'?"]),
        ("zzzzzzzzzzz", ["write LicenseRef-zzzzzzzzzzz, or unknown"]),
        ("NOASSERTION", ["leave it out, or say that all of it is unknown"]),
        ("MIT AND unknown", ["leave it out, or say that all of it is unknown"]),
    ],
)
def test_each_wrong_id_has_a_remedy(expression: str, remedies: list[str]) -> None:
    assert [problem.remedy for problem in problems(expression)] == remedies


# What SPDX's list of 3.27 marks as deprecated.
GIVEN_UP = """
    AGPL-1.0 AGPL-3.0 BSD-2-Clause-FreeBSD BSD-2-Clause-NetBSD GFDL-1.1 GFDL-1.2 GFDL-1.3 GPL-1.0 GPL-1.0+ GPL-2.0
    GPL-2.0+ GPL-2.0-with-GCC-exception GPL-2.0-with-autoconf-exception GPL-2.0-with-bison-exception
    GPL-2.0-with-classpath-exception GPL-2.0-with-font-exception GPL-3.0 GPL-3.0+ GPL-3.0-with-GCC-exception
    GPL-3.0-with-autoconf-exception LGPL-2.0 LGPL-2.0+ LGPL-2.1 LGPL-2.1+ LGPL-3.0 LGPL-3.0+ Net-SNMP Nunit
    StandardML-NJ bzip2-1.0.5 eCos-2.0 wxWindows
"""


@pytest.mark.parametrize("name", GIVEN_UP.split())
def test_an_id_that_spdx_gave_up_is_refused_and_what_is_advised_is_right(name: str) -> None:
    (problem,) = problems(name)
    assert problem.what.startswith(f"SPDX gave up the id '{name}'")
    assert problem.remedy.startswith("write ") and problems(problem.remedy.removeprefix("write ")) == ()


@pytest.mark.parametrize(
    "expression",
    [
        "MIT MIT",
        "MIT AND",
        "(MIT",
        "MIT)",
        "MIT)(",
        "()",
        "MIT WITH Apache-2.0",
        "Libtool-exception",
        "AND",
        "MIT WITH",
    ],
)
def test_a_broken_grammar_is_one_problem(expression: str) -> None:
    (problem,) = problems(expression)
    assert problem.what == "not an SPDX licence expression"


@pytest.mark.parametrize(
    ("expression", "licence_class", "wrong"),
    [
        ("MIT", "osi", False),
        ("MIT", "unknown", False),
        ("MIT", "proprietary", True),
        ("GPL-2.0-or-later WITH Libtool-exception", "proprietary", True),
        ("MIT AND LicenseRef-x", "proprietary", False),
        ("SSPL-1.0", "osi", True),
        ("MIT AND SSPL-1.0", "osi", True),
        ("MIT OR SSPL-1.0", "osi", False),
        ("SSPL-1.0", "source-available", False),
        ("LicenseRef-x", "osi", False),
        ("SISSL", "osi", False),  # approved, though the library puts it beside what is not
        ("unknown", "osi", True),
        ("unknown", "proprietary", False),
        ("(MIT", "proprietary", False),  # that is not its only fault
    ],
)
def test_a_class_agrees_with_the_licence(expression: str, licence_class: str, wrong: bool) -> None:
    assert isinstance(contradiction(expression, licence_class), Problem) == wrong

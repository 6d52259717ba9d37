"""Check programs that need no image: what they say when something is wrong, and that every check has its bounds."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import sys
from pathlib import Path

import pytest

from stack.host import checks
from tests.reframe_tests.programs import SUITE, load

CLASS = re.compile(r"^@rfm\.simple_test\nclass (\w+)\(", re.MULTILINE)


def spoken(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_report_is_one_json_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    report = load(monkeypatch, "lib/report.py").Report(stream)
    report.metric("a", True, "x" * 5000)
    for _ in range(50):
        report.fault("two\nlines")
    report.done()
    lines = spoken(stream)
    assert lines[0]["value"] == 1.0
    assert len(str(lines[0]["detail"])) == 1000
    assert [line["sovstack"] for line in lines] == ["metric", *["fault"] * 20, "done"]


def test_the_worst_of_all_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    worst = load(monkeypatch, "lib/report.py").Worst()
    for value, detail in ((0.5, "a"), (math.nan, "b"), (math.inf, "c")):
        worst.add(value, detail)
    assert math.isnan(worst.value)
    assert worst.detail == "b"


def component(*command: str, version: str = "1.2") -> dict[str, object]:
    return {"name": "thing", "version": version, "command": list(command)}


def test_a_component_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = load(monkeypatch, "smoke/src/versions.py").ask
    assert ask(component("echo", "thing 1.2")) == ""
    assert ask(component("echo", "thing 1.3")) == "thing: expected version 1.2, it says 'thing 1.3'"
    assert "cannot be run: No such file" in ask(component("/no/such/program"))
    failing = ask(component(sys.executable, "-c", "print('1.2'); import no_such_module_at_all"))
    assert "does not load (status 1)" in failing
    assert "no_such_module_at_all" in failing


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler: apt-get install gcc")
def test_a_compilers_program_is_judged_by_what_it_prints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    attempt = load(monkeypatch, "toolchain/src/compile.py").attempt
    assert attempt("C", ("no-such-cc", "cc"), "hello.c", (), "hello C 5050") == ""
    assert "should print 'other', it printed 'hello C 5050'" in attempt("C", ("cc",), "hello.c", (), "other")
    assert attempt("C", ("no-such-cc",), "hello.c", (), "") == "C: no compiler (no-such-cc)"
    assert "ended with status" in attempt("C", ("cc",), "no-such-file.c", (), "")


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler: apt-get install gcc")
@pytest.mark.parametrize(
    ("absent", "failed", "programs"), [((), 1, 2), (("no-such-fortran",), 0, 1), (("no-such-fortran", "cc"), 0, 1)]
)
def test_a_language_without_a_compiler_fails_unless_it_is_known_to_be_absent(
    absent: tuple[str, ...], failed: int, programs: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    program = load(monkeypatch, "toolchain/src/compile.py")
    missing = ("Fortran", ("no-such-fortran",), "hello.f90", (), "hello Fortran 5050")
    monkeypatch.setattr(program, "PROGRAMS", (("C", ("cc",), "hello.c", (), "hello C 5050"), missing))
    assert program.main(*absent) == failed
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    said = {m["name"]: m["value"] for m in lines if m["sovstack"] == "metric"}
    assert said == {"failed_programs": failed, "programs": programs}


def test_every_class_has_bounds_and_every_bound_a_class() -> None:
    limits = checks.limits()
    classes = re.findall(CLASS, "\n".join(p.read_text() for p in SUITE.glob("*/*.py")))
    assert sorted(classes) == sorted(limits.checks)


def test_every_check_has_a_row_in_the_reference() -> None:
    limits = checks.limits()
    page = SUITE.parent / "docs" / "reference" / "checks.md"
    if not page.is_file():
        pytest.skip("the documentation is in the checkout only")
    text = page.read_text()
    missing = [
        f"{n}: {m}"
        for n, check in limits.checks.items()
        for m in check.metrics
        if f"`{m}`" not in text or n not in text
    ]
    assert missing == []


def test_no_check_selects_a_system_by_name() -> None:
    for path in SUITE.glob("*/*.py"):
        for value in re.findall(r"valid_systems = (.*)", path.read_text()):
            assert re.fullmatch(r'systems\("\w+"\)', value), path

"""Checks of linkage, instructions, affinity and memory: their programs on this machine, and what makes each fail."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reframe_tests.programs import SUITE

needs_compiler = pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler: apt-get install gcc")


def compiled(source: Path, made: Path, *options: str) -> Path:
    argv = [
        "gcc",
        "-O2",
        "-fopenmp",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{SUITE}/lib",
        "-o",
        made,
        source,
        *options,
        "-lm",
    ]
    subprocess.run(list(map(str, argv)), check=True)
    return made


def said(*argv: str | Path, **env: str) -> list[dict[str, Any]]:
    """The lines that a program printed for the suite."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "SOVSTACK_"))}
    ran = subprocess.run(list(map(str, argv)), env={**base, **env}, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"sovstack":')]


def metrics(lines: list[dict[str, Any]]) -> dict[str, float]:
    return {line["name"]: line["value"] for line in lines if line["sovstack"] == "metric"}


def details(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {line["name"]: line["detail"] for line in lines if line["sovstack"] == "metric"}


# --- report.h ---

TELLS = r"""
#include "report.h"
int main(void) {
  const double values[] = {1.5, -2.0}, bounds[] = {0x1p-50, 0x1p-50};
  report_metric("ratio", 0.1, "a \"quoted\" \\ %s", "\n\xff");
  report_metric("nan", NAN, "%s", "");
  report_fault("wrong: %d", 7);
  Number made = {.name = "n", .precision = "fp64", .said = "s", .basis = "b", .count = 2, .ratio = 0.5,
                 .doubles = values, .bounds = bounds};
  sha_start(&made.inputs), sha_start(&made.result);
  for (int i = 0; i < 1000; ++i) sha_add(&made.inputs, "abc", 3);
  sha_array(&made.result, "float64", values, 2, 8);
  report_number(&made);
  const int64_t whole[] = {-7, 9};
  Number exact = {.name = "w", .precision = "int64", .said = "s", .basis = "b", .count = 2, .whole = whole};
  sha_start(&exact.inputs), sha_start(&exact.result);
  report_number(&exact);
  report_done();
}
"""


@needs_compiler
def test_a_c_program_speaks_as_a_python_program_does(tmp_path: Path) -> None:
    (tmp_path / "tells.c").write_text(TELLS)
    metric, unknown, fault, number, whole, done = said(compiled(tmp_path / "tells.c", tmp_path / "tells"))
    assert (metric["value"], metric["detail"]) == (0.1, 'a "quoted" \\ \n\xff')
    assert unknown["value"] != unknown["value"]
    assert fault == {"sovstack": "fault", "text": "wrong: 7"}
    assert number["inputs"] == hashlib.sha256(b"abc" * 1000).hexdigest()
    data = b"float64(2,)" + bytes.fromhex("000000000000f83f00000000000000c0")  # 1.5 and -2, as identity.py takes them
    assert number["digest"] == hashlib.sha256(data).hexdigest()
    assert number["points"] == [
        ["0", (1.5).hex().replace(".8000000000000", ".8"), "0x1p-50"],
        ["1", "-0x1p+1", "0x1p-50"],
    ]
    assert (whole["kind"], whole["ratio"]) == ("exact", None)
    assert whole["points"] == [["0", "-0x1.cp+2", "0x0p+0"], ["1", "0x1.2p+3", "0x0p+0"]]
    assert (number["kind"], number["ratio"], done) == ("bounded", 0.5, {"sovstack": "done"})


# --- memory ---


@needs_compiler
def test_stream_tells_a_value_that_was_not_moved(tmp_path: Path) -> None:
    source = SUITE / "memory" / "src" / "stream.c"
    good = said(compiled(source, tmp_path / "good"), "5000", OMP_NUM_THREADS="2")
    assert metrics(good)["wrong_values"] == 0
    assert metrics(good)["threads"] == 2
    assert metrics(good)["triad"] > 0
    text = source.read_text()
    short = text.replace("i < n; ++i) a[i] = b[i] + SCALAR * c[i];", "i < n - 1; ++i) a[i] = b[i] + SCALAR * c[i];")
    assert short != text
    (tmp_path / "short.c").write_text(short)
    bad = said(compiled(tmp_path / "short.c", tmp_path / "bad"), "5000", OMP_NUM_THREADS="2")
    assert metrics(bad)["wrong_values"] == 1
    assert "at 4999 expected (129746337890625, " in details(bad)["wrong_values"]


# --- affinity ---


@needs_compiler
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_affinity_tells_threads_that_were_not_bound(tmp_path: Path) -> None:
    program = compiled(SUITE / "smoke" / "src" / "affinity.c", tmp_path / "affinity", "-DALONE")
    bound = said(program, "1", "2", "threads", OMP_PROC_BIND="close", OMP_PLACES="cores")
    assert {k: v for k, v in metrics(bound).items() if v} == {}
    free = said(program, "1", "2", "threads", OMP_PROC_BIND="false")
    assert metrics(free)["threads_overlap"] == 1
    assert "threads 0 and 1 of rank 0 may both run on " in details(free)["threads_overlap"]
    assert "threads_overlap" not in metrics(said(program, "1", "2"))
    fewer = said(program, "1", "2", "threads", OMP_THREAD_LIMIT="1")
    assert metrics(fewer)["threads_missing"] == 1


@needs_compiler
def test_affinity_tells_a_thread_outside_its_mask(tmp_path: Path) -> None:
    text = (SUITE / "smoke" / "src" / "affinity.c").read_text()
    moved = text.replace("place->cpu = sched_getcpu();", "place->cpu = 4000;")
    assert moved != text
    (tmp_path / "moved.c").write_text(moved)
    lines = said(compiled(tmp_path / "moved.c", tmp_path / "moved", "-DALONE"), "1", "1")
    assert metrics(lines)["outside_mask"] == 1
    assert "is on CPU 4000, may run on " in details(lines)["outside_mask"]


# --- linkage ---


def linkage(*words: str | Path) -> list[dict[str, Any]]:
    return said("sh", SUITE / "smoke" / "src" / "linkage.sh", *words)


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Path, Path]:
    """A program, and a library that it needs, in folders of their own."""
    if not shutil.which("gcc"):
        pytest.skip("needs a C compiler: apt-get install gcc")
    programs, libraries = tmp_path / "own" / "bin", tmp_path / "other"
    programs.mkdir(parents=True)
    libraries.mkdir()
    (tmp_path / "one.c").write_text("int one(void) { return 1; }\n")
    (tmp_path / "main.c").write_text("int one(void);\nint main(void) { return one() - 1; }\n")
    library = libraries / "libone.so.1"
    build = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libone.so.1", "-o", library, tmp_path / "one.c"]
    subprocess.run(list(map(str, build)), check=True)
    link = ["gcc", "-o", programs / "main", tmp_path / "main.c", library, f"-Wl,-rpath,{libraries}"]
    subprocess.run(list(map(str, link)), check=True)
    return programs.parent, library


def test_a_library_from_elsewhere_is_told(linked: tuple[Path, Path]) -> None:
    own, library = linked
    lines = linkage("--root", own, "--below", "/usr/lib", "--below", "/lib64")
    assert {n: v for n, v in metrics(lines).items() if v} == {"files": 1, "foreign_libraries": 1}
    assert f"{own}/bin/main gets {library}" in details(lines)["foreign_libraries"]
    fine = linkage("--root", own, "--below", "/usr/lib", "--below", "/lib64", "--below", library.parent)
    assert metrics(fine)["foreign_libraries"] == 0
    shadow = linkage("--root", own, "--below", "/usr/lib", "--below", "/lib64", "--shadow", "libone.so.1")
    assert (metrics(shadow)["foreign_libraries"], metrics(shadow)["host_libraries"]) == (0, 1)


def test_a_library_that_is_nowhere_is_told(linked: tuple[Path, Path]) -> None:
    own, library = linked
    library.unlink()
    lines = linkage("--root", own)
    assert metrics(lines)["missing_libraries"] == 1
    assert details(lines)["missing_libraries"] == f"{own}/bin/main needs libone.so.1, which is nowhere"
    assert lines[-1] == {"sovstack": "done"}
    assert metrics(linkage("--root", own, "--shadow", "libone.so.1"))["missing_libraries"] == 1
    given = linkage("--root", own, "--given", "libone.so.1")
    assert (metrics(given)["missing_libraries"], metrics(given)["host_libraries"]) == (0, 1)


def test_of_some_files_a_machine_uses_one(linked: tuple[Path, Path]) -> None:
    own, library = linked
    shutil.copy("/bin/true", own / "bin" / "mine")
    library.unlink()
    fine = linkage("--root", own, "--below", "/", "--one-of", "*/bin/m*n*")
    assert metrics(fine)["missing_libraries"] == 0
    assert metrics(linkage("--root", own, "--one-of", "*/bin/mai*"))["missing_libraries"] == 1  # none of them is whole
    assert metrics(linkage("--root", own, "--one-of", "*/lib/m*n*"))["missing_libraries"] == 1
    foreign = bytearray((own / "bin" / "mine").read_bytes())
    foreign[4] = 1  # of 32 bits: the dynamic linker says nothing of what it needs
    (own / "bin" / "mine").write_bytes(foreign)
    assert metrics(linkage("--root", own, "--one-of", "*/bin/m*n*"))["missing_libraries"] == 1


def test_a_quote_in_a_name_breaks_no_line(linked: tuple[Path, Path]) -> None:
    own, library = linked
    (own / "bin" / "main").rename(own / "bin" / 'a "b" \\ c')
    library.unlink()
    assert details(linkage("--root", own))["missing_libraries"].startswith(f"{own}/bin/a ?b? ? c needs libone.so.1")


def test_a_library_that_is_cut_short_is_told(linked: tuple[Path, Path]) -> None:
    own, library = linked
    library.write_bytes(library.read_bytes()[:100])
    faults = [line["text"] for line in linkage("--root", own) if line["sovstack"] == "fault"]
    assert len(faults) == 1
    assert faults[0].startswith("the dynamic linker says: ")
    assert "libone.so.1" in faults[0]


SYMBOLS = "V_1 { one; }; V_2 { two; } V_1;\n"
TWO = "%sint one(void) { return 1; }\nint two(void) { return 2; }\n"
USES = "%sint two(void);\nint main(void) { return &two && two() - 2; }\n"


def versioned(linked: tuple[Path, Path], symbols: str, before: str = "") -> Path:
    """The library again, with these versions of symbols, or none."""
    own, library = linked
    (own.parent / "two.c").write_text(TWO % before)
    (own.parent / "symbols").write_text(symbols)
    script = [f"-Wl,--version-script={own.parent / 'symbols'}"] if symbols else []
    build = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libone.so.1", *script, "-o", library, own.parent / "two.c"]
    subprocess.run(list(map(str, build)), check=True)
    return library


def using(linked: tuple[Path, Path], before: str = "") -> Path:
    """The program, linked with the library's versions as they now are."""
    own, library = linked
    (own.parent / "uses.c").write_text(USES % before)
    made = own / "bin" / "main"
    link = ["gcc", "-w", "-Wl,--no-as-needed", "-o", made, own.parent / "uses.c", library]
    link.append(f"-Wl,-rpath,{library.parent}")
    subprocess.run(list(map(str, link)), check=True)
    return made


def elf_hash(name: str) -> int:
    """Of the System V ABI: a version's name in what a file needs."""
    found = 0
    for byte in name.encode():
        found = (found << 4) + byte
        found = (found ^ (found >> 24 & 0xF0)) & 0x0FFFFFFF
    return found


def starts(program: Path) -> bool:
    return subprocess.run([program], capture_output=True, check=False).returncode == 0


def test_a_version_of_symbols_that_a_library_lacks_is_told(linked: tuple[Path, Path]) -> None:
    own, library = linked
    versioned(linked, SYMBOLS)
    program = using(linked)
    assert starts(program)
    assert metrics(linkage("--root", own))["missing_versions"] == 0
    versioned(linked, "V_1 { one; two; };\n")
    assert not starts(program)
    (own / "bin" / "link").symlink_to(program)
    lines = linkage("--root", own)
    words = f"{program} needs version V_2 of {library}, which does not define it"
    assert (metrics(lines)["missing_versions"], details(lines)["missing_versions"]) == (1, words)
    assert metrics(lines)["missing_libraries"] == 0
    shutil.copy("/bin/true", own / "bin" / "mine")
    assert metrics(linkage("--root", own, "--one-of", "*/bin/m*n*"))["missing_versions"] == 0
    assert metrics(linkage("--root", own, "--one-of", "*/bin/mai*"))["missing_versions"] == 1


def test_a_version_that_a_librarys_library_lacks_is_told_once(linked: tuple[Path, Path]) -> None:
    own, library = linked
    versioned(linked, SYMBOLS)
    program = using(linked)
    middle = own / "bin" / "libmiddle.so"
    build = ["gcc", "-w", "-shared", "-fPIC", "-o", middle, own.parent / "uses.c", library]
    build.append(f"-Wl,-rpath,{library.parent}")
    subprocess.run(list(map(str, build)), check=True)
    program.unlink()
    for name in ("first", "second"):
        link = ["gcc", "-o", own / "bin" / name, own.parent / "main.c", middle, library]
        link += ["-Wl,--no-as-needed", f"-Wl,-rpath,{library.parent}:{own / 'bin'}"]
        subprocess.run(list(map(str, link)), check=True)
    versioned(linked, "V_1 { one; two; };\n")
    lines = linkage("--root", own)
    words = f"{middle} needs version V_2 of {library}, which does not define it"
    assert (metrics(lines)["missing_versions"], details(lines)["missing_versions"]) == (1, words)


@pytest.mark.parametrize(("before", "missing"), [("", 1), ("#include <stdio.h>\n", 0)])
def test_a_library_without_any_version_is_told_where_it_ends_a_program(
    linked: tuple[Path, Path], before: str, missing: int
) -> None:
    """One that itself asks for versions has a table of them, and its symbols will do."""
    own, library = linked
    versioned(linked, SYMBOLS)
    program = using(linked)
    versioned(linked, "", before and before + 'int said(void) { return puts("x"); }\n')
    assert starts(program) == (not missing)
    lines = linkage("--root", own)
    assert metrics(lines)["missing_versions"] == missing
    words = f"{program} needs any version of {library}, which does not define it"
    assert details(lines)["missing_versions"] == (words if missing else "")


def test_a_weak_version_may_be_missing(linked: tuple[Path, Path]) -> None:
    own, _library = linked
    versioned(linked, SYMBOLS)
    program = using(linked, "#pragma weak two\n")
    versioned(linked, "V_1 { one; };\n")
    assert not starts(program)
    assert metrics(linkage("--root", own))["missing_versions"] == 1
    data = bytearray(program.read_bytes())
    data[data.find(struct.pack("=IH", elf_hash("V_2"), 0)) + 4] = 2  # VER_FLG_WEAK, in vna_flags
    program.write_bytes(data)
    assert starts(program)
    assert metrics(linkage("--root", own))["missing_versions"] == 0


def test_the_hosts_libraries_need_no_newer_c_library_than_the_contract_says(linked: tuple[Path, Path]) -> None:
    own, library = linked
    versioned(linked, "", '#include <stdio.h>\nint said(void) { return puts("x"); }\n')
    words = f"{library}, of the host, needs C library 2."
    for option in (("--shadow", "libone.so.1"), ("--given", "libone.so.1"), ("--bound", library.parent)):
        lines = linkage("--root", own, "--libc", "2.1", *option)
        assert metrics(lines)["unmet_terms"] == 1
        assert details(lines)["unmet_terms"].startswith(words)
        assert details(lines)["unmet_terms"].endswith(", the contract says 2.1")
        fine = linkage("--root", own, "--libc", "2.30", *option)
        assert metrics(fine)["unmet_terms"] == 0
        assert details(fine)["unmet_terms"].startswith("libraries of the host need C library 2.")
    assert metrics(linkage("--root", own, "--libc", "2.1"))["unmet_terms"] == 0  # it is the image's own
    shutil.rmtree(own)
    own.mkdir()
    assert metrics(linkage("--root", own, "--libc", "2.1", "--bound", library.parent))["unmet_terms"] == 1


def test_a_machine_that_is_older_than_the_contract_says_is_told(tmp_path: Path) -> None:
    def unmet(*words: str | Path) -> str:
        lines = linkage("--root", tmp_path, *words)
        assert metrics(lines)["unmet_terms"] == (1 if ", expected " in details(lines)["unmet_terms"] else 0)
        return details(lines)["unmet_terms"]

    assert unmet("--kernel", "99.0") == f"this kernel is {platform.release()}, expected 99.0 or later"
    assert not unmet("--kernel", "2.6")
    assert not unmet("--kernel", ".".join(platform.release().split("-")[0].split(".")[:2]))
    module = tmp_path / "version"
    for line in (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  525.60.13  Wed Nov 30 06:39:21 UTC 2022\n",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  525.60.13  Release Build  (builder@host)\n",
    ):
        module.write_text(line + "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n")
        assert unmet("--driver", "580", "--module", module) == (
            f"this driver is 525.60.13 ({module}), expected 580 or later"
        )
        assert not unmet("--driver", "525", "--module", module)
        assert not unmet("--driver", "525.60.13", "--module", module)
    assert not unmet("--driver", "580", "--module", tmp_path / "none")


def test_the_check_asks_what_the_contract_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, manifest = tmp_path / "subject.json", tmp_path / "manifest.json"
    told.write_text("{}")
    manifest.write_text("{}")
    monkeypatch.setenv("SOVSTACK_SUBJECT", str(told))
    monkeypatch.setenv("SOVSTACK_MANIFEST", str(manifest))
    monkeypatch.setattr(sys, "path", [str(SUITE), str(SUITE / "smoke"), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    terms = importlib.import_module("linkage").terms
    device = {"vendor": "nvidia", "option": "--nv", "driver": "525", "folder": "/f"}
    contract = {"libc": {"version": "2.41"}, "kernel": "3.2", "accelerator": device, "site": [{"folder": "/s"}]}
    floors, bound = ["--libc", "2.41", "--kernel", "3.2"], ["--bound", "/f", "--bound", "/s"]
    driver = ["--driver", "525", "--module", "/proc/driver/nvidia/version"]
    assert terms(contract, ["--nv"]) == [*floors, *driver, *bound]
    assert terms(contract, []) == [*floors, *bound]  # an NVIDIA driver may be here, but the image does not get to it
    assert terms({**contract, "accelerator": None, "site": ()}, []) == floors
    assert terms({}, ["--nv"]) == []


def test_the_c_library_inside_is_what_the_contract_says(tmp_path: Path) -> None:
    lines = linkage("--root", tmp_path, "--libc", "99.0")
    assert metrics(lines)["unmet_terms"] == 1
    assert details(lines)["unmet_terms"].startswith("the C library inside is 2.")
    assert metrics(linkage("--root", tmp_path))["missing_versions"] == 0
    assert "unmet_terms" not in metrics(linkage("--root", tmp_path))


def test_a_text_that_may_be_run_is_no_ones_concern(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "library.so").write_text("GROUP ( libc.so.6 )\n")
    lines = linkage("--root", tmp_path, "--below", "/")
    assert {n: v for n, v in metrics(lines).items() if v} == {}
    assert lines[-1] == {"sovstack": "done"}


# --- instructions ---

EMULATOR = shutil.which("qemu-x86_64-static")
AVX = 'int main(void) { __asm__ volatile("vaddps %%ymm0, %%ymm0, %%ymm0" ::: "memory"); }\n'
CRASH = "#include <stdlib.h>\nint main(void) { abort(); }\n"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy of the suite, to break its programs in."""
    return Path(shutil.copytree(SUITE, tmp_path / "suite", ignore=shutil.ignore_patterns("__pycache__")))


def instructions(suite: Path, cpu: str, *names: str, program: str = "hello.c", text: str = "") -> list[dict[str, Any]]:
    if text:
        (suite / "toolchain" / "src" / program).write_text(text)
    script = suite / "smoke" / "src" / "instructions.sh"
    return said("sh", script, str(EMULATOR), cpu, sys.executable, *names, SOVSTACK_SUITE=str(suite))


@needs_compiler
@pytest.mark.skipif(EMULATOR is None, reason="needs QEMU: apt-get install qemu-user-static")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instruction is one of x86-64")
def test_an_instruction_that_the_target_does_not_have_is_told(suite: Path) -> None:
    fine = metrics(instructions(suite, "Nehalem", "compilers"))
    assert (fine["programs"], fine["illegal_instructions"], fine["failed_programs"]) == (3, 0, 0)
    lines = instructions(suite, "Nehalem", "compilers", text=AVX)
    assert metrics(lines)["illegal_instructions"] == 1
    assert details(lines)["illegal_instructions"].startswith(
        "a compiled program has an instruction that Nehalem has not"
    )
    wider = metrics(instructions(suite, "Haswell-noTSX", "compilers", text=AVX))
    assert (wider["illegal_instructions"], wider["failed_programs"]) == (0, 0)


@needs_compiler
@pytest.mark.skipif(EMULATOR is None, reason="needs QEMU: apt-get install qemu-user-static")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the CPU is one of x86-64")
def test_a_program_that_fails_there_otherwise_is_told_apart(suite: Path) -> None:
    lines = instructions(suite, "Nehalem", "compilers", text=CRASH)
    assert (metrics(lines)["illegal_instructions"], metrics(lines)["failed_programs"]) == (0, 1)
    assert "a compiled program ended with status 134 on Nehalem" in details(lines)["failed_programs"]
    lines = instructions(suite, "Nehalem", "compilers", text="no C at all\n")
    assert metrics(lines)["failed_programs"] == 1


@needs_compiler
def test_a_program_is_compiled_the_first_way_that_works(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text('#include "report.h"\nint main(void) { report_done(); }\n')
    script, made, source = (str(p) for p in (SUITE / "lib" / "compile.sh", tmp_path / "main", tmp_path / "main.c"))
    argv = ["sh", script, "no-such-compiler gcc", made, source]
    env = {**os.environ, "SOVSTACK_SUITE": str(SUITE)}
    subprocess.run([*argv, "pkg:no-such-package", "-lno_such_library", "-lm"], env=env, check=True)
    assert said(tmp_path / "main") == [{"sovstack": "done"}]
    ran = subprocess.run([*argv, "-lno_such_library"], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "no_such_library" in ran.stderr

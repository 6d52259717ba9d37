"""Programs of another CPU family are started for real, in a namespace of their own, and in an image."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from stack import emulation
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError, host_lacks
from stack.host import cells, doctor, emulating, namespace
from stack.host.library import Library
from tests.host import foreign, tiny
from tests.locked import lock as a_lock
from tests.test_emulation import ENTRY, emulator

CPU = "max,pauth-impdef=on,sve-default-vector-length=16"


def ended(argv: list[str]) -> tuple[int, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("family", foreign.MACHINES)
def test_a_program_runs_and_its_status_is_the_commands(tmp_path: Path, catalogue: Catalogue, family: str) -> None:
    found, path = foreign.emulation(catalogue, family), foreign.put(tmp_path / "a", family)
    for prefix in (found.building, found.checking):
        assert ended([*prefix, str(path)]) == (foreign.STATUS, "hello\n")


def test_outside_nothing_is_registered(tmp_path: Path, catalogue: Catalogue) -> None:
    found, path = foreign.emulation(catalogue), foreign.put(tmp_path / "a")
    if not found.line:
        pytest.skip("the whole machine runs such programs")
    assert ended([*found.checking, str(path)])[0] == foreign.STATUS
    with pytest.raises(OSError, match="Exec format error"):
        subprocess.run([path], check=False)


def test_it_runs_in_a_root_that_has_no_emulator(tmp_path: Path, catalogue: Catalogue) -> None:
    found = foreign.emulation(catalogue)
    foreign.put(tmp_path / "a")
    assert ended([*found.building, "chroot", str(tmp_path), "/a"]) == (foreign.STATUS, "hello\n")


def test_a_build_is_root_over_a_range_of_ids(catalogue: Catalogue) -> None:
    found = foreign.emulation(catalogue)
    done = subprocess.run(
        [*found.building, "cat", "/proc/self/uid_map", "/proc/self/gid_map"], capture_output=True, text=True, check=True
    )
    assert namespace.reaches(done.stdout)


def test_files_belong_to_who_started_it(tmp_path: Path, catalogue: Catalogue) -> None:
    found = foreign.emulation(catalogue)
    for name, prefix in (("building", found.building), ("checking", found.checking)):
        subprocess.run([*prefix, "touch", str(tmp_path / name)], check=True)
        assert (tmp_path / name).owner() == tmp_path.owner()


def test_apptainer_starts_an_image_of_another_architecture(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = foreign.emulation(catalogue)
    lock = a_lock()
    of_it = lock.model_copy(update={"os": lock.os.model_copy(update={"architecture": _debian(catalogue)})})
    path = tiny.make(tmp_path, of_it, program=foreign.program()).path
    argv = [tiny.tools().apptainer, "-q", "exec", "--containall", str(path), "/program"]
    for name, value in tiny.tools().apptainer_env.items():
        monkeypatch.setenv(name, value)
    assert ended([*found.checking, *argv]) == (foreign.STATUS, "hello\n")
    if found.line:
        bare = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (bare.returncode, "architecture" in bare.stderr) == (255, True)


def _debian(catalogue: Catalogue) -> str:
    return str(catalogue.systems["debian-13"].architectures[foreign.FAMILY])


def test_without_an_emulator_the_package_is_named(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulating, "registered", lambda _emulator: "")
    monkeypatch.setattr(emulating, "which", lambda _name: None)
    with pytest.raises(StackError) as caught:
        emulating._find("riscv64", emulator(catalogue))
    assert caught.value.exit_code is ExitCode.HOST
    assert "there is no static qemu-riscv64 on PATH" in str(caught.value)
    assert "apt-get install --no-install-recommends qemu-user-static" in str(caught.value)


def test_an_older_kernel_is_told_and_what_root_can_do(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_tried: object) -> tuple[str, ...]:
        raise host_lacks("mount: permission denied", "x")

    monkeypatch.setattr(emulating, "registered", lambda _emulator: "")
    monkeypatch.setattr(emulating, "static", lambda _emulator: tmp_path / "qemu-riscv64-static")
    monkeypatch.setattr(namespace, "find", refused)
    monkeypatch.setattr(emulation, "new_enough", lambda _release: False)
    with pytest.raises(StackError) as caught:
        emulating._find("riscv64", emulator(catalogue))
    said = str(caught.value)
    assert caught.value.exit_code is ExitCode.HOST
    assert "mount: permission denied" in said
    assert "from 6.7 on" in said
    assert "qemu-user-static binfmt-support" in said


def test_what_the_machine_registered_is_taken(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulating, "registered", lambda _emulator: ENTRY)
    monkeypatch.setattr(namespace, "find", lambda: ("unshare",))
    found = emulating._find("aarch64", emulator(catalogue, "aarch64"))
    assert (found.line, found.checking) == ("", ("env", f"APPTAINERENV_QEMU_CPU={CPU}"))
    assert found.building == ("unshare", "env", f"QEMU_CPU={CPU}")


def test_entries_of_the_machine_are_read(tmp_path: Path, catalogue: Catalogue) -> None:
    riscv64 = emulator(catalogue)
    assert emulating.registered(riscv64, tmp_path / "none") == ""
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "python3.11").write_text(
        "enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n"
    )
    assert emulating.registered(riscv64, tmp_path) == ""
    (tmp_path / "any-name").write_text(ENTRY)
    assert emulating.registered(riscv64, tmp_path) == ENTRY
    assert emulating.registered(emulator(catalogue, "aarch64"), tmp_path) == ""
    (tmp_path / "status").write_text("disabled\n")
    assert emulating.registered(riscv64, tmp_path) == ""


def test_a_static_emulator_alone_will_do(tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulating, "which", lambda name: str(tmp_path / name) if (tmp_path / name).exists() else None)
    path = tmp_path / "qemu-riscv64"
    assert emulating.static(emulator(catalogue)) is None
    for content in (foreign.program(interpreter=True), b"#!/bin/sh\n", foreign.program()[:70], b""):
        path.write_bytes(content)
        assert emulating.static(emulator(catalogue)) is None
    path.write_bytes(foreign.program())
    assert emulating.static(emulator(catalogue)) == path
    (tmp_path / "a:b").mkdir()
    path.rename(tmp_path / "a:b/q")
    path.symlink_to(tmp_path / "a:b/q")
    assert emulating.static(emulator(catalogue)) is None


# Instructions as they lie in memory: some that the microarchitecture has, and some that it lacks.
INSTRUCTIONS = {
    ("x86_64", "x86_64"): ({"addpd": "660f58c0"}, {"haddpd": "660f7cc0", "popcnt": "f30fb8c0", "vaddpd": "c5f958c0"}),
    ("x86_64", "x86_64_v2"): (
        {"haddpd": "660f7cc0", "popcnt": "f30fb8c0", "pcmpgtq": "660f3837c0"},
        {"vaddpd": "c5f958c0", "aesenc": "660f38dcc0"},
    ),
    ("x86_64", "x86_64_v3"): (
        {"vpaddd": "c5fdfec0", "vfmadd231pd": "c4e2fdb8c0", "rorx": "c4e37bf0c001", "vcvtph2ps": "c4e27913c0"},
        {"aesenc": "660f38dcc0", "pclmulqdq": "660f3a44c000", "vaddpd of 512 bits": "62f1fd4858c0"},
    ),
    ("aarch64", "aarch64"): ({"fmadd": "0000401f"}, {"ldadd": "e00320b8", "sdot": "0094804e", "ptrue": "e0e31825"}),
    ("aarch64", "neoverse_n1"): ({"ldadd": "e00320b8", "sdot": "0094804e"}, {"ptrue": "e0e31825"}),
    ("aarch64", "a64fx"): ({"ldadd": "e00320b8", "ptrue": "e0e31825"}, {"sdot": "0094804e"}),
    ("riscv64", "riscv64"): ({"fmadd.d": "4375a552"}, {"andn": "3375a540", "vsetvli": "5770000d"}),
    ("riscv64", "u74mc"): ({"andn": "3375a540"}, {"clmul": "3315a50a", "bset": "3315a528", "vsetvli": "5770000d"}),
}


@pytest.mark.parametrize(("family", "name"), INSTRUCTIONS)
def test_a_baseline_runs_what_the_target_has_and_stops_at_the_rest(
    tmp_path: Path, catalogue: Catalogue, family: str, name: str
) -> None:
    qemu = emulator(catalogue, family)
    program = emulating.static(qemu)
    if program is None:
        pytest.skip(f"there is no static {qemu.program} on PATH: see `sovstack doctor laptop --arch {family}`")
    for words, expected in zip(INSTRUCTIONS[family, name], (foreign.STATUS, -signal.SIGILL), strict=True):
        for instruction, code in words.items():
            path = tmp_path / "a"
            path.write_bytes(foreign.one_instruction(family, code))
            path.chmod(0o755)
            done = subprocess.run([program, "-cpu", qemu.baselines[name], path], capture_output=True, check=False)
            assert (instruction, done.returncode) == (instruction, expected)


def test_a_program_that_says_no_version_has_none(tmp_path: Path) -> None:
    assert emulating.version(tmp_path / "none") == ""
    assert emulating.version(Path("/bin/true")) == "" or emulating.version(Path("/bin/true"))[0].isdigit()


def test_this_machines_own_family_needs_nothing(catalogue: Catalogue) -> None:
    assert emulating.needed(emulating.here(), catalogue.hardware) is None
    with pytest.raises(StackError, match="programs of s390x cannot be run"):
        emulating.needed("s390x", catalogue.hardware)


def test_the_doctor_says_how_or_why_not(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.emulated(emulating.here(), catalogue.hardware).detail == "are this machine's own"
    found = foreign.emulation(catalogue)
    row = doctor.emulated(foreign.FAMILY, catalogue.hardware)
    assert (row.state, found.text in row.detail) == ("present", True)
    lost = doctor.emulated("s390x", catalogue.hardware)
    assert (lost.state, lost.remedy) == ("unusable", "use a machine of s390x")


@pytest.mark.parametrize(("environment", "cpu"), [("hpc-mpi", "Nehalem"), ("numerics", "qemu64,")])
def test_the_judge_has_what_the_contract_promises_and_no_more(
    library: Library, tmp_path: Path, environment: str, cpu: str
) -> None:
    """Packages are for the least processor that they run on; what is built is for the target's, any x86-64 here."""
    cell = cells.open_cell(library, "laptop", environment, None, tmp_path, "amd64")
    assert emulating.judge(cell).cpu.startswith(cpu)

"""What the kernel is told of an emulator, and the shell that tells it."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stack import emulation
from stack import target as targets
from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.hardware import Emulator
from stack.host.library import Library
from stack.target import Target
from tests.conftest import FACTS

CPU = "max,pauth-impdef=on,sve-default-vector-length=16"

# Of QEMU's scripts/qemu-binfmt-conf.sh, which every distribution registers.
PUBLISHED = {
    "x86_64": (
        r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00",
        r"\xff\xff\xff\xff\xff\xfe\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ),
    "aarch64": (
        r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
        r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ),
    "riscv64": (
        r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00",
        r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ),
    "ppc64le": (
        r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00",
        r"\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00",
    ),
}
# As Linux shows what was registered.
ENTRY = """\
enabled
interpreter /usr/bin/qemu-riscv64-static
flags: POF
offset 0
magic 7f454c460201010000000000000000000200f300
mask ffffffffffffff00fffffffffffffffffeffffff
"""


def emulator(catalogue: Catalogue, family: str = "riscv64") -> Emulator:
    found = catalogue.hardware.families[family].emulator
    assert found is not None
    return found


@pytest.mark.parametrize("family", PUBLISHED)
def test_the_line_is_what_qemu_publishes(catalogue: Catalogue, family: str) -> None:
    magic, mask = PUBLISHED[family]
    name = f"qemu-{family}"
    line = emulation.register_line(emulator(catalogue, family), f"/usr/bin/{name}-static")
    assert line == f":{name}:M::{magic}:{mask}:/usr/bin/{name}-static:OPF"


def test_every_family_that_a_system_has_can_be_emulated(catalogue: Catalogue) -> None:
    wanted = {family for system in catalogue.systems.values() for family in system.architectures}
    assert wanted <= {name for name, family in catalogue.hardware.families.items() if family.emulator}


@pytest.mark.parametrize("path", ["/a:b/qemu", "/a\\x2f", "/a\nb", "qemu", "/" + "q" * 2000])
def test_a_path_that_the_kernel_would_split_is_refused(catalogue: Catalogue, path: str) -> None:
    with pytest.raises(StackError, match="takes no emulator with the path"):
        emulation.register_line(emulator(catalogue), path)


def test_words_reach_the_command_as_they_are(tmp_path: Path, catalogue: Catalogue) -> None:
    """The same shell, with a folder that can be written in place of the kernel's and a mount that does nothing."""
    line = emulation.register_line(emulator(catalogue), "/usr/bin/qemu")
    argv = list(emulation.with_variables(emulation.registered(("env",), line), emulator(catalogue, "aarch64")))
    argv[argv.index(emulation.BINFMT)] = str(tmp_path)
    mount = tmp_path / "mount"
    mount.write_text("#!/bin/sh\n")
    mount.chmod(0o755)
    said = ["$(touch x)", "a b", "'", "*", "\\x7f"]
    words = ["sh", "-c", 'echo "$QEMU_CPU"; for w in "$@"; do printf "%s\\n" "$w"; done', "sh", *said]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([*argv, *words], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == [CPU, *said]
    assert (tmp_path / "register").read_text() == line  # the kernel itself takes the escapes apart
    assert not (tmp_path / "x").exists()


def test_a_mount_that_fails_ends_it(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.write_text("#!/bin/sh\necho no >&2; exit 32\n")
    mount.chmod(0o755)
    argv = [*emulation.registered(("env",), "line"), "echo", "went on"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (32, "", "no\n")


def test_a_cpu_that_is_not_asked_for_sets_nothing(catalogue: Catalogue) -> None:
    assert emulation.with_variables(("x",), emulator(catalogue, "riscv64")) == ("x",)
    assert emulation.variables(emulator(catalogue, "aarch64")) == {"QEMU_CPU": CPU}


def test_images_get_the_variables_whole_and_root_of_a_namespace_is_told_so(catalogue: Catalogue) -> None:
    riscv64, arm = emulator(catalogue, "riscv64"), emulator(catalogue, "aarch64")
    assert emulation.for_images((), riscv64, own=False) == ()
    assert emulation.for_images(("x",), riscv64, own=True) == ("x", "env", "APPTAINER_USERNS=1")
    assert emulation.for_images((), arm, own=False) == ("env", f"APPTAINERENV_QEMU_CPU={CPU}")


def test_scripts_can_be_printed_and_read_again(catalogue: Catalogue) -> None:
    line = emulation.register_line(emulator(catalogue), "/usr/bin/qemu")
    argv = [*emulation.registered(emulation.keep_ids("--mount"), line), "true"]
    assert shlex.split(shlex.join(argv)) == argv


@pytest.mark.parametrize(
    ("changed", "to", "handled"),
    [
        ("", "", True),
        ("enabled", "disabled", False),
        ("flags: POF", "flags: PO", False),  # it would have to be in every image
        ("f300", "b700", False),
        ("magic 7f", "magic zz", False),
        ("offset 0", "offset x", False),
        ("mask ffffffffffffff00fffffffffffffffffeffffff\n", "", True),
        ("magic 7f454c460201010000000000000000000200f300\n", "", False),
        ("mask ffffffffffffff00fffffffffffffffffeff", "mask ffffffffffffff00fffffffffffffffffe00", True),
    ],
)
def test_an_entry_of_the_machine_is_for_the_family_or_not(
    catalogue: Catalogue, changed: str, to: str, handled: bool
) -> None:
    assert emulation.handles(ENTRY.replace(changed, to, 1), emulator(catalogue)) is handled


def test_no_entry_and_a_longer_one_handle_nothing(catalogue: Catalogue) -> None:
    assert not emulation.handles("", emulator(catalogue))
    longer = ENTRY.replace("f300\n", "f30000\n").replace("mask ", "mask ff")
    assert not emulation.handles(longer, emulator(catalogue))


@pytest.mark.parametrize(
    ("release", "known"),
    [("6.7.0", True), ("6.12.5-amd64", True), ("7.0-rc1", True), ("6.6.99", False), ("5.15.0-x", False), ("", False)],
)
def test_kernels_since_6_7_have_one_for_each_namespace(release: str, known: bool) -> None:
    assert emulation.new_enough(release) is known


def target(library: Library, catalogue: Catalogue, family: str, microarchitecture: str = "") -> Target:
    profile, facts = library.profile("laptop")[1], replace(FACTS, accelerators=(("10de", "2330"),))
    found = targets.resolve(profile, "default", catalogue, facts, family)
    return replace(found, microarchitecture=microarchitecture or found.microarchitecture)


def test_the_target_of_an_architecture_is_any_of_its_processors(library: Library, catalogue: Catalogue) -> None:
    made = target(library, catalogue, "riscv64")
    assert (made.name, made.family, made.accelerator, made.linker) == (
        "debian13-riscv64", "riscv64", None, "/lib/ld-linux-riscv64-lp64d.so.1",
    )  # fmt: skip


def test_what_is_built_for_the_machine_has_the_machines_architecture(library: Library, catalogue: Catalogue) -> None:
    profile = library.profile("laptop")[1].model_copy(update={"build_for": "machine"})
    with pytest.raises(StackError, match="the machine's own OS") as caught:
        targets.resolve(profile, "default", catalogue, FACTS, "aarch64")
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("family", "name", "built", "cpu"),
    [
        ("riscv64", "", True, "sifive-u54"),
        ("aarch64", "neoverse_v2", False, "neoverse-n1"),  # the nearest that has no more
        ("aarch64", "neoverse_v2", True, ""),
        ("x86_64", "x86_64_v2", True, "Nehalem"),
        ("x86_64", "x86_64_v4", True, ""),  # QEMU has no AVX-512
        ("ppc64le", "ppc64le", False, ""),
    ],
)
def test_the_baseline_has_no_more_than_a_microarchitecture(
    catalogue: Catalogue, family: str, name: str, built: bool, cpu: str
) -> None:  # fmt: skip
    assert emulation.baseline(name or family, emulator(catalogue, family), built=built) == cpu


@pytest.mark.parametrize(
    ("word", "family"), [("arm64", "aarch64"), ("aarch64", "aarch64"), ("amd64", "x86_64"), ("riscv64", "riscv64")]
)
def test_both_words_for_an_architecture_are_known(catalogue: Catalogue, word: str, family: str) -> None:
    assert emulation.family(word, catalogue) == family


def test_another_word_is_refused_with_the_nearest(catalogue: Catalogue) -> None:
    with pytest.raises(StackError, match=r"unknown architecture 'amr64' \(did you mean 'arm64'\?\)"):
        emulation.family("amr64", catalogue)
    with pytest.raises(StackError, match="known: aarch64, amd64, arm64"):
        emulation.family("$(x)", catalogue)


def test_the_emulator_in_words(catalogue: Catalogue) -> None:
    assert emulation.described(emulator(catalogue, "aarch64"), "7.2.22") == (f"qemu-aarch64 7.2.22, cpu {CPU}")
    assert emulation.described(emulator(catalogue, "riscv64"), "") == "qemu-riscv64"

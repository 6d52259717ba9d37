"""Ring 2. Programs of another CPU family on this machine: what the kernel is told, and the shell that tells it.

Since Linux 6.7 binfmt_misc belongs to a user namespace: whoever makes one registers QEMU in it, without root, and no
other process of the machine sees that.
"""

from __future__ import annotations

from collections.abc import Mapping

from stack.catalogue import Catalogue
from stack.document import did_you_mean
from stack.errors import bad_input
from stack.hardware import Emulator

KERNEL = (6, 7)  # the first whose binfmt_misc can be mounted in a user namespace
BINFMT = "/proc/sys/fs/binfmt_misc"
# P: the program's own name reaches it as it was called by; O: QEMU is handed the program opened; F: QEMU is opened now,
# so that it needs to be in no image.
FLAGS = "OPF"
LONGEST = 1920  # of a line that the kernel takes
TIMES_SLOWER = 10  # what a time limit is multiplied by; emulated PyTorch was seen to take 3 to 8 times as long

# Arguments: where binfmt_misc is mounted, the line, and the command.
_REGISTER = """\
set -eu
mount -t binfmt_misc binfmt_misc "$1"
printf %s "$2" > "$1/register"
shift 2
exec "$@"
"""

# Root gives its new namespace the ids that it has itself, each as what it is: a file's owner is the same in and out.
# Somebody outside has to say so once the namespace is there, and everything inside waits for that.
# Arguments: `unshare` with its options, `--`, and the command.
_KEEP_IDS = """\
set -eu
self=$$
outside=$(readlink "/proc/$self/ns/user")
(
  while [ "$(readlink "/proc/$self/ns/user")" = "$outside" ]; do sleep 0.01; done
  for map in uid_map gid_map; do
    ids=$(while read -r first _ count; do echo "$first $first $count"; done < "/proc/self/$map")
    printf '%s\\n' "$ids" > "/proc/$self/$map"
  done
) &
exec "$@"
"""
_WAIT = """\
set -eu
until read -r ids < /proc/self/gid_map; do sleep 0.01; done
exec "$@"
"""


def register_line(emulator: Emulator, interpreter: str) -> str:
    """What `register` of binfmt_misc is given. Raises `StackError` for a path that cannot stand in it."""
    line = f":{emulator.program}:M::{_escaped(emulator.magic)}:{_escaped(emulator.mask)}:{interpreter}:{FLAGS}"
    if any(c in interpreter for c in ":\\\n") or not interpreter.startswith("/") or len(line.encode()) > LONGEST:
        raise bad_input(f"the kernel takes no emulator with the path {interpreter!r}", remedy="put it into /usr/bin")
    return line


def _escaped(digits: str) -> str:
    return "".join(f"\\x{digits[i : i + 2]}" for i in range(0, len(digits), 2))


def keep_ids(*options: str) -> tuple[str, ...]:
    """A prefix that runs a command in a user namespace with all ids of its parent. For root, who may say so."""
    return ("sh", "-c", _KEEP_IDS, "namespace", "unshare", "--user", *options, "sh", "-c", _WAIT, "wait")


def registered(namespace: tuple[str, ...], line: str) -> tuple[str, ...]:
    """A prefix that runs a command where programs of the line's family can be started.

    `namespace`: a prefix that makes a user namespace and a mount namespace, in which the command is root.
    """
    return (*namespace, "sh", "-c", _REGISTER, "emulate", BINFMT, line)


def variables(emulator: Emulator) -> dict[str, str]:
    """Variables that QEMU reads: they have to reach every program that it runs."""
    return {"QEMU_CPU": emulator.cpu} if emulator.cpu else {}


def with_variables(namespace: tuple[str, ...], emulator: Emulator) -> tuple[str, ...]:
    """A prefix that sets the variables too."""
    given = tuple(f"{name}={value}" for name, value in sorted(variables(emulator).items()))
    return (*namespace, "env", *given) if given else namespace


def for_images(namespace: tuple[str, ...], emulator: Emulator, *, own: bool) -> tuple[str, ...]:
    """A prefix in which Apptainer runs images of the family. `own`: the namespace is one of ours.

    Root in that is root of it alone, which Apptainer does not see for itself. The variables go into images by a way
    that splits no value: `--env` does so at commas.
    """
    given = {f"APPTAINERENV_{name}": value for name, value in variables(emulator).items()}
    if own:
        given["APPTAINER_USERNS"] = "1"
    words = tuple(f"{name}={value}" for name, value in sorted(given.items()))
    return (*namespace, "env", *words) if words else namespace


def handles(entry: str, emulator: Emulator) -> bool:
    """Whether an entry of binfmt_misc, as the kernel shows it, starts the family's programs also where it is not seen.

    That takes flag F: without it the emulator would have to lie in every image.
    """
    lines = entry.splitlines()
    found = {key: value.strip() for key, _, value in (line.partition(" ") for line in lines)}
    try:
        magic, offset = bytes.fromhex(found["magic"]), int(found["offset"])
        mask = bytes.fromhex(found.get("mask", "ff" * len(magic)))
    except (KeyError, ValueError):
        return False
    ours = bytes.fromhex(emulator.magic)[offset:]
    alike = len(magic) <= len(ours) and all((a ^ b) & m == 0 for a, b, m in zip(magic, ours, mask, strict=False))
    return bool(magic) and alike and lines[:1] == ["enabled"] and "F" in found.get("flags:", "")


def new_enough(release: str) -> bool:
    """Whether a kernel's release (`6.12.5-amd64`) has a binfmt_misc for each user namespace."""
    numbers = [int(part) for part in release.split("-", maxsplit=1)[0].split(".")[:2] if part.isdigit()]
    return tuple(numbers) >= KERNEL


def baseline(microarchitecture: str, emulator: Emulator, *, built: bool) -> str:
    """The CPU of QEMU's that runs what is for a microarchitecture, and no more; empty where it has none.

    For what is built from source (`built`) no lesser CPU will do.
    """
    import archspec.cpu

    ancestors = () if built else (str(a) for a in archspec.cpu.TARGETS[microarchitecture].ancestors)
    names = (microarchitecture, *ancestors)
    return next((emulator.baselines[name] for name in names if name in emulator.baselines), "")


def described(emulator: Emulator, version: str) -> str:
    """The emulator in words, for a report: `qemu-riscv64 7.2.22`, and the CPU where one was asked for."""
    return f"{emulator.program} {version}".strip() + (f", cpu {emulator.cpu}" if emulator.cpu else "")


def family(word: str, catalogue: Catalogue) -> str:
    """The CPU family that a word is for: archspec's (`aarch64`), or a distribution's (`arm64`). Raises `StackError`."""
    known = words(catalogue)
    if word not in known:
        remedy = did_you_mean(word, known) or f"known: {', '.join(sorted(known))}"
        raise bad_input(f"unknown architecture {word!r}", remedy=remedy)
    return known[word]


def words(catalogue: Catalogue) -> Mapping[str, str]:
    """Every word for an architecture, and the family that it is for."""
    said = {word: name for system in catalogue.systems.values() for name, word in system.architectures.items()}
    return {**said, **{name: name for name in catalogue.hardware.families}}

"""Programs of other CPU families, a few instructions each: they print a word and end with a status of their own."""

from __future__ import annotations

import struct
from pathlib import Path

import archspec.cpu
import pytest

from stack.catalogue import Catalogue
from stack.errors import ExitCode, StackError
from stack.host import emulating
from stack.host.emulating import Emulation

STATUS = 42
WORD = b"hello\n"
HERE = str(archspec.cpu.host().family)
MACHINES = {"riscv64": 243, "aarch64": 183}
FAMILY = next(name for name in MACHINES if name != HERE)
# exit(42), in machine code
ENDS = {
    "riscv64": "1305a002 9308d005 73000000",
    "aarch64": "400580d2 a80b80d2 010000d4",
    "x86_64": "b83c000000 bf2a000000 0f05",
}


def _riscv64(text: int) -> bytes:
    """write(1, text, 6); exit(42). `text`: where it is, from the first instruction."""

    def load(register: int, value: int, base: int = 0) -> int:
        return value << 20 | base << 15 | register << 7 | 0x13

    a0, a1, a2, a7, call = 10, 11, 12, 17, 0x73
    here = a1 << 7 | 0x17
    words = (here, load(a1, text, a1), load(a0, 1), load(a2, len(WORD)), load(a7, 64), call)
    return struct.pack("<9I", *words, load(a0, STATUS), load(a7, 93), call)


def _aarch64(text: int) -> bytes:
    """The same."""

    def load(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    call = 0xD4000001
    address = 0x10000000 | (text & 3) << 29 | (text >> 2) << 5 | 1
    words = (address, load(0, 1), load(2, len(WORD)), load(8, 64), call)
    return struct.pack("<9I", *words, load(0, STATUS), load(8, 93), call, call)


def program(family: str = FAMILY, *, interpreter: bool = False) -> bytes:
    """A static program for Linux. `interpreter`: it says that it wants a dynamic linker."""
    return _elf(MACHINES[family], {"riscv64": _riscv64, "aarch64": _aarch64}[family](36) + WORD, interpreter)


def one_instruction(family: str, code: str) -> bytes:
    """A static program that runs an instruction (hex digits, as it lies in memory) and ends with the status."""
    return _elf({**MACHINES, "x86_64": 62}[family], bytes.fromhex(code + ENDS[family]), interpreter=False)


def _elf(machine: int, code: bytes, interpreter: bool) -> bytes:
    base, size = 0x10000, 64 + 56 + len(code)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 3 if interpreter else 1, 5, 0, base, base, size, size, 0x1000) + code


def put(path: Path, family: str = FAMILY) -> Path:
    """The program as a file that can be run."""
    path.write_bytes(program(family))
    path.chmod(0o755)
    return path


def emulation(catalogue: Catalogue, family: str = FAMILY) -> Emulation:
    """How such programs run here, or the test is skipped."""
    try:
        found = emulating.needed(family, catalogue.hardware)
    except StackError as error:
        assert error.exit_code is ExitCode.HOST
        pytest.skip(f"programs of {family} do not run here: {error}")
    if found is None:
        pytest.skip(f"this machine is {family} itself")
    return found

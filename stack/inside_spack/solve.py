"""Solve the active environment for a machine that this one is not, and write its `spack.lock`.

Spack runs the compiler and the dynamic linker of the machine to learn the C library, and it and its packages ask which
processor the machine has, so a lock would depend on the host that made it. Here the answers are given that the target
would give. The OS comes from `UNIXCONFDIR`. See `docs/decisions/0008-solving-for-another-machine.md`.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import spack
import spack.archspec
import spack.environment
import spack.platforms
import spack.spec
import spack.util.libc
import spack.vendor.archspec.cpu
from spack.compilers import libraries


def main(path: str) -> None:
    """Solve, as the JSON file says."""
    wanted = json.loads(Path(path).read_text(encoding="utf-8"))
    if spack.spack_version != wanted["version"]:
        sys.exit(f"this is Spack {spack.spack_version}, and {wanted['version']} is needed")
    pretend(wanted["linker"], wanted["libc"], wanted["libc_prefix"])
    environment = spack.environment.active_environment()
    with spack.platforms.use_platform(machine(wanted["target"])), environment.write_transaction():
        environment.concretize()
        environment.write()


def pretend(linker: str, libc: str, prefix: str) -> None:
    """Answer for the target's compiler, which would print its linker, and for the linker, which would print itself."""

    def answer(_path: str) -> Any:
        spec = spack.spec.Spec(f"glibc@={libc}")
        spec.external_path = prefix
        return spec

    class Known(libraries.CompilerCache):
        def value(self, _compiler: Any) -> dict[str, str]:
            return {"c_compiler_output": f"collect2 -dynamic-linker {linker}\n"}

    spack.util.libc.libc_from_dynamic_linker = answer
    libraries.COMPILER_CACHE = Known()


def machine(target: str) -> Any:
    """The platform of a machine with the target's processor.

    Packages ask for it while they are read: some have another archive, so another hash, for each family.
    """
    if any(name.startswith("spack_repo.") and ".packages." in name for name in sys.modules):
        sys.exit("packages were read for this machine already")
    processor = spack.vendor.archspec.cpu.TARGETS[target]
    platform.machine = lambda: processor.family.name
    spack.vendor.archspec.cpu.host = lambda: processor
    spack.archspec.HOST_TARGET_FAMILY = processor.family
    return spack.platforms.Linux()


main(sys.argv[-1])

"""Solve the active environment for a machine that this one is not, and write its `spack.lock`.

Spack runs the compiler and the dynamic linker of the machine to learn the C library, so a lock would depend on the host
that made it. Here both answers are given: what they would be on the target. The OS comes from `UNIXCONFDIR`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import spack
import spack.environment
import spack.spec
import spack.util.libc
from spack.compilers import libraries


def main(path: str) -> None:
    """Solve, as the JSON file says."""
    wanted = json.loads(Path(path).read_text(encoding="utf-8"))
    if spack.spack_version != wanted["version"]:
        sys.exit(f"this is Spack {spack.spack_version}, and {wanted['version']} is needed")
    pretend(wanted["linker"], wanted["libc"], wanted["libc_prefix"])
    environment = spack.environment.active_environment()
    with environment.write_transaction():
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


main(sys.argv[-1])

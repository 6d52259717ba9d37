"""Upstream's PyTorch with oneDNN, and without Intel's MKL.

PyTorch builds the oneDNN that it brings along (`third_party/ideep`) on any BLAS. Upstream's recipe asks for the virtual
package `mkl` with it, which Intel's alone provides, so that every vendor-neutral environment loses oneDNN in silence.
"""

from typing import Any

from spack_repo.builtin.packages.py_torch.package import PyTorch as Upstream

from spack.package import *


def _without_mkl(package: Any) -> None:
    """A directive, run after upstream's own."""
    for wanted in package.dependencies.values():
        wanted.pop("mkl", None)


class PyTorch(Upstream):
    __doc__ = Upstream.__doc__

    # PyTorch's CMakeLists.txt has USE_MKLDNN for x86-64, aarch64 and ppc64le alone, and turns it off in silence elsewhere.
    conflicts("+mkldnn", when="target=riscv64:")


# Spack has no directive that takes a dependency away. A class keeps its directives in lists of its own and runs them
# when they are first asked for, in this order: what stands last sees what all others did.
PyTorch._directives_to_be_executed["depends_on"].append(_without_mkl)

"""Upstream's PyTorch with oneDNN, and without Intel's MKL.

PyTorch builds the oneDNN that its own source brings along, on any BLAS. Upstream's recipe asks with it for the virtual
package `mkl`, which Intel's alone provides, so that a vendor-neutral environment loses oneDNN without a word.
"""

from typing import Any

from spack.package import conflicts
from spack_repo.builtin.packages.py_torch.package import PyTorch as Upstream


def _without_mkl(package: Any) -> None:
    """A directive that takes a dependency away: Spack has none."""
    for wanted in package.dependencies.values():
        wanted.pop("mkl", None)


class PyTorch(Upstream):
    __doc__ = Upstream.__doc__

    # PyTorch's CMakeLists.txt has USE_MKLDNN for x86-64, AArch64 and ppc64le alone; elsewhere it turns it off, and
    # says nothing.
    conflicts("+mkldnn", when="target=riscv64:")


# A class keeps its directives in lists of its own, and runs each list in order when it is first asked for one of them:
# what stands last sees what all of upstream's did.
PyTorch._directives_to_be_executed["depends_on"].append(_without_mkl)

"""What chooses its instructions when it starts is made to run: the result is looked at elsewhere."""

import sys


def python():
    """The interpreter and its compiled modules."""
    import decimal
    import hashlib
    import json
    import zlib

    hashlib.sha256(zlib.compress(b"a" * 10000)).hexdigest()
    json.dumps([str(decimal.Decimal(2).sqrt()), 2**0.5])


def numpy():
    """Universal functions, sorting, and the BLAS behind products and solves, in four types."""
    import numpy as np

    whole = np.arange(4096).reshape(64, 64) % 7
    for kind in "fdFD":
        a = whole.astype(kind)
        b = a + 100 * np.eye(64, dtype=kind)
        assert (a @ a == whole @ whole).all()
        np.linalg.solve(b, a), np.linalg.svd(b), np.linalg.eigvals(b), np.linalg.cholesky(b @ b.T + 1e5 * np.eye(64))
        np.fft.fft(a), np.exp(a / 7), np.sqrt(a), a.sum(), a.mean(0)
    for kind in ("i2", "i4", "i8", "f2", "f4", "f8"):
        np.sort(whole.ravel().astype(kind)), np.argsort(whole.ravel().astype(kind)), whole.astype(kind).max()


def mpi4py():
    """Loads its MPI."""
    import mpi4py

    mpi4py.rc.initialize = False
    from mpi4py import MPI

    MPI.Get_library_version()


def pytorch():
    """Products, convolution, elementwise operators, sorting and a backward pass, in every type there is."""
    import torch

    torch.manual_seed(1)
    for kind in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        a = (torch.arange(4096).reshape(64, 64) % 7).to(kind)
        try:
            a @ a, torch.exp(a / 7), torch.softmax(a, 1), torch.nn.functional.layer_norm(a, (64,)), a.sum()
        except RuntimeError as error:  # a build may lack a type on the CPU, which another check tells
            print(kind, error)
        torch.sort(a.float())
    torch.nn.Conv2d(3, 4, 3)(torch.randn(2, 3, 16, 16)).sum().backward()


if __name__ == "__main__":
    globals()[sys.argv[1]]()

"""Collectives of `torch.distributed`: exact sums of integers, floating sums within their bound, unchanged copies.

Arguments: backend (gloo, mpi, nccl), device (cpu, cuda), ranks that are expected (0: one for each device of the node).
"""

import os
import sys
from fractions import Fraction

import numpy as np
import ranks
import torch
import torch.distributed as dist
from device import pick, seconds
from identity import bounded, exact, random
from precise import UNIT, gamma
from report import Report, Worst

SEED = 20260101
COUNT = 100_000
FLOATS = 1024
BUS_BYTES = {"cpu": 1 << 24, "cuda": 1 << 28}
BOUND = "gamma_(p-1): each entry is a sum of p terms in any order"


def terms(rank):
    """A rank's integers: no two ranks have the same, and a sum of them is exact."""
    return ((rank + 1) << 40) + np.arange(COUNT, dtype=np.int64) * (2 * rank + 1)


def values(rank, dtype):
    """A rank's floating numbers, of another size than those of other ranks: exact in it, and sums are not."""
    bits = {"float64": 52, "float32": 23, "bfloat16": 7}[dtype]
    return random(SEED + rank, FLOATS, bits) * 2.0 ** (3 * (rank % 8))


def compare(name, got, want):
    """(how many values differ, the first of them in words)."""
    bad = np.flatnonzero(np.asarray(got != want))
    at = int(bad[0]) if len(bad) else 0
    return len(bad), f"{name}, value {at}: expected {want[at]}, got {got[at]}" if len(bad) else ""


def error(got, parts, dtype):
    """(largest error of a sum over ranks as a multiple of its bound, in words; the bounds), against exact fractions."""
    most, bounds = Worst(), []
    factor = Fraction(gamma(max(len(parts) - 1, 1), UNIT[dtype]))
    for i, column in enumerate(zip(*parts, strict=True)):
        whole, size = sum(map(Fraction, column)), sum(abs(Fraction(v)) for v in column)
        bound = factor * size
        bounds.append(float(bound))
        off = abs(Fraction(float(got[i])) - whole) if np.isfinite(got[i]) else None
        ratio = float("inf") if off is None or (off and not bound) else float(off / bound) if bound else 0.0
        most.add(ratio, f"{dtype}, value {i}: expected {float(whole)!r}, got {float(got[i])!r}")
    return most, np.array(bounds)


def summed(array, device):
    """The sum over all ranks."""
    tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device)
    dist.all_reduce(tensor)
    return tensor.cpu().numpy()


def rounded_sum(rank, dtype, device):
    """The same for numbers of a precision that NumPy may not know; as fp64."""
    tensor = torch.from_numpy(values(rank, dtype)).to(getattr(torch, dtype)).to(device)
    dist.all_reduce(tensor)
    return tensor.double().cpu().numpy()


def moved(rank, size, device):
    """(values that a broadcast from the last rank and a gathering changed, in words)."""
    sent = torch.from_numpy(terms(rank)).to(device)
    copies = [torch.empty_like(sent) for _ in range(size)]
    dist.all_gather(copies, sent)
    found = [compare(f"all-gather, from rank {r}", c.cpu().numpy(), terms(r)) for r, c in enumerate(copies)]
    dist.broadcast(sent, size - 1)
    found.append(compare(f"broadcast from rank {size - 1}", sent.cpu().numpy(), terms(size - 1)))
    return sum(n for n, _ in found), "; ".join(words for _, words in found if words)


def scattered(rank, size, device):
    """(values of a reduce-scatter of integers that are wrong, in words)."""
    share = COUNT // size
    sent = torch.from_numpy(terms(rank)[: share * size]).to(device)
    got = torch.empty(share, dtype=torch.int64, device=device)
    dist.reduce_scatter_tensor(got, sent)
    return compare("reduce-scatter", got.cpu().numpy(), sum(map(terms, range(size)))[rank * share :][:share])


def worst_of_ranks(pair, size, device):
    """(what this rank found or the worst that another did, in words): gathered, for a wrong sum cannot tell."""
    mine = torch.tensor([float(pair[0])], dtype=torch.float64, device=device)
    every = [torch.empty_like(mine) for _ in range(size)]
    dist.all_gather(every, mine)
    found = [float(t) for t in every]
    most = max(range(size), key=lambda r: float("inf") if found[r] != found[r] else found[r])
    return found[most], pair[1] if found[most] == float(pair[0]) else f"on rank {most}"


def speeds(size, device):
    """(GB/s of an all-reduce through the slowest link: 2 (p - 1) / p of its bytes; us of one of 8 bytes)."""
    patience = int(os.environ.get("SOVSTACK_PATIENCE", "1"))
    count = BUS_BYTES[device.type] // 4 // patience
    large, small = torch.ones(count, device=device), torch.ones(1, dtype=torch.float64, device=device)
    each = seconds(lambda: dist.all_reduce(large), device)
    return 2 * (size - 1) / size * 4 * count / each / 1e9, seconds(lambda: dist.all_reduce(small), device, 50) * 1e6


def tell(report, rank, size, device, dtypes):
    """All metrics; every rank takes part, rank 0 has a report."""
    got = summed(terms(rank), device)
    found = {"allreduce_wrong": compare("all-reduce", got, sum(map(terms, range(size))))}
    found["moved_wrong"] = moved(rank, size, device)
    if device.type == "cuda":
        found["scattered_wrong"] = scattered(rank, size, device)
    if report:
        exact(report, "allreduce_int64", "int64", f"sum over {size} ranks of {COUNT} integers, {DESCRIBED}",
              [terms(r) for r in range(size)], got, "integers: every order gives the same bits")  # fmt: skip
    for dtype, short in dtypes.items():
        parts, got = [values(r, dtype) for r in range(size)], rounded_sum(rank, dtype, device)
        most, bounds = error(got, parts, dtype)
        found[f"allreduce_error_{short}"] = (most.value, most.detail)
        if report:
            said = f"sum over {size} ranks of {FLOATS} numbers, seed {SEED}, {DESCRIBED}"
            bounded(report, f"allreduce_{short}", short, said, parts, got, bounds, most.value, BOUND)
    for name, pair in found.items():
        value, words = worst_of_ranks(pair, size, device)
        if report:
            report.metric(name, value, words)
    bandwidth, latency = speeds(size, device)
    if report:
        if size > 1:
            report.metric("bandwidth", bandwidth)
        report.metric("latency", latency)


DESCRIBED = "torch.distributed.all_reduce"


def work(backend, kind, expected):
    """What each rank does; rank 0 tells."""

    def one(rank, size, local):
        device = pick(kind, local)
        dtypes = {"float64": "fp64", "float32": "fp32", **({"bfloat16": "bf16"} if backend == "nccl" else {})}
        report = None if rank else Report()
        tell(report, rank, size, device, dtypes)
        if report:
            report.metric("ranks_missing", abs(expected - size), f"expected {expected} ranks, got {size}")
            if backend == "mpi":
                report.metric("built_with_mpi", 1)
            if kind == "cuda":
                report.metric("devices", size)
            report.done()

    return one


def main(backend, kind, expected):
    """Without MPI in PyTorch there is nothing to measure, and that is said."""
    torch.set_num_threads(1)
    if backend == "mpi" and not dist.is_mpi_available():
        report = Report()
        report.metric("built_with_mpi", 0)
        report.done()
        return 0
    count = int(expected) or ranks.devices()
    if not count:
        Report().fault(f"PyTorch {torch.__version__} sees no accelerator")
        return 1
    return ranks.run(count, work(backend, kind, count), backend, apart=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

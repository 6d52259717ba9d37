"""Train a small network on two ranks with gloo over the loopback, and see that it learns and that the ranks agree."""

import os
import sys
import time
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
from report import Report
from torch.nn.parallel import DistributedDataParallel

RANKS = 2
STEPS = 60
SAMPLES = 512  # per rank
SEED = 20260101


def data(rank):
    """This rank's share of a task that the network can learn: a smooth function of 16 numbers."""
    generator = torch.Generator().manual_seed(SEED)
    weights = torch.randn(16, 1, generator=generator)
    x = torch.randn(RANKS * SAMPLES, 16, generator=generator)
    share = slice(rank * SAMPLES, (rank + 1) * SAMPLES)
    return x[share], torch.tanh(x @ weights / 4)[share]


def train(rank):
    """(initial loss, final loss, seconds, model); losses are means over all ranks."""
    torch.manual_seed(SEED + rank)  # different weights: the wrapper must make them equal
    model = DistributedDataParallel(
        torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.GELU(), torch.nn.Linear(64, 1))
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = data(rank)

    def loss():
        return torch.nn.functional.mse_loss(model(x), y)

    def mean():
        with torch.no_grad():
            value = loss().clone()
        dist.all_reduce(value)
        return float(value) / RANKS

    initial, start = mean(), time.perf_counter()
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return initial, mean(), time.perf_counter() - start, model


def differing(model):
    """How many parameters have other bits on another rank, and the first of them in words."""
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    copies = [torch.empty_like(flat) for _ in range(RANKS)]
    dist.all_gather(copies, flat)
    bits = [c.view(torch.int32) for c in copies]
    bad = torch.nonzero(bits[0] != bits[1]).flatten()
    at = int(bad[0]) if len(bad) else 0
    return len(bad), f"parameter {at}: {float(copies[0][at])!r} on rank 0, {float(copies[1][at])!r} on rank 1"


def exact_sum():
    """How many values of an integer all-reduce are wrong, and the first of them in words."""
    index = torch.arange(100_000, dtype=torch.int64)

    def terms(rank):
        return ((rank + 1) << 40) + index * (2 * rank + 1)

    got = terms(dist.get_rank())
    dist.all_reduce(got)
    want = sum(terms(r) for r in range(RANKS))
    bad = torch.nonzero(got != want).flatten()
    at = int(bad[0]) if len(bad) else 0
    return len(bad), f"value {at}: expected {int(want[at])}, got {int(got[at])}"


def work(rank, store):
    """One rank; rank 0 tells."""
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    initial, final, seconds, model = train(rank)
    results = {"parameters_differ": differing(model), "allreduce_wrong": exact_sum()}
    if rank == 0:
        report = Report()
        said = f"mean square loss {initial:.6g} before, {final:.6g} after {STEPS} steps of {RANKS} x {SAMPLES} samples"
        report.metric("loss_ratio", final / initial if initial > 0 else float("nan"), said)
        report.metric("initial_loss", initial)
        report.metric("final_loss", final)
        report.metric("speed", STEPS * RANKS * SAMPLES / seconds)
        for name, (count, words) in results.items():
            report.metric(name, count, words)
        report.done()
    dist.barrier()
    dist.destroy_process_group()


def child(rank, store):
    """A forked rank: nothing of the parent's own ending happens in it."""
    try:
        work(rank, store)
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main():
    """Fork the ranks after the library is loaded: it is loaded once."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    store = Path.cwd() / "store"
    store.unlink(missing_ok=True)
    ranks = []
    for rank in range(RANKS):
        pid = os.fork()
        if pid == 0:
            child(rank, store)
        ranks.append(pid)
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ranks)


if __name__ == "__main__":
    sys.exit(main())

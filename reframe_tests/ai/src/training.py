"""Train a small network, alone or on several ranks, and see that it learns and that the ranks agree.

Arguments: ranks (0: one for each device of the node), `alone` or `ddp`, `fp32` or `amp` (bf16 where autocast says so),
backend (gloo, nccl), device (cpu, cuda).
"""

import sys
import time

import numpy as np
import ranks
import torch
import torch.distributed as dist
from device import finish, pick
from identity import random
from report import Report
from torch.nn.functional import mse_loss
from torch.nn.parallel import DistributedDataParallel

STEPS = 60
SAMPLES = 512  # per rank
SEED = 20260101


def data(rank, size, device):
    """This rank's share of a task that the network can learn; the same bits on every machine.

    Products of short numbers are exact, and a division is rounded in one way only.
    """
    x, weights = random(SEED, (size * SAMPLES, 16), 8), random(SEED + 1, 16, 8)
    s = (x * weights).sum(axis=1)
    y = (s / (1 + np.abs(s)))[:, None]
    share = slice(rank * SAMPLES, (rank + 1) * SAMPLES)
    return tuple(torch.from_numpy(part[share]).float().to(device) for part in (x, y))


def network(device):
    """The network, without its weights' history."""
    layers = torch.nn.Linear(16, 64), torch.nn.GELU(), torch.nn.Linear(64, 1)
    return torch.nn.Sequential(*layers).to(device)


def forward(model, x, amp):
    """The model's answer; with `amp` its products are in bf16."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
        return model(x)


def train(model, x, y, amp, mean):
    """(initial loss, final loss, seconds); `mean` averages a loss over all ranks."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)

    def loss():
        return mse_loss(forward(model, x, amp).float(), y)

    with torch.no_grad():
        initial = mean(loss())
    finish(x.device)
    start = time.perf_counter()
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    finish(x.device)
    taken = time.perf_counter() - start
    with torch.no_grad():
        return initial, mean(loss()), taken


def flat(model):
    """All parameters in a row."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def compare(first, second, one, other):
    """How many parameters have other bits, and the first of them in words."""
    bad = torch.nonzero(first.view(torch.int32) != second.view(torch.int32)).flatten()
    at = int(bad[0]) if len(bad) else 0
    return len(bad), f"parameter {at}: {float(first[at])!r} {one}, {float(second[at])!r} {other}"


def differing(model, size):
    """The same between the ranks."""
    mine = flat(model)
    copies = [torch.empty_like(mine) for _ in range(size)]
    dist.all_gather(copies, mine)
    found = [compare(copies[0], c, "on rank 0", f"on rank {r}") for r, c in enumerate(copies) if r]
    return max(found, default=(0, ""))


def exact_sum(rank, size, device):
    """How many values of an integer all-reduce are wrong, and the first of them in words."""
    index = torch.arange(100_000, dtype=torch.int64, device=device)

    def terms(rank):
        return ((rank + 1) << 40) + index * (2 * rank + 1)

    got, want = terms(rank), sum(map(terms, range(size)))
    dist.all_reduce(got)
    bad = torch.nonzero(got != want).flatten()
    at = int(bad[0]) if len(bad) else 0
    return len(bad), f"value {at}: expected {int(want[at])}, got {int(got[at])}"


def full_precision(model, x):
    """How many of the model's products under autocast were not in bf16, and in words what they were."""
    seen, hooks = [], []
    for layer in (m for m in model.modules() if isinstance(m, torch.nn.Linear)):
        hooks.append(layer.register_forward_hook(lambda _m, _in, out: seen.append(out.dtype)))
    with torch.no_grad():
        forward(model, x, True)
    for hook in hooks:
        hook.remove()
    others = [str(d) for d in seen if d != torch.bfloat16]
    return len(others) + (not seen), f"expected torch.bfloat16, got {', '.join(others) or 'no product'}"


def tell(report, results, size, more):
    """All metrics of a training; `more`: name -> (number, words)."""
    initial, final, taken = results
    said = f"mean square loss {initial:.6g} before, {final:.6g} after {STEPS} steps of {size} x {SAMPLES} samples"
    report.metric("loss_ratio", final / initial if initial > 0 else float("nan"), said)
    report.metric("initial_loss", initial)
    report.metric("final_loss", final)
    report.metric("speed", STEPS * size * SAMPLES / taken)
    for name, (count, words) in more.items():
        report.metric(name, count, words)
    report.done()


def alone(kind, amp):
    """One process, twice from the same seed."""
    device, runs = pick(kind), []
    torch.use_deterministic_algorithms(True)
    x, y = data(0, 1, device)
    for _ in range(2):
        torch.manual_seed(SEED)
        model = network(device)
        results = train(model, x, y, amp, float)
        runs.append((results, flat(model)))
    more = {"repeat_differs": compare(runs[0][1], runs[1][1], "at first", "when repeated")}
    tell(Report(), runs[1][0], 1, {**more, **({"not_in_bfloat16": full_precision(model, x)} if amp else {})})
    return 0


def together(kind, amp):
    """What each rank does; rank 0 tells."""

    def one(rank, size, local):
        device = pick(kind, local)
        torch.manual_seed(SEED + rank)  # different weights: the wrapper must make them equal
        model = DistributedDataParallel(network(device), [device.index] if device.type == "cuda" else None)
        x, y = data(rank, size, device)

        def mean(value):
            value = value.clone()
            dist.all_reduce(value)
            return float(value) / size

        results = train(model, x, y, amp, mean)
        more = {"parameters_differ": differing(model, size), "allreduce_wrong": exact_sum(rank, size, device)}
        if amp:
            more["not_in_bfloat16"] = full_precision(model, x)
        if rank == 0:
            tell(Report(), results, size, more)

    return one


def main(count, mode, precision, backend="gloo", kind="cpu"):
    """Alone, or on ranks."""
    torch.set_num_threads(1)
    amp = precision == "amp"
    if mode == "alone":
        return alone(kind, amp)
    many = int(count) or ranks.devices()
    if not many:
        Report().fault(f"PyTorch {torch.__version__} sees no accelerator")
        return 1
    return ranks.run(many, together(kind, amp), backend, apart=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Run in an image that has PyTorch: the suite's programs on the CPU, as they are and with something broken in each.

After a line `== name` stands what the program printed. Forked ranks come first: threads do not survive a fork.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

SUITE = Path(__file__).resolve().parent if len(sys.argv) < 2 else Path(sys.argv[1])
sys.path[:0] = [str(SUITE / name) for name in ("lib", "ai/src", "gpu/src")]


def modules(*names: str) -> list[Any]:
    return [importlib.import_module(name) for name in names]


def say(name: str) -> None:
    print(f"== {name}", flush=True)


def everywhere(name: str, broken: Any, run: Callable[[], Any], *targets: tuple[Any, str]) -> None:
    say(name)
    with contextlib.ExitStack() as stack:
        for owner, attribute in targets:
            stack.enter_context(mock.patch.object(owner, attribute, broken))
        run()


def collectives(torch: Any) -> None:
    program, ranks = modules("collectives", "ranks")
    dist, real, gather = torch.distributed, torch.distributed.all_reduce, torch.distributed.all_gather

    def run() -> None:
        with mock.patch.object(program, "BUS_BYTES", {"cpu": 1 << 12}):
            ranks.run(2, program.work("gloo", "cpu", 2))

    def short(tensor: Any, *more: Any) -> None:
        part = tensor.float()
        real(part, *more)
        tensor.copy_(part)

    def second_rank(tensor: Any, *more: Any) -> None:
        real(tensor, *more)
        if dist.get_rank() == 1:
            tensor[len(tensor) - 1] += 1

    def stale(copies: Any, sent: Any) -> None:
        gather(copies, sent)
        if sent.dtype == torch.int64:
            copies[1][3] = copies[0][3]

    everywhere("collectives", real, run, (dist, "all_reduce"))
    everywhere("collectives in fp32", short, run, (dist, "all_reduce"))
    everywhere("collectives wrong on rank 1", second_rank, run, (dist, "all_reduce"))
    everywhere("collectives that lose a value", stale, run, (dist, "all_gather"))


def training(torch: Any) -> None:
    ranks, program = modules("ranks", "training")

    def run() -> None:
        ranks.run(2, program.together("cpu", True))

    def off(*_args: Any, **_named: Any) -> Any:
        return contextlib.nullcontext()

    def unwrapped(model: Any, _devices: Any) -> Any:
        return model

    everywhere("training", torch.autocast, run, (torch, "autocast"))
    everywhere("training in fp32", off, run, (torch, "autocast"))
    everywhere("training apart", unwrapped, run, (program, "DistributedDataParallel"))
    everywhere("training that stands still", lambda _: None, run, (torch.optim.SGD, "step"))
    say("training alone")
    program.alone("cpu", False)
    seeds = iter(range(100, 200))
    seed = torch.manual_seed
    everywhere("training from another seed", lambda _: seed(next(seeds)), lambda: program.alone("cpu", False),
               (torch, "manual_seed"))  # fmt: skip


def products(torch: Any) -> Iterator[tuple[str, Callable[[Any, Any], Any]]]:
    real = torch.Tensor.__matmul__

    def shorter(a: Any, b: Any) -> Any:
        return real(a.float(), b.float()).double() if a.dtype == torch.float64 else real(a, b)

    def cut(x: Any) -> Any:
        return (x.contiguous().view(torch.int32) & -(1 << 13)).view(torch.float32)

    def tf32(a: Any, b: Any) -> Any:
        return real(cut(a), cut(b)) if a.dtype == torch.float32 else real(a, b)

    def fixed(x: Any, axis: int) -> Any:
        scale = torch.exp2(torch.ceil(torch.log2(x.abs().amax(axis, keepdim=True))))
        return torch.round(x / scale * 2.0**52) / 2.0**52 * scale

    def slices(a: Any, b: Any) -> Any:
        return real(fixed(a, 1), fixed(b, 0)) if a.dtype == torch.float64 else real(a, b)

    def three_bits(a: Any, b: Any) -> Any:
        low = a.dtype in (torch.float16, torch.bfloat16)
        return real(a.to(torch.float8_e4m3fn).to(a.dtype), b) if low else real(a, b)

    def not_a_number(a: Any, b: Any) -> Any:
        made = real(a, b)
        made[-1, -1] = float("nan")
        return made

    def large(a: Any, b: Any) -> Any:
        return shorter(a, b) if len(a) == 200 else real(a, b)

    yield from (("", real), (" of fp64 in fp32", shorter), (" of fp32 in TF32", tf32), (" by fixed slices", slices),
                (" of 16 bits in fp8", three_bits), (" with not-a-number", not_a_number),
                (" wrong where large", large))  # fmt: skip


def gpu(torch: Any) -> None:
    gemm, memory = modules("gemm", "memory")

    for name, how in products(torch):
        everywhere(f"products{name}", how, lambda: gemm.main("cpu", "200", "64", "{}"), (torch.Tensor, "__matmul__"))
    say("products of a device that was measured")
    gemm.main("cpu", "64", "64", json.dumps({"calibrated_cpu": [0.125, 1.0], "calibrated_h100": [1, 1]}))
    add = torch.add

    def one_off(a: Any, b: Any, *, out: Any, **more: Any) -> Any:
        add(a, b, out=out, **more)
        out[12345] += 1

    say("memory")
    memory.main("cpu", "40000")
    everywhere("memory with a wrong value", one_off, lambda: memory.main("cpu", "40000"), (torch, "add"))
    say("no device")
    with contextlib.suppress(RuntimeError):
        memory.main("cuda", "40000")


def messages(torch: Any) -> None:
    (mpi,) = modules("mpi")

    class Comm:
        rank, size = 0, 2

        def Allreduce(self, sent: Any, got: Any, _op: Any) -> None:  # noqa: N802 - its name in mpi4py
            got.copy_(sent)

    say("mpi")
    yes, no, hip = (types.SimpleNamespace(**{n: lambda v=v: v}) for n, v in (
        ("MPIX_Query_cuda_support", 1), ("MPIX_Query_cuda_support", 0), ("MPIX_Query_hip_support", 1)))  # fmt: skip
    answers = [mpi.aware(["x"], kind, lambda _, o=o: o) for kind, o in (
        ("cuda", yes), ("cuda", no), ("hip", hip), ("hip", yes))]  # fmt: skip
    maps = [f"7f r-xp /usr/lib/{n}" for n in ("libmpi.so.40", "libmpich.so.12", "libmpi_gnu.so", "libmpi_cxx/x.py")]
    print(json.dumps({
        "aware": answers,
        "wrong": mpi.integers(Comm(), torch.device("cpu")),
        "claims": [mpi.claimed([{"role": "mpi", "spec": s}]) for s in ("openmpi+cuda", "openmpi")],
        "paths": mpi.libraries("\n".join(maps)),
    }))  # fmt: skip


if __name__ == "__main__":
    (torch,) = modules("torch")
    torch.set_num_threads(1)
    collectives(torch)
    training(torch)
    gpu(torch)
    messages(torch)

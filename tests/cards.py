"""Identity cards for tests: three machines that agree as honest ones do, and parts to make others of."""

from __future__ import annotations

import math
from typing import Any

from stack import card as cards
from stack.artifact import digest
from stack.card import Card
from stack.verdict import Check, Machine, Metric, Number, Point, Verdict

SUITE, LOCK = digest("suite"), digest("lock")
NATIVE = Machine(family="x86_64", microarchitecture="zen2")
ARM = Machine(family="aarch64", microarchitecture="aarch64", emulator="qemu-aarch64 7.2.22, cpu max,pauth-impdef=on")
RISCV = Machine(family="riscv64", microarchitecture="riscv64", emulator="qemu-riscv64 7.2.22, cpu rv64")
GAMMA = "gamma_k, k = 192; Higham, Accuracy and Stability of Numerical Algorithms, 3.5"


def point(where: str, value: float, bound: float) -> Point:
    return Point(where=where, value=float(value).hex(), bound=float(bound).hex())


def number(name: str = "gemm_fp64_exact", **given: Any) -> Number:
    """An exact number; `bits` stands for what the digest is of."""
    bits = given.pop("bits", name)
    usual: dict[str, Any] = {
        "precision": "fp64", "kind": "exact", "inputs": digest(f"inputs of {name}"), "digest": digest(str(bits)),
        "said": "A B with integers of 22 bits, 192 x 192, seed 1", "count": 36864, "basis": "k max|a| max|b| <= 2^53",
    }  # fmt: skip
    return Number(name=name, **{**usual, **given})


def bounded(name: str = "gemm_fp64", value: float = 1.5, bound: float = 1e-13, **given: Any) -> Number:
    """A bounded number with one entry that is recorded."""
    usual: dict[str, Any] = {
        "kind": "bounded", "points": (point("3,5", value, bound),), "ratio": 0.019, "bits": f"{name} {value!r}",
        "said": "A B with numbers in (-1, 1), 192 x 192, seed 2", "basis": GAMMA,
    }  # fmt: skip
    return number(name, **{**usual, **given})


def check(name: str, *numbers: Number, result: Any = "pass", **given: Any) -> Check:
    return Check(name=name, result=result, numbers=numbers, **{"title": name, **given})


def verdict(*checks: Check, machine: Machine | None = NATIVE, **given: Any) -> Verdict:
    target = {"x86_64": "debian13-x86_64_v3"}.get(machine.family if machine else "x86_64")
    usual: dict[str, Any] = {
        "cell": f"ai-hpc/laptop/{target or f'debian13-{machine.family if machine else None}'}",
        "image": digest(repr(machine)), "lock": LOCK, "suite": SUITE, "date": "2026-03-02T14:05:51Z",
        "reframe": "4.10.1", "host": "zen2, 2 cores, 8 GiB, Debian GNU/Linux 12", "machine": machine,
    }  # fmt: skip
    return Verdict(schema=1, checks=checks, **{**usual, **given})


def card(*numbers: Number, machine: Machine | None = NATIVE, **given: Any) -> Card:
    """A card of one check, Gemm."""
    return cards.make(verdict(check("Gemm", *numbers), machine=machine, **given))


def honest(machine: Machine, step: int = 0, seconds: float = 20.0) -> Verdict:
    """A whole run. `step`: by how many units of the last place the bounded numbers are other than elsewhere."""
    apart = step * math.ulp(1.5)
    gemm = check(
        "Gemm",
        number(), number("gemm_fp32_exact", precision="fp32", basis="k max|a| max|b| <= 2^24"),
        bounded(value=1.5 + apart, bound=4e-15, ratio=0.0194 + step / 1000),
        bounded("gemm_fp64_wide", value=-2.25 + apart, bound=3e-14, ratio=0.0151),
        seconds=seconds, title="Matrix products",
        metrics=(Metric(name="fp64_error", value=0.0194, bound=1, unit="of the bound", origin="Higham, 3.5"),
                 Metric(name="fp64_speed", value=71.4, unit="GFLOP/s")),
    )  # fmt: skip
    operators = check(
        "TorchOperators",
        number("matmul_int64", precision="int64", said="matmul of integers, 64 x 64, seed 4"),
        bounded("softmax_bf16", precision="bf16", value=0.125, bound=1e-3, ratio=0.41, bits="softmax",
                said="softmax over rows of 64 numbers, seed 5", basis="2 u + u^2 + gamma_k(u_acc)"),
        bounded("exp_fp32", precision="fp32", value=2.71828175 + step * 2.4e-7, bound=3e-6, ratio=0.2,
                said="exp of 4096 numbers in (-4, 4), seed 6", basis="torch.testing, rtol 1.3e-6"),
        seconds=2 * seconds, title="PyTorch's operators",
    )  # fmt: skip
    skipped = check("GpuGemm", result="skip", reason="The target has no accelerator.")
    return verdict(check("Versions", seconds=seconds / 2), gemm, operators, skipped, machine=machine)


def three() -> tuple[Card, Card, Card]:
    """x86-64, arm64 and riscv64."""
    return (
        cards.make(honest(NATIVE)),
        cards.make(honest(ARM, 1, 210.0)),
        cards.make(honest(RISCV, 2, 305.5)),
    )

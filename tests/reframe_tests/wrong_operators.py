"""Run in an image that has PyTorch: TorchOperators as it is, and with operators that are wrong in fp64 alone.

After a line `== name` stands what the program printed. Argument: the suite's folder; tolerances as the check has them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

SUITE = Path(__file__).resolve().parent if len(sys.argv) < 2 else Path(sys.argv[1])
sys.path[:0] = [str(SUITE / name) for name in ("lib", "ai/src")]


def short(torch: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    def computed(*given: Any) -> Any:
        low = all(x.dtype == torch.float64 for x in given)
        return function(*(x.float() for x in given)).double() if low else function(*given)

    return computed


def short_where_large(torch: Any, matmul: Callable[..., Any]) -> Callable[..., Any]:
    def computed(a: Any, b: Any) -> Any:
        return short(torch, matmul)(a, b) if min(*a.shape, *b.shape) > 140 else matmul(a, b)

    return computed


def cut_where_large(torch: Any, matmul: Callable[..., Any]) -> Callable[..., Any]:
    def cut(x: Any) -> Any:
        return (x.contiguous().view(torch.int32) & -(1 << 13)).view(torch.float32)

    def computed(a: Any, b: Any) -> Any:
        large = a.dtype == torch.float32 and min(*a.shape, *b.shape) > 140
        return matmul(cut(a), cut(b)) if large else matmul(a, b)

    return computed


def main() -> None:
    torch, program = (importlib.import_module(name) for name in ("torch", "operators"))
    torch.set_num_threads(1)
    whole, matmul = program.OPERATORS, torch.matmul
    runs = [("as it is", whole, matmul), ("fp64 products in fp32 where large", whole, short_where_large(torch, matmul)),
            ("fp32 products in TF32 where large", whole, cut_where_large(torch, matmul))]  # fmt: skip
    for name in sys.argv[3:]:
        wrong = tuple((n, short(torch, f) if n == name else f, r) for n, f, r in whole)
        runs.append((name, wrong, matmul))
    for said, operators, product in runs:
        print(f"== {said}", flush=True)
        with mock.patch.object(program, "OPERATORS", operators), mock.patch.object(torch, "matmul", product):
            sys.argv[1] = sys.argv[2]
            program.main()


if __name__ == "__main__":
    main()

"""Sessions and ReFrame's JSON of them, for the tests of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stack.artifact import digest
from stack.history import PREFIX, Series, Session

IMAGE, OTHER = digest("an image"), digest("another")
LOCK, SUITE = digest("a lock"), digest("the suite")
HOST = "x86_64_v4, 2 cores, 8 GiB, Debian 13"
UNITS = {"fp64_speed": "GFLOP/s", "latency": "us"}
DIRECTIONS: Mapping[tuple[str, str], Any] = {("Gemm", "fp64_speed"): "higher", ("Mpi4py", "latency"): "lower"}
BASE = Session(id="", date="", cell="ai-hpc/laptop/x", subject="image", image=IMAGE, lock=LOCK, suite=SUITE, host=HOST,
               place="vm")  # fmt: skip


def uuid(n: int) -> str:
    """An id such as ReFrame gives; the first digits tell it from others."""
    return f"{n:04x}0000-0000-4000-8000-000000000000"


def session(n: int, values: Mapping[str, Sequence[float]], day: int = 0, **said: Any) -> Session:
    """The n-th session, with its numbers by their name."""
    checks = {metric: check for check, metric in DIRECTIONS}
    series = tuple(
        Series(checks.get(m, "Gemm"), f"about {checks.get(m, 'Gemm')}", m, UNITS.get(m, "things"), tuple(map(float, v)))
        for m, v in sorted(values.items())
    )
    date = f"2026-03-{(day or n):02d}T10:00:00Z"
    return replace(BASE, id=uuid(n), date=date, series=series, **said)


def case(name: str, values: Mapping[str, Any], result: str = "pass", **more: Any) -> dict[str, Any]:
    """One testcase of a run report, with what is read of it."""
    perf = {f"laptop:default:{k}": [v, 0, None, None, UNITS.get(k, "things"), "pass"] for k, v in values.items()}
    return {"name": name, "descr": f"about {name}", "result": result, "fixture": False, "scheduler": "local",
            "system": "laptop", "partition": "default", "perfvalues": perf, **more}  # fmt: skip


def report(n: int, cases: Sequence[Mapping[str, Any]], start: float = 1772445600.5, **said: str) -> dict[str, Any]:
    """One session as ReFrame's database has it."""
    extras = {"cell": "ai-hpc/laptop/x", "subject": "image", "image": IMAGE, **said}
    info = {"uuid": uuid(n), "hostname": "vm", "time_start_unix": start, **{PREFIX + k: v for k, v in extras.items()}}
    return {"session_info": info, "runs": [{"testcases": list(cases)}]}

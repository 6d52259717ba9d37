"""Two ranks: ping-pong with verified data, exact integer all-reduce, floating all-reduce within its bound."""

import sys
from fractions import Fraction

import identity
import numpy as np
from precise import gamma
from report import Report, manifest

# A library loaded before mpi4py may bring another MPI, which then stands alone in each rank.
if any(c["name"] == "pytorch" for c in manifest()["components"]):
    import torch  # noqa: F401

from mpi4py import MPI

SIZES = (8, 4096, 1 << 20)
COUNT = 100_000
SEED = 20260501  # of rank 0's numbers; the next rank has the next


def pattern(size, seed):
    """Bytes that no other message has."""
    return ((np.arange(size, dtype=np.int64) * 131 + seed * 17) % 251).astype(np.uint8)


def pingpong(comm, size, rounds):
    """(seconds of half a round trip, best of the rounds' batches; bytes that came back wrong; in words)."""
    rank, buffer, best, wrong, words = comm.rank, np.empty(size, np.uint8), float("inf"), 0, ""
    for batch in range(4):
        sent = pattern(size, batch)
        comm.Barrier()
        start = MPI.Wtime()
        for _ in range(rounds):
            if rank == 0:
                comm.Send(sent, 1, batch)
                comm.Recv(buffer, 1, batch)
            elif rank == 1:
                comm.Recv(buffer, 0, batch)
                comm.Send(buffer, 0, batch)
        best = min(best, (MPI.Wtime() - start) / (2 * rounds))
        bad = np.flatnonzero(buffer != sent) if rank < 2 else ()
        if len(bad) and not words:
            place = f"{size} bytes, pattern {batch}, rank {rank} of {comm.size}, byte {bad[0]}"
            words = f"{place}: expected {sent[bad[0]]}, got {buffer[bad[0]]}"
        wrong += len(bad)
        buffer[:] = 255
    return best, wrong, words


def integers(comm):
    """(values of an integer all-reduce that are wrong, in words)."""
    index, got = np.arange(COUNT, dtype=np.int64), np.empty(COUNT, np.int64)

    def terms(rank):
        return ((rank + 1) << 40) + index * (2 * rank + 1)

    comm.Allreduce(terms(comm.rank), got, MPI.SUM)
    want = sum(terms(r) for r in range(comm.size))
    bad = np.flatnonzero(got != want)
    if not len(bad):
        return 0, ""
    place = f"{COUNT} values a rank, rank {comm.rank} of {comm.size}, value {bad[0]}"
    return len(bad), f"{place}: expected {want[bad[0]]}, got {got[bad[0]]}"


def floats(comm):
    """(largest error of a floating all-reduce as a multiple of gamma_(p-1), in words), against exact fractions."""

    def terms(rank):
        return identity.random(SEED + rank, 64, 53) * 2.0 ** (rank % 16 * 3)

    got = np.empty(64)
    comm.Allreduce(terms(comm.rank), got, MPI.SUM)
    bound, most = gamma(max(comm.size - 1, 1), 2.0**-53), (0.0, "")
    for i, column in enumerate(zip(*(terms(r) for r in range(comm.size)), strict=True)):
        exact = sum(map(Fraction, column))
        ratio = (
            float(abs(Fraction(got[i]) - exact) / sum(abs(Fraction(v)) for v in column)) / bound
            if np.isfinite(got[i])
            else np.inf
        )
        place = f"64 numbers a rank, seed {SEED}, rank {comm.rank} of {comm.size}, value {i}"
        words = f"{place}: expected {float(exact)!r}, got {float(got[i])!r}, {ratio:.3g} times the bound"
        most = max(most, (ratio, words))
    return most


def main():
    """Rank 0 tells."""
    comm, report = MPI.COMM_WORLD, Report()
    started = int(sys.argv[1])
    runs = [pingpong(comm, size, 200 if size < 1 << 16 else 25) for size in SIZES] if comm.size > 1 else []
    wrong = sum(comm.allgather(sum(w for _, w, _ in runs)))
    words = "; ".join(t for texts in comm.allgather([t for _, _, t in runs if t]) for t in texts)
    ints, floating = comm.allgather(integers(comm)), comm.allgather(floats(comm))
    if comm.rank:
        return
    report.metric("ranks_missing", abs(started - comm.size), f"expected {started} ranks, got {comm.size}")
    report.metric("pingpong_wrong", wrong, words)
    report.metric("allreduce_wrong", sum(n for n, _ in ints), "; ".join(t for _, t in ints if t))
    report.metric("allreduce_error", *max(floating))
    if runs:
        report.metric("latency", runs[0][0] * 1e6)
        report.metric("bandwidth", SIZES[-1] / runs[-1][0] / 1e9)
    report.done()


if __name__ == "__main__":
    main()

"""Messages between buffers in the memory of accelerators, through mpi4py and an MPI that is aware of them.

Arguments: device (cuda, cpu), ranks, devices of each node that they were to be on (0: any). An MPI that is not aware
would crash: it is asked before.
"""

import ctypes
import re
import sys
from pathlib import Path

import torch  # before mpi4py: it may bring another MPI, which then stands alone in each rank

from mpi4py import MPI  # isort: skip
from device import finish, pick
from report import Report, manifest

SIZES = (8, 4096, 1 << 20, 1 << 26)
COUNT = 100_000
CLAIMS = ("+cuda", "+rocm")
KINDS = {"cuda": 0, "hip": 2}  # MPIX_GPU_SUPPORT_CUDA, MPIX_GPU_SUPPORT_HIP of MPICH
QUERIES = {"cuda": ("MPIX_Query_cuda_support",), "hip": ("MPIX_Query_rocm_support", "MPIX_Query_hip_support")}


def libraries(maps):
    """The MPI libraries of this process."""
    return sorted({p for p in re.findall(r"(/\S+)$", maps, re.M) if re.search(r"/libmpi(ch)?(_\w+)?\.so", p)})


def aware(paths, kind, load=ctypes.CDLL):
    """What the MPI says of itself: 1 or 0; -1 where it has no such question."""
    for path in paths:
        library = load(path)
        for name in QUERIES[kind]:
            if hasattr(library, name):
                return int(getattr(library, name)() == 1)
        if hasattr(library, "MPIX_GPU_query_support"):
            yes = ctypes.c_int(0)
            library.MPIX_GPU_query_support(KINDS[kind], ctypes.byref(yes))
            return int(yes.value != 0)
    return -1


def claimed(components):
    """Whether the lock says that the MPI takes buffers of accelerators."""
    return any(c["role"] == "mpi" and any(claim in c.get("spec", "") for claim in CLAIMS) for c in components)


def pattern(size, seed, device):
    """Bytes that no other message has."""
    return ((torch.arange(size, device=device) * 131 + seed * 17) % 251).to(torch.uint8)


def pingpong(comm, size, device, rounds):
    """(seconds of half a round trip, the best; bytes that came back wrong; in words)."""
    best, wrong, words = float("inf"), 0, ""
    buffer = torch.full((size,), 255, dtype=torch.uint8, device=device)
    for batch in range(4):
        sent = pattern(size, batch, device)
        finish(device)
        comm.Barrier()
        start = MPI.Wtime()
        for _ in range(rounds):
            if comm.rank == 0:
                comm.Send(sent, 1, batch)
                comm.Recv(buffer, 1, batch)
            elif comm.rank == 1:
                comm.Recv(buffer, 0, batch)
                comm.Send(buffer, 0, batch)
        best = min(best, (MPI.Wtime() - start) / (2 * rounds))
        bad = torch.nonzero(buffer != sent).flatten() if comm.rank < 2 else ()
        if len(bad) and not words:
            at = int(bad[0])
            words = f"{size} bytes, rank {comm.rank}, byte {at}: expected {int(sent[at])}, got {int(buffer[at])}"
        wrong += len(bad)
        buffer.fill_(255)
    return best, wrong, words


def integers(comm, device):
    """(values of an integer all-reduce that are wrong, in words)."""
    index = torch.arange(COUNT, dtype=torch.int64, device=device)

    def terms(rank):
        return ((rank + 1) << 40) + index * (2 * rank + 1)

    sent, got = terms(comm.rank), torch.zeros_like(index)
    finish(device)
    comm.Allreduce(sent, got, MPI.SUM)
    want = sum(map(terms, range(comm.size)))
    bad = torch.nonzero(got != want).flatten()
    at = int(bad[0]) if len(bad) else 0
    return len(bad), f"rank {comm.rank}, value {at}: expected {int(want[at])}, got {int(got[at])}" if len(bad) else ""


def exchange(comm, report, device):
    """All messages; rank 0 has a report."""
    patient = [(size, 100 if size < 1 << 16 else 10) for size in SIZES]
    runs = [pingpong(comm, size, device, rounds) for size, rounds in patient] if comm.size > 1 else []
    wrong = comm.allgather((sum(n for _, n, _ in runs), [w for _, _, w in runs if w]))
    sums = comm.allgather(integers(comm, device))
    if report:
        report.metric("pingpong_wrong", sum(n for n, _ in wrong), "; ".join(w for _, words in wrong for w in words))
        report.metric("allreduce_wrong", sum(n for n, _ in sums), "; ".join(w for _, w in sums if w))
        if runs:
            report.metric("latency", runs[0][0] * 1e6)
            report.metric("bandwidth", SIZES[-1] / runs[-1][0] / 1e9)


def identity(device):
    """What tells a device from others of its node, though a rank may see no other; empty where PyTorch does not say."""
    if device.type != "cuda":
        return "CPU"
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return f"{device} {uuid}" if uuid else ""


def fewer(places, wanted):
    """Which nodes had ranks on fewer devices than wanted, in words. `places`: (node, device) of each rank."""
    found = {node: {device for other, device in places if other == node} for node, _ in places}
    return [
        f"the ranks of {node} were on {len(devices)} devices, expected {wanted}: {', '.join(sorted(devices))}"
        for node, devices in sorted(found.items())
        if len(devices) < wanted and "" not in devices
    ]


def main(kind, started, wanted="0"):
    """Device buffers are sent only where the MPI says that it takes them."""
    comm = MPI.COMM_WORLD
    local = comm.Split_type(MPI.COMM_TYPE_SHARED).rank
    device, report = pick(kind, local), None if comm.rank else Report()
    said = 1
    if kind == "cuda":
        paths = libraries(Path("/proc/self/maps").read_text(encoding="utf-8"))
        said = aware(paths, "hip" if torch.version.hip else "cuda")
    places = comm.allgather((MPI.Get_processor_name(), identity(device)))
    if report:
        for text in [*fewer(places, int(wanted)), *(["one rank has nobody to send to"] if comm.size == 1 else [])]:
            report.fault(text)
        missing = claimed(manifest()["components"]) and said != 1
        report.metric("ranks_missing", abs(int(started) - comm.size), f"expected {started} ranks, got {comm.size}")
        report.metric("aware", said)
        report.metric("not_as_locked", missing, f"the lock has an MPI for accelerators, and it says {said} of itself")
    if said == 1:
        exchange(comm, report, device)
    if report:
        report.done()


if __name__ == "__main__":
    main(*sys.argv[1:4])

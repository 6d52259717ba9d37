"""Memory of an accelerator: STREAM's four loops with exact results, and copies from and to the host.

Arguments: device (cuda, cpu), values per array (0: as much as fits well).
"""

import sys

import numpy as np
import torch
from device import pick, seconds
from report import Report

MOST = 1 << 27  # values of an array: 1 GiB
TIMES = 6
SCALAR = 3.0
CHUNK = 1 << 22


def pattern(start, stop):
    """What arrays begin with: small integers, so that every result is exact, and neighbours differ."""
    return np.arange(start, stop, dtype=np.int64) % 1021 + 1


def fits(device):
    """Values per array: four of them in half of what is free."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 1 << 28
    return min(MOST, free // 64)


def loops(a, b, c):
    """STREAM's loops: name, bytes moved per value, what is run."""
    return (
        ("copy", 16, lambda: c.copy_(a)),
        ("scale", 16, lambda: torch.mul(c, SCALAR, out=b)),
        ("add", 24, lambda: torch.add(a, b, out=c)),
        ("triad", 24, lambda: torch.add(b, c, alpha=SCALAR, out=a)),
    )


def wrong(array, factor):
    """(values that are not the pattern times a factor, the first of them in words), compared on the host."""
    count, words = 0, ""
    for start in range(0, len(array), CHUNK):
        got = array[start : start + CHUNK].cpu().numpy()
        want = pattern(start, start + len(got)) * factor
        bad = np.flatnonzero(got != want)
        if len(bad) and not words:
            at = int(bad[0])
            words = f"value {start + at}: expected {int(want[at])}, got {float(got[at])!r}"
        count += len(bad)
    return count, words


def filled(count, device):
    """The pattern on the device, made on the host in parts."""
    array = torch.empty(count, dtype=torch.float64, device=device)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        array[start:stop] = torch.from_numpy(pattern(start, stop).astype(np.float64))
    return array


def stream(report, count, device):
    """Four loops some times over, after each of which a is 15 times what it was; then each alone for its speed."""
    a = filled(count, device)
    b, c = torch.zeros_like(a), torch.zeros_like(a)
    for _ in range(TIMES):
        for _, _, run in loops(a, b, c):
            run()
    last = 15 ** (TIMES - 1)
    found = [(name, *wrong(x, f * last)) for name, x, f in (("a", a, 15), ("b", b, 3), ("c", c, 4))]
    words = [f"array {name} of {count}, {said}" for name, _, said in found if said]
    report.metric("stream_wrong", sum(n for _, n, _ in found), "; ".join(words))
    for name, size, run in loops(a, b, c):
        report.metric(f"{name}_bandwidth", size * count / seconds(run, device) / 1e9)


def copies(report, count, device):
    """To the device and back, from memory that the system cannot move: unchanged, and how fast."""
    sent = torch.from_numpy(pattern(0, count))
    there, got = torch.empty_like(sent, device=device), torch.zeros_like(sent)
    if device.type == "cuda":
        sent, got = sent.pin_memory(), got.pin_memory()
    report.metric("host_to_device", 8 * count / seconds(lambda: there.copy_(sent), device) / 1e9)
    report.metric("device_to_host", 8 * count / seconds(lambda: got.copy_(there), device) / 1e9)
    report.metric("copied_wrong", *wrong(got, 1))


def main(kind, count):
    """All of it."""
    report, device = Report(), pick(kind)
    many = int(count) or fits(device)
    stream(report, many, device)
    copies(report, max(many // 4, 1), device)
    report.metric("bytes", 24 * many)
    report.done()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

"""How the cores of a machine are laid out, from a copy of what the kernel says."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.host import detect


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n")


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """Two sockets of two cores of two threads each, one NUMA domain for each core but for one without CPUs."""
    for cpu in range(8):
        put(tmp_path, f"devices/system/cpu/cpu{cpu}/topology/physical_package_id", str(cpu % 4 // 2))
        put(tmp_path, f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", f"{cpu % 4},{cpu % 4 + 4}")
    for node in range(4):
        put(tmp_path, f"devices/system/node/node{node}/cpulist", f"{node},{node + 4}")
    put(tmp_path, "devices/system/node/node4/cpulist", "")
    return tmp_path


def test_cores_sockets_and_numa_domains_are_found(sysfs: Path) -> None:
    every = frozenset(range(8))
    assert detect.threads(sysfs, every) == 2
    assert detect.sockets(sysfs, every) == ("0x33", "0xcc")
    assert detect.numa(sysfs, every) == ("0x11", "0x22", "0x44", "0x88")


def test_what_this_process_may_not_use_does_not_count(sysfs: Path) -> None:
    mine = frozenset({0, 1})
    assert detect.threads(sysfs, mine) == 1
    assert (detect.sockets(sysfs, mine), detect.numa(sysfs, mine)) == (("0x3",), ("0x1", "0x2"))
    assert detect.threads(sysfs, frozenset({0, 1, 4})) == 0  # one core with two threads, and one with one


def test_a_range_is_a_list(tmp_path: Path) -> None:
    put(tmp_path, "devices/system/node/node0/cpulist", "0-2,8")
    assert detect.numa(tmp_path, frozenset(range(16))) == ("0x107",)


def test_what_the_kernel_does_not_say_stays_empty(tmp_path: Path) -> None:
    cpus = frozenset({0, 1})
    assert (detect.threads(tmp_path, cpus), detect.sockets(tmp_path, cpus), detect.numa(tmp_path, cpus)) == (0, (), ())
    for cpu in cpus:
        put(tmp_path, f"devices/system/cpu/cpu{cpu}/topology/physical_package_id", "-1")
    assert detect.sockets(tmp_path, cpus) == ()

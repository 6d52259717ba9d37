"""Where a build runs: in a namespace that ends with it, as root over a range of ids. Found by trying."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from stack.artifact import Command
from stack.errors import StackError, host_lacks
from stack.host.run import run

# A process namespace of its own ends everything that a build started with it, also when we are killed.
OWN = ("--mount", "--pid", "--fork", "--kill-child")
ROOT = ("unshare", *OWN)
USER = ("unshare", "--user", "--map-root-user", "--map-auto", *OWN)
LAST_ID = 65534  # the distribution's `nobody`
_REMEDY = (
    "as root: give root or this user 65536 ids in /etc/subuid and /etc/subgid;"
    " in a container: start it with a range of ids and with user namespaces allowed"
)


def candidates() -> tuple[tuple[str, ...], ...]:
    """Prefixes of a command, the better first; root that may not mount does as an ordinary user does."""
    return (ROOT, USER) if os.geteuid() == 0 else (USER,)


def find(tried: Sequence[tuple[str, ...]] = ()) -> tuple[str, ...]:
    """The first prefix that works here, of these or of the usual ones. Raises `StackError` (exit code 3) for none."""
    told = []
    for prefix in tried or candidates():
        why = _lacks(prefix)
        if not why:
            return prefix
        told.append(why)
    raise host_lacks(f"a build cannot be root over a range of user ids here: {'; '.join(told)}", _REMEDY)


def _lacks(prefix: tuple[str, ...]) -> str:
    """What is wrong with a prefix; empty when nothing is."""
    command = Command((*prefix, "cat", "/proc/self/uid_map", "/proc/self/gid_map"), "make a namespace")
    try:
        result = run(command, check=False)
    except StackError as error:
        return str(error)
    if result.returncode:
        return " ".join(result.tail.split()) or f"{prefix[0]} ended with status {result.returncode}"
    return "" if reaches(result.stdout) else f"{' '.join(prefix[:2])} gives {_count(result.stdout)} user and group ids"


def _ranges(maps: str) -> list[tuple[int, int]]:
    return [(int(m[1]), int(m[2])) for m in re.finditer(r"^\s*(\d+)\s+\d+\s+(\d+)\s*$", maps, re.MULTILINE)]


def reaches(maps: str) -> bool:
    """Whether both maps (the text of `uid_map`, then that of `gid_map`) have the first and the last id needed."""
    return all(sum(start <= wanted < start + count for start, count in _ranges(maps)) == 2 for wanted in (0, LAST_ID))


def _count(maps: str) -> int:
    return sum(count for _start, count in _ranges(maps)) // 2

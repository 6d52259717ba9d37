"""What apt prints -> lines of progress, or one clear error. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stack.catalogue import Keyring
from stack.errors import ExitCode, Fault, StackError, host_lacks

OFFLINE = "check the network (and the proxy in apt's settings), or use --locked with everything already fetched"

_NETWORK = re.compile(
    r"Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|Connection timed out"
    r"|connection timed out|Connection failed|Network is unreachable|Connection refused|Cannot initiate the connection"
    r"|No route to host"
)
_FULL = re.compile(r"No space left on device|enough free space|Disk quota exceeded")
_UNSIGNED = re.compile(
    r"NO_PUBKEY|EXPKEYSIG|BADSIG|is not signed|Signed-By|signatures? (couldn't be verified|were invalid)"
)
_STALE = re.compile(r"Release file for \S+ is (expired|not valid yet)")
_NO_SUITE = re.compile(r"The repository '(?P<what>[^']+)' does not have a Release file")
_NO_VERSION = re.compile(r"^E: Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found", re.MULTILINE)
_NO_PACKAGE = re.compile(
    r"^E: (?:Unable to locate package (?P<a>\S+)|Package '(?P<b>[^']+)' has no installation candidate"
    r"|Can't select \w+ version from package '(?P<c>[^']+)')",
    re.MULTILINE,
)
_NO_FILE = re.compile(r"^E: Failed to fetch \S+/(?P<file>[^/\s]+)\.u?deb\s+404", re.MULTILINE)
_FAILED = re.compile(r"^[EW]: Failed to fetch (?P<url>\w+://[^/\s]+)", re.MULTILINE)
_GET = re.compile(r"^Get:\d+ (?P<url>\S+) \S+ \S+ (?P<name>\S+) \S+ (?P<version>\S+) \[(?P<size>[^]]+)\]$")
_INDEX = re.compile(r"^(Get|Hit):\d+ (?P<url>\S+) (?P<what>.+)$")

Sink = Callable[[str], None]


class Gone(StackError):  # noqa: N818 - what has happened, and the caller goes on
    """The mirror no longer has these packages (`name version`): a lock that was made of them is stale."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = tuple(sorted(packages))
        many = f"{len(packages)} locked package{'s' * (len(packages) != 1)}"
        what = f"the mirror no longer has {many}: {', '.join(self.packages)}"
        remedy = "lock again (`sovstack lock --upgrade`), or use a mirror that keeps old versions"
        super().__init__([Fault(what, None, remedy)], ExitCode.CHECK_FAILED)


def unreachable(output: str) -> bool:
    """Whether apt failed because it reached nobody."""
    return bool(_NETWORK.search(output))


def stale(output: str) -> bool:
    """Whether apt refused an index for its age."""
    return bool(_STALE.search(output))


def missing(output: str) -> tuple[str, ...]:
    """Names (with ` version` where one was asked for) that the index or the mirror does not have."""
    found = [f"{m['name']} {m['version']}" for m in _NO_VERSION.finditer(output)]
    found += [(m["a"] or m["b"] or m["c"]).partition(":")[0] for m in _NO_PACKAGE.finditer(output)]
    found += [" ".join(m["file"].split("_")[:2]) for m in _NO_FILE.finditer(output)]
    return tuple(sorted(set(found)))


def explain(output: str, purpose: str, keyring: Keyring) -> StackError:
    """The one error that apt's output stands for (exit code 3)."""
    hosts = ", ".join(dict.fromkeys(m["url"] for m in _FAILED.finditer(output))) or "the package mirror"
    if _FULL.search(output):
        return host_lacks(f"could not {purpose}: the disk is full", "free some space and run the same command again")
    if unreachable(output):
        return host_lacks(f"could not {purpose}: {hosts} cannot be reached", OFFLINE)
    if m := _STALE.search(output):
        return host_lacks(
            f"could not {purpose}: the index of the mirror is {m[1]}",
            'check the clock; for a snapshot of a mirror, set Acquire::Check-Valid-Until "false" in apt\'s settings',
        )
    if _UNSIGNED.search(output):
        return host_lacks(
            f"could not {purpose}: the index is not signed by a key of {keyring.path}",
            f"update the keys (apt-get install {keyring.package}), or correct `mirrors` in the profile",
        )
    if m := _NO_SUITE.search(output):
        return host_lacks(f"could not {purpose}: the mirror has no {m['what']}", "correct `mirrors` in the profile")
    told = [line for line in output.splitlines() if line.startswith("E: ")] or output.splitlines()[-3:]
    return host_lacks(
        f"could not {purpose}: {'; '.join(line.removeprefix('E: ') for line in told[:3])}", "see `sovstack doctor`"
    )


def index_lines(sink: Sink) -> Sink:
    """apt's lines about indexes, shortened."""

    def tell(line: str) -> None:
        if m := _INDEX.match(line):
            sink(f"index {m['what']}")

    return tell


def package_lines(sink: Sink, total: int) -> Sink:
    """One line per package that starts to arrive, with how far we are."""
    done = 0

    def tell(line: str) -> None:
        nonlocal done
        if m := _GET.match(line):
            done += 1
            sink(f"fetching {done}/{total} {m['name']} {m['version']} ({m['size']})")

    return tell

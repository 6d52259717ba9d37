"""Ring 4. A root file system to build in: the target's OS with compilers, made of locked packages, and a way into it.

Every path that is seen inside is the same on every machine, so nothing of the building host gets into what is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from stack.artifact import Command
from stack.catalogue import Container

INSIDE = "/sovstack"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WORK = f"{INSIDE}/work"  # the one folder that every program there may write

# Flags beside `ro`: an ordinary user may not take away those that the host's own mounts have, and may add them.
# Arguments: the root, then (ro|rw, source, target) for every folder it shall see, `--`, and the command.
_ENTER = """\
set -eu
root=$1
shift
chroot "$root" hostname localhost || :
mount --bind "$root" "$root"
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
for device in null zero full random urandom; do
  [ -e "$root/dev/$device" ] || : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
for folder in dev/shm tmp; do
  mkdir -p "$root/$folder"
  mount -t tmpfs -o mode=1777 tmpfs "$root/$folder"
done
[ -e "$root/dev/fd" ] || ln -s /proc/self/fd "$root/dev/fd"
while [ "$1" != -- ]; do
  mkdir -p "$root$3"
  mount --bind "$2" "$root$3"
  [ "$1" = rw ] || mount -o remount,bind,ro,nosuid,nodev "$root$3"
  shift 3
done
shift
mount -o remount,bind,ro,nosuid,nodev "$root"
exec chroot "$root" "$@"
"""
# Of builds it would be a way to learn of the machine; OpenMP and MPI bind threads and ranks by it.
_KERNEL = """\
mount --rbind /sys "$root/sys"
exec chroot"""


@dataclass(frozen=True)
class Bind:
    """A folder of the host and where the build root shows it."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Room:
    """A build root and what is shown in it. `namespace`: a prefix in which we are root; `shares`: with the machine's
    network and what its kernel says of it."""

    namespace: tuple[str, ...]
    root: str
    binds: tuple[Bind, ...]
    epoch: int
    shares: bool = False

    def command(self, argv: tuple[str, ...], purpose: str, more: Mapping[str, str] | None = None) -> Command:
        """Run a program in the root: the root itself is read-only, and of variables it has ours and `more`."""
        cut = ("unshare", "--uts") if self.shares else ("unshare", "--uts", "--net")
        enter = _ENTER.replace("exec chroot", _KERNEL) if self.shares else _ENTER
        shown = [word for b in self.binds for word in ("rw" if b.writable else "ro", b.source, b.target)]
        variables = ("env", "-i", *(f"{k}={v}" for k, v in sorted({**self._environment(), **(more or {})}.items())))
        call = ("sh", "-c", enter, "enter", self.root, *shown, "--", *variables, *argv)
        return Command((*self.namespace, *cut, *call), purpose)

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": f"{WORK}/home",
            "LC_ALL": "C.UTF-8",
            "PATH": PATH,
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "TMPDIR": f"{WORK}/tmp",  # noqa: S108 - below our own folder
        }


def rootfs(
    mmdebstrap: str, namespace: tuple[str, ...], container: Container, names: Iterable[str], architecture: str,
    epoch: int, work: str, output: str, *, emulated: bool = False,
) -> Command:  # fmt: skip
    """Make the build root, a folder, out of `work`/repo. `names`: `package=version`, without the essential ones.

    `emulated`: the namespace runs programs of that architecture, which is not this machine's.
    """
    options = [f"--dpkgopt=path-exclude={path}" for path in container.exclude]
    options += [f"--dpkgopt=path-include={path}" for path in container.include]
    argv = (
        *(*namespace, mmdebstrap, "--mode=root", "--variant=essential", "--verbose", "--format=directory"),
        *(f"--architectures={architecture}", "--skip=output/dev", '--aptopt=APT::Sandbox::User "root"'),
        *("--dpkgopt=force-unsafe-io", *options, f"--include={','.join(names)}"),
        *(("--skip=check/qemu",) if emulated else ()),  # it asks a program of its own, which few machines have
        *("", output, f"deb [trusted=yes] copy:{quote(work)}/repo ./"),
    )
    env = {
        "SOURCE_DATE_EPOCH": str(epoch),
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TMPDIR": f"{work}/tmp",  # noqa: S108 - below our own folder
    }
    return Command(argv, "make the build root", cwd=work, env=env)

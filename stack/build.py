"""Ring 4. Lock -> root file system -> squashfs -> SIF, as commands. The same lock gives the same bytes of all three.

The file system is squashed straight from mmdebstrap's tar, so ownership, times and order come from the tar alone and
no privilege is needed; the SIF is put together with Apptainer's own `sif` verbs and its header's clock and random
identity replaced by the lock's (see `docs/decisions/0002-reproducible-images.md`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from stack.artifact import Command, Tree, digest
from stack.catalogue import Container
from stack.lock import Lock, OsPackage

# Which number Apptainer's `sif add --partarch` gives an architecture (its own `--help`, 1.4).
PARTITION_ARCHITECTURES: Mapping[str, str] = {"amd64": "2", "arm64": "4", "ppc64el": "6", "riscv64": "12"}


@dataclass(frozen=True)
class Tools:
    """Programs of the host, by absolute path, and the environment that Apptainer needs here.

    `emulated`: in the namespace, programs of a family run that is not this machine's.
    """

    mmdebstrap: str
    mksquashfs: str
    apptainer: str
    apptainer_env: Mapping[str, str]
    namespace: tuple[str, ...] = ()  # a prefix that gives an ordinary user a range of user ids
    emulated: bool = False


def packages_index(packages: Iterable[OsPackage]) -> str:
    """A `Packages` index of exactly these files, for a repository made of them alone."""
    return "\n".join(_stanza(p) for p in packages)


def _stanza(package: OsPackage) -> str:
    fields = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": package.architecture,
        "Maintainer": "the distribution",
        "Description": package.source,
        **package.control,
        "Filename": f"./{package.sha256}.deb",
        "Size": str(package.size),
        "SHA256": package.sha256,
    }
    return "".join(f"{k}: {v.replace(chr(10), chr(10) + ' ')}\n" for k, v in fields.items())


def base_files(container: Container) -> Tree:
    """Files that mmdebstrap would otherwise copy from the building host or fill with its paths."""
    return Tree.of(
        {path.lstrip("/"): "".join(f"{line}\n" for line in lines) for path, lines in container.files.items()}
    )


def rootfs(
    lock: Lock, container: Container, tools: Tools, epoch: int, work: str, output: str, *, software: bool = False
) -> Command:
    """Make the root file system's tar out of `work`/repo (the locked packages) and `work`/overlay.tar (our files).

    `software`: what was built from source, `work`/software.tar, goes in too.
    """
    names = ",".join(f"{p.name}={p.version}" for p in lock.os.packages if "Essential" not in p.control)
    options = [f"--dpkgopt=path-exclude={path}" for path in container.exclude]
    options += [f"--dpkgopt=path-include={path}" for path in container.include]
    argv = (
        *tools.namespace,
        tools.mmdebstrap,
        "--mode=root",
        "--variant=essential",
        "--verbose",  # what dpkg does is our progress and the log's content
        f"--architectures={lock.os.architecture}",
        "--format=tar",
        '--aptopt=APT::Sandbox::User "root"',
        *(("--skip=check/qemu",) if tools.emulated else ()),  # it asks a program of its own, which few machines have
        # Losing power in the middle is no concern: an unfinished file system is never used.
        "--dpkgopt=force-unsafe-io",
        *options,
        f"--include={names}",
        *(("--customize-hook=tar-in software.tar /",) if software else ()),
        "--customize-hook=tar-in overlay.tar /",
        "",
        output,
        f"deb [trusted=yes] copy:{quote(work)}/repo ./",
    )
    env = {
        "SOURCE_DATE_EPOCH": str(epoch),
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TMPDIR": f"{work}/tmp",  # noqa: S108 - below our own folder
    }
    return Command(argv, "make the root file system", cwd=work, env=env)


def squashfs(container: Container, tools: Tools, epoch: int, tar: str, output: str) -> Command:
    """Compress the tar into a squashfs, zstd."""
    level = str(container.compression_level)
    argv = (
        *tools.namespace,  # in which an ordinary user is root: mksquashfs gives `/` to whom it runs as, options or not
        tools.mksquashfs,
        "-",
        output,
        "-tar",
        "-noappend",
        "-no-progress",
        "-comp",
        "zstd",
        "-Xcompression-level",
        level,
        # A tar's own entry for `/` is passed over; without this the root folder is open to everyone.
        *("-root-mode", "755", "-root-time", str(epoch)),
    )
    return Command(argv, "compress the file system", env={"SOURCE_DATE_EPOCH": str(epoch)}, stdin=tar)


@dataclass(frozen=True)
class Parts:
    """Paths of what goes into a SIF."""

    definition: str
    lock: str
    inspection: str
    squashfs: str


def sif(lock: Lock, tools: Tools, parts: Parts, output: str) -> tuple[Command, ...]:
    """Put definition, lock, what `apptainer inspect` reads, and the file system into a new SIF."""
    system = ("--parttype", "2", "--partfs", "1", "--partarch", PARTITION_ARCHITECTURES[lock.os.architecture])
    objects = (
        ("1", "definition", parts.definition, ()),
        ("6", "stack.lock.json", parts.lock, ()),
        ("6", "inspect-metadata.json", parts.inspection, ()),
        ("4", "rootfs", parts.squashfs, system),
    )
    new = (tools.apptainer, "sif", "new", output)
    adds = (
        (tools.apptainer, "sif", "add", "--datatype", kind, *more, "--filename", name, "--groupid", "1", output, path)
        for kind, name, path, more in objects
    )
    return tuple(Command(argv, "put the image together", env=dict(tools.apptainer_env)) for argv in (new, *adds))


# Which `sif add` words an object has by the end of its name; everything else is JSON.
_SBOMS = {".cdx.json": ("9", "--sbomformat", "cyclonedx-json"), ".spdx.json": ("9", "--sbomformat", "spdx-json")}


def evidence(tools: Tools, objects: Mapping[str, str], output: str) -> tuple[Command, ...]:
    """Add evidence (an object's name -> path of its content) to the group that one signature covers."""
    commands = []
    for name, path in sorted(objects.items()):
        kind = next((words for end, words in _SBOMS.items() if name.endswith(end)), ("6",))
        argv = (tools.apptainer, "sif", "add", "--datatype", *kind, "--filename", name, "--groupid", "1", output, path)
        commands.append(Command(argv, "put evidence into the image", env=dict(tools.apptainer_env)))
    return tuple(commands)


def sign(tools: Tools, key: str, output: str) -> Command:
    """Sign all objects with the private key in a PEM file."""
    return Command((tools.apptainer, "sign", "--key", key, output), "sign the image", env=dict(tools.apptainer_env))


def check_signature(tools: Tools, public: str, image: str) -> Command:
    """Verify every object against the public key in a PEM file; asks nobody."""
    argv = (tools.apptainer, "verify", "--all", "--key", public, image)
    return Command(argv, "verify the image's signature", env=dict(tools.apptainer_env))


def key(lock: Lock, container: Container, overlay_digest: str, epoch: int) -> str:
    """Names the image that these inputs give; a built image with this key is not built again."""
    tools = Tools("", "", "", {})
    how = [rootfs(lock, container, tools, epoch, "", "").argv, squashfs(container, tools, epoch, "", "").argv]
    return digest([lock.digest, container.model_dump(mode="json", by_alias=True), overlay_digest, epoch, how])

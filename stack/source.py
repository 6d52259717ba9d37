"""Ring 4. A solved environment, built by Spack inside a build root: what Spack is told.

What is built stands in a tree with padded paths, goes from there into a build cache, and is unpacked from it to where
it is wanted: that is how Spack relocates, and what is unpacked has no build tools in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from stack.artifact import Command, File, Tree, canonical_json, digest
from stack.buildroot import INSIDE, WORK, Room
from stack.errors import bad_input
from stack.graph import Node, read
from stack.render.text import lua

SPACK, PACKAGES = f"{INSIDE}/spack", f"{INSIDE}/packages/spack_repo/builtin"
OVERLAYS = f"{INSIDE}/overlays/spack_repo"  # Spack takes a repository only from below a folder of that name
MIRROR, CACHE, TREE = f"{INSIDE}/mirror", f"{INSIDE}/cache", f"{INSIDE}/tree"
SHARED = f"{INSIDE}/shared"  # the cache that others use too; the one above has links to it
PADDING = 128  # the longest folder that a tree can be unpacked to with paths inside programs put right in place

# Folders that the system in a build root has for itself, and ours: a tree there would hide them.
_TAKEN = (
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "tmp"),
    INSIDE.strip("/"),
)


@dataclass(frozen=True)
class Wanted:
    """What is built: the environment's two files, our own package repositories by name, and the folder it is for."""

    environment: str
    lock: str
    overlays: tuple[str, ...]
    prefix: str


# Spack's own folder is read-only, so its bytecode is kept elsewhere. A variable that says so would reach the builds and
# take theirs away from what they install.
_PYTHON = f"""\
#!/bin/sh
exec /usr/bin/python3 -X pycache_prefix={WORK}/pycache "$@"
"""


def settings(wanted: Wanted) -> Tree:
    """Spack's settings and environment for two stages, `build` in the padded tree and `unpack` at the prefix."""
    common = {
        "repos": {
            **{f"{name}:": f"{OVERLAYS}/{name}" for name in wanted.overlays},
            "builtin:": PACKAGES,
        },
        "bootstrap": {"enable": False},
        "mirrors:": {  # in place of Spack's own, which it would ask
            "sources": {"url": f"file://{MIRROR}", "source": True, "binary": False},
            "built": {"url": f"file://{CACHE}", "source": False, "binary": True, "signed": False},
        },
    }
    build = {**common, "config": _config({"root": TREE, "padded_length": PADDING})}
    root, view = f"{wanted.prefix}/software", {"default": {"root": f"{wanted.prefix}/view", "link_type": "hardlink"}}
    layout = {"root": root, "projections": {"all": "{name}-{version}-{hash}"}}
    unpack = {**common, "config": _config(layout), "modules": _modules(wanted)}
    stages = _stage(build, wanted, view=False).under("build") | _stage(unpack, wanted, view=view).under("unpack")
    return stages | Tree.of({"python": File(_PYTHON, executable=True)})


def _config(install_tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "install_tree": dict(install_tree),
        "misc_cache": f"{WORK}/misc",
        "source_cache": f"{WORK}/sources",
        "build_stage": [f"{WORK}/stage"],
    }


def _stage(sections: Mapping[str, Any], wanted: Wanted, *, view: Any) -> Tree:
    # Not sorted: Spack takes a package from the first repository that has it.
    scope = {f"scope/{name.rstrip(':')}.yaml": json.dumps({name: text}, indent=2) for name, text in sections.items()}
    return Tree.of({**scope, "env/spack.yaml": _with_view(wanted.environment, view), "env/spack.lock": wanted.lock})


def _with_view(text: str, view: Any) -> str:
    """The environment with another view: where a view is, is no part of a solve."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(text)
        return canonical_json({"spack": {**data["spack"], "view": view}})
    except (YAMLError, KeyError, TypeError) as error:
        raise bad_input(f"spack.yaml is damaged: {error}", remedy="render again") from None


def _modules(wanted: Wanted) -> dict[str, Any]:
    """Lmod's hierarchy; dependencies are found by their paths, so a module loads those alone that it runs.

    Of what the system brings, MPI alone has a module: it opens the part of the tree that was built with it.
    """
    nodes = _nodes(wanted.lock)
    mpi = [n.name for n in _used_as(nodes, {"mpi"})]
    system = sorted({n.name for n in nodes if n.external} - {*mpi})
    lmod = {
        # Spack wants one even where nothing is compiled; no package has that name.
        "core_compilers": [f"{n.name}@={n.version}" for n in _used_as(nodes, {"c", "cxx", "fortran"})] or ["none"],
        "hierarchy": ["mpi"],
        "hash_length": 0,
        "hide_implicits": True,
        "include": mpi,
        "exclude": system,
        "all": {"autoload": "run"},
    }
    default = {"enable": ["lmod"], "roots": {"lmod": f"{wanted.prefix}/modules"}, "arch_folder": False, "lmod": lmod}
    return {"default": default}


def _nodes(lock: str) -> tuple[Node, ...]:
    return read(lock, "spack.lock")[1]


def _used_as(nodes: tuple[Node, ...], virtuals: set[str]) -> list[Node]:
    used = {e.hash for n in nodes for e in n.dependencies if virtuals & {*e.virtuals}}
    return sorted((n for n in nodes if n.hash in used), key=lambda n: (n.name, n.version))


_ENVIRONMENT = {
    "SPACK_DISABLE_LOCAL_CONFIG": "1",
    "SPACK_PYTHON": f"{WORK}/python",
    "SPACK_SKIP_MODULES": "1",
    "SPACK_USER_CACHE_PATH": f"{WORK}/user",
    "SPACK_USER_CONFIG_PATH": f"{WORK}/user",
}


def spack(room: Room, stage: str, arguments: tuple[str, ...], purpose: str) -> Command:
    """Call Spack with the settings of a stage (a folder made of `settings`). The target's own Python runs it; to
    install what is solved it needs no solver."""
    program = (f"{SPACK}/bin/spack", "--color", "never", "-C", f"{WORK}/{stage}/scope", "-e", f"{WORK}/{stage}/env")
    return room.command((*program, *arguments), purpose, _ENVIRONMENT)


def way(epoch: int) -> str:
    """Names the way in which programs are run in a build root, which is no part of Spack's hashes either."""
    room = Room((), "", (), epoch)
    return digest([spack(room, "build", (), "").argv, _PYTHON, PADDING])


def installing(jobs: int) -> tuple[str, ...]:
    """Install what the lock names and nothing else, from the build cache what that has."""
    # Without --only-concrete, Spack would solve anew where the environment's text is no longer the lock's.
    return ("install", "--only-concrete", "--no-add", "--use-cache", "--no-check-signature", "-j", str(jobs))


INDEXING = ("buildcache", "update-index", "built")
LISTING = ("find", "--no-groups", "--format", "/{hash}")


def unusable(prefix: str) -> str:
    """Why a built tree cannot stand at a path; empty when it can."""
    parts = prefix.split("/")
    longest = PADDING - len("/software")
    if not re.fullmatch(r"(/[A-Za-z0-9._+-]+)+", prefix) or {".", ".."} & set(parts):
        return "it has to be an absolute path of letters, digits, '.', '_', '+' and '-'"
    if len(prefix) > longest:
        return f"it is longer than {longest} characters"
    if parts[1] in _TAKEN or (parts[1] in ("usr", "var") and not (parts[2:3] == ["local"] and parts[3:])):
        return "the system has that folder for its own"
    return ""


def own(lock: str) -> frozenset[str]:
    """Hashes of the packages that the lock has Spack build, build tools included."""
    return frozenset(n.hash for n in _nodes(lock) if not n.external)


def installed(output: str, lock: str) -> tuple[str, ...]:
    """Hashes of the lock's own packages that `LISTING` printed."""
    return tuple(sorted(own(lock) & set(re.findall(r"^/([a-z2-7]{32})$", output, re.MULTILINE))))


def pushing(jobs: int, hashes: Iterable[str]) -> tuple[str, ...]:
    """Put these packages into the build cache; what is there already stays."""
    words = ("buildcache", "push", "--unsigned", "--only", "package", "-j", str(jobs), "built")
    return (*words, *(f"/{digest}" for digest in hashes))


def unpacking(jobs: int) -> tuple[str, ...]:
    """Install the roots and what they run and link with from the build cache: no compiler is started."""
    return ("install", "--only-concrete", "--no-add", "--cache-only", "--no-check-signature", "-j", str(jobs))


REFRESH = ("module", "lmod", "refresh", "--delete-tree", "-y")


# As in an image: what is compiled and what Python loads finds the view's libraries.
_PATHS = (
    ("PATH", "bin"),
    ("LD_LIBRARY_PATH", "lib64"),
    ("LD_LIBRARY_PATH", "lib"),
    ("LIBRARY_PATH", "lib64"),
    ("LIBRARY_PATH", "lib"),
    ("CPATH", "include"),
    ("MANPATH", "man"),
    ("MANPATH", "share/man"),
    ("PKG_CONFIG_PATH", "lib/pkgconfig"),
    ("PKG_CONFIG_PATH", "lib64/pkgconfig"),
    ("PKG_CONFIG_PATH", "share/pkgconfig"),
    ("CMAKE_PREFIX_PATH", ""),
)


def module(name: str, prefix: str) -> Tree:
    """A module that makes the whole environment usable, beside Spack's own for each of its packages."""
    head = f"whatis({lua(f'Environment: {name}')})\nlocal view = {lua(f'{prefix}/view')}\n"
    lines = [f'prepend_path("{variable}", pathJoin(view, {lua(folder)}))\n' for variable, folder in _PATHS]
    return Tree.of({f"modules/Core/{name}.lua": head + "".join(lines) + 'append_path("MANPATH", "", ":")\n'})


_STAMP = re.compile(r"^(-- Module file created by spack .*) on \d{4}-\d\d-\d\d [0-9:.]+$", re.MULTILINE)


def undated(modulefile: str) -> str:
    """One of Spack's modulefiles without the time at which it was written."""
    return _STAMP.sub(r"\1", modulefile)


def shipped(path: PurePosixPath) -> bool:
    """Whether a file of the tree goes into an image. Of Spack's notes only each package's spec does: the others hold
    times, the kernel and the database of this very tree, which `spack reindex` makes anew."""
    if ".spack-db" in path.parts or path.name == ".spack-view" or path.parts[:2] == ("view", ".spack"):
        return False
    return path.name in (".spack", "spec.json") if ".spack" in path.parts else True


def same(before: str, after: str) -> None:
    """Raise when an installation changed the lock: then something was solved anew."""
    old, new = (_entries(text) for text in (before, after))
    changed = sorted(str(value) for _key, value in old.items() ^ new.items())
    if changed:
        raise bad_input(f"Spack changed the lock while it installed: {', '.join(changed)}", remedy="lock again")


def _entries(lock: str) -> dict[str, str]:
    """Hash or wish -> what the lock says of it."""
    roots, nodes, _commit = read(lock, "spack.lock")
    return {**{n.hash: n.name for n in nodes}, **{r.spec: r.hash for r in roots}}

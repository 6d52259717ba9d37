"""Modules as a site's own `module` command loads them: what it makes of an environment, variable by variable."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack.artifact import Command
from stack.errors import bad_input, host_lacks
from stack.host.run import Result, run
from stack.visible import one_line

PATIENCE = 120  # seconds that loading has: a module command may read every modulefile of a tree
_LATE = (124, 137)  # what `timeout` ends with
_NONE = 90  # the script's status where there is no module command
# A module command is a function that a login shell defines, or what BASH_ENV names. What it keeps for itself, and what
# a login says of the terminal, is nothing that programs need.
_LOAD = f"""\
type module > /dev/null 2>&1 || [ -z "${{BASH_ENV:-}}" ] || . "$BASH_ENV" > /dev/null 2>&1
type module > /dev/null 2>&1 || exit {_NONE}
before=$1 after=$2 tree=$3
shift 3
module purge > /dev/null 2>&1
env -0 > "$before"
module use "$tree" || exit
module load "$@" || exit
env -0 > "$after"
"""
_OWN = ("LMOD_", "__LMOD", "_ModuleTable", "_LMFILES_", "LOADEDMODULES", "MODULE", "__MODULES", "BASH_FUNC_", "SHLVL")
_KEPT = ("HOME", "USER", "LOGNAME", "LANG", "BASH_ENV", "MODULESHOME")
_REMEDY = "Lmod or Environment Modules, in a login shell; on Debian: apt-get install lmod"


def load(tree: Path, names: Sequence[str], base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables as they are once modules of a tree are loaded; only those that loading changed.

    `base`: variables of the system that they are for, where that is another than this one. Raises `StackError`:
    without a module command (exit code 3), and for a module that does not load.
    """
    if not tree.is_dir():
        raise bad_input(f"there is no module tree {tree}", remedy="name a folder of modulefiles")
    if odd := [name for name in names if name.startswith("-") or not name.strip()]:
        raise bad_input(f"{odd[0]!r} is no module's name", remedy="`module spider` lists them")
    with tempfile.TemporaryDirectory(prefix="sovstack-") as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        kept = [f"{name}={os.environ[name]}" for name in _KEPT if name in os.environ]
        limited = ("timeout", "--kill-after=5", str(PATIENCE), "bash", "--login", "-c", _LOAD)
        shell = (*limited, "modules", str(before), str(after), str(tree), *names)
        result = run(Command(("env", "-i", *kept, *shell), "load modules"), check=False)
        if result.returncode == _NONE:
            raise host_lacks("there is no module command here", _REMEDY)
        done = after.is_file() and result.returncode == 0
        new = _read(after) if done else {}
        if said := _absent(names, new) if done else _said(result):
            raise bad_input(f"modules of {tree} do not load: {said}", remedy="`module use` it, and see `module spider`")
        old = _read(before)
        return changed(old, new, old if base is None else base)


def _said(result: Result) -> str:
    """Why modules did not load."""
    said = one_line(" ".join(result.tail.split()))[:400]
    if result.returncode in _LATE:
        return f"no end after {PATIENCE} seconds{f'; it said: {said}' if said else ''}"
    return said or f"status {result.returncode}"


def _absent(names: Sequence[str], found: Mapping[str, str]) -> str:
    """Why fewer modules are loaded than were asked for: a module command may say nothing of one that it does not know.
    They may be called otherwise then: names have aliases."""
    loaded = [item for item in found.get("LOADEDMODULES", "").split(":") if item]
    if len(loaded) >= len({*names}):
        return ""
    return f"of {', '.join(names)} only {', '.join(loaded) or 'nothing'} is loaded then"


def _read(path: Path) -> dict[str, str]:
    pairs = path.read_bytes().decode(errors="surrogateescape").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def changed(before: Mapping[str, str], after: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    """What is new or another; of a list that grew, what was there is as in `base`. The command's own notes are no part
    of it."""
    made = {}
    for name, value in sorted(after.items()):
        old = before.get(name, "")
        if value != old and name != "_" and not name.startswith(_OWN):
            grew = old and value.endswith(f":{old}")
            made[name] = f"{value.removesuffix(old)}{base.get(name, '')}".rstrip(":") if grew else value
    return made

"""What `sovstack diff` compares: a lock in a file, in a folder, of a cell, or of a revision of a git repository."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from stack import lock as locks
from stack.artifact import Command
from stack.audit import inventory
from stack.difference import Side
from stack.document import did_you_mean
from stack.errors import Position, StackError, bad_input, host_lacks
from stack.host import files
from stack.host.library import Library, shown
from stack.host.run import run, which
from stack.lock import Lock
from stack.visible import one_line

LOCK = "stack.lock.json"
RELEASED = "environments/locks"
MAX_BYTES = 16 << 20  # a cell of some hundred packages has half of one
OTHER = "name a lock that this program made"
FORMS = f"name a {LOCK}, a folder that holds one, environment/profile/target, or REVISION:path"

_CELL = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){2}")
# git says it in English and without comments of its own, and asks neither a server for what is not here nor the user.
_QUIET = {"LC_ALL": "C", "LANGUAGE": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_TRACE": "0"}
_GIT = ("git", "--no-pager", "-c", "core.warnAmbiguousRefs=false", "cat-file")


def side(library: Library, word: str, build_dir: Path) -> Side:
    """The lock that a word of the command line names, and what is in it."""
    where, lock = read(library, word, build_dir)
    system = library.catalogue.systems.get(lock.os.system)
    if system is None:
        what = f"a lock for {lock.os.system}, which this program does not know"
        raise bad_input(what, Position(where), did_you_mean(lock.os.system, library.catalogue.systems) or "lock again")
    base = library.catalogue.containers.get(lock.os.system)
    return Side(where, inventory.make(lock, library.facts, system, base))


def read(library: Library, word: str, build_dir: Path) -> tuple[str, Lock]:
    """Where a lock was found, and the lock."""
    path = _path(library, word, build_dir)
    if path is not None:
        where = shown(path)
        text = files.read_text(path, MAX_BYTES, OTHER)
    elif ":" in word:
        where, text = _from_git(word)
    else:
        raise bad_input("there is no such lock", Position(word or "''"), _remedy(library, word, build_dir))
    return where, _parsed(text, where)


def _parsed(text: str, where: str) -> Lock:
    """The lock. Any file may have been named: that it be deleted is no advice here."""
    try:
        return locks.parse(text, where)
    except StackError as error:
        newer = any("newer" in fault.remedy for fault in error.faults)
        raise error if newer else StackError(replace(f, remedy=OTHER) for f in error.faults) from None


def _path(library: Library, word: str, build_dir: Path) -> Path | None:
    """The file that a word names: a path before a cell, what was built here before what was released."""
    if word and os.path.lexists(word):
        path = Path(word)
        return path / LOCK if path.is_dir() else path
    if not _CELL.fullmatch(word):
        return None
    found = (folder / word / LOCK for folder in _folders(library, build_dir))
    return next((path for path in found if os.path.lexists(path)), None)


def _folders(library: Library, build_dir: Path) -> tuple[Path, ...]:
    return (build_dir, *(root / RELEASED for root in library.roots))


def _remedy(library: Library, word: str, build_dir: Path) -> str:
    """The cell that was meant, perhaps; else what a lock may be named by."""
    cells = {
        "/".join(path.parts[-4:-1]) for folder in _folders(library, build_dir) for path in folder.glob(f"*/*/*/{LOCK}")
    }
    return did_you_mean(word, cells) or FORMS


def _from_git(word: str) -> tuple[str, str]:
    """The text of a lock in a revision: the path there, that folder's, or that cell's released one."""
    revision, _, path = word.partition(":")
    if not revision or revision.startswith("-") or not path:
        raise bad_input("that is no revision and path", Position(word), FORMS)
    if which("git") is None:
        raise host_lacks(f"git is not installed (needed to read {word})", "as root: apt-get install git")
    wanted = [path, f"{path.rstrip('/')}/{LOCK}"]
    wanted += [f"{RELEASED}/{path}/{LOCK}"] if _CELL.fullmatch(path) else []
    said = []
    for name in wanted:
        place = f"{revision}:{name}"
        size = run(_cat("-s", place), check=False)
        if size.returncode == 0 and _number(size.stdout) > MAX_BYTES:
            raise bad_input(f"larger than {MAX_BYTES >> 10} KiB", Position(place), OTHER)
        found = run(_cat("blob", place), check=False) if size.returncode == 0 else size
        if found.returncode == 0:
            return place, found.stdout
        said.append(f"fatal: {name} is a folder there, without a {LOCK}" if found is not size else found.stdout)
    first = next((line for line in said[0].splitlines() if line.startswith("fatal:")), said[0])
    raise bad_input(f"git: {one_line(first).removeprefix('fatal: ')}", Position(word), FORMS)


def _cat(how: str, place: str) -> Command:
    return Command((*_GIT, how, place), f"read {place}", env=_QUIET)


def _number(text: str) -> int:
    """What git says last; 0 where that is no number."""
    last = one_line(text)
    return int(last) if last.isdigit() else 0

"""The archive that a forge makes of a tag, made again from any repository that has the tag: the same bytes."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from stack.artifact import Command, public
from stack.host.fetch_url import Refused
from stack.host.run import run, which
from stack.host.spack import outside
from stack.origins import Candidate

_FETCH = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
# Neither the user's settings nor gzip's may change a byte, nor anybody's attributes but the commit's own.
_MAKE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_DEFAULT_HASH": "sha1",
    "GZIP": "",
    "LC_ALL": "C",
}
_SETTINGS = "GIT_CONFIG(_COUNT|_PARAMETERS)?$|GIT_ATTR_"  # what else a caller may have set for git


def commands(candidate: Candidate, folder: Path) -> tuple[Command, ...]:
    """Fetch the one commit into an empty repository, make its archive, compress it as forges do."""
    ref = candidate.ref if re.fullmatch("[0-9a-f]{40}", candidate.ref) else f"refs/tags/{candidate.ref}"
    git = (*outside(_SETTINGS, _MAKE), "git")
    there = ("-C", str(folder), "-c", "core.attributesFile=/dev/null")
    fetched = ("fetch", "--quiet", "--depth=1", "--no-tags", "--", candidate.where, ref)
    made = ("archive", "--format=tar", f"--prefix={candidate.prefix}/", f"--output={folder}/it.tar", "FETCH_HEAD")
    return (
        Command(
            (*git, "init", "--quiet", "--bare", "--template=", str(folder)), "make room for a repository", env=_MAKE
        ),
        Command(
            (*outside(), "git", *there, *fetched), f"fetch {candidate.ref} of {public(candidate.where)}", env=_FETCH
        ),
        Command((*git, *there, *made), "make the archive of a tag", env=_MAKE),
        Command(("gzip", "-n", f"{folder}/it.tar"), "compress it", env=_MAKE),
    )


def make(candidate: Candidate, target: Path) -> None:
    """Write the archive to a path; raises `Refused`."""
    if missing := [name for name in ("git", "gzip") if not which(name)]:
        raise Refused("unreachable", f"{missing[0]} is not installed")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="git-") as name:
        for command in commands(candidate, Path(name)):
            result = run(command, check=False)
            if result.returncode:
                said = " ".join(result.tail.replace(candidate.where, public(candidate.where)).split())[-300:]
                lacks = "couldn't find remote ref" in said or "not our ref" in said
                raise Refused("lacks" if lacks else "unreachable", said)
        shutil.move(f"{name}/it.tar.gz", target)

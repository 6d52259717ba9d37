"""Ask Spack what building an environment's lock would fetch."""

from __future__ import annotations

import shutil
from pathlib import Path

from stack.artifact import Command, canonical_json
from stack.host import files
from stack.host import spack as host_spack
from stack.host.run import Sink, run
from stack.host.spack import Spack
from stack.sources import Wanted, parse

_LIMIT = 1 << 26  # of the list that Spack writes: a few hundred bytes for each file


def command(spack: Spack, work: Path) -> Command:
    """The call; `work` has the environment and the question, and gets the answer."""
    settings = host_spack.scope(spack, work)
    question = {"version": spack.upstream.spack.version, "output": str(work / "wanted.json")}
    files.write_text(work / "wanted-input.json", canonical_json(question))
    words = ("python", spack.script("wanted"), str(work / "wanted-input.json"))
    purpose = "list the sources that the lock wants"
    return spack.command(words, purpose, work, scope=settings, env=work / "environment")


def wanted(spack: Spack, environment: Path, work: Path, sink: Sink) -> Wanted:
    """What the lock in a folder (`spack.yaml`, `spack.lock`) wants. Spack writes into `work` and nowhere else."""
    for name in ("spack.yaml", "spack.lock"):
        files.write_text(work / "environment" / name, files.read_text(environment / name, _LIMIT))
    if not (work / "misc").exists():
        ready = host_spack.ready(spack, sink)
        with files.beside(work / "misc") as partial:  # a copy that is killed is not taken for a whole one
            shutil.copytree(ready, partial)
    (work / "wanted.json").unlink(missing_ok=True)
    run(command(spack, work), sink)
    return parse(files.read_text(work / "wanted.json", _LIMIT), str(work / "wanted.json"))

"""Top. Arguments and options that several verbs share, and what the shell completes them with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def names(folder: str) -> Any:
    """Completion: the documents of a folder whose name begins with what was typed."""

    def complete(incomplete: str) -> list[str]:
        from stack.host.library import Library, roots

        return [name for name in Library(roots(None)).files(folder) if name.startswith(incomplete)]

    return complete


def architectures(incomplete: str) -> list[str]:
    """Completion: words for CPU families."""
    from stack import emulation
    from stack.host.library import Library, roots

    return sorted(word for word in emulation.words(Library(roots(None)).catalogue) if word.startswith(incomplete))


ProfileArg = Annotated[
    str, typer.Argument(metavar="PROFILE", help="Name of a profile, or path of one.", autocompletion=names("profiles"))
]
MaybeProfileArg = Annotated[
    str | None,
    typer.Argument(metavar="[PROFILE]", help="Name of a profile, or path of one.", autocompletion=names("profiles")),
]
EnvironmentArg = Annotated[
    str | None,
    typer.Argument(
        metavar="[ENVIRONMENT]", help="Name or path; ai-hpc by default.", autocompletion=names("environments")
    ),
]
RootOption = Annotated[
    Path | None, typer.Option("--root", envvar="SOVSTACK_ROOT", help="Your own folder of profiles/, recipes/ ...")
]
BuildOption = Annotated[
    Path, typer.Option("--build-dir", envvar="SOVSTACK_BUILD_DIR", help="Where everything made is written.")
]
PartitionOption = Annotated[
    str | None, typer.Option("--partition", help="Partition of the profile; the first by default.")
]
ArchOption = Annotated[
    str | None,
    typer.Option(
        "--arch", help="Build for any processor of this family: arm64, riscv64, amd64.", autocompletion=architectures
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done instead of doing it.")]
LockedOption = Annotated[
    bool, typer.Option("--locked", help="Use the lock as it is; stop when the mirror no longer has its packages.")
]
LenientOption = Annotated[
    bool, typer.Option("--lenient", help="Leave out a suite whose index the mirror has damaged; the lock says so.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the answer.")]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Stop when another process uses the same cell.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Check again even when a verdict for this image exists.")]
PreloadOption = Annotated[
    Path | None, typer.Option("--preload", help="Preload a library into every check, to see that the checks can fail.")
]
SchedulerOption = Annotated[str | None, typer.Option("--scheduler", help="Run the checks as jobs of this: slurm.")]
NodesOption = Annotated[
    int | None, typer.Option("--nodes", min=1, max=64, help="How many nodes of the scheduler; 2 by default.")
]
ScaleOption = Annotated[
    str | None, typer.Option("--scale", help="How much of the machine each check takes: 1_core ... 1_node, 2_nodes ...")
]
PendingOption = Annotated[
    int | None, typer.Option("--pending", min=1, help="Minutes that a job may wait for its nodes; 60 by default.")
]
BUILD = Path("build")

"""Where a site's sources come from: the archives that are known, what the profile says, what the environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack.artifact import public
from stack.catalogue import Os
from stack.errors import Faults, StackError
from stack.host import distribution_sources
from stack.host.distribution_sources import SourceIndex
from stack.host.library import PACKAGE, Library
from stack.origins import Candidate, from_git, mirrored, repositories, upstream
from stack.sources import Archives, Source, Wanted, needed

_GIT, _MIRRORS = "SOVSTACK_SOURCE_GIT", "SOVSTACK_SOURCE_MIRRORS"


@dataclass(frozen=True)
class Places:
    """Where this site's sources come from. `indexes`: of distributions, by the archive's name."""

    archives: Archives
    order: tuple[str, ...]
    mirrors: tuple[str, ...] = ()
    repositories: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, SourceIndex] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)  # archive -> why it cannot be asked at all


def archives(library: Library) -> Archives:
    """`stack/data/sources.yaml`."""
    faults = Faults()
    made = library.load(PACKAGE / "data/sources.yaml", Archives, faults)
    faults.raise_if_any()
    assert made  # noqa: S101 - no faults
    return made[1]


def places(
    known: Archives, systems: Mapping[str, Os], *, order: Sequence[str] = (), mirrors: Sequence[str] = (),
    git: Mapping[str, str] | None = None, packages: Mapping[str, str] | None = None, cache: Path | None = None,
) -> Places:  # fmt: skip
    """Join the profile's words (`packages`: its mirrors of distributions) with the environment's, which come first."""
    chosen = known.chosen(order)
    indexes, faults = {}, {}
    for name in chosen:
        archive = known.archives[name]
        if archive.kind == "distribution" and archive.os and archive.os in systems:
            try:
                indexes[name] = distribution_sources.open_index(
                    name, archive, systems[archive.os], packages or {}, cache
                )
            except StackError as error:
                faults[name] = error.faults[0].what
    named = tuple(m for m in os.environ.get(_MIRRORS, "").split(",") if m)
    return Places(
        known,
        chosen,
        tuple(_url(m) for m in dict.fromkeys((*named, *mirrors))),
        {**(git or {}), **repositories(os.environ.get(_GIT, ""))},
        indexes,
        faults,
    )


def _url(mirror: str) -> str:
    return Path(mirror).resolve().as_uri() if "://" not in mirror else mirror


def planned(list_: Wanted, site: Places) -> str:
    """What `fill` would ask, for `--dry-run`: each file with its candidates; indexes are known when they are read."""
    lines = [str(index.update_command) for index in site.indexes.values()]
    for source in needed(list_):
        lines.append(f"{source.sha256}  {source.label}")
        for name in site.order:
            kind = site.archives.archives[name].kind
            asked = [f"    {name}: {public(c.where)} {c.ref}".rstrip() for c in candidates(source, name, site)]
            lines += asked or ([f"    {name}: by its index"] if kind in ("distribution", "index") else [])
    return "\n".join(lines) + "\n"


def candidates(source: Source, name: str, site: Places) -> tuple[Candidate, ...]:
    """Candidates that can be told without asking anybody."""
    kind = site.archives.archives[name].kind
    if kind == "mirror":
        return mirrored(source, name, site.mirrors, site.archives)
    if kind == "upstream":
        return upstream(source, name, site.archives)
    return from_git(source, name, site.repositories, site.archives) if kind == "git" else ()

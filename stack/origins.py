"""Ring 3. Where a file that is wanted may be had: one candidate for each archive that may have it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import unquote

from pydantic import StringConstraints

from stack.artifact import public
from stack.errors import bad_input
from stack.sources import Archive, Archives, Kind, Source, Tags, Text, host_of, operator, split
from stack.words import Digest, Model


@dataclass(frozen=True)
class Candidate:
    """One place that may have a file. `operator`: who answers for it; two of one operator are not independent."""

    archive: str
    kind: Kind
    operator: str
    where: str
    ref: str = ""
    prefix: str = ""
    size: int = 0


def upstream(source: Source, archive: str, archives: Archives) -> tuple[Candidate, ...]:
    """The URLs that the package names."""
    urls = [u for u in source.urls if split(u).scheme in ("https", "http", "ftp")]
    return tuple(Candidate(archive, "upstream", operator(u, archives), u) for u in urls)


def mirrored(source: Source, archive: str, mirrors: Sequence[str], archives: Archives) -> tuple[Candidate, ...]:
    """Other source mirrors: Spack's layout."""
    urls = [f"{m.rstrip('/')}/{source.path}" for m in mirrors]
    return tuple(Candidate(archive, "mirror", operator(u, archives), u) for u in urls)


def repositories(text: str) -> dict[str, str]:
    """`owner/name=URL,...`, as the environment variable has it; `*` on the left stands for any text."""
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, url = part.partition("=")
        if not equals or not name.strip() or not url.strip():
            shown = f"{public(name)}{equals}{public(url)}"
            raise bad_input(f"{shown!r} does not read owner/name=URL", remedy="owner/name=URL,owner/name=URL")
        found[name.strip()] = url.strip()
    return found


def from_git(source: Source, archive: str, known: Mapping[str, str], archives: Archives) -> tuple[Candidate, ...]:
    """Repositories from which the archive that a forge made of a tag can be made again."""
    found = []
    for url in source.urls:
        for forge in archives.forges.values():
            host = host_of(url)
            if any(fnmatchcase(host, pattern) for pattern in forge.hosts):
                found += [_tag(match, tags, host, archive, known, archives) for tags in forge.tags
                          if (match := re.search(tags.path, unquote(split(url).path)))]  # fmt: skip
    return tuple(dict.fromkeys(c for c in found if c))


def _tag(
    match: re.Match[str], tags: Tags, host: str, archive: str, known: Mapping[str, str], archives: Archives
) -> Candidate | None:
    words = match.groupdict()
    repository, ref = words["repository"], words["ref"]
    place = _copy(host, repository, known)
    if place is None or ref.startswith("-"):
        return None
    plain = ref[1:] if re.match(r"v\d", ref) else ref
    words = {**words, "plain": plain}
    prefix = re.sub(r"\{(\w+)\}", lambda m: words.get(m[1]) or "", tags.prefix).replace("/", "-")
    url = place.replace("{repository}", repository).replace("{host}", host)
    return Candidate(archive, "git", operator(url, archives), url, ref, prefix)


def _copy(host: str, repository: str, known: Mapping[str, str]) -> str | None:
    """The place that the narrowest word gives: a name, then the pattern with the most letters, a host, everything."""
    wide = (f"{host}/*", "*")
    fits = [k for k in known if "*" in k and any(_fits(n, k) for n in (repository, f"{host}/{repository}"))]
    narrow = sorted((k for k in fits if k not in wide), key=lambda k: -len(k.replace("*", "")))
    return next((known[k] for k in (f"{host}/{repository}", repository, *narrow, *wide) if k in known), None)


def _fits(name: str, pattern: str) -> bool:
    """`*` stands for any text, and everything else for itself."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def projects(source: Source, archive: Archive) -> tuple[str, ...]:
    """The projects of an index that may have a file: the URL's, or the package's own name."""
    paths = [split(u).path for u in source.urls]
    found = [m["project"] for path in paths for p in archive.paths if (m := re.search(p, path))]
    if not found and source.kind == "archive" and source.build_system in archive.build_systems:
        found = [p.partition("@")[0].removeprefix(archive.prefix) for p in source.packages]
    return tuple(dict.fromkeys(re.sub("[-_.]+", "-", p).lower() for p in found))


_ROW = re.compile(r"^ ([0-9a-f]{64}) (\d+) (\S+)$", re.MULTILINE)


def in_index(text: str, digests: AbstractSet[str], mirror: str, archive: str) -> dict[str, Candidate]:
    """SHA-256 -> where a distribution's archive has it, by one of its `Sources` indexes."""
    found = {}
    for row in _ROW.finditer(text):
        if row[1] in digests and row[1] not in found:
            begin, end = text.rfind("\n\n", 0, row.start()) + 1, text.find("\n\n", row.end())
            stanza = text[begin : end if end >= 0 else len(text)]
            folder = re.search(r"^Directory: (\S+)$", stanza, re.MULTILINE)
            if folder and ".." not in PurePosixPath(f"{folder[1]}/{row[3]}").parts:
                url = f"{mirror.rstrip('/')}/{folder[1]}/{row[3]}"
                found[row[1]] = Candidate(archive, "distribution", archive, url, size=int(row[2]))
    return found


class Link(Model):
    """One file of an index, as its pages tell it; `sha256` is empty where they tell none."""

    url: Text
    filename: Text
    sha256: Annotated[str, StringConstraints(pattern="^$")] | Digest = ""


def in_pages(source: Source, links: Sequence[Link], archive: str, archives: Archives) -> Candidate | None:
    """Where an index has a file: a link with its SHA-256, else one of its name that tells no hash."""
    names = {PurePosixPath(unquote(split(u).path)).name for u in source.urls}
    exact = [link for link in links if link.sha256 == source.sha256]
    alike = [link for link in links if not link.sha256 and link.filename in names]
    for link in (*exact, *alike):
        return Candidate(archive, "index", operator(link.url, archives), link.url)
    return None

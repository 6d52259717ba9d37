"""Ring 4. The files of a Spack build cache (layout 3), and what a statement says of all of them.

A package is a manifest, under its name and hash, that names blobs by their SHA-256; blobs are in files of that name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stack import statements
from stack.statements import Json, Repository

STATEMENT = "sovstack-cache.dsse.json"
PREDICATE = "urn:sovereign-stack:predicate:build-cache:1"
MANIFESTS, LAYOUT, BLOBS = "v3/manifests/", "v3/layout.json", "blobs/sha256"
SPECS, INDEX = f"{MANIFESTS}spec", f"{MANIFESTS}index"

_PACKAGE = re.compile(re.escape(SPECS) + r"/[^/]+/[^/]+-([a-z2-7]{32})\.spec\.manifest\.json")
_BLOB = re.compile(re.escape(BLOBS) + r"/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Filled:
    """What is said of a cache. `root`: names the build root that all of it was built in, as the folder's name does.

    `files`: path in the folder -> SHA-256; `unsigned`: hashes of packages that the builds which filled it took from
    this folder while no statement had them, so that what is in `files` may be made with them.
    """

    root: str
    files: Mapping[str, str]
    repositories: tuple[Repository, ...] = ()
    unsigned: tuple[str, ...] = ()


def statement(filled: Filled) -> Json:
    """An in-toto statement about the cache, each of its files a subject. No clock: equal caches, equal statements."""
    commits = [statements.descriptor(r.name, r.url, gitCommit=r.commit) for r in filled.repositories]
    predicate = {"buildRoot": filled.root, "repositories": commits, "unsigned": sorted(filled.unsigned)}
    subjects = [statements.descriptor(path, sha256=sha256) for path, sha256 in sorted(filled.files.items())]
    return statements.statement(subjects, PREDICATE, predicate)


def read(said: Mapping[str, Any]) -> Filled | None:
    """What a statement says of a cache; None for one about something else, or in another form."""
    if said.get("predicateType") != PREDICATE:
        return None
    try:
        predicate = said["predicate"]
        commits = ((str(r["name"]), str(r["uri"]), str(r["digest"]["gitCommit"])) for r in predicate["repositories"])
        files = {str(row["name"]): str(row["digest"]["sha256"]) for row in said["subject"]}
        return Filled(
            root=str(predicate["buildRoot"]),
            files=files,
            repositories=tuple(Repository(*row) for row in commits),
            unsigned=tuple(map(str, predicate["unsigned"])),
        )
    except (KeyError, TypeError, ValueError):
        return None


def together(former: Filled | None, now: Filled) -> Filled:
    """What was said before, and what is said now of the same cache; the newer counts."""
    if former is None:
        return now
    commits = {*former.repositories, *now.repositories}
    return Filled(
        root=now.root,
        files={**former.files, **now.files},
        repositories=tuple(sorted(commits, key=lambda r: (r.name, r.url, r.commit))),
        unsigned=tuple(sorted({*former.unsigned, *now.unsigned})),
    )


def package(path: str) -> str | None:
    """The hash of the package whose manifest stands at a path; None for every other file."""
    found = _PACKAGE.fullmatch(path)
    return found[1] if found else None


def blob(path: str) -> str | None:
    """The SHA-256 that the name of a blob promises; None for every other file."""
    found = _BLOB.fullmatch(path)
    return found[2] if found else None


def blobs(manifest: bytes) -> tuple[str, ...] | None:
    """Paths of the blobs that a manifest names; None for what is no manifest, and for other digests than SHA-256."""
    try:
        rows = json.loads(manifest)["data"]
        named = [(row["checksumAlgorithm"], row["checksum"]) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not named or not all(kind == "sha256" and isinstance(v, str) and _HEX.fullmatch(v) for kind, v in named):
        return None
    return tuple(f"{BLOBS}/{value[:2]}/{value}" for _kind, value in named)


def title(path: str) -> str:
    """A package's manifest as people call it: `blis-2.0`."""
    return path.rpartition("/")[2].removesuffix(".spec.manifest.json")[:-33]


def titles(paths: Iterable[str], most: int = 5) -> str:
    """Some packages by name, and how many more."""
    names = sorted(map(title, paths))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

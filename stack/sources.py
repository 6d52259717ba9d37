"""Ring 3. The files that a build from source fetches, and the archives that are known to this program."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from stack.errors import Position, bad_input
from stack.words import Line, Means, Model, Name, SchemaVersion, no_climb, no_control

Kind = Literal["mirror", "upstream", "distribution", "index", "git"]
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(no_control)]
MirrorPath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+/@-]*$", max_length=500),
    AfterValidator(no_climb),
    Means("a path inside a source mirror"),
]


def _compiles(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


Pattern = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300),
    AfterValidator(_compiles),
    Means("a regular expression over the path of a URL"),
]
HostPattern = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9*.-]{1,200}$"), Means("a host, where '*' stands for any text")
]


class Tags(Model):
    """URLs under which a forge hands out an archive that it makes of a tag, and the folder inside it."""

    path: Pattern
    prefix: Line


class Forge(Model):
    """Hosts that fail together, or, with `separate`, hosts that run the same program each for itself."""

    hosts: tuple[HostPattern, ...] = Field(min_length=1)
    separate: bool = False
    tags: tuple[Tags, ...] = ()


class Archive(Model):
    """One place to ask for a file. `os`, `archive`, `suites`, `components`: a distribution's; the rest: an index's."""

    kind: Kind
    os: Name | None = None
    archive: Name | None = None
    suites: tuple[Name, ...] = ()
    components: tuple[Name, ...] = ()
    build_systems: tuple[Line, ...] = Field((), description="of packages that the index may have, whatever their URL")
    prefix: Text = Field("", description="what Spack's name of such a package has before the project's")
    paths: tuple[Pattern, ...] = ()


class Archives(Model):
    """`stack/data/sources.yaml`: the archives that this program can ask, and in which order it does."""

    schema_version: SchemaVersion = Field(alias="schema")
    order: tuple[Name, ...]
    archives: dict[Name, Archive]
    forges: dict[Name, Forge]

    def chosen(self, order: Sequence[str] = ()) -> tuple[str, ...]:
        """The archives to ask, in order; raises `StackError` for one that is not known."""
        names = tuple(dict.fromkeys(order or self.order))
        if unknown := [n for n in names if n not in self.archives]:
            known = ", ".join(sorted(self.archives))
            raise bad_input(f"no archive of sources is called {', '.join(unknown)}", remedy=f"known: {known}")
        return names


class File(Model):
    """One thing that Spack fetches. `path`: its place in a source mirror; some have a commit and no `digest`."""

    kind: Literal["archive", "resource", "patch"]
    label: Text
    path: Annotated[str, StringConstraints(pattern="^$")] | MirrorPath
    method: Text
    urls: tuple[Text, ...]
    digest: Text
    commit: Text = ""
    tag: Text = ""
    branch: Text = ""
    revision: Text = ""
    submodules: bool = False

    @property
    def sha256(self) -> str | None:
        """What it is accepted by; None where the package names none."""
        return self.digest if re.fullmatch("[0-9a-f]{64}", self.digest) else None


class Package(Model):
    """A package that is built, and all that it fetches; a bundle fetches nothing."""

    name: Text
    version: Text
    hash: Text
    build_system: Text
    licence: Text
    files: tuple[File, ...]


class Wanted(Model):
    """What `inside_spack/wanted.py` tells of one environment."""

    schema_version: SchemaVersion = Field(alias="schema")
    spack: Text
    packages: tuple[Package, ...]


@dataclass(frozen=True)
class Source:
    """A file that is wanted by its SHA-256, once, whoever needs it."""

    sha256: str
    path: str
    urls: tuple[str, ...]
    packages: tuple[str, ...]
    kind: str
    build_system: str

    @property
    def label(self) -> str:
        """As told to a person: the packages, and what it is where it is not their archive."""
        last = self.urls[0].partition("?")[0].rpartition("/")[2] if self.urls else self.sha256[:12]
        return ", ".join(self.packages) + ("" if self.kind == "archive" else f" ({self.kind} {last[:24]})")


def parse(text: str, name: str) -> Wanted:
    """The list that Spack's side wrote."""
    try:
        return Wanted.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        said = str(error)
    raise bad_input(f"a damaged list of sources: {said}", Position(name), "run it again")


def needed(wanted: Wanted) -> tuple[Source, ...]:
    """Every file that has a SHA-256, once for each place that Spack looks for it in."""
    found: dict[str, Source] = {}
    for package in wanted.packages:
        for file in package.files:
            if (digest := file.sha256) is None or not file.path:
                continue
            before = found.get(file.path)
            urls = tuple(dict.fromkeys((*(before.urls if before else ()), *file.urls)))
            title = f"{package.name}@{package.version}"
            packages = tuple(dict.fromkeys((*(before.packages if before else ()), title)))
            system = before.build_system if before else package.build_system
            found[file.path] = Source(digest, file.path, urls, packages, file.kind, system)
    return tuple(sorted(found.values(), key=lambda s: (s.packages, s.kind, s.path)))


def unhashed(wanted: Wanted) -> tuple[tuple[str, str], ...]:
    """(package, what names it) of everything that has no SHA-256: nothing that another archive gives can be checked."""
    found = {
        (f"{p.name}@{p.version}", _named_by(f)): None for p in wanted.packages for f in p.files if f.sha256 is None
    }
    return tuple(found)


def _named_by(file: File) -> str:
    if file.digest:
        return f"a digest that is no SHA-256 ({file.digest[:12]}...) of {' '.join(file.urls)}"
    state = " ".join(
        f"{what} {value}"
        for what, value in (
            ("commit", file.commit), ("tag", file.tag), ("branch", file.branch), ("revision", file.revision)
        )
        if value
    )  # fmt: skip
    more = " with submodules" if file.submodules else ""
    return f"{file.method} {' '.join(file.urls)} at {state or 'whatever it has now'}{more}"


def operator(url: str, archives: Archives) -> str:
    """Who answers for a URL: an index by the path, a forge by the host, the host itself otherwise."""
    path = split(url).path
    for name, archive in archives.archives.items():
        if archive.kind == "index" and any(re.search(p, path) for p in archive.paths):
            return name
    host = host_of(url)
    for name, forge in archives.forges.items():
        if any(fnmatchcase(host, pattern) for pattern in forge.hosts):
            return host if forge.separate else name
    return host or "a folder"


def host_of(url: str) -> str:
    """The host of a URL, or of what git takes for one (`user@host:path`); empty for a folder."""
    if "://" not in url:
        match = re.match(r"(?:[\w.-]+@)?([\w.-]+):", url)
        return match[1].lower() if match else ""
    return (split(url).hostname or "").lower()


def is_forge(name: str, archives: Archives) -> bool:
    """Whether an operator is a forge."""
    if name in archives.forges:
        return True
    return any(fnmatchcase(name, h) for f in archives.forges.values() if f.separate for h in f.hosts)


def split(url: str) -> SplitResult:
    """The parts of a URL; of one that is none, nothing."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")

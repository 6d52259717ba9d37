"""A distribution's source archive: its signed `Sources` indexes, read by our own apt, and files out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from stack.artifact import Command, public
from stack.catalogue import Keyring, Os
from stack.errors import StackError, host_lacks
from stack.host import apt, files
from stack.host.apt_output import explain, index_lines
from stack.host.fetch_url import Refused
from stack.host.run import Sink, run
from stack.origins import Candidate, in_index
from stack.sources import Archive

_HELPER = Path("/usr/lib/apt/apt-helper")
_ENV = {"LC_ALL": "C.UTF-8", "RES_OPTIONS": "timeout:3 attempts:2"}


@dataclass(frozen=True)
class SourceIndex:
    """`Sources` of some suites. `name`: of the archive in our data; `settings`: apt's own file; `url`: the mirror."""

    name: str
    url: str
    settings: Path
    folder: Path
    keyring: Keyring

    @property
    def update_command(self) -> Command:
        """What `update` runs."""
        return Command(("apt-get", *self._words(), "update"), "read the source index", env=_ENV)

    def _words(self) -> tuple[str, ...]:
        options = {
            "Dir::Etc::SourceParts": self.folder / "sources",
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Acquire::Retries": 0,
        }
        return ("-c", str(self.settings), *(w for k, v in options.items() for w in ("-o", f"{k}={v}")))

    def update(self, sink: Sink) -> None:
        """Bring the indexes up to date; raises `StackError`."""
        with files.exclusive(self.folder, lambda holder: sink(f"waiting for {holder}")):
            result = run(self.update_command, index_lines(sink), check=False)
            if result.returncode:
                raise explain(result.stdout, self.update_command.purpose, self.keyring)

    def find(self, digests: AbstractSet[str]) -> dict[str, Candidate]:
        """SHA-256 -> where the archive has it, by the indexes that were read last."""
        found: dict[str, Candidate] = {}
        for path in sorted((self.folder / "lists").glob("*_Sources")):
            text = path.read_text(encoding="utf-8", errors="replace")
            found = {**in_index(text, digests, self.url, self.name), **found}
        return found

    def fetch_command(self, wanted: Mapping[Path, Candidate]) -> Command:
        """Fetch files to paths, with apt's settings for proxies and passwords."""
        pairs = [word for target, candidate in wanted.items() for word in (candidate.where, str(target))]
        argv = (str(_HELPER), "-c", str(self.settings), "-o", "Acquire::Retries=1", "download-file", *pairs)
        return Command(argv, "fetch sources of the distribution", env=_ENV)

    def fetch(self, wanted: Mapping[Path, Candidate], sink: Sink) -> dict[Path, str]:
        """Fetch; what could not be had -> why. One that fails does not keep the others from coming."""
        if not _HELPER.is_file():
            raise Refused("unreachable", f"{_HELPER} is missing, which is part of apt")
        result = run(
            self.fetch_command(wanted), lambda line: sink(line) if line.startswith("Get:") else None, check=False
        )
        lines = [line.removeprefix("E: ") for line in result.stdout.splitlines() if line.startswith(("E: ", "Err:"))]
        if result.returncode:  # apt leaves what came before a transfer broke off, and that is no other file
            for target, candidate in wanted.items():
                if target.is_file() and target.stat().st_size < candidate.size:
                    target.unlink()
        lost = [target for target in wanted if not target.is_file()]
        return {target: _said(lines, wanted[target].where) for target in lost}


def _said(lines: Sequence[str], url: str) -> str:
    lines = [line.replace(url, public(url)) for line in lines]
    url = public(url)
    about = [line for line in lines if url in line and "Err:" not in line] or [line for line in lines if url in line]
    return (about or list(lines) or ["apt did not fetch it"])[0][:300]


def open_index(
    name: str, archive: Archive, system: Os, mirrors: Mapping[str, str], cache: Path | None = None
) -> SourceIndex:
    """Make (or find again) our folder for a source index; raises when no mirror is known, or no key."""
    assert archive.archive  # noqa: S101 - `kind: distribution` has it; see tests
    known = system.archives[archive.archive]
    url = mirrors.get(archive.archive) or apt.choose(known, apt.host_targets())
    if not url:
        remedy = f"add `mirrors: {{{archive.archive}: URL}}` to the profile"
        raise host_lacks(f"apt on this machine names no mirror of {archive.archive}", remedy)
    source = apt.Source(archive.archive, url.rstrip("/"), archive.suites, archive.components)
    return index_of(name, source, system.keys, next(iter(system.architectures.values())), cache)


def index_of(
    name: str, source: apt.Source, keyring: Keyring, architecture: str, cache: Path | None = None
) -> SourceIndex:
    """The same for an archive that is known."""
    base = apt.open_apt(architecture, (source,), keyring, cache)
    folder = base.folder / "deb-src"
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    fields = {
        "Types": "deb-src",
        "URIs": source.url,
        "Suites": " ".join(source.suites),
        "Components": " ".join(source.components),
        "Signed-By": keyring.path,
        "Targets": "Sources",
    }
    files.write_text(folder / "sources/sovstack.sources", "".join(f"{k}: {v}\n" for k, v in fields.items()))
    return SourceIndex(name, source.url, base.folder / "apt.conf", folder, keyring)


def look(index: SourceIndex, digests: AbstractSet[str], sink: Sink) -> dict[str, Candidate]:
    """Update and find; raises `Refused` when the index cannot be had."""
    try:
        index.update(sink)
    except StackError as error:
        raise Refused("unreachable", error.faults[0].what) from None
    return index.find(digests)

"""`sovstack inspect` of a build cache's folder: its statement, and every file in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import buildcache
from stack.buildcache import Filled
from stack.errors import ExitCode, Position, StackError, bad_input
from stack.host import cache_reading, cache_signing, files, signing
from stack.host.keys import PublicKey
from stack.inspection import Finding, Folder, Json, State

_STATEMENT = "statement of the cache"
_EXTRA = "remove it, or sign it too"
_TOLD = 20  # findings of one kind; more tell nobody more


def inspect(folder: Path, trusted: Iterable[PublicKey], statement: Path | None = None) -> Folder:
    """Read and check a build cache; raises for a folder that is none."""
    cache_reading.known(folder)
    first, said = _statement(folder, tuple(trusted), statement)
    there = {path: _Found(folder, path, ordinary) for path, ordinary in cache_signing.walk(folder)}
    packages = sum(buildcache.package(path) is not None for path in there)
    about = {"build cache": {"packages": packages, **(_about(said) if said else {})}}
    size = sum((folder / path).lstat().st_size for path in there)
    return Folder(str(folder), size, len(there), (first, *_files(there, said)), about)


def _statement(folder: Path, trusted: tuple[PublicKey, ...], named: Path | None) -> tuple[Finding, Filled | None]:
    path = named or folder / buildcache.STATEMENT
    if named and not path.is_file():
        raise bad_input("no such file", Position(str(named)), f"--statement names a {buildcache.STATEMENT}")
    try:
        envelope = cache_reading.envelope_of(path)
        if envelope is None:
            detail = "there is none: nobody answers for what is here"
            return Finding(_STATEMENT, "fails", detail, cache_reading.vouching(folder)), None
        said = cache_reading.opened(envelope, trusted, path)
    except StackError as error:
        fault = error.faults[0]
        state: State = "changed"
        if error.exit_code == ExitCode.BAD_INPUT:
            state = "unusable"
        elif fault.remedy == cache_reading.TRUST:
            state = "fails"
        return Finding(_STATEMENT, state, fault.what, fault.remedy), None
    key = signing.verify(envelope, trusted, str(path)).key
    return Finding(_STATEMENT, "ok", f"of {len(said.files)} files, by {key.id} ({key.path})"), said


def _about(said: Filled) -> Json:
    facts: dict[str, object] = {"build root": said.root}
    facts |= {f"{r.name} {number}": r.commit for number, r in enumerate(said.repositories, 1)}
    if said.unsigned:
        facts["made with packages that nobody signed"] = ", ".join(said.unsigned)
    return facts


@dataclass(frozen=True)
class _Found:
    """A file of the folder."""

    folder: Path
    path: str
    ordinary: bool

    def finding(self, said: Filled | None) -> Finding | None:
        """What is wrong with it; None where nothing is."""
        if not self.ordinary:
            return Finding(self.path, "fails", "no ordinary file: a build cache has none such", "remove it")
        if said and self.path not in said.files:
            return Finding(
                self.path, "fails", "no statement has it: nobody answers for it", "remove it, or vouch for it"
            )
        wrong = cache_signing.wrongly(self.folder, self.path, files.sha256(self.folder / self.path), said)
        return Finding(self.path, "changed", wrong, cache_reading.AGAIN) if wrong else None


def _files(there: Mapping[str, _Found], said: Filled | None) -> Iterator[Finding]:
    """What is wrong with the files; where nothing is, one line that says so."""
    found = [bad for item in there.values() if (bad := item.finding(said))]
    lost = sorted(set(said.files) - set(there)) if said else []
    found += [Finding(path, "changed", "the statement has it, and it is gone", cache_reading.AGAIN) for path in lost]
    yield from found[:_TOLD]
    if len(found) > _TOLD:
        yield Finding("more", "fails", f"{len(found) - _TOLD} more files are wrong")
    if not found:
        what = "each is the one that was signed" if said else "each blob is the one that its name says"
        yield Finding("files", "ok", f"all {len(there)}: {what}")

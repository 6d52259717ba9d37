"""A Spack source mirror, filled from independent archives. A file gets into it by its SHA-256 and by nothing else."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stack.artifact import public
from stack.host import distribution_sources, files, git_archive, package_index
from stack.host.fetch_url import Refused, Web
from stack.host.run import Sink
from stack.host.source_places import Places, candidates
from stack.independence import HERE, Row, Seen, rows
from stack.origins import Candidate
from stack.sources import Source, Wanted, needed

Pairs = Sequence[tuple[Source, Candidate]]
Mode = Literal["fill", "survey", "look"]


def fill(
    list_: Wanted, site: Places, folder: Path, sink: Sink, *, jobs: int = 4, mode: Mode = "fill",
    note: Sink | None = None,
) -> tuple[Row, ...]:  # fmt: skip
    """Fill a mirror, archive by archive, and return what was seen. `survey` asks every archive for every
    file, `look` reads the indexes alone and fetches nothing. `note` is told what the user has to know afterwards too.

    What lies there with the right hash is not fetched again. What nobody gave is a row with no `had`; no error.
    """
    with files.exclusive(folder, lambda holder: sink(f"waiting for {holder}")), files.disk_errors(folder):
        filling = Filling(site, folder, sink, note or sink, jobs, mode)
        filling.begin(needed(list_))
        for name in site.order:
            filling.round(name)
        shutil.rmtree(filling.incoming)
    return rows(list_, filling.seen, filling.had)


@dataclass
class Filling:
    """One run: what is wanted, what was had from whom, and what was seen."""

    site: Places
    folder: Path
    sink: Sink
    note: Sink
    jobs: int
    mode: Mode
    sources: tuple[Source, ...] = ()
    had: dict[str, str] = field(default_factory=dict)
    seen: dict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    web: Web = field(default_factory=Web)

    @property
    def incoming(self) -> Path:
        """Where files arrive; only what has the right hash leaves it for the mirror."""
        return self.folder / ".incoming"

    def begin(self, sources: tuple[Source, ...]) -> None:
        """Take what lies there, and what a killed run had fetched whole; everything else of it goes."""
        self.sources = sources
        for source in sources:
            place = self.folder / source.path
            if os.path.lexists(place) and not place.is_file():
                self._set_aside(source, f"{source.sha256}.no-file", "is no file")
            for path in (p for p in (place, self._arriving(source)) if p.is_file()):
                if (found := files.sha256(path)) == source.sha256:
                    self._keep(source, path)
                    self.had[source.path] = HERE
                    break
                if path == place:
                    self._set_aside(source, found, f"has the SHA-256 {found}")
        if self.incoming.is_dir() and not self.incoming.is_symlink():
            shutil.rmtree(self.incoming)
        self.incoming.unlink(missing_ok=True)
        self.incoming.mkdir(parents=True)
        if self.had:
            self.sink(f"{len(self.had)} of {len(sources)} sources are there")

    def _arriving(self, source: Source) -> Path:
        return self.incoming / source.path.rpartition("/")[2]

    def _set_aside(self, source: Source, name: str, why: str) -> None:
        """What is at a place that is not its own would be served to a build; it may still be somebody's."""
        folder = self.folder / ".refused"
        folder.mkdir(exist_ok=True)
        names = (f"{name}{n or ''}" for n in itertools.count())
        aside = next(p for p in map(folder.joinpath, names) if not os.path.lexists(p))
        (self.folder / source.path).replace(aside)
        self.note(f"set aside: {source.path} {why}; it is now {aside}")

    def _keep(self, source: Source, path: Path) -> None:
        place = self.folder / source.path
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)

    def round(self, name: str) -> None:
        """Ask one archive for what is lacking, or for everything."""
        kind = self.site.archives.archives[name].kind
        try:
            asked = list(self._candidates(name))
        except Refused as refused:
            self.sink(f"{name} cannot be asked: {refused.said}")
            return
        todo: dict[str, list[tuple[Source, Candidate]]] = defaultdict(list)
        for source, candidate in asked:
            if self.mode == "survey" or (self.mode == "fill" and source.path not in self.had):
                todo[source.path].append((source, candidate))
            else:
                listed = kind in ("distribution", "index")
                self._note(source, Seen(candidate, "listed" if listed else "named"))
        if todo:
            self.sink(f"asking {name} for {len(todo)} sources")
            {"distribution": self._batch, "index": self._batch, "git": self._one_by_one}.get(kind, self._together)(todo)

    def _candidates(self, name: str) -> Iterator[tuple[Source, Candidate]]:
        kind = self.site.archives.archives[name].kind
        if kind == "distribution":
            if name not in self.site.indexes:
                raise Refused("unreachable", self.site.faults.get(name, "it has no index"))
            held = distribution_sources.look(self.site.indexes[name], {s.sha256 for s in self.sources}, self.sink)
            return ((s, held[s.sha256]) for s in self.sources if s.sha256 in held)
        if kind == "index":
            found = package_index.find(self.sources, name, self.site.archives, self.incoming, self.sink)
            return ((s, found[s.path]) for s in self.sources if s.path in found)
        return ((s, c) for s in self.sources for c in candidates(s, name, self.site))

    def _together(self, todo: Mapping[str, Pairs]) -> None:
        """Several files at once; the URLs of one file in turn."""
        pool = ThreadPoolExecutor(self.jobs)
        try:
            for done in as_completed([pool.submit(self._in_turn, pairs, self._by_url) for pairs in todo.values()]):
                done.result()
        except BaseException:
            self.web.stop.set()  # the transfers under way end with their next block
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        if self.web.silent:
            self.sink(f"cannot be reached: {', '.join(sorted(self.web.silent))}")

    def _one_by_one(self, todo: Mapping[str, Pairs]) -> None:
        for pairs in todo.values():
            self._in_turn(pairs, git_archive.make)

    def _by_url(self, candidate: Candidate, target: Path) -> None:
        self.web.fetch(candidate.where, target)

    def _in_turn(self, pairs: Pairs, fetch: Callable[[Candidate, Path], None]) -> None:
        for source, candidate in pairs:
            target = self._arriving(source)
            if source.path in self.had and self.mode != "survey":
                self._note(source, Seen(candidate, "named"))
                continue
            try:
                fetch(candidate, target)
            except Refused as refused:
                self._note(source, Seen(candidate, refused.state, refused.said))
            else:
                self._accept(source, candidate, target)
            finally:
                target.unlink(missing_ok=True)

    def _batch(self, todo: Mapping[str, Pairs]) -> None:
        """One process for all files of an index."""
        pairs = {self._arriving(source): (source, c) for found in todo.values() for source, c in found[:1]}
        targets = {target: c for target, (_source, c) in pairs.items()}
        name = next(iter(targets.values())).archive
        try:
            if name in self.site.indexes:
                lost = self.site.indexes[name].fetch(targets, self.sink)
            else:
                lost = package_index.fetch(targets, self.incoming, self.sink)
        except Refused as refused:
            lost = dict.fromkeys(targets, refused.said)
        for target, (source, candidate) in pairs.items():
            if target in lost:
                gone = re.search(r"\b(404|410)\b", lost[target])
                self._note(source, Seen(candidate, "lacks" if gone else "unreachable", lost[target]))
            else:
                self._accept(source, candidate, target)
            target.unlink(missing_ok=True)

    def _accept(self, source: Source, candidate: Candidate, target: Path) -> None:
        """The one door into the mirror."""
        found = files.sha256(target)
        if found != source.sha256:
            said = f"SHA-256 {found} and not {source.sha256}, from {public(candidate.where)}"
            self._note(source, Seen(candidate, "other", said))
            return
        self._note(source, Seen(candidate, "held"))
        if source.path not in self.had:
            self._keep(source, target)
            self.had[source.path] = candidate.archive
            self.sink(f"{len(self.had)}/{len(self.sources)} {source.label} from {candidate.archive}")

    def _note(self, source: Source, seen: Seen) -> None:
        self.seen[source.path].append(seen)
        if seen.state == "other":
            self.note(f"refused: {source.label} from {seen.candidate.archive}: {seen.said}")

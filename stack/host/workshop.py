"""The stages of one cell, in the order `up` runs them. Each can be taken up again; all write beside, then move."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from stack import build
from stack.artifact import Command, Tree
from stack.changes import Change
from stack.errors import StackError
from stack.host import (
    apptainer,
    attesting,
    cells,
    checks,
    emulating,
    examining,
    files,
    image,
    locking,
    native,
    pip,
    rebuilding,
    reports,
    resolving,
    software,
    solving,
    source_build,
    tooling,
    versions,
)
from stack.host.cells import Cell
from stack.host.examining import Asked
from stack.host.image import Image, Job
from stack.host.keys import PrivateKey
from stack.host.placing import HERE, Place
from stack.host.progress import Progress
from stack.host.reports import Done, Written
from stack.host.sealing import Evidence
from stack.host.source_build import Built
from stack.host.source_job import SourceJob
from stack.lock import Lock
from stack.render import apptainer as render_apptainer
from stack.render import modules as render_modules
from stack.render import reframe as render_reframe
from stack.render import spack as render_spack
from stack.verdict import Verdict


class Workshop:
    """Acts on one cell while holding its lock; `dry` prints the commands instead."""

    def __init__(
        self, cell: Cell, progress: Progress, *, dry: bool = False, wait: bool = True,
        options: software.Options | None = None, place: Place = HERE,
    ) -> None:  # fmt: skip
        self.cell, self.progress, self.dry, self.wait = cell, progress, dry, wait
        self.options, self.place = options or software.Options(), place
        self._open = contextlib.ExitStack()
        self._lock: Lock | None = None
        self._image: Image | None = None
        self._built: Built | None = None
        self._tree: native.Tree | None = None
        self._verdict: Verdict | None = None
        self._changes: tuple[Change, ...] = ()
        self._reused = False
        self._reports = False

    def __enter__(self) -> Workshop:
        if not self.dry:
            self._open.enter_context(files.exclusive(self.cell.folder, self._waiting, wait=self.wait))
            files.clean_partials(self.cell.folder)
        for notice in self.cell.notices:
            self.progress.note(notice)
        return self

    def _waiting(self, holder: str) -> None:
        self.progress.note(f"waiting for {holder}, which works on {self.cell.plan.cell}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._reports and isinstance(error, StackError):
            with contextlib.suppress(StackError, OSError):
                self.report()
        self._open.close()

    def _print(self, command: Command) -> None:
        print(command)  # noqa: T201 - the answer of --dry-run

    # --- tools ---

    def tools(self) -> None:
        """See that a build can run here, and install what this user may; raises with all that then is missing."""
        cells.buildable(self.cell)
        if self.dry:
            return
        with self.progress.stage("tools"):
            tooling.ready(self.cell, self.progress.line, offline=self.options.offline)

    def _tools(self) -> build.Tools:
        return tooling.tools(self.cell, offline=self.options.offline, dry=self.dry)

    # --- lock ---

    def locked(self, *, strict: bool) -> tuple[Lock | None, tuple[Change, ...]]:
        """The cell's lock: made anew when an input or the mirror changed, unless `strict`."""
        if strict:
            self._lock = locking.strict(self.cell)
            self.progress.reused("lock", f"{self._lock.digest[:12]}, as it is")
        elif self.dry:
            for command in resolving.commands(self.cell):
                self._print(command)
            self._lock = next((lock for _path, lock in locking.current(self.cell)), None)
        else:
            self._relock()
        for change in self._changes:
            self.progress.note(str(change))
        return self._lock, self._changes

    def _relock(self) -> None:
        with self.progress.stage("lock") as running:
            made = resolving.relock(self.cell, resolving.Markets(lenient=self.options.lenient), self.progress.line)
            if made.reused:
                running.reused("neither an input nor the mirror changed")
            self._lock, self._changes = made.lock, made.changes

    # --- render ---

    def rendered(self) -> Tree:
        """Everything that is rendered of the plan and its lock, below the build folder."""
        plan, lock = self.cell.plan, self._lock or locking.read(self.cell)
        solved = render_spack.environment(plan, lock) | self._spack_lock(lock)
        if plan.base is None:
            return solved.under(plan.cell)
        found = str(apptainer.find() or "apptainer")
        sif = f"{self.cell.name}.sif"
        inside = (
            solved
            | render_apptainer.definition(plan, lock)
            | render_reframe.settings(plan, self.cell.facts, checks.where(self.cell))
        )
        return inside.under(plan.cell) | render_modules.tree(plan, lock, sif, found, apptainer.environment())

    def _spack_lock(self, lock: Lock | None) -> Tree:
        """The lock beside its environment, where Spack looks for it."""
        if lock is None or lock.spack is None:
            return Tree.of({})
        found = (solving.whole(p.with_name(locking.SPACK_LOCK), lock.spack) for p in locking.places(self.cell))
        text = next(filter(None, found), None)
        return Tree.of({f"spack/{locking.SPACK_LOCK}": text} if text else {})

    def render(self) -> None:
        """Write what is rendered."""
        if self.dry:
            return
        with self.progress.stage("render"):
            files.write_tree(self.cell.build_dir, self.rendered())

    # --- image ---

    def _job(self, lock: Lock, tools: build.Tools) -> Job:
        plan = self.cell.plan
        definition = next(file.text for _path, file in render_apptainer.definition(plan, lock))
        return Job(
            lock=lock,
            container=plan.container,
            overlay=render_apptainer.metadata(plan, lock),
            definition=definition,
            inspection=next(file.text for _path, file in render_apptainer.inspection(plan, lock)),
            tools=tools,
            versions={} if self.dry else versions.tools(tools, emulating.of(self.cell)),
            epoch=self.cell.catalogue.defaults.source_date_epoch,
            folder=self.cell.folder,
            name=self.cell.name,
            fetch=self._fetch,
            wheels=self._unpack if lock.wheels else None,
        )

    def _fetch(self) -> Mapping[str, Path]:
        assert self._lock  # noqa: S101 - a job is made of a lock
        return software.fetch(self.cell, self._lock.os, self.options, self.progress)

    def _unpack(self, into: Path) -> None:
        assert self._lock and self._lock.wheels  # noqa: S101 - asked for only then
        site = self.cell.plan.target.os.site_packages or ""
        pip.unpack(self._lock.wheels, resolving.cache(), into, site, self.progress.line, offline=self.options.offline)

    def built(self, lock: Lock | None) -> Image | None:
        """The cell's image, built unless one with the same inputs stands there whole."""
        if lock is None:
            self.progress.note("there is no current lock yet: the commands of the build depend on it")
            return None
        tools = self._tools()
        job = self._job(lock, tools)
        if self.cell.plan.built:
            job = self._with_software(job, lock, tools)
        if self.dry:
            for command in image.commands(job):
                self._print(command)
            return None
        earlier = image.finished(job)
        self._image = None if self.options.fresh else earlier
        if self._image:
            self.progress.reused("image", self._image.sha256[:12])
            return self._image
        with self.progress.stage("root file system"):
            image.make_rootfs(job, self.progress.line)
        with self.progress.stage("squashfs"):
            image.make_squashfs(job, self.progress.line)
        with self.progress.stage("image"):
            self._image = image.make_sif(job, self.progress.line)
        rebuilding.note(self.cell, lock, earlier, self._image, self._built, self.options, self.progress.note)
        return self._image

    def _with_software(self, job: Job, lock: Lock, tools: build.Tools) -> Job:
        """The image's job with what Spack builds in it; built now, unless it stands there whole."""
        made = software.job(self.cell, lock, tools, self.options, self.progress, dry=self.dry)
        evidence = Tree.of({f"{render_apptainer.EVIDENCE}/spack.lock": made.lock})
        built = self._built = self._software(made)
        tar, sha256 = (built.tar, built.sha256) if built else (made.folder / "software.tar", "")
        return replace(job, software=tar, software_sha256=sha256, overlay=job.overlay | evidence)

    def _software(self, made: SourceJob) -> Built | None:
        if not self.dry:
            return software.build(made, self.cell, self.options, self.progress)
        for command in source_build.commands(made):
            self._print(command)
        return None

    def tree(self, lock: Lock | None) -> Built | None:
        """What Spack builds alone, put together for the prefix that was asked for; there is no image of that."""
        if lock is None:
            return None
        tools = self._tools()
        return self._software(software.job(self.cell, lock, tools, self.options, self.progress, dry=self.dry))

    # --- checks ---

    def verified(self, made: Image | Built | None, asked: Asked) -> Verdict | None:
        """The verdict on an image or on what was built: an earlier one when it still stands, unless `asked` anew."""
        if made is None or self._lock is None:
            return None
        subject = examining.Subject(self._lock, made, self._tree)
        show = self._print if self.dry else None
        self._verdict, self._reused = examining.examine(self.cell, subject, asked, self.place, self.progress, show)
        return self._verdict

    def standing(self) -> Image:
        """The image that is there, beside its lock; raises where there is none, or no Apptainer."""
        self._lock, self._image = attesting.standing(self.cell)
        return self._image

    def tested(self) -> Image | Built:
        """What is there to be checked: the image, or its software without one."""
        if self.place.kind == "image":
            return self.standing()
        self._lock, self._tree = native.standing(self.cell)
        return self._tree.built

    # --- evidence ---

    def evidence(self, made: Image) -> Evidence:
        """What is to go into the image: SBOMs, provenance, and the verdict that stands in the cell's folder."""
        assert self._lock  # noqa: S101 - an image is made of a lock
        sources = attesting.sources(self.cell, self._lock, self.options, self.progress)
        return attesting.evidence(self.cell, self._lock, made, self._built, sources)

    def sealed(self, made: Image | None, key: PrivateKey | None, evidence: Evidence | None = None) -> Image | None:
        """The image with its evidence in it, signed where there is a key; reused where it is so already."""
        if self.dry:
            for command in attesting.commands(self.cell, key):
                self._print(command)
        elif made is not None:
            made = self._image = attesting.seal(self.cell, made, evidence or self.evidence(made), key, self.progress)
        return made

    def reseal(self, tested: Image | Built, key: PrivateKey | None) -> None:
        """Put the verdict into the image that it is about; one of another place stays beside it."""
        if isinstance(tested, Image) and self.place == HERE:
            self.sealed(tested, key)

    # --- report ---

    def reporting(self) -> None:
        """From here on a run that ends in an error writes its report too."""
        self._reports = not self.dry

    def report(self) -> Written | None:
        """Write the report of what was done, in the build folder and in the cell's."""
        if self.dry:
            return None
        self._reports = False
        done = Done(self._lock, self._changes, self._image, self._verdict, self._reused)
        return reports.write(self.cell, done, tuple(self.progress.stages))

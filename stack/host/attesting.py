"""What is said of a cell's image, gathered: its provenance, the checks' verdict, its identity card, and the SBOMs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any

from stack import __version__, build, statements
from stack import card as cards
from stack.artifact import Command, canonical_json, public
from stack.errors import StackError, bad_input, host_lacks
from stack.host import apptainer, files, image, keys, locking, mirroring, sealing, software, tooling
from stack.host.cells import Cell
from stack.host.checks import MAX_VERDICT_BYTES
from stack.host.image import Image
from stack.host.keys import PrivateKey
from stack.host.library import Library, shown
from stack.host.progress import Progress
from stack.host.sealing import Evidence
from stack.host.source_build import Built
from stack.lock import Lock
from stack.sources import Wanted, needed
from stack.statements import CARD, VERDICT, Repository
from stack.verdict import Verdict

Sources = tuple[tuple[str, str, str], ...]


def evidence(cell: Cell, lock: Lock, made: Image, built: Built | None, sources: Sources) -> Evidence:
    """All that goes into the image. The verdict is the one that stands in the cell's folder, where it is about it."""
    objects, name = dict(_documents(cell, lock, made, built)), made.path.name
    said: dict[str, Mapping[str, Any]] = {"provenance": statements.provenance(_facts(cell, lock, made, sources))}
    if verdict := _verdict(cell, made):
        data = canonical_json(verdict.model_dump(mode="json", by_alias=True)).encode()
        objects[VERDICT] = data
        card = objects[CARD] = cards.text(cards.make(verdict, lock)).encode()
        both = (hashlib.sha256(content).hexdigest() for content in (data, card))
        said["verdict"] = statements.checks_result(name, verdict, *both)
    return Evidence(objects, said)


def standing(cell: Cell) -> tuple[Lock, Image]:
    """The image that is there, and its lock; raises where one is missing, or there is no Apptainer."""
    lock, made, plan = locking.read(cell), image.present(cell.folder, cell.name), cell.plan
    remedy = f"`sovstack build {cell.said}` builds it"
    if lock is None or made is None:
        raise bad_input(f"there is no image of {plan.cell} in {shown(cell.build_dir)}", remedy=remedy)
    if made.lock != lock.digest:
        raise bad_input(f"the image of {plan.cell} is of another lock than the one beside it", remedy=remedy)
    if apptainer.find() is None:
        raise host_lacks("Apptainer is not installed here", tooling.APPTAINER)
    return lock, made


def seal(cell: Cell, made: Image, evidence: Evidence, key: PrivateKey | None, progress: Progress) -> Image:
    """The image with this evidence in it, signed where there is a key; as it is, where that is so already."""
    if key is None and made.sealed and made.sealed.key:
        changed = (
            "" if made.sealed.content == evidence.digest else ", and what is new is not in it: name the key with --key"
        )
        progress.reused("seal", f"stays signed by {made.sealed.key[:12]}{changed}")
        return made
    if key is None:
        progress.note(f"the image is not signed: there is no key yet, and `{keys.NEW}` makes one")
    if sealing.current(made, evidence, key):
        progress.reused("seal", f"signed by {key.id[:12]}" if key else "not signed")
        return made
    epoch, log = cell.catalogue.defaults.source_date_epoch, cell.folder / "build.log"
    with progress.stage("seal"):
        return sealing.seal(made, evidence, key, _tools(), epoch, progress.line, log)


def commands(cell: Cell, key: PrivateKey | None) -> tuple[Command, ...]:
    """What would be run on the image of a cell."""
    return (build.sign(_tools(), str(key.path), str(cell.folder / f"{cell.name}.sif")),) if key else ()


def _tools() -> build.Tools:
    """Apptainer alone is needed."""
    return build.Tools("", "", str(apptainer.find() or "apptainer"), apptainer.environment())


def sources(cell: Cell, lock: Lock, options: software.Options, progress: Progress) -> Sources:
    """The archives that a lock's build compiles. Spack knows them; its answer is kept beside the lock."""
    if lock.spack is None:
        return ()
    note = cell.folder / "sources.json"
    record = files.read_record(note, 1 << 24)
    with contextlib.suppress(KeyError, TypeError, ValueError):  # there is none, or a damaged one
        if record["lock"] == lock.digest:
            return tuple((str(name), str(kind), str(value)) for name, kind, value in record["sources"])
    job = mirroring.prepare(Library(cell.roots), cell, software.mirror(cell, options), progress)
    found = _named(job.wanted)
    files.write_text(note, canonical_json({"lock": lock.digest, "sources": found}))
    return found


def _named(wanted: Wanted) -> Sources:
    """Files by their SHA-256, and what comes out of git by its commit."""
    commits = [(f"{p.name}@{p.version}", "gitCommit", f.commit) for p in wanted.packages for f in p.files]
    archives = [(source.label, "sha256", source.sha256) for source in needed(wanted)]
    return (*archives, *(row for row in commits if row[2]))


def _facts(cell: Cell, lock: Lock, made: Image, sources: Sources) -> statements.Built:
    return statements.Built(
        lock=lock,
        name=made.path.name,
        sha256=made.sha256,
        squashfs=made.squashfs,
        key=made.key,
        epoch=cell.catalogue.defaults.source_date_epoch,
        version=__version__,
        tools=made.tools,
        repositories=_repositories(cell, lock),
        uris=_uris(cell, lock),
        sources=sources,
    )


def _repositories(cell: Cell, lock: Lock) -> tuple[Repository, ...]:
    if lock.spack is None:
        return ()
    pinned = cell.catalogue.upstream
    spack = Repository("spack", public(pinned.spack.git), lock.spack.spack)
    return spack, Repository("spack-packages", public(pinned.packages.git), lock.spack.packages)


def _uris(cell: Cell, lock: Lock) -> Mapping[str, str]:
    """Package URLs, the same as in the SBOMs."""
    from stack.audit.purl import deb_purl, wheel_purl

    packages = (*lock.os.packages, *(lock.tools.packages if lock.tools else ()))
    found = {p.sha256: deb_purl(p, cell.plan.target.os) for p in packages}
    return {**found, **{w.sha256: wheel_purl(w) for w in (lock.wheels.files if lock.wheels else ())}}


def _verdict(cell: Cell, made: Image) -> Verdict | None:
    try:
        found = Verdict.model_validate_json(files.read_text(cell.folder / VERDICT, MAX_VERDICT_BYTES))
    except (StackError, ValueError):
        return None
    same = (found.image, found.lock, found.provider) == (made.sha256, made.lock, "")
    return found if same else None


def _documents(cell: Cell, lock: Lock, made: Image, built: Built | None) -> Mapping[str, bytes]:
    """The SBOMs, by the names that they have in the image."""
    from stack.host import evidence  # with what it imports: most verbs of a cell write no SBOM

    return evidence.documents(cell, lock, made, built)

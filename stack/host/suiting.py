"""The suite on any software: an image that anybody made, a module tree, or what the machine itself has.

An image of ours brings its lock along, which says what is in it. All else is asked what it is (`stack.probing`): it has
provider `site`, and what the checks say of it is no evidence for an image of ours.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stack import card as cards
from stack import emulation, lock, outcome, probing, sif, verify
from stack.artifact import Command, canonical_json, digest
from stack.catalogue import Catalogue
from stack.errors import StackError, bad_input, host_lacks
from stack.host import apptainer, checks, clock, detect, emulating, files, lmod, sif_file, tooling
from stack.host.library import absolute
from stack.host.placing import HERE, Place
from stack.host.run import Sink, run
from stack.lock import Lock
from stack.probing import Found
from stack.render import reframe
from stack.statements import LOCK
from stack.target import HostFacts, found_accelerators
from stack.verdict import Machine, Verdict

FOLDER = "suite"
_MAX_LOCK = 256 << 20


@dataclass(frozen=True)
class Asked:
    """What the user points the suite at; with neither an image nor modules it is the machine's own software."""

    image: Path | None = None
    modules: Path | None = None
    load: tuple[str, ...] = ()
    python: str = "python3"
    name: str = ""
    place: Place = HERE
    build_dir: Path = Path("build")

    @property
    def words(self) -> tuple[str, ...]:
        """Options that ask the same."""
        image = ("--image", str(self.image)) if self.image else ()
        modules = ("--modules", str(self.modules), "--load", ",".join(self.load)) if self.modules else ()
        python = ("--python", self.python) if self.python != Asked.python else ()
        name = ("--name", self.name) if self.name else ()
        return (*image, *modules, *python, *name, *self.place.words, "--build-dir", str(self.build_dir))

    @property
    def called(self) -> str:
        """The folder that the answers are put into."""
        told = self.name or (self.image.stem if self.image else "-".join(self.load) if self.load else "machine")
        return re.sub(r"[^A-Za-z0-9._+-]+", "-", told).strip(".-")[:100] or "software"


@dataclass(frozen=True)
class Subject:
    """Software that answered, and how its programs are started. `lock`: of an image of ours; else `found` has what it
    said of itself. `sha256`: of the image, or of that answer."""

    asked: Asked
    begin: verify.Start
    system: reframe.System
    where: reframe.Where
    manifest: str
    sha256: str
    machine: Machine
    facts: HostFacts
    lock: Lock | None = None
    found: Found | None = None
    namespace: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where everything about it is written."""
        return self.asked.build_dir / FOLDER / self.asked.called

    @property
    def features(self) -> tuple[str, ...]:
        """What checks may ask for."""
        return tuple(reframe.features_of(self.system, self.where))


def open_subject(asked: Asked, catalogue: Catalogue) -> Subject:
    """Look at what the user points at, and ask it what it is. Raises for what cannot be checked here."""
    asked = _plain(asked)
    facts = detect.facts()
    begin, emulated, own = _begin(asked, catalogue)
    known, _unknown = found_accelerators(catalogue, facts)
    models = [catalogue.hardware.accelerators[name] for name in known]
    if begin.kind == "image":
        options = {catalogue.hardware.vendors[m.vendor].container_option for m in models}
        begin = replace(begin, options=tuple(sorted(o for o in options if o)))
    found = None if own else _probe(asked, begin, emulated, catalogue)
    family = _family(own, found)
    micro = family if emulated else facts.microarchitecture
    called = f"{FOLDER}/{asked.called}"
    about = _system_of(own, family, called, micro) if own else probing.system(found, called, micro) if found else None
    assert about  # noqa: S101 - it has a lock, or it was asked
    about = replace(about, holds=(*about.holds, *(w for m in models for w in (m.vendor, m.arch))))
    here = reframe.Where(kind=begin.kind, accelerated=bool(models), emulated=emulated is not None)
    word = _launch(own, found, catalogue)
    if asked.place.cluster:
        begin = asked.place.cluster.start(begin, word)
    return Subject(
        asked=asked,
        begin=begin,
        system=about,
        where=replace(asked.place, kind=begin.kind).where(here),
        manifest=verify.manifest(own, catalogue) if own else probing.manifest(found, called) if found else "",
        sha256=_sha256(asked.image, own) if asked.image else found.digest if found else digest([]),
        machine=Machine(family=family, microarchitecture=micro, emulator=emulated.text if emulated else ""),
        facts=facts,
        lock=own,
        found=found,
        namespace=emulated.checking if emulated else (),
        notes=tuple(filter(None, (asked.place.cluster.lacks(word),))) if asked.place.cluster else (),
    )


def _plain(asked: Asked) -> Asked:
    """The request with absolute paths. Raises for one that cannot be meant."""
    if asked.image and asked.modules:
        raise bad_input("--image and --modules are two things to check", remedy="leave one of them out")
    if bool(asked.modules) != bool(asked.load):
        what = "--modules names a tree, and --load what of it is loaded"
        raise bad_input(what, remedy="say both, as in --modules /apps/modules/all --load openmpi,openblas")
    image, modules = (absolute(p) if p else None for p in (asked.image, asked.modules))
    return replace(asked, image=image, modules=modules, build_dir=absolute(asked.build_dir))


def _begin(asked: Asked, catalogue: Catalogue) -> tuple[verify.Start, emulating.Emulation | None, Lock | None]:
    if asked.image is None:
        loaded = lmod.load(asked.modules, asked.load) if asked.modules else {}
        native = verify.Start("native", variables=loaded | checks.passed(), python=asked.python)
        return native, None, None
    family = image_family(asked.image, catalogue)
    emulated = emulating.needed(family, catalogue.hardware) if family else None
    program = apptainer.find()
    if program is None:
        raise host_lacks("Apptainer is not installed here", tooling.APPTAINER)
    begin = verify.Start(
        "image",
        apptainer=str(program),
        image=str(asked.image),
        variables=checks.passed(),
        python=asked.python,
        patience=emulation.TIMES_SLOWER if emulated else 1,
    )
    return begin, emulated, _lock_inside(asked.image, catalogue)


def image_family(image: Path, catalogue: Catalogue) -> str:
    """The CPU family that an image is for, empty where it does not say; raises for what is no SIF."""
    word = sif.architecture(sif_file.head(image), str(image))
    return emulation.words(catalogue).get(word, word)


def _lock_inside(image: Path, catalogue: Catalogue) -> Lock | None:
    """The lock that an image of ours has in it; None where it has none that can be read."""
    item = next((o for o in sif_file.objects(image) if o.name == LOCK), None)
    if item is None:
        return None
    try:
        found = lock.parse(sif_file.content(image, item, _MAX_LOCK).decode(errors="replace"), f"{image}:{LOCK}")
    except StackError:
        return None
    return found if all(c.name in catalogue.recipes for c in found.components) else None


def _sha256(image: Path, own: Lock | None) -> str:
    """Of an image of ours what verdicts name: the bytes before evidence."""
    return sif_file.base_sha256(image) if own else files.sha256(image)


def _probe(
    asked: Asked, begin: verify.Start, emulated: emulating.Emulation | None, catalogue: Catalogue
) -> Found:  # fmt: skip
    """Run the probe where the checks will run."""
    script = probing.script(catalogue, asked.python)
    variables = [f"{k}={v}" for k, v in begin.variables.items()]
    argv = ["env", *variables, "sh", "-c", script]
    if begin.kind == "image":
        given = [word for v in variables for word in ("--env", v)]
        argv = [begin.apptainer, "-q", "exec", "--containall", *begin.options, *given, begin.image, "sh", "-c", script]
    if asked.place.cluster:
        argv = ["srun", *asked.place.cluster.access, "--nodes=1", "--ntasks=1", "--mpi=none", *argv]
    prefix = emulated.checking if emulated else ()
    result = run(Command((*prefix, *argv), "ask the software what it is", env=apptainer.environment()), check=False)
    found = probing.parse(result.stdout, catalogue, asked.python)
    if found.family == "unknown" and not found.parts:
        last = " ".join(result.tail.split())[-400:]
        raise host_lacks(f"nothing can be run in {asked.image or 'the software'}: {last}", "see that `sh` runs in it")
    return found


def _family(own: Lock | None, found: Found | None) -> str:
    """An image of ours has passed the test of its header already: what runs is of that family."""
    if found:
        return found.family
    return own.target.rpartition("-")[2] if own else ""


def _system_of(own: Lock, family: str, called: str, micro: str) -> reframe.System:
    holds = (family, *(c.name for c in own.components), *(c.role for c in own.components if c.role))
    return reframe.System(FOLDER, f"software of {own.cell}", "default", own.target, micro, called, holds)


def _launch(own: Lock | None, found: Found | None, catalogue: Catalogue) -> str:
    """How Slurm starts ranks of its MPI."""
    roles = {c.role: c.name for c in own.components if c.role} if own else found.roles if found else {}
    name = roles.get("mpi", "")
    return catalogue.recipes[name].launch.get("slurm", "") if name else ""


def check(subject: Subject, sink: Sink, only: Sequence[str] = ()) -> Verdict:
    """Run the checks; the verdict, the card and the report are written into the subject's folder."""
    expected = verify.expected(checks.limits(), subject.features, subject.asked.called, only)
    if not expected:
        raise bad_input(f"no check can run on {subject.asked.called}", remedy="`sovstack suite --list` says why")
    folder, places = subject.folder, _paths(subject)
    verify.usable(places)
    with files.exclusive(folder, lambda who: sink(f"waiting for {who}")):
        checks.empty(Path(places.folder))
        settings = reframe.settings_of(subject.system, subject.facts, subject.where)
        files.write_text(Path(places.manifest), subject.manifest)
        files.write_text(Path(places.subject), subject.begin.text)
        files.write_tree(folder, settings)
        env = checks.environment(apptainer.environment())
        (command,) = verify.commands(places, env, only)
        _result, told = checks.ran(command, Path(places.report), sink, folder / "verify.log")
        verdict = outcome.parse(told, _told(subject, expected, {p: f.text for p, f in settings}))
        verdict = verdict.model_copy(update={"provider": "" if subject.lock else probing.PROVIDER})
        if not only:
            _keep(subject, verdict)
    return verdict


def _paths(subject: Subject) -> verify.Paths:
    folder = subject.folder / "reframe"
    return verify.Paths(
        python=sys.executable,
        suite=str(checks.suite()),
        settings=str(folder / "settings.json"),
        manifest=str(folder / "manifest.json"),
        subject=str(folder / "subject.json"),
        folder=str(folder / "run"),
        programs=(str(Path(subject.begin.apptainer).parent),) if subject.begin.apptainer else (),
        namespace=subject.namespace,
    )


def _told(subject: Subject, expected: tuple[str, ...], settings: dict[str, str]) -> outcome.Subject:
    facts, asked = subject.facts, subject.asked
    host = f"{facts.microarchitecture}, {facts.cores} cores, {facts.memory_gib:g} GiB, {facts.os_title}"
    kind = "an image" if asked.image else f"modules {', '.join(asked.load)}" if asked.load else "the machine's own"
    return outcome.Subject(
        cell=f"{FOLDER}/{asked.called}",
        image=subject.sha256,
        lock=subject.lock.digest if subject.lock else digest(subject.manifest),
        suite=verify.suite_digest({**checks.suite_files(), **settings}),
        date=clock.now(),
        host=f"{host}{asked.place.text}; {kind}",
        verb=("sovstack", "suite", *asked.words),
        expected=expected,
        machine=subject.machine,
    )


def _keep(subject: Subject, verdict: Verdict) -> None:
    """The verdict, and its card with the software that answered."""
    from stack import card_page, explain

    made = cards.make(verdict, subject.lock)
    if subject.found:
        parts = (cards.Part(name=p.name, version=p.version, provider=probing.PROVIDER) for p in subject.found.parts)
        made = made.model_copy(update={"software": tuple(parts)})
    said = probing.lines(subject.found) if subject.found else ()
    texts = {
        "verdict.json": canonical_json(verdict.model_dump(mode="json", by_alias=True)),
        cards.NAME: cards.text(made),
        cards.PAGE: card_page.as_html(made),
        "report.txt": "\n".join((*said, "", explain.verdict_text(verdict), "")),
    }
    for name, text in texts.items():
        files.write_text(subject.folder / name, text)


def rows(subject: Subject) -> list[dict[str, str]]:
    """Every check, and why it is left out where it is."""
    return [{"check": name, "left_out": why} for name, why in verify.possible(checks.limits(), subject.features)]

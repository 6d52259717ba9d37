"""The suite on any software: an image that anybody made, a module tree, or what the machine itself has.

An image of ours brings its lock along, which says what is in it. All else is asked what it is (`stack.probing`): it has
provider `site`, and what the checks say of it is no evidence for an image of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from stack import emulation, lock, probing, sif, verify
from stack.artifact import Command, digest
from stack.catalogue import Catalogue
from stack.errors import StackError, bad_input, host_lacks
from stack.host import apptainer, checks, detect, emulating, files, lmod, promised, sif_file, tooling
from stack.host.library import absolute
from stack.host.placing import HERE, Place
from stack.host.run import run
from stack.lock import Lock
from stack.probing import Found
from stack.render import reframe
from stack.statements import LOCK
from stack.target import HostFacts, found_accelerators
from stack.verdict import Machine

FOLDER = "suite"
_MAX_LOCK = 256 << 20


@dataclass(frozen=True)
class Asked:
    """What the user points the suite at; with neither an image nor modules it is the machine's own software.

    `python`: empty where nobody said which; `preload`: a library that every check loads first.
    """

    image: Path | None = None
    modules: Path | None = None
    load: tuple[str, ...] = ()
    python: str = ""
    name: str = ""
    place: Place = HERE
    preload: Path | None = None
    root: Path | None = None
    build_dir: Path = Path("build")

    @property
    def interpreter(self) -> str:
        """The Python of the software."""
        return self.python or probing.PYTHON

    @property
    def words(self) -> tuple[str, ...]:
        """Options that ask the same."""
        image = ("--image", str(self.image)) if self.image else ()
        modules = ("--modules", str(self.modules), "--load", ",".join(self.load)) if self.modules else ()
        given = {"--python": self.python, "--name": self.name}
        more = {"--preload": self.preload, "--root": self.root}
        told, rest = (tuple(w for k, v in of.items() if v for w in (k, str(v))) for of in (given, more))
        return (*image, *modules, *told, *self.place.words, *rest, "--build-dir", str(self.build_dir))

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
    """Look at what the user points at, and ask it what it is. Raises for what cannot be checked here.

    Where the scheduler does not answer, an image is looked at here, and how it is started is without nodes.
    """
    meant = _plain(asked)
    asked = replace(meant, place=meant.place.here) if meant.place.down else meant
    if meant.place.down and not meant.image:
        raise meant.place.down
    facts = detect.facts()
    begin, emulated, own = _begin(asked, catalogue)
    known, _unknown = found_accelerators(catalogue, facts)
    models = [catalogue.hardware.accelerators[name] for name in known]
    if begin.kind == "image":
        options = {catalogue.hardware.vendors[m.vendor].container_option for m in models}
        begin = replace(begin, options=tuple(sorted(o for o in options if o)))
    answer = _probe(asked, begin, emulated, catalogue) if asked.python or not own else None
    _starts(asked, answer, catalogue)
    found = None if own else answer
    family = found.family if found else _family(asked, own, catalogue)
    micro = family if emulated else facts.microarchitecture
    expects = promised.expected(begin, emulated, own, family) if own else None
    judge = promised.judge(expects, own, catalogue.hardware)
    called = f"{FOLDER}/{asked.called}"
    about = _system_of(own, family, called, micro) if own else probing.system(found, called, micro) if found else None
    assert about  # noqa: S101 - it has a lock, or it was asked
    holds = (*about.holds, *(w for m in models for w in (m.vendor, m.arch)))
    about = replace(about, holds=holds, devices=reframe.counted(models))
    here = reframe.Where(
        begin.kind,
        accelerated=bool(models),
        emulated=emulated is not None,
        baseline=judge.able(emulated=emulated is not None),
        scales=checks.sizes().offered(asked.place.cluster.nodes if asked.place.cluster else 1, facts.cores),
    )
    told = verify.manifest(own, catalogue, judge.manifest, expects) if own else ""
    word = _launch(own, found, catalogue)
    if asked.place.cluster:
        begin = asked.place.cluster.start(begin, word)
    return Subject(
        asked=meant,
        begin=replace(begin, scale=asked.place.scale, binds=judge.binds),
        system=about,
        where=replace(asked.place, kind=begin.kind).where(here),
        manifest=probing.manifest(found, called) if found else told,
        sha256=_sha256(asked.image, own) if asked.image else found.digest if found else digest([]),
        machine=Machine(family=family, microarchitecture=micro, emulator=emulated.text if emulated else ""),
        facts=facts,
        lock=own,
        found=found,
        namespace=emulated.checking if emulated else (),
        notes=tuple(filter(None, (_mpi_note(asked, word), promised.NONE if own and not expects else ""))),
    )


def _mpi_note(asked: Asked, word: str) -> str:
    return asked.place.cluster.lacks(word) if asked.place.cluster else ""


def _plain(asked: Asked) -> Asked:
    """The request with absolute paths. Raises for one that cannot be meant."""
    if asked.image and asked.modules:
        raise bad_input("--image and --modules are two things to check", remedy="leave one of them out")
    if bool(asked.modules) != bool(asked.load):
        what = "--modules names a tree, and --load what of it is loaded"
        raise bad_input(what, remedy="say both, as in --modules /apps/modules/all --load openmpi,openblas")
    image, modules, root = (absolute(p) if p else None for p in (asked.image, asked.modules, asked.root))
    python = asked.python
    if "/" in python and not image:  # checks run in other folders; a link stays: it is what names a virtual environment
        python = str(Path(python).absolute())
    asked = replace(asked, python=python, preload=checks.preloadable(asked.preload))
    return replace(asked, image=image, modules=modules, root=root, build_dir=absolute(asked.build_dir))


def _begin(asked: Asked, catalogue: Catalogue) -> tuple[verify.Start, emulating.Emulation | None, Lock | None]:
    if asked.image is None:
        loaded = lmod.load(asked.modules, asked.load) if asked.modules else {}
        native = verify.Start("native", variables=loaded | checks.passed(), python=asked.interpreter)
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
        python=asked.interpreter,
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
    script = probing.script(catalogue, asked.interpreter)
    variables = [f"{k}={v}" for k, v in begin.variables.items()]
    argv = ["env", *variables, "sh", "-c", script]
    if begin.kind == "image":
        given = [word for v in variables for word in ("--env", v)]
        argv = [begin.apptainer, "-q", "exec", "--containall", *begin.options, *given, begin.image, "sh", "-c", script]
    if asked.place.cluster:
        argv = ["srun", *asked.place.cluster.access, "--nodes=1", "--ntasks=1", "--mpi=none", *argv]
    prefix = emulated.checking if emulated else ()
    argv = [*apptainer.alone(), *prefix, *argv]
    result = run(Command(tuple(argv), "ask the software what it is", env=apptainer.environment()), check=False)
    found = probing.parse(result.stdout, catalogue, asked.interpreter)
    if found.family == "unknown" and not found.parts:
        last = " ".join(result.tail.split())[-400:]
        raise host_lacks(f"nothing can be run in {asked.image or 'the software'}: {last}", "see that `sh` runs in it")
    return found


def _starts(asked: Asked, answer: Found | None, catalogue: Catalogue) -> None:
    """Raise where the Python that was named does not answer: checks would be left out in silence."""
    needs = (catalogue.recipes[part.name].verify.version[0] for part in answer.parts) if answer else ()
    if asked.python and probing.PYTHON not in needs:
        what = f"no Python answers as {asked.python} in {asked.image or 'the software'}"
        raise bad_input(what, remedy="--python names the Python of the software, by its name or its path in it")


def _family(asked: Asked, own: Lock | None, catalogue: Catalogue) -> str:
    """The family of an image of ours: its header's and its lock's. Raises where they differ."""
    import archspec.cpu

    built = own.target.partition("-")[2].partition("-")[0] if own else ""
    known = str(archspec.cpu.TARGETS[built].family) if built in archspec.cpu.TARGETS else built
    said = image_family(asked.image, catalogue) if asked.image else known
    if said != known:
        words = [word or "an unknown CPU family" for word in (said, known)]
        raise bad_input(f"{asked.image} says that it is for {words[0]}, and the lock in it is of {words[1]}")
    return known


def _system_of(own: Lock, family: str, called: str, micro: str) -> reframe.System:
    holds = (family, *(c.name for c in own.components), *(c.role for c in own.components if c.role))
    return reframe.System(FOLDER, f"software of {own.cell}", "default", own.target, micro, called, holds)


def _launch(own: Lock | None, found: Found | None, catalogue: Catalogue) -> str:
    """How Slurm starts ranks of its MPI."""
    roles = {c.role: c.name for c in own.components if c.role} if own else found.roles if found else {}
    name = roles.get("mpi", "")
    return catalogue.recipes[name].launch.get("slurm", "") if name else ""

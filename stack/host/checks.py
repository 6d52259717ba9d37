"""Running the suite on an image, and knowing when a verdict still stands."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stack import card as cards
from stack import emulation, history, outcome, regression, scales, verify
from stack.artifact import Command, canonical_json
from stack.errors import ExitCode, Fault, StackError, bad_input, host_lacks
from stack.host import carding, clock, emulating, files, remembering
from stack.host.cells import Cell
from stack.host.image import Image
from stack.host.library import shipped
from stack.host.placing import HERE, Place
from stack.host.run import Result, Sink, run
from stack.host.source_build import Built
from stack.lock import Lock
from stack.render import apptainer as images
from stack.render import reframe
from stack.target import found_accelerators
from stack.verdict import Machine, Verdict

MAX_VERDICT_BYTES = 32 << 20
PASSED = (
    *("OMPI_MCA_", "PRTE_MCA_", "PMIX_MCA_", "MPICH_", "UCX_", "FI_", "NCCL_", "RCCL_", "GLOO_", "CUBLAS_"),
    *("NVIDIA_TF32", "TORCH_ALLOW_TF32", "HIPBLASLT_", "ROCBLAS_", "CUDA_VISIBLE", "HIP_VISIBLE", "ROCR_VISIBLE"),
)
"""How a site sets its MPI, network and libraries: such variables reach the checks."""


def suite() -> Path:
    """The folder of the regression suite."""
    return shipped() / "reframe_tests"


def suite_digest(cell: Cell, where: reframe.Where) -> str:
    """Names the checks: the suite's files and ReFrame's settings."""
    settings = {path: file.text for path, file in reframe.settings(cell.plan, cell.facts, where)}
    return verify.suite_digest({**suite_files(), **settings})


def suite_files() -> dict[str, str]:
    """The suite's files, by their paths in it."""
    return {
        str(p.relative_to(suite())): p.read_text(encoding="utf-8")
        for p in sorted(suite().rglob("*"))
        if p.is_file() and "__pycache__" not in p.parts
    }


def limits() -> verify.Thresholds:
    """What the suite demands."""
    found = sorted(suite().glob(f"*/{verify.THRESHOLDS}"))
    return verify.thresholds({f"{p.parent.name}/{p.name}": p.read_text(encoding="utf-8") for p in found})


def sizes() -> scales.Scales:
    """How much of a machine a run may ask for."""
    return scales.parse((suite() / scales.FILE).read_text(encoding="utf-8"), scales.FILE)


def sized(cores: int, place: Place, scale: str | None) -> Place:
    """A place of which the checks take a scale; raises `StackError` for one that it cannot give. `cores`: of a node."""
    nodes = place.cluster.nodes if place.cluster else 1
    return replace(place, scale=sizes().asked(scale, nodes, cores)) if scale else place


def cores(cell: Cell, place: Place) -> int:
    """Of this machine, or of a scheduler's node as far as the profile says it."""
    told = reframe.system(cell.plan).cores
    return told if place.cluster and told else cell.facts.cores


def where(cell: Cell, place: Place = HERE) -> reframe.Where:
    """What the checks of a cell run on: whether the accelerator is in this machine, and how its CPU is emulated."""
    known, _unknown = found_accelerators(cell.catalogue, cell.facts)
    vendors = {cell.catalogue.hardware.accelerators[name].vendor for name in known}
    emulated, judge = cell.plan.target.family != emulating.here(), emulating.judge(cell)
    here = reframe.Where(
        accelerated=cell.plan.target.vendor in vendors,
        emulated=emulated,
        baseline=judge.able(emulated=emulated),
        scales=sizes().offered(place.cluster.nodes if place.cluster else 1, cores(cell, place)),
    )
    return place.where(here)


def read(path: Path) -> Verdict | None:
    """The verdict in a file; None where there is none, or a damaged one."""
    try:
        return Verdict.model_validate_json(files.read_text(path, MAX_VERDICT_BYTES))
    except (StackError, ValueError):
        return None


def standing(cell: Cell, image: Image, lock: Lock) -> Verdict | None:
    """The verdict of an earlier run on these very bytes with these very checks, when it passed."""
    verdict = read(cell.folder / "verdict.json")
    if verdict is None:
        return None
    same = (verdict.image, verdict.lock, verdict.suite) == (image.sha256, lock.digest, suite_digest(cell, where(cell)))
    return verdict if same and verdict.passed else None


def paths(cell: Cell, apptainer: Path, preload: Path | None) -> verify.Paths:
    """Where ReFrame finds and puts things."""
    library = preloadable(preload)
    folder = cell.folder / "reframe"
    return verify.Paths(
        python=sys.executable,
        suite=str(suite()),
        settings=str(folder / "settings.json"),
        manifest=str(folder / "manifest.json"),
        subject=str(folder / "subject.json"),
        folder=str(folder / "run"),
        preload=str(library) if library else None,
        programs=(str(apptainer.parent),),
        namespace=emulated.checking if (emulated := emulating.of(cell)) else (),
    )


def preloadable(library: Path | None) -> Path | None:
    """The absolute path of a library that every check is to load first; raises where it is none."""
    if library is not None and not library.is_file():
        raise bad_input(f"{library} is not a file", remedy="--preload names a shared library")
    return library.resolve() if library else None


def start(cell: Cell, image: Path, apptainer: Path, place: Place = HERE) -> verify.Start:
    """How programs are started in the cell's image."""
    begin = _within(cell, image, apptainer)
    return place.cluster.start(begin, launching(cell)) if place.cluster else begin


def launching(cell: Cell) -> str:
    """How Slurm starts ranks of the cell's MPI; empty where it has none, or nobody says."""
    chosen = next((c.component for c in cell.plan.choices if c.role == "mpi"), "")
    return cell.catalogue.recipes[chosen].launch.get("slurm", "") if chosen else ""


def passed() -> dict[str, str]:
    """Variables of the caller's environment that reach the checks."""
    return {k: v for k, v in os.environ.items() if k.startswith(PASSED)}


def _within(cell: Cell, image: Path, apptainer: Path) -> verify.Start:
    vendor = cell.plan.vendor
    device = (vendor.container_option,) if vendor and vendor.container_option and where(cell).accelerated else ()
    return verify.Start(
        "image",
        apptainer=str(apptainer),
        image=str(image),
        options=device,
        binds=emulating.judge(cell).binds,
        variables=passed(),
        patience=emulation.TIMES_SLOWER if emulating.of(cell) else 1,
    )


def environment(apptainer_env: Mapping[str, str]) -> dict[str, str]:
    """What ReFrame is given: PATH, and what Apptainer needs on this machine."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **apptainer_env}


def check(
    cell: Cell,
    lock: Lock,
    image: Image | Built,
    places: verify.Paths,
    begin: verify.Start,
    env: Mapping[str, str],
    sink: Sink,
    only: Sequence[str] = (),
    place: Place = HERE,
    repeat: int = 1,
    note: Sink | None = None,
) -> Verdict:
    """Run the checks and keep the verdict (a partial or preloaded run is not kept as the image's).

    ReFrame keeps what was measured in the cell's history, but not what a preloaded library did.
    """
    on, only = where(cell, place), measuring(cell, only, repeat, place)
    features = reframe.features(cell.plan, on)
    expected = verify.expected(limits(), features, cell.plan.cell, only)
    empty(Path(places.folder))
    expects = images.host_contract(cell.plan, lock) if cell.plan.base else None
    manifest = verify.manifest(lock, cell.catalogue, emulating.judge(cell).manifest, expects)
    files.write_text(Path(places.manifest), manifest)
    files.write_text(Path(places.subject), begin.text)
    files.write_tree(cell.folder, reframe.settings(cell.plan, cell.facts, on))
    log = cell.folder / "verify.log"
    about = subject_of(cell, lock, image, expected, place, begin, places.preload)
    subject = replace(about, left_out=verify.left_out(limits(), features, only))
    remembering.ready(cell.folder)
    kept = keeping(cell.folder, begin, subject, repeat, aside=bool(places.preload or place.instead))
    (command,) = verify.commands(places, env, expected if only else (), kept)
    result, report = ran(command, Path(places.report), sink, log)
    verdict = outcome.parse(report, subject)
    if note and kept.database and (why := remembering.unkept(cell.folder, result)):
        note(why)
    if not only and places.preload is None:
        _keep(cell, verdict, lock, sink, place)
    return outcome.with_failed(verdict, verify.refused(limits(), features, cell.plan.cell, only), subject.verb)


def empty(folder: Path) -> None:
    """A folder with nothing in it."""
    with files.disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def ran(command: Command, report: Path, sink: Sink, log: Path) -> tuple[Result, str]:
    """Run ReFrame: what came of it, and its report. Raises `StackError` where it could not run any check."""
    result = run(command, sink, check=False, log=log)
    text = report.read_text(encoding="utf-8") if report.is_file() else ""
    if result.full and not text.rstrip().endswith("}"):
        raise host_lacks(f"{report.parent}: the disk is full", "free some space and run the same again")
    if not report.is_file():
        last = " / ".join(line.strip() for line in result.tail.splitlines()[-3:])
        raise StackError([Fault(f"ReFrame ran no check: {last}", None, f"the whole output is in {log}")], ExitCode.HOST)
    return result, text


def keeping(
    folder: Path, begin: verify.Start, subject: outcome.Subject, repeat: int, *, aside: bool
) -> history.Kept:  # fmt: skip
    """What ReFrame keeps of a run. `aside`: it is not of the history, as with a preloaded library."""
    return history.Kept(repeat) if aside else remembering.kept(folder, begin.kind, subject, repeat)


def measuring(cell: Cell, only: Sequence[str], repeat: int, place: Place = HERE) -> Sequence[str]:
    """The checks that are repeated: those that were asked for, or else all that measure speed."""
    return measuring_of(reframe.features(cell.plan, where(cell, place)), cell.plan.cell, only, repeat)


def measuring_of(features: Collection[str], name: str, only: Sequence[str], repeat: int) -> Sequence[str]:
    """The same, of anything that has these features."""
    if only or repeat == 1:
        return only
    found = regression.measuring(limits(), verify.expected(limits(), features, name))
    if not found:
        raise bad_input(f"no check of {name} measures speed", remedy="name those to repeat, with --check")
    return found


def _keep(cell: Cell, verdict: Verdict, lock: Lock, sink: Sink, place: Place) -> None:
    """Write the verdict; the image's own is the one of this machine, of another place there is one beside it."""
    text = canonical_json(verdict.model_dump(mode="json", by_alias=True))
    files.write_text(cell.folder / place.file("verdict.json"), text)
    if place == HERE:
        carding.keep(cell, verdict, lock, sink)
    else:
        files.write_text(cell.folder / place.file(cards.NAME), cards.text(cards.make(verdict, lock)))


def subject_of(
    cell: Cell, lock: Lock, image: Image | Built, expected: tuple[str, ...], place: Place, begin: verify.Start,
    preload: str | None = None,
) -> outcome.Subject:  # fmt: skip
    """What is checked, in the words of the verdict."""
    facts, plan = cell.facts, cell.plan
    other = f"; in a root file system of {plan.target.os.title}, without an image" if begin.seen else place.text
    host = f"{facts.microarchitecture}, {facts.cores} cores, {facts.memory_gib:g} GiB, {facts.os_title}{other}"
    return outcome.Subject(
        cell=plan.cell,
        image=image.sha256,
        lock=lock.digest,
        suite=suite_digest(cell, where(cell, place)),
        date=clock.now(),
        host=host,
        verb=verb(cell, place, preload),
        expected=expected,
        machine=machine(cell),
        files=verify.suite_digest(suite_files()),
    )


def verb(cell: Cell, place: Place, preload: str | None = None) -> tuple[str, ...]:
    """The command that checks a cell there."""
    proof = ("--preload", preload) if preload else ()
    return ("sovstack", "verify", *cell.words, *place.words, *proof, "--build-dir", str(cell.build_dir))


def machine(cell: Cell) -> Machine:
    """What the checks of a cell run on: this machine's CPU, or what is emulated on it."""
    target, emulated = cell.plan.target, emulating.of(cell)
    if emulated:
        return Machine(family=target.family, microarchitecture=target.microarchitecture, emulator=emulated.text)
    return Machine(family=target.family, microarchitecture=cell.facts.microarchitecture or target.microarchitecture)

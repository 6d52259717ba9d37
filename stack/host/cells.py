"""One cell as the user names it: documents found and read, the machine looked at, the plan made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from stack import emulation
from stack import plan as planning
from stack import target as targets
from stack.catalogue import Catalogue
from stack.check import check_environment, check_profile
from stack.document import Document
from stack.errors import Faults, bad_input
from stack.host import checking, detect, emulating, solving, spack
from stack.host.library import Library, absolute, is_path, shown
from stack.plan import Plan
from stack.profile import UNDECIDING
from stack.target import HostFacts

RELEASED = "environments/locks"


@dataclass(frozen=True)
class Cell:
    """A plan with everything needed to act on it. `documents`: kind -> digest of the document's content."""

    plan: Plan
    catalogue: Catalogue
    facts: HostFacts
    documents: Mapping[str, str]
    build_dir: Path
    notices: tuple[str, ...]
    roots: tuple[Path, ...] = ()
    texts: Mapping[str, Document] = field(default_factory=dict)  # profile and environment as they were written
    arch: str = ""  # the CPU family that was asked for with --arch
    paths: Mapping[str, Path] = field(default_factory=dict)  # profile and environment that were named by their files

    @property
    def folder(self) -> Path:
        """Everything made of the cell is in here."""
        return self.build_dir / self.plan.cell

    @property
    def lock_path(self) -> Path:
        """The cell's lock."""
        return self.folder / "stack.lock.json"

    @property
    def released(self) -> Path:
        """Folder of the cell's lock as it is handed on with the documents: the first root's that has one."""
        found = [root / RELEASED / self.plan.cell for root in self.roots]
        return next((f for f in found if (f / "stack.lock.json").is_file()), found[0])

    @property
    def release_folder(self) -> Path:
        """Where the cell's lock is put to be handed on: in the user's own root, or the checkout."""
        return self.roots[0] / RELEASED / self.plan.cell

    @property
    def words(self) -> tuple[str, ...]:
        """What names the cell on a command line, after a verb."""
        partition = next(iter(self.plan.profile.partitions))
        which = () if partition == self.plan.target.partition else ("--partition", self.plan.target.partition)
        arch = ("--arch", self.arch) if self.arch else ()
        root = ("--root", str(self.roots[0])) if len(self.roots) > 1 else ()
        named = {"profile": self.plan.profile.name, "environment": self.plan.environment.name}
        return (*(str(self.paths.get(kind, name)) for kind, name in named.items()), *which, *arch, *root)

    @property
    def said(self) -> str:
        """The same for a shell."""
        return shlex.join(self.words)

    @property
    def name(self) -> str:
        """The environment's name: the image's and the module's too."""
        return self.plan.environment.name


def open_cell(
    library: Library, profile: str, environment: str | None, partition: str | None, build_dir: Path,
    arch: str | None = None,
) -> Cell:  # fmt: skip
    """Read, check and plan. Raises with every fault of both documents. `arch`: a word for a CPU family."""
    catalogue = library.catalogue
    profile_document, site = library.profile(profile)
    environment_document, wanted = library.environment(environment or catalogue.defaults.environment)
    faults = Faults()
    check_profile(profile_document, catalogue, faults)
    checking.policy(library, profile_document, faults)
    check_environment(environment_document, catalogue, faults)
    faults.raise_if_any()
    facts, family = detect.facts(), emulation.family(arch, catalogue) if arch else ""
    target = targets.resolve(site, partition or next(iter(site.partitions)), catalogue, facts, family)
    plan = planning.make(site, wanted, target, catalogue)
    documents = {"profile": deciding(profile_document), "environment": environment_document.digest}
    if plan.built:
        documents["overlay"] = solving.marks(spack.overlays(library.roots))
    notices = () if family else _notices(plan, catalogue, facts)
    texts = {"profile": profile_document, "environment": environment_document}
    said = {"profile": profile, "environment": environment or ""}
    paths = {kind: absolute(Path(word)) for kind, word in said.items() if is_path(word)}
    return Cell(plan, catalogue, facts, documents, absolute(build_dir), notices, library.roots, texts, family, paths)


def deciding(profile: Document) -> str:
    """Digest of what decides a lock in a profile's document: all of it, but for the keys that only tell of the site."""
    return replace(profile, data={key: v for key, v in profile.data.items() if key not in UNDECIDING}).digest


def examine(
    library: Library, profile: str, build_dir: Path, arch: str | None = None
) -> tuple[list[dict[str, str]], str, bool]:
    """What `doctor` says of this machine for a profile's images: rows, text, and whether a build can run."""
    from stack.host import doctor  # with what it imports: no other verb of a cell needs it

    cell = open_cell(library, profile, None, None, build_dir, arch)
    findings = doctor.examine(cell.build_dir, system=cell.plan.target.os)
    if arch:
        findings = (*findings, doctor.emulated(cell.plan.target.family, cell.catalogue.hardware))
    rows = [asdict(f) for f in findings]
    lines = [
        f"{f.state:9} {f.what:20} {f.detail}{f'  -> {f.remedy}' if f.stops and f.remedy else ''}" for f in findings
    ]
    packages = doctor.missing_packages(findings)
    lines += ["", f"as root: {doctor.apt_line(packages)}"] if packages else []
    return rows, "\n".join(lines), not any(f.stops for f in findings)


def _notices(plan: Plan, catalogue: Catalogue, facts: HostFacts) -> tuple[str, ...]:
    part = plan.profile.partitions[plan.target.partition]
    if part.accelerators != "host":
        return ()
    _known, unknown = targets.found_accelerators(catalogue, facts)
    return tuple(f"the accelerator {device} is not in hardware.yaml and is left out" for device in unknown)


def buildable(cell: Cell) -> None:
    """Raise where the cell's image cannot be built on this machine, whatever were installed."""
    plan = cell.plan
    if plan.base is None:
        what = f"{plan.cell} is for the machine's own OS, and images alone are built here so far"
        verbs = f"`sovstack lock {cell.said}`, then `sovstack render` the same"
        raise bad_input(what, remedy=f"{verbs}; on the machine: spack -e {shown(cell.folder)}/spack install")
    emulating.needed(plan.target.family, cell.catalogue.hardware)

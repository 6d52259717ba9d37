"""Ring 3. The whole resolved graph of one cell with hashes: OS packages and wheels (Spack nodes when it has any)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from stack.artifact import canonical_json, digest
from stack.catalogue import Catalogue, PythonVersion
from stack.errors import Fault, Faults, Position, StackError, bad_input
from stack.graph import Graph
from stack.offer import Choice
from stack.plan import Plan, matches
from stack.recipe import Architecture, WheelProject
from stack.words import AbsolutePath, Digest, Line, Means, Model, Name, Package, no_control

# What apt needs to install from a lock alone; descriptions and maintainers stay out of it.
CONTROL = (
    "Pre-Depends",
    "Depends",
    "Provides",
    "Conflicts",
    "Breaks",
    "Replaces",
    "Multi-Arch",
    "Essential",
    "Protected",
    "Important",
    "Priority",
    "Section",
    "Installed-Size",
)

# A lock is handed on, and what stands in it reaches apt, pip, file names and a definition: as bare words alone.
Exact = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~:!_-]*$", max_length=200), Means("an exact version")
]
FileName = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~:!%_-]*$", max_length=300), Means("the name of a file")
]
TargetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]*$", max_length=200), Means("a target")]
ControlField = Annotated[str, StringConstraints(pattern=f"^({'|'.join(CONTROL)})$")]
Text = Annotated[str, StringConstraints(max_length=1 << 16), AfterValidator(no_control)]


def _control(fields: dict[str, str]) -> dict[str, str]:
    if not re.fullmatch("[0-9]{1,12}", fields.get("Installed-Size", "0")):
        raise ValueError("Installed-Size is not a whole number")
    return fields


_REPACKED = re.compile(r"[+~.-](dfsg|ds|repack|debian)\d*\b.*$")


class OsPackage(Model):
    """One package file of a distribution, as its signed index states it."""

    name: Package
    version: Exact
    architecture: Name
    filename: FileName = Field(description="last part of its path in the archive")
    size: Annotated[int, Field(ge=0)]
    sha256: Digest
    source: Line = Field(description="name and version of the source package")
    control: Annotated[dict[ControlField, Text], AfterValidator(_control)]


class OsLock(Model):
    """The closure inside one distribution. `requested` is what the closure is of."""

    system: Name
    architecture: Name
    suites: tuple[Name, ...]
    requested: tuple[Line, ...]
    packages: tuple[OsPackage, ...]


class WheelFile(Model):
    """One wheel, as the index states it."""

    project: WheelProject
    version: Exact
    filename: FileName
    sha256: Digest


class WheelLock(Model):
    """Wheels for one interpreter and platform."""

    python: PythonVersion
    platforms: tuple[Architecture, ...]
    requested: tuple[Line, ...]
    files: tuple[WheelFile, ...]


class Component(Model):
    """A component of the environment with the version that the lock gives it."""

    name: Name
    role: Name | None
    provider: Literal["source", "os", "wheel", "site"]
    version: Exact | Literal[""] = Field(description="upstream's version: what the software says of itself")
    package: Text = Field("", description="package and its full version, where a package supplies it")
    spec: Text = ""
    prefix: AbsolutePath = "/usr"


class Lock(Model):
    """`stack.lock.json`."""

    schema_version: Literal[1] = Field(1, alias="schema")
    environment: Name
    profile: Name
    target: TargetName
    components: tuple[Component, ...]
    os: OsLock
    tools: OsLock | None = Field(None, description="packages of the build root that the image does not have")
    wheels: WheelLock | None = None
    spack: Graph | None = None
    inputs: dict[str, Digest]

    def text(self) -> str:
        """Canonical JSON: equal locks, equal bytes."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text; it names everything built from this lock."""
        return digest(self.text())

    @property
    def cell(self) -> str:
        """`environment/profile/target`."""
        return f"{self.environment}/{self.profile}/{self.target}"

    def component(self, name: str) -> Component:
        """A locked component by name; KeyError when there is none."""
        return next(c for c in self.components if c.name == name)


def upstream(version: str) -> str:
    """Upstream's part of a Debian version: `1:2.2.4+ds-1` is 2.2.4, `4.3.0+really4.2.1-1` is 4.2.1."""
    version = version.partition(":")[2] if ":" in version else version
    version = version.rpartition("-")[0] if "-" in version else version
    version = version.rpartition("+really")[2]
    return _REPACKED.sub("", version)


def make(
    plan: Plan,
    os_lock: OsLock,
    wheels: WheelLock | None,
    inputs: Mapping[str, str],
    tools: OsLock | None = None,
) -> Lock:
    """Join the parts, all but what Spack solves (see `solved`). Raises when a version is not what was asked for."""
    faults = Faults()
    by_name = {p.name: p for p in os_lock.packages}
    files = {f.project.lower().replace("_", "-"): f for f in (wheels.files if wheels else ())}
    components = tuple(_component(choice, plan, by_name, files, faults) for choice in plan.choices)
    faults.raise_if_any()
    return Lock(
        schema=1,
        environment=plan.environment.name,
        profile=plan.profile.name,
        target=plan.target.name,
        components=components,
        os=os_lock,
        tools=tools,
        wheels=wheels,
        inputs=dict(sorted(inputs.items())),
    )


def solved(lock: Lock, plan: Plan, graph: Graph) -> Lock:
    """The lock with Spack's graph in it, which has the versions of the components that are built."""
    faults = Faults()
    made = []
    for component in lock.components:
        node = graph.root(package_of(component.spec)) if component.provider == "source" else None
        if component.provider == "source" and node is None:
            faults.add(f"Spack's graph has no root for {component.name} ({component.spec})")
        found = {"version": node.version, "package": f"{node.name} {node.hash}"} if node else {}
        made.append(component.model_copy(update=found))
        _wanted(component.name, made[-1].version, plan, faults)
    faults.raise_if_any()
    return lock.model_copy(update={"components": tuple(made), "spack": graph})


def package_of(spec: str) -> str:
    """The package that a spec begins with."""
    found = re.match(r"[A-Za-z0-9_-]+", spec)
    return found[0] if found else ""


def _wanted(name: str, version: str, plan: Plan, faults: Faults) -> None:
    want = plan.environment.components.get(name)
    if want and want.version and not matches(version, want.version):
        what = f"{name} would be {version}, and {plan.environment.name} asks for {want.version}"
        faults.add(what, None, "change the version or the provider")


def _component(
    choice: Choice, plan: Plan, packages: Mapping[str, OsPackage], files: Mapping[str, WheelFile], faults: Faults
) -> Component:
    version, package = choice.version, ""
    if choice.provider == "os" and packages:
        found = packages[str(choice.version_of)]
        version, package = upstream(found.version), f"{found.name} {found.version}"
    elif choice.provider == "wheel":
        wheel = files[str(choice.project).lower().replace("_", "-")]
        version, package = wheel.version.partition("+")[0], f"{wheel.project} {wheel.version}"
    if choice.provider != "source":
        _wanted(choice.component, version, plan, faults)
    return Component(
        name=choice.component,
        role=choice.role,
        provider=choice.provider,
        version=version,
        package=package,
        spec=choice.spec,
        prefix=choice.prefix,
    )


def inputs(plan: Plan, catalogue: Catalogue, documents: Mapping[str, str]) -> dict[str, str]:
    """Digest of all that decides the lock: the documents, the recipes used, the OS, the base, the defaults."""
    recipes = tuple(catalogue.recipes[c.component] for c in plan.choices)
    models = {**({"container": plan.base} if plan.base else {}), "defaults": catalogue.defaults}
    data = {name: catalogue.digest_of(model) for name, model in models.items()}
    data["os"] = digest(_system(plan))
    if plan.built:
        machine = plan.target.accelerator.model_dump(mode="json") if plan.target.accelerator else None
        variant = plan.vendor.spack_variant if plan.vendor else ""
        data["hardware"] = digest([plan.target.linker, machine, variant])
        data["upstream"] = catalogue.digest_of(catalogue.upstream)
    return {**documents, "recipes": catalogue.digest_of(recipes), **data}


def _system(plan: Plan) -> dict[str, Any]:
    """What of the OS decides this lock: not what it has for components that are not in it."""
    names = {c.component for c in plan.choices}
    own = {name: found for name, found in plan.target.os.components.items() if name in names}
    tools = plan.target.os.tools if plan.built else {}
    return plan.target.os.model_copy(update={"components": own, "tools": tools}).model_dump(
        mode="json", exclude={"title", "libc"}
    )


def parse(text: str, name: str) -> Lock:
    """Read a lock; a truncated, foreign or newer one gives an error that names the file and the field."""
    try:
        return Lock.model_validate_json(text)
    except ValidationError as error:
        raise _damaged(text, name, error) from None


def _damaged(text: str, name: str, error: ValidationError) -> StackError:
    """What is wrong with a lock, once it is known that something is."""
    where, remedy = Position(name), "delete it and lock again"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as broken:
        where = Position(name, getattr(broken, "lineno", 0), getattr(broken, "colno", 0))
        return bad_input("not valid JSON: the lock is damaged", where, remedy)
    version = data.get("schema") if isinstance(data, dict) else None
    if isinstance(version, int) and version > 1:
        return bad_input(f"lock of schema {version}; this program reads 1", where, "use a newer sovstack")
    found = error.errors(include_url=False)[:20]
    told = [f"{'.'.join(map(str, e['loc']))[:80] or 'lock'}: {e['msg'][:200]}" for e in found]
    return StackError(Fault(t, where, remedy) for t in told)

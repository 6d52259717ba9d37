"""Ring 1. A recipe: how each provider supplies a component, and what must be true of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from stack.words import Line, Means, Model, Name, PackageSpec, SchemaVersion, Spec, Url, Version

Schema1 = Annotated[SchemaVersion, Field(alias="schema")]
ProgramName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]*$", max_length=64),
    Means("the name of a program (letters, digits, '+', '.', '_' and '-')"),
]
Architecture = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_]{1,40}$"),
    Means("an architecture's name (lower-case letters, digits and '_')"),
]
PathEnd = Annotated[
    str,
    StringConstraints(pattern=r"^\*/[A-Za-z0-9/*._+-]+$", max_length=300),
    Means("'*/' and the end of a path, where '*' stands for any text"),
]
WheelProject = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$", max_length=128),
    Means("the name of a Python project"),
]
Compilers = dict[Literal["c", "cxx", "fortran"], ProgramName]


class Source(Model):
    """Spack builds it. `{arch}` in an accelerator's variants is the accelerator's `spack` name."""

    spec: PackageSpec
    variants: Spec | None = None
    accelerators: dict[Name, Spec] = Field({})
    below: dict[Name, Spec] = Field({}, description="package that it is built on -> what that must be")


class Wheel(Model):
    """A Python wheel. `vendors` lists accelerators the project's wheels reach; `none` for those with a CPU build."""

    project: WheelProject
    version: Version | None = None
    vendors: tuple[Name, ...] = ("none",)


class OsProvider(Model):
    """The distribution's package; which, stands in the file of the distribution."""


class SiteProvider(Model):
    """The machine's own; where, stands in the profile. `accelerators`: what it is beside, on such a partition."""

    spec: Spec
    accelerators: dict[Name, Spec] = Field({})


class Providers(Model):
    """How each provider supplies a component; an absent one cannot."""

    source: Source | None = None
    os: OsProvider | None = None
    wheel: Wheel | None = None
    site: SiteProvider | None = None


Has = Annotated[
    str,
    StringConstraints(
        pattern=r"^(@[0-9A-Za-z=:][0-9A-Za-z_.:,=-]*)?( ?([+~][a-z0-9_-]+|[a-z0-9_-]+=([A-Za-z0-9_.,:-]|\{arch\})+))*$",
        min_length=2,
        max_length=300,
    ),
    Means("versions and variants such as '@2.1: +cuda~rocm cuda_arch={arch}', the version first"),
]


class Assertion(Model):
    """Something that must hold of the solved graph: with none of `has`, `one`, `absent`, that the node is in it."""

    node: Name = Field(description="a package, or a virtual package: then whatever supplies it")
    has: Has | None = Field(None, description="version and variants that it has")
    one: bool = Field(False, description="no more than one in the graph supplies it")
    absent: bool = Field(False, description="it is not in the graph")
    optional: bool = Field(False, description="it may be missing")
    when: Name | None = Field(None, description="only for accelerators of this vendor, or `none`")
    families: tuple[Architecture, ...] = Field((), description="only on these CPU families")
    level: Literal["error", "note"] = Field("error", description="`note`: reported, and the lock stands")
    why: Line


class Verify(Model):
    """How an installed component states its own version: the command's output holds it, whole."""

    version: tuple[Line, ...] = Field(min_length=1)
    says: Line | None = Field(None, description="what else its output holds, which tells it from others of its kind")
    carries: dict[Name, tuple[Line, ...]] = Field(
        {}, description="role that it fills for itself where nothing beside it does -> command that says with what"
    )
    one_of: tuple[PathEnd, ...] = Field(
        (), description="files of which a machine uses one: the libraries that the others need may be absent"
    )
    optional: tuple[ProgramName, ...] = Field(
        (), description="commands without which software that is not ours still fills the role"
    )


class SpackFacts(Model):
    """What Spack must be told: virtual packages this one provides, and language -> compiler command."""

    virtuals: tuple[Name, ...] = ()
    compilers: Compilers = Field({})
    companions: dict[Name, Spec] = Field({}, description="virtual that it lacks -> what supplies that beside it")


class Recipe(Model):
    """`recipes/<name>.yaml`."""

    schema_version: Schema1
    name: Name
    summary: Line
    homepage: Url
    role: Name | None = None
    accelerated: bool = Field(False, description="must be built for the accelerator, where there is one")
    needs: tuple[Name, ...] = Field((), description="components or roles that must be in the plan with it")
    commands: tuple[ProgramName, ...] = ()
    launch: dict[Name, Name] = Field({}, description="scheduler -> how it starts ranks: `slurm: pmix` is srun's --mpi")
    aliases: dict[ProgramName, ProgramName] = Field({}, description="command -> what stands in where an image lacks it")
    spack: SpackFacts = SpackFacts()
    providers: Providers
    verify: Verify
    assertions: tuple[Assertion, ...] = ()

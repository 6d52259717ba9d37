"""Ring 1. A site profile: what a machine is and what its site prefers. `host` means: as found on the machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from stack.policy import SitePolicy
from stack.words import (
    AbsolutePath,
    Line,
    Means,
    Mirror,
    Model,
    Name,
    Provider,
    SchemaVersion,
    Spec,
    Version,
    no_climb,
    no_control,
)

Microarchitecture = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_.-]*$", max_length=40),
    Means("a microarchitecture that archspec knows, 'host' or 'host-level'"),
]

ModuleName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/-]*$", max_length=200),
    AfterValidator(no_climb),
    Means("the name of a module such as 'openmpi/5.0' (letters, digits, '.', '_', '+', '-' and '/')"),
]
"""Spack hands it to a shell."""


class Cpu(Model):
    """`microarchitecture`: an archspec name, `host`, or `host-level` (the generic level the machine reaches)."""

    microarchitecture: Microarchitecture = "host-level"
    cores: Annotated[int, Field(ge=1, le=4096)] | Literal["host"] = "host"
    memory_gib: Annotated[int, Field(ge=1, le=1 << 16)] | Literal["host"] = "host"


class Accelerators(Model):
    """`model`: a name in `stack/data/hardware.yaml`; `count`: devices per node."""

    model: Name
    count: Annotated[int, Field(ge=1, le=64)] = 1


class Partition(Model):
    """Nodes that are alike."""

    description: Line = "nodes"
    cpu: Cpu = Cpu()
    accelerators: Literal["host"] | tuple[Accelerators, ...] = ()
    features: tuple[Name, ...] = ()


class Wish(Model):
    """A site's wish about one component: which provider, which version."""

    provider: Provider | None = None
    version: Version | None = None


class Site(Model):
    """Software the machine brings itself; Spack sees it as an external."""

    version: Version
    prefix: AbsolutePath
    spec: Spec | None = None
    modules: tuple[ModuleName, ...] = ()


Place = Annotated[
    str,
    StringConstraints(pattern=r"^((https?|file|git|ssh)://|/)[A-Za-z0-9._~:/?#@+,=%-]+$", max_length=500),
    Means("a URL or an absolute path"),
]
RepositoryPattern = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9*][A-Za-z0-9*._-]*(/[A-Za-z0-9*][A-Za-z0-9*._-]*)*$", max_length=200),
    Means("a repository such as 'owner/name', where '*' stands for any text"),
]


class Sources(Model):
    """Where `sovstack mirror` looks for sources."""

    order: tuple[Name, ...] = Field((), description="archives of `sources.yaml`, the first asked first")
    mirrors: tuple[Place, ...] = Field((), description="source mirrors of Spack")
    git: dict[RepositoryPattern, Place] = Field({}, description="repository of a forge -> a copy of it")


class Scheduler(Model):
    """How jobs are started on the machine."""

    kind: Literal["local", "slurm", "pbs", "flux"] = "local"
    account: Name | None = None
    queue: Name | None = None
    minutes: Annotated[int, Field(ge=1, le=366 * 24 * 60)] | None = Field(
        None, description="how long a job may last; a day if left out"
    )


MailAddress = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$", max_length=254),
    Means("an e-mail address"),
]
WebPage = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[A-Za-z0-9][A-Za-z0-9._~:/?#@+,=%-]*$", max_length=300),
    Means("a URL such as 'https://host/path' (http or https)"),
]
Person = Annotated[
    str,
    StringConstraints(pattern=r"^[^<>\s]([^<>]*[^<>\s])?$", max_length=200),
    AfterValidator(no_control),
    Means("a name (at most 200 characters, without '<' and '>')"),
]


class Contact(Model):
    """Who answers for what this site states of its software. A person or an organisation, with one way to reach it."""

    name: Person
    email: MailAddress | None = None
    url: WebPage | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Contact:
        if (self.email is None) == (self.url is None):
            raise ValueError("should have an email or a url, and not both")
        return self

    @property
    def where(self) -> str:
        """The e-mail address or the URL."""
        return self.email or self.url or ""


# Keys that tell of a site and decide nothing of what is built: no lock is older for a change of them.
UNDECIDING = ("contact", "policy")


class Profile(Model):
    """One system of one site."""

    schema_version: SchemaVersion = Field(alias="schema", description="version of this format")
    name: Name
    description: Line
    os: Name = Field("host", description="what the machine runs, `debian-13` for example, or `host`")
    image: Name = Field("debian-13", description="operating system inside images: a name in `containers/`")
    build_for: Literal["image", "machine"] = Field(
        "image", description="`image`: software for an image; `machine`: a module tree on the machine's own OS"
    )
    partitions: dict[Name, Partition] = Field(min_length=1)
    roles: dict[Name, Name] = Field({}, description="role -> component, for example `mpi: openmpi`")
    providers: tuple[Provider, ...] = Field((), description="order of preference; `defaults.yaml` has the default")
    components: dict[Name, Wish] = Field({}, description="component -> what the site wishes")
    site: dict[Name, Site] = Field({}, description="component -> what the machine brings")
    mirrors: dict[Name, Mirror] = Field({}, description="archive -> URL; otherwise the machine's own apt settings")
    sources: Sources = Sources()
    scheduler: Scheduler = Scheduler()
    modules: Literal["lmod"] = "lmod"
    contact: Contact | None = Field(None, description="who answers for the evidence that is made for this system")
    policy: SitePolicy | None = Field(None, description="what may be in the software of this system")

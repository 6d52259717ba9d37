"""Ring 1. An environment: wanted software by purpose. It knows no site, no version of a GPU, no host name."""

from __future__ import annotations

from pydantic import Field

from stack.words import Line, Model, Name, Provider, SchemaVersion, Version


class Want(Model):
    """What the environment asks of one component."""

    version: Version | None = Field(None, description="a version prefix: `2.6` accepts 2.6 and 2.6.1")
    provider: Provider | None = Field(
        None, description="who is asked first to supply it, where the purpose depends on that"
    )


class Environment(Model):
    """Software for one purpose: components by name, and roles that a profile fills."""

    schema_version: SchemaVersion = Field(alias="schema", description="version of this format")
    name: Name
    purpose: Line
    components: dict[Name, Want] = Field(min_length=1)
    roles: tuple[Name, ...] = Field((), description="filled by the profile, for example `mpi`, `blas`, `compilers`")

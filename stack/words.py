"""Ring 0. The constrained strings documents are made of. What passes here is safe as a file name or a bare word;
everything else (`Line`) is escaped by whoever renders it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _no_control(text: str) -> str:
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
           for c in text):
        raise ValueError("holds a control character")
    return text


def _no_climb(text: str) -> str:
    if ".." in text.split("/"):
        raise ValueError("may not contain '..'")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([._-][a-z0-9]+)*$", max_length=64)]
"""A lower-case word: component, profile, accelerator model ..."""

Package = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$", max_length=128)]
"""A package of a distribution (Debian policy 5.6.1)."""

Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~:_-]*$", max_length=64)]

Line = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_no_control)]
"""One line of free text."""

Url = Annotated[str, StringConstraints(pattern=r"^(https?|file|oras|docker|git|ssh)://[A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]+$",
                                       max_length=500)]

AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._+/-]*$", max_length=300), AfterValidator(_no_climb)]

Spec = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9@:=%~+^_., {}/-]+$", max_length=300)]
"""A Spack spec, or a part of one; `{arch}` stands for the accelerator's architecture."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Model(BaseModel):
    """Base of all documents: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)

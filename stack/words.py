"""Ring 0. The constrained strings documents are made of. What passes here is safe as a file name or a bare word;
everything else (`Line`) is escaped by whoever renders it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, StringConstraints

# Control characters, line separators other than the newline, and what reorders text on a screen.
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Means:
    """What a constrained string may be, in words that follow "should be": for messages, and for editors."""

    text: str

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Pydantic's hook: the words become the description, unless the field has its own."""
        made = handler(core)
        made.setdefault("description", self.text)
        return made


def no_control(text: str) -> str:
    """The text, where it is one line and hides nothing; raises ValueError."""
    plain = text.isascii() and text.isprintable()  # asked first: a lock has thousands of texts
    if not plain and HIDDEN.search(text):
        raise ValueError("holds a control character or a line break")
    return text


def no_climb(text: str) -> str:
    """The text, where no part of the path climbs; raises ValueError."""
    if ".." in text.split("/"):
        raise ValueError("may not contain '..'")
    return text


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*([._-][a-z0-9]+)*$", max_length=64),
    Means("a lower-case word such as 'my-name2' (letters and digits joined by '-', '_' or '.'; at most 64 characters)"),
]
"""A lower-case word: component, profile, accelerator model ..."""

Package = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$", max_length=128),
    Means("the name of a distribution's package (lower-case letters, digits and '+'; '-' and '.' not at its end)"),
]
"""A package of a distribution (Debian policy 5.6.1); with a '-' at its end apt would remove it."""

Version = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~:_-]*$", max_length=64),
    Means("a version such as '2.6.1' (letters, digits, '.', '+', '-', '_', '~' and ':'; at most 64 characters)"),
]

LINE = Means("one line of text (1 to 500 characters)")
Line = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(no_control), LINE]
"""One line of free text."""

Url = Annotated[
    str,
    StringConstraints(pattern=r"^(https?|file|oras|docker|git|ssh)://[A-Za-z0-9._~:/?#@+,=%-]+$", max_length=500),
    Means("a URL such as 'https://host/path' (http, https, file, oras, docker, git or ssh)"),
]

Mirror = Annotated[
    str,
    StringConstraints(pattern=r"^(https?://[A-Za-z0-9]|file:///[A-Za-z0-9])[A-Za-z0-9._~:/?#@+,=%-]*$", max_length=500),
    Means("the URL of an archive such as 'https://host/path' (http, https or file)"),
]

AbsolutePath = Annotated[
    str,
    StringConstraints(pattern=r"^/[A-Za-z0-9._+/-]*$", max_length=300),
    AfterValidator(no_climb),
    Means("an absolute path (letters, digits, '.', '_', '+', '-' and '/')"),
]

FilePath = Annotated[
    str,
    StringConstraints(pattern=r"^/(etc|home|opt|root|srv|usr|var)(/[A-Za-z0-9._+-]*[A-Za-z0-9_+-])+$", max_length=300),
    Means("the path of a file below /etc, /home, /opt, /root, /srv, /usr or /var"),
]
"""A file in an image. A folder put where the image has a link (`/bin`, `/lib`) would replace the link."""

_SPEC = StringConstraints(
    pattern=r"^([A-Za-z0-9@:=%~+^_.,/]|\{arch\})([A-Za-z0-9@:=%~+^_., /-]|\{arch\})*$", max_length=300
)
Spec = Annotated[
    str,
    _SPEC,
    Means("a Spack spec or a part of one, where '{arch}' may stand for the accelerator's architecture"),
]
"""A Spack spec, or a part of one; `{arch}` stands for the accelerator's architecture."""


_NO_SPEC = re.compile(r"[^A-Za-z0-9]|.*([@%^~+=,/.:]$|@@|%%|\^\^)")


def _names_a_package(text: str) -> str:
    """Before Spack is asked, which would name the spec and not the recipe."""
    if _NO_SPEC.match(text):
        raise ValueError("is not a package of Spack's with what is wanted of it")
    return text


PackageSpec = Annotated[
    str, _SPEC, AfterValidator(_names_a_package), Means("a package of Spack's with what is wanted of it")
]
"""A spec that names its package."""

Provider = Literal["source", "os", "wheel", "site"]
PROVIDERS: tuple[Provider, ...] = ("source", "os", "wheel", "site")

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Means("a SHA-256 of 64 hex digits")]


def _whole(value: object) -> object:
    if type(value) is not int:  # to Python, true and 1.0 equal 1
        raise ValueError("is not a whole number")
    return value


SchemaVersion = Annotated[Literal[1], BeforeValidator(_whole)]
"""Version of a document's format; every model has it under the key `schema`."""


class Model(BaseModel):
    """Base of all documents: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, defer_build=True)


def feature(name: str) -> str:
    """A name as ReFrame takes it for a feature, a system or a partition: letters, digits, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)

"""Ring 4. What an SBOM says of itself and of the whole, whatever its format: who made it, of what, and when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from stack.artifact import digest
from stack.audit.inventory import Deployable, Inventory
from stack.audit.supply import Ref
from stack.errors import Position, bad_input

Phase = Literal["design", "build"]
"""`design`: of a lock before anything is built; `build`: with the digests of what is deployed."""

TOOL = "sovstack"


@dataclass(frozen=True)
class Author:
    """Who answers for the SBOM: a person or an organisation, never a tool. `contact`: an e-mail address or a URL."""

    name: str
    contact: str

    @property
    def is_mail(self) -> bool:
        """Whether the contact is an e-mail address."""
        return "@" in self.contact and "://" not in self.contact


_AUTHOR = re.compile(r"^(?P<name>[^<>]{1,200}?)\s*<(?P<contact>[^<>\s]{3,300})>$")
_CONTACT = re.compile(r"^([A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|https?://[A-Za-z0-9][^\s<>\"]*)$")


def author(text: str, where: str = "") -> Author:
    """`Name <mail or URL>`; raises `StackError` for anything else, with `where` it was said."""
    found = _AUTHOR.match(text.strip())
    if not found or not _CONTACT.match(found["contact"]) or not found["name"].strip().isprintable():
        at = Position(where) if where else None
        raise bad_input(f"{text[:100]!r} names no author", at, "write 'Name <mail@host or https://host>'")
    return Author(found["name"].strip(), found["contact"])


@dataclass(frozen=True)
class About:
    """Everything an SBOM needs beside the inventory. `epoch`: seconds since 1970, its time stamp.

    `image`: the root file system that the image carries; `deployed`: item -> what of it stands there.
    """

    phase: Phase
    version: str
    epoch: int
    author: Author | None
    image: Deployable | None = None
    deployed: Mapping[Ref, Deployable] = field(default_factory=dict)

    @property
    def time(self) -> str:
        """ISO 8601, UTC."""
        return datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(document: Mapping[str, Any]) -> str:
    """JSON of an SBOM: keys sorted, each member of a list at the top on a line of its own. Equal values, equal bytes.

    A document of ten thousand components is so written, and compared by people, in a fraction of the time.
    """
    return "{\n" + ",\n".join(f"{_line(key)}: {_member(document[key])}" for key in sorted(document)) + "\n}\n"


def _member(value: Any) -> str:
    return "[\n" + ",\n".join(map(_line, value)) + "\n]" if isinstance(value, list) and value else _line(value)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def identity(inventory: Inventory, about: About) -> str:
    """A UUID (version 8, RFC 9562) of what is said: the same lock, phase and content give the same one."""
    deployed = {ref: found.sha512 for ref, found in about.deployed.items()}
    facts = [[item.ref, item.licence, item.scope] for item in inventory.items]
    who = [about.author.name, about.author.contact] if about.author else None
    image = about.image.sha512 if about.image else ""
    said = digest([inventory.digest, about.phase, about.version, about.epoch, who, image, deployed, facts])
    return f"{said[:8]}-{said[8:12]}-8{said[13:16]}-{'89ab'[int(said[16], 16) % 4]}{said[17:20]}-{said[20:32]}"

"""Ring 4. Which package of a distribution supplies a name: its own, or one that it provides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from stack.audit.purl import deb_purl
from stack.catalogue import Os
from stack.lock import OsPackage

Ref = str
"""Names an item in one graph: a package URL."""


class Supplied:
    """References of OS packages by name, and by what they provide."""

    def __init__(self, packages: Iterable[OsPackage], system: Os) -> None:
        self.system = system
        self._purls: dict[tuple[str, str, str], Ref] = {}
        self.refs: dict[str, Ref] = {}
        self.provided: dict[str, Ref] = {}
        for package in packages:
            self.refs.setdefault(package.name, self.purl(package))
            for name in alternatives(package.control.get("Provides", "")):
                self.provided.setdefault(name[0], self.refs[package.name])

    def purl(self, package: OsPackage) -> Ref:
        """Reference of a package; made once, since everything that depends on it asks."""
        key = (package.name, package.version, package.architecture)
        found = self._purls.get(key)
        if found is None:
            found = self._purls[key] = deb_purl(package, self.system)
        return found

    def of(self, name: str) -> Ref | None:
        """Who supplies a name."""
        return self.refs.get(name) or self.provided.get(name)


_ALTERNATIVE = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


def alternatives(relation: str) -> Iterator[tuple[str, ...]]:
    """A field such as `Depends`: the alternatives of each part, without versions and architectures."""
    for part in relation.split(","):
        names = tuple(m[1] for alternative in part.split("|") if (m := _ALTERNATIVE.match(alternative)))
        if names:
            yield names

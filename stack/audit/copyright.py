"""Ring 4. Debian's machine-readable copyright files (copyright-format 1.0) -> the SPDX expression of what is installed.

Never a guess: a file that cannot be read, or a short name that `licences.yaml` does not have, gives a reason instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from stack.licences import Licences

_FORMAT = re.compile(r"^Format:\s*https?://www\.debian\.org/doc/packaging-manuals/copyright-format/1\.0/?\s*$", re.M)
_FIELD = re.compile(r"([!-9;-~]+):(.*)")
_ONCE = ("files", "license")  # twice in one stanza: an empty line is missing, and so is a licence
_Terms = frozenset[str]  # all of them hold at once; each is one licence, or a choice between some


@dataclass(frozen=True)
class Conclusion:
    """The expression, or why there is none."""

    expression: str | None
    reason: str = ""


@dataclass(frozen=True)
class Stanza:
    """Fields by their names in lower case; `line` is where it begins."""

    line: int
    fields: Mapping[str, str]


class _UnreadError(Exception):
    """Why a file gives no expression."""


def conclude(text: str, licences: Licences) -> Conclusion:
    """The licences of all files but the packaging's own, joined with AND."""
    known = {_key(name): expression for name, expression in licences.debian.items()}
    try:
        synopses = tuple(installed(text))
        lacking = sorted({name for synopsis in synopses for name in names(synopsis)} - known.keys())
        if lacking:
            raise _UnreadError(f"no SPDX expression is known of {', '.join(map(repr, lacking))}")
        terms = frozenset[str]().union(*(_either(synopsis, known) for synopsis in synopses))
    except _UnreadError as error:
        return Conclusion(None, str(error))
    return Conclusion(_joined(terms))


def installed(text: str) -> Iterator[str]:
    """The first line of `License` of every `Files` stanza, save those of `debian/` alone."""
    if not _FORMAT.search(text.removeprefix("\ufeff")):
        raise _UnreadError("is not in the machine-readable format, version 1.0")
    described = [stanza for stanza in stanzas(text)[1:] if _describes_files(stanza)]
    if not described:
        raise _UnreadError("has no stanza of installed files")
    for stanza in described:
        synopsis = " ".join(stanza.fields.get("license", "").partition("\n")[0].split())
        if not synopsis:
            raise _UnreadError(f"line {stanza.line}: these files have no licence's short name")
        yield synopsis


def _describes_files(stanza: Stanza) -> bool:
    if "files" not in stanza.fields:
        if "license" not in stanza.fields or "copyright" in stanza.fields:
            raise _UnreadError(f"line {stanza.line}: is neither a stanza of files nor one of a licence")
        return False
    patterns = stanza.fields["files"].split()
    return not patterns or not all(pattern.startswith("debian/") for pattern in patterns)


def stanzas(text: str) -> tuple[Stanza, ...]:
    """Every stanza; the first is the header. Indented text after an empty line still belongs to the field above it."""
    found: list[tuple[int, dict[str, str]]] = [(1, {})]
    field, apart = "", False
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.strip():
            apart = True
        elif line[0] in " \t":
            if not field:
                raise _UnreadError(f"line {number}: belongs to no field")
            found[-1][1][field] += f"\n{line.strip()}"
            apart = False
        elif line[0] != "#":
            if apart and found[-1][1]:
                found.append((number, {}))
            field, value = _field(line, number)
            if field in _ONCE and field in found[-1][1]:
                raise _UnreadError(f"line {number}: the stanza has the field {field!r} twice")
            found[-1][1][field], apart = value, False
    return tuple(Stanza(number, fields) for number, fields in found)


def _field(line: str, number: int) -> tuple[str, str]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise _UnreadError(f"line {number}: is not a field")
    return match[1].lower(), match[2].strip()


def names(synopsis: str) -> Iterator[str]:
    """The licences that a synopsis names, each with its exception, as `licences.yaml` is asked for them."""
    for name in re.split(r",?\s+(?:and|or)\s+", synopsis, flags=re.I):
        yield _key(name)


def _key(name: str) -> str:
    """Case does not count, nor do a version's last zeros."""
    return re.sub(r"(?<=\d)(\.0)+(?=$|[+ ])", "", " ".join(name.lower().split()))


def _either(synopsis: str, known: Mapping[str, str]) -> _Terms:
    """`and` binds closer than `or`, unless a comma stands before it: `A or B, and C` is `(A or B) and C`."""
    parts = re.split(r",\s+and\s+", synopsis, flags=re.I)
    return frozenset[str]().union(*(_choice(part, known) for part in parts))


def _choice(text: str, known: Mapping[str, str]) -> _Terms:
    alternatives = [_all(part, known) for part in re.split(r",?\s+or\s+", text, flags=re.I)]
    if len(alternatives) == 1:
        return alternatives[0]
    several = {_joined(terms) if len(terms) == 1 else f"({_joined(terms)})" for terms in alternatives}
    return frozenset((" OR ".join(sorted(several)),))


def _all(text: str, known: Mapping[str, str]) -> _Terms:
    found = [known[_key(name)] for name in re.split(r"\s+and\s+", text, flags=re.I)]
    return frozenset(term for expression in found for term in _terms(expression))


def _terms(expression: str) -> list[str]:
    return [expression] if " OR " in expression else expression.split(" AND ")


def _joined(terms: Set[str]) -> str:
    if len(terms) == 1:
        return next(iter(terms))
    return " AND ".join(sorted(f"({term})" if " OR " in term else term for term in terms))

"""Ring 4. Software that nobody here built: a program that asks it what it is, and its answer.

What is asked for is what the recipes ask an image: each component's own version. Nothing is compared with a lock.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stack.artifact import canonical_json, digest
from stack.catalogue import Catalogue
from stack.emulation import words
from stack.recipe import Recipe
from stack.render.reframe import System
from stack.visible import one_line

PROVIDER = "site"
PATIENCE = 120  # seconds for one answer: loading a large library from a network's disk takes its time
_VERSION = re.compile(r"(?<![0-9A-Za-z.])v?([0-9]+(?:\.[0-9]+)+)")
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_.+-]*) v?([0-9][A-Za-z0-9_.+~-]*)")
PYTHON = "python3"


@dataclass(frozen=True)
class Part:
    """A component that answered. `said`: the first line of its answer; `lacks`: commands of its recipe that are not
    there, so that it does not fill its role; `without`: such that it fills its role without."""

    name: str
    version: str
    role: str
    command: tuple[str, ...]
    said: str = ""
    lacks: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Carried:
    """What a component was built with, so that it can fill a role by itself. `name` and `version` as it told them."""

    component: str
    role: str
    name: str
    version: str


@dataclass(frozen=True)
class Found:
    """What answered. `roles`: role -> the component that fills it; `notes`: what a user should know of that; `one_of`:
    patterns of files of which a machine uses one; `carried`: what components were built with."""

    family: str
    system: str
    parts: tuple[Part, ...]
    roles: Mapping[str, str]
    notes: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    carried: tuple[Carried, ...] = ()

    @property
    def digest(self) -> str:
        """Names this software, as far as it told of itself."""
        parts = [[p.name, p.version, p.said] for p in self.parts]
        return digest([self.family, self.system, parts, [[c.component, c.name, c.version] for c in self.carried]])

    @property
    def software(self) -> tuple[tuple[str, str], ...]:
        """Name and version of all that answered, and of what that was built with."""
        return tuple(dict.fromkeys([*((p.name, p.version) for p in self.parts),
                                    *((c.name, c.version) for c in self.carried)]))  # fmt: skip


def script(catalogue: Catalogue, python: str = PYTHON) -> str:
    """A program for a POSIX shell: every recipe's version command, what fills roles by itself, and what the machine is.

    `python`: the interpreter that stands for the recipes' `python3`.
    """
    mark = _mark(catalogue)
    lines = [
        "limit=; command -v timeout > /dev/null 2>&1 && limit='timeout " + str(PATIENCE) + "'",
        f'ask() {{ printf \'\\n%s\\n\' "{mark} $1"; shift; $limit "$@" < /dev/null 2>&1;'
        f" printf '\\n%s\\n' \"{mark}: $?\"; }}",
        "ask 'machine family' uname -m",
        "ask 'machine system' sh -c '. /etc/os-release && echo \"$PRETTY_NAME\"'",
    ]
    for name, recipe in sorted(catalogue.recipes.items()):
        lines.append(f"ask 'version {name}' {shlex.join(_argv(recipe.verify.version, python))}")
        lines += [f"ask 'command {name} {c}' sh -c 'command -v {shlex.quote(c)}'" for c in recipe.commands]
        for role, argv in sorted(recipe.verify.carries.items()):
            lines.append(f"ask 'carries {name} {role}' {shlex.join(_argv(argv, python))}")
    return "\n".join(lines) + "\n"


def _argv(argv: Iterable[str], python: str) -> tuple[str, ...]:
    first, *rest = argv
    return (python if first == PYTHON else first, *rest)


def _mark(catalogue: Catalogue) -> str:
    """Begins our own lines among all that programs print."""
    return f"sovstack-probe-{digest([list(r.verify.version) for r in catalogue.recipes.values()])[:16]}"


def parse(said: str, catalogue: Catalogue, python: str = PYTHON) -> Found:
    """What the program of `script` printed -> what is there."""
    answers = dict(_answers(said, _mark(catalogue)))
    known = words(catalogue)
    family = answers.get("machine family", (1, ""))[1].strip()
    system = one_line(answers.get("machine system", (1, ""))[1].strip())[:100]
    parts = tuple(p for name, r in sorted(catalogue.recipes.items()) if (p := _part(name, r, answers, python)))
    carried = tuple(_carried(parts, catalogue, answers))
    roles, notes = _roles(parts, carried)
    spare = sorted({pattern for part in parts for pattern in catalogue.recipes[part.name].verify.one_of})
    return Found(known.get(family, family or "unknown"), system, parts, roles, notes, tuple(spare), carried)


def _answers(said: str, mark: str) -> Iterator[tuple[str, tuple[int, str]]]:
    """Question -> (status, text)."""
    for piece in said.split(f"\n{mark} ")[1:]:
        question, _, rest = piece.partition("\n")
        text, _, status = rest.rpartition(f"\n{mark}: ")
        if status.strip().isdigit():
            yield question.strip(), (int(status), text)


def _part(name: str, recipe: Recipe, answers: Mapping[str, tuple[int, str]], python: str) -> Part | None:
    status, text = answers.get(f"version {name}", (1, ""))
    version = _VERSION.search(text)
    if status or version is None or (recipe.verify.says and recipe.verify.says not in text):
        return None
    absent = [c for c in recipe.commands if answers.get(f"command {name} {c}", (1, ""))[0]]
    lacks, without = (tuple(c for c in absent if (c in recipe.verify.optional) == spared) for spared in (False, True))
    first = next((one_line(line.strip()) for line in text.splitlines() if line.strip()), "")[:200]
    return Part(name, version[1], recipe.role or "", _argv(recipe.verify.version, python), first, lacks, without)


def _carried(
    parts: tuple[Part, ...], catalogue: Catalogue, answers: Mapping[str, tuple[int, str]]
) -> Iterator[Carried]:
    for part in parts:
        for role in sorted(catalogue.recipes[part.name].verify.carries):
            status, text = answers.get(f"carries {part.name} {role}", (1, ""))
            said = one_line(" ".join(text.split()))[:200]
            if status == 0 and said:
                named = _NAMED.fullmatch(said)
                yield Carried(part.name, role, *(named.groups() if named else (role, said)))


def _roles(parts: tuple[Part, ...], carried: tuple[Carried, ...]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    roles: dict[str, str] = {}
    notes = []
    for part in parts:
        if not part.role:
            continue
        if part.lacks:
            notes.append(f"{part.name} has no {', '.join(part.lacks)}, so it does not count as {part.role}")
        elif part.role in roles:
            notes.append(f"{part.name} is there too, beside {roles[part.role]}: both are {part.role}")
        else:
            roles[part.role] = part.name
            if part.without:
                notes.append(f"{part.name} has no {', '.join(part.without)}, and fills the role {part.role} without")
    for own in carried:
        beside = roles.setdefault(own.role, own.component)
        fills = f"fills the role {own.role}" if beside == own.component else f"{beside} fills the role {own.role} too"
        notes.append(f"{own.component} was built with {own.name} {own.version}, and {fills}")
    return roles, tuple(notes)


def manifest(found: Found, name: str) -> str:
    """What the suite reads: the components with the versions that they told themselves."""
    components = [
        {
            "name": p.name,
            "role": p.role or None,
            "provider": PROVIDER,
            "version": p.version,
            "command": list(p.command),
            "absent": list(p.without),
        }
        for p in found.parts
    ]
    more = {"roles": dict(found.roles), "one_of": list(found.one_of)}
    return canonical_json({"schema": 1, "cell": name, "components": components, **more})


def system(found: Found, name: str, microarchitecture: str) -> System:
    """For ReFrame's settings. Its feature `site` says that there is no lock that the software could be held against."""
    holds = (found.family, PROVIDER, *(p.name for p in found.parts if not (p.role and p.lacks)), *found.roles)
    return System("suite", f"software of {name}", "default", found.family, microarchitecture, name, tuple(holds))


def lines(found: Found) -> tuple[str, ...]:
    """What is there, for a terminal."""
    wide = max((len(p.name) for p in found.parts), default=0)
    rows = [f"  {p.name:{wide}}  {p.version}{f'  ({p.role})' if found.roles.get(p.role) == p.name else ''}".rstrip()
            for p in found.parts]  # fmt: skip
    return (f"found on {found.system or 'an unknown system'}, {found.family}:", *rows, *(f"  {n}" for n in found.notes))

"""Ring 4. What Spack's solver says when there is no solution, told in the words of the profile and the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stack.document import Document, Path
from stack.errors import Fault, Position, StackError
from stack.lock import package_of
from stack.offer import Choice
from stack.plan import Plan
from stack.visible import visible

MANY = 3  # reasons that are told; the log has all
LAST, WIDE = 6, 300  # lines, and their length, of what nothing here can read

_REASON = re.compile(r"^ {4,5}\d+\. (.+)$")
_CAUSE = re.compile(r"^ {8,}required because (.+?):? *(?:\. You could consider setting .*)?$")
_HEADER = re.compile(r"failed to concretize (.*) for the following reasons:")
_ADVICE = re.compile(r"\. You could consider setting .*$")
# Once a package is impossible, Spack also says of everything below it that nobody provides it.
_FOLLOWS = re.compile(r"Cannot find a valid provider for virtual (\S+)")
_SUBJECT = re.compile(r"(?:Cannot (?:satisfy|build) )?'?([A-Za-z0-9_-]+)")
_ASKED = re.compile(r"(\S.*) requested explicitly$|(\S+) is a requirement for package \S+$|(\S+) depends on ")

# How Spack words a refusal that comes before it solves anything.
_REFUSALS = (
    (r"No version exists that satisfies these input specs:\s+(?P<spec>\S.*)", "Spack knows no such version: {spec}"),
    (r"No such variant \{(?P<what>[^}]*)\} for spec: '(?P<spec>[^']*)'", "{name} has no variant {what}: {spec}"),
    (r"invalid values for variant '(?P<what>[^']*)' in package (?P<spec>[^\s:]+): (?P<rest>.*)",
     "the variant {what} of {name} cannot be {rest}"),
    (r"cannot concretize '(?P<spec>[^']*)', since '(?P<what>[^']*)' does not exist", "Spack has no package {what}"),
    (r"unexpected characters in the spec string\s*\n(?P<spec>\S.*)", "Spack cannot read the spec {spec}"),
)  # fmt: skip

_SAYINGS = (
    (r"Cannot satisfy '(\S+)@(\S+)' \((?:selected )?version (\S+) does not match\)", r"\1 is \3, and not \1@\2"),
    (r"Cannot satisfy '(\S+)' and '(\S+)'", r"nothing is both \1 and \2"),
    (r"Cannot satisfy '(\S+)'", r"nothing satisfies \1"),
    (r"Cannot find a valid provider for virtual (\S+)", r"nothing can supply \1"),
    (
        r"Cannot build (\S+), since it is configured `buildable:false` and no externals satisfy the request",
        r"\1 is not built but taken as it is there, and what is there does not fit",
    ),
)


@dataclass(frozen=True)
class Reason:
    """One thing that the solver calls impossible, and what it names as causes, the nearest first."""

    said: str
    causes: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The package that it speaks of."""
        match = _SUBJECT.match(self.said)
        return match[1] if match else ""


def explain(output: str, plan: Plan, log: str, documents: Mapping[str, Document] | None = None) -> StackError:
    """The error for a solve that failed; `log` has the raw text. `documents`: kind (`profile`, `environment`) -> text
    that the plan was made of, for the lines in it."""
    told = [*_refused(output, plan), *_unsolved(output, plan)] or [(_last(output), ())]
    asked = dict.fromkeys(choice.component for _, choices in told[:MANY] for choice in choices)
    remedy = f"change what is asked for; all that Spack said is in {log}" if asked else f"all it said is in {log}"
    faults = [
        Fault(f"Spack found no solution for {plan.cell}: {visible(what)}", None, remedy) for what, _ in told[:MANY]
    ]
    return StackError([*faults, *(_asked(plan.choice(name), plan, documents or {}) for name in asked)])


def reasons(output: str) -> tuple[Reason, ...]:
    """What a failed solve gives as reasons: the first of each package, without what only follows from another."""
    found: list[tuple[str, list[str]]] = []
    for line in output.splitlines():
        if match := _REASON.match(line):
            found.append((_ADVICE.sub("", match[1]), []))
        elif found and (match := _CAUSE.match(line)):
            found[-1][1].append(match[1])
    made = [Reason(said, tuple(dict.fromkeys(causes))) for said, causes in found]
    own = [r for r in made if not _FOLLOWS.match(r.said)]
    kept: dict[str, Reason] = {}
    for reason in sorted(own or made, key=lambda r: not r.causes):
        kept.setdefault(reason.subject if own else reason.said, reason)
    return tuple(kept.values())


def _refused(output: str, plan: Plan) -> Iterator[tuple[str, tuple[Choice, ...]]]:
    for pattern, words in _REFUSALS:
        for match in re.finditer(pattern, output):
            parts = match.groupdict()
            name = package_of(parts["spec"])
            what = words.format(**{**parts, "what": parts.get("what", "").strip("'"), "name": name})
            yield what, _choices([name], plan)


def _unsolved(output: str, plan: Plan) -> Iterator[tuple[str, tuple[Choice, ...]]]:
    header = _HEADER.search(output)
    wanted = re.findall(r"`([^`]+)`", header[1]) if header else []
    for reason in reasons(output):
        because = f"; {_cause(reason)}" if reason.causes else ""
        # Where Spack names no cause, it is something that a spec asks for which names the package.
        roots = _roots(reason) if reason.causes else (package_of(spec) for spec in wanted if reason.subject in spec)
        yield _plainly(reason.said) + because, _choices((reason.subject, *roots), plan)


def _cause(reason: Reason) -> str:
    """The nearest causes; what was asked for by name is told with its component."""
    near = [c for c in reason.causes if not c.endswith("requested explicitly")]
    return ", ".join(near[:2]) or reason.causes[0]


def _plainly(said: str) -> str:
    for pattern, words in _SAYINGS:
        if match := re.fullmatch(pattern, said):
            return match.expand(words)
    return said


def _roots(reason: Reason) -> Iterator[str]:
    """Packages that somebody asked for by name, or that depend on what is impossible."""
    for cause in reason.causes:
        if match := _ASKED.match(cause):
            yield package_of(next(filter(None, match.groups())))


def _choices(packages: Iterable[str], plan: Plan) -> tuple[Choice, ...]:
    """The plan's choices that Spack knows by these names."""
    own = {package_of(c.spec): c for c in plan.choices if c.spec}
    return tuple({name: own[name] for name in packages if name in own}.values())


def _asked(choice: Choice, plan: Plan, documents: Mapping[str, Document]) -> Fault:
    """Who wants a component, from whom, and how exactly; where that is written."""
    wishes = tuple(_wishes(choice, plan))
    words = "; ".join((f"{choice.component}: {choice.why}", *(what for what, _, _ in wishes)))
    written = (documents[kind].at(path) for _, kind, path in wishes if kind in documents)
    recipe = Position(f"recipes/{choice.component}.yaml") if choice.provider == "source" else None
    return Fault(f"{words}; to Spack it is {choice.spec}", next(written, recipe))


def _wishes(choice: Choice, plan: Plan) -> Iterator[tuple[str, str, Path]]:
    """(what is wished, kind of document, path in it), for every wish about a component."""
    name, profile, environment = choice.component, plan.profile, plan.environment
    if choice.provider == "site":
        yield f"{profile.name} brings {choice.version}", "profile", ("site", name)
    wish, want = profile.components.get(name), environment.components.get(name)
    if wish and wish.version:
        yield f"{profile.name} wishes version {wish.version}", "profile", ("components", name, "version")
    if want and want.version:
        yield f"{environment.name} wants version {want.version}", "environment", ("components", name, "version")


def _last(output: str) -> str:
    """The last lines that say something, of a message that nothing here can read."""
    lines = [line for line in visible(output).splitlines() if line.strip()]
    last = next((i for i in range(len(lines) - 1, -1, -1) if "Error:" in lines[i]), max(0, len(lines) - LAST))
    return "".join(f"\n    {line[:WIDE]}" for line in lines[last : last + LAST]) or "it said nothing"

"""Ring 4. What the recipes say must be true of the graph that Spack solved, and what of it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stack.errors import ExitCode, Fault, Position, StackError
from stack.graph import Graph, Node, Value
from stack.plan import Plan
from stack.recipe import Assertion

_WORD = re.compile(r"(?P<version>@[^\s+~]+)|(?P<flag>[+~][\w-]+)|(?P<key>[\w-]+)=(?P<value>[^\s+~]+)|\s+")
# As Spack orders them: above every number, and below the version that they lead to.
_NEWEST = ("stable", "nightly", "trunk", "head", "master", "main", "develop")
_EARLY = ("alpha", "beta", "rc")
_END = -1
_FLAGS = {True: "+", False: "~"}


@dataclass(frozen=True)
class Broken:
    """An assertion that does not hold: `found` is what is there instead."""

    recipe: str
    assertion: Assertion
    found: str
    level: str

    def __str__(self) -> str:
        return f"{self.found}: {self.assertion.why}"


def broken(plan: Plan, graph: Graph) -> tuple[Fault, ...]:
    """A fault for every assertion that does not hold."""
    return tuple(
        Fault(f"in {plan.cell}, {b}", Position(f"recipes/{b.recipe}.yaml"), _remedy(b))
        for b in failing(plan, graph)
        if b.level == "error"
    )


def check(plan: Plan, graph: Graph) -> None:
    """Raise `StackError` with every assertion that does not hold."""
    found = broken(plan, graph)
    if found:
        raise StackError(found, ExitCode.CHECK_FAILED)


def notes(plan: Plan, graph: Graph) -> tuple[str, ...]:
    """What is not as it should be and is accepted, in words for the report."""
    return tuple(str(b) for b in failing(plan, graph) if b.level == "note")


def failing(plan: Plan, graph: Graph) -> Iterator[Broken]:
    """Every assertion that does not hold, those that are only noted too.

    What Spack did not build is what it is: the graph has only what its description says, which fails nothing.
    """
    for choice in plan.choices:
        built = choice.provider == "source"
        for assertion in plan.recipes[choice.component].assertions:
            if not applies(assertion, plan):
                continue
            if built or assertion.absent or assertion.one:
                found, level = _found(assertion, plan, graph), assertion.level
            else:
                described = assertion.model_copy(update={"optional": True})
                found, level = _found(described, plan, graph) if choice.provider != "wheel" else iter(()), "note"
            yield from (Broken(choice.component, assertion, text, level) for text in found)


def applies(assertion: Assertion, plan: Plan) -> bool:
    """Whether an assertion speaks of this plan's target."""
    families = assertion.families or (plan.target.family,)
    return assertion.when in (None, plan.target.vendor) and plan.target.family in families


def _found(assertion: Assertion, plan: Plan, graph: Graph) -> Iterator[str]:
    """What is wrong, for each node that it is wrong with."""
    nodes = tuple({n.hash: n for n in (*graph.named(assertion.node), *graph.providers(assertion.node))}.values())
    if assertion.absent:
        yield from (f"{_label(n, assertion)} is in the graph{_through(n, graph)}" for n in nodes)
    elif assertion.one and len(nodes) > 1:
        yield f"{len(nodes)} nodes supply {assertion.node}, {', '.join(_label(n) for n in nodes)}"
    elif not nodes and not assertion.optional and not assertion.one:
        yield f"{assertion.node} is not in the graph"
    for node in nodes if assertion.has else ():
        yield from _lacking(node, _wanted(assertion, plan))


def _wanted(assertion: Assertion, plan: Plan) -> str:
    accelerator = plan.target.accelerator
    return (assertion.has or "").replace("{arch}", accelerator.spack if accelerator else "")


def _label(node: Node, assertion: Assertion | None = None) -> str:
    used = f" (as {assertion.node})" if assertion and assertion.node != node.name else ""
    return f"{node.name}@{node.version}{used}"


def _through(node: Node, graph: Graph) -> str:
    parents = sorted({n.name for n in graph.nodes if any(e.hash == node.hash for e in n.dependencies)})
    return f", for {', '.join(parents[:3])}" if parents else ""


def _lacking(node: Node, wanted: str) -> Iterator[str]:
    """The parts of a spec that a node does not satisfy, in one sentence."""
    found, missed = [], []
    for match in _WORD.finditer(wanted):
        text, flag, key = match[0].strip(), match["flag"], match["key"]
        if match["version"] and not version_in(node.version, text[1:]):
            missed.append(text)
        elif flag and node.parameters.get(text[1:]) is not (text[0] == "+"):
            missed.append(text)
            found.append(_shown(node, text[1:]))
        elif key and not set(match["value"].split(",")) <= _values(node.parameters.get(key, ())):
            missed.append(text)
            found.append(_shown(node, key))
    if missed:
        has = f" has {' '.join(found)}, and" if found else ""
        yield f"{_label(node)}{has} should be {' '.join(missed)}"


def _values(value: Value) -> frozenset[str]:
    return frozenset(value if isinstance(value, tuple) else (str(value),))


def _shown(node: Node, key: str) -> str:
    if key not in node.parameters:
        return f"no {key}"
    value = node.parameters[key]
    return f"{_FLAGS[value]}{key}" if isinstance(value, bool) else f"{key}={','.join(sorted(_values(value)))}"


def version_in(version: str, wanted: str) -> bool:
    """Whether a version is in a list of versions and ranges, as Spack reads them: `1.2` and `:1.2` hold 1.2.3."""
    return any(_in_range(version, part) for part in wanted.split(","))


def _in_range(version: str, wanted: str) -> bool:
    if wanted.startswith("="):
        return version == wanted[1:]
    low, colon, high = wanted.partition(":")
    order = _order(version)
    if low and order < _order(low):
        return False
    last = high if colon else low
    return not last or order <= _order(last) or _starts(version, last) or order < _order(_next(last))


def _starts(version: str, prefix: str) -> bool:
    parts, wanted = _parts(version), _parts(prefix)
    return parts[: len(wanted)] == wanted


def _next(version: str) -> str:
    """The version up to which a range that ends with this one goes: of 1.2, to all that is before 1.3."""
    head, number = re.fullmatch(r"(.*?)(\d*)", version, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{head}{int(number) + 1}" if number else version


def _parts(version: str) -> list[str]:
    return re.findall(r"\d+|[a-zA-Z]+", version)


def _order(version: str) -> list[tuple[int, int, str]]:
    """What sorts as Spack does: words stand before numbers, and the end of a version before both."""
    return [*((1, int(p), "") if p.isdigit() else (_rank(p), 0, p) for p in _parts(version)), (_END, 0, "")]


def _rank(word: str) -> int:
    if word in _EARLY:
        return _END - len(_EARLY) + _EARLY.index(word)
    return 2 + _NEWEST.index(word) if word in _NEWEST else 0


def _remedy(found: Broken) -> str:
    assertion = found.assertion
    if assertion.absent or assertion.one:
        return "find what brings it in, and require something else there"
    return f"require it of {assertion.node} in a recipe, or ask in the profile for software that has it"

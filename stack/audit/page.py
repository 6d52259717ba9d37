"""Ring 4. What an audit found, as pages, of one cell and of many: a table for a director, its checks for an engineer.

Everything is made from the plain data of `stack.audit.answer.content`, as `audit.json` has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import quote

from stack.audit.completeness import FIELDS
from stack.audit.levels import SHOWN, TOP
from stack.render import html

Content = Mapping[str, Any]

MEANS = {
    "compute": "whose hardware it runs on, and whether it could run on another's",
    "software": "what it is made of, and whether others could make it again",
    "operational": "whether it can be trusted, and kept going with the network cut",
    "data": "what it reads: formats, licences, copies",
    "model": "what was trained: weights, licences, recipe",
}
KNOWN = {
    "facts": "any facts",
    "licence": "licence",
    "class": "whether it is open source",
    "redistribution": "whether it may be handed on",
    "reach": "hardware that it runs on",
    "evidence": "evidence for the licence",
}
PHASES = {"design": "of the lock, before anything is built", "build": "of the image, with what is in it"}
FREQUENT = 8  # licences that are shown at once; the rest is a click away
_FIELDS = {field.id: field.title for field in FIELDS}


def as_html(content: Content, files: Sequence[str] = ()) -> str:
    """One cell's page, which needs nothing else. `files`: names of the files beside it that it is to point to."""
    return html.template("audit.html.j2").render(levels=view(content), overview=None, files=_links(files))


def as_overview(contents: Iterable[Content]) -> str:
    """A page of many cells: each one's level in each layer, and what most often stands in the way."""
    return html.template("audit.html.j2").render(levels=None, overview=_overview(list(contents)), files=())


def _links(files: Iterable[str]) -> list[dict[str, str]]:
    return [{"name": name, "href": "./" + quote(name)} for name in files]


def view(content: Content) -> dict[str, Any]:
    """The same data, in the order and the groups in which `_levels.html.j2` shows it."""
    findings = content["findings"]
    breaches = [f for f in findings if f["state"] == "breach"]
    return {
        **{key: content[key] for key in ("cell", "lock", "phase", "date", "program", "passed", "components")},
        "headline": headline(content),
        "policy": _policy(content),
        "weakest": list(content["weakest"]),
        "lowest": _lowest(content),
        "about": PHASES.get(content["phase"], ""),
        "layers": [_layer(layer, content["weakest"]) for layer in content["levels"]],
        "top": TOP,
        "broken": _by_rule(f for f in breaches if f["level"] == "error"),
        "warnings": _by_rule(f for f in breaches if f["level"] != "error"),
        "excepted": [f for f in findings if f["state"] == "excepted"],
        "unassessed": [f for f in findings if f["state"] == "not assessed"],
        "stale": [f for f in findings if f["state"] == "stale"],
        "held": _by_rule(content["held"]),
        "notes": list(content["notes"]),
        "known": _known(content["coverage"]),
        "of": content["coverage"]["components"],
        "gaps": _gaps(content["gaps"]),
        "licences": sorted(content["licences"].items(), key=lambda pair: (-pair[1], pair[0])),
        "frequent": FREQUENT,
    }


# --- in words ---


def headline(content: Content) -> str:
    """The policy and the weakest link in one line; nothing is averaged."""
    return f"{'Policy kept' if content['passed'] else 'Policy broken'}; {_weakest(content)}"


def _weakest(content: Content) -> str:
    names = list(content["weakest"])
    if not names:
        return "no layer was assessed"
    noun = "weakest link" if len(names) == 1 else "weakest links"
    return f"{noun}: {_and(names)}, level {_lowest(content)} of {TOP}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _lowest(content: Content) -> int | None:
    return min((layer["level"] for layer in content["levels"] if layer["level"] is not None), default=None)


def _policy(content: Content) -> str:
    """How often the policy is broken, and what else it says."""
    states = Counter(f["level"] if f["state"] == "breach" else f["state"] for f in content["findings"])
    said = ((states["error"], "breach", "breaches"), (states["warning"], "warning", "warnings"),
            (states["excepted"], "exception", "exceptions"), (states["not assessed"], "rule not fully assessed",
             "rules not fully assessed"))  # fmt: skip
    return ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in said if n) or "nothing to say"


def _counts(checks: Sequence[Content]) -> str:
    states = Counter(check["state"] for check in checks)
    words = ((states["pass"], "passed"), (states["fail"], "failed"), (states["not assessed"], "not assessed"))
    return ", ".join(f"{n} {word}" for n, word in words if n)


# --- levels ---


def _layer(layer: Content, weakest: Iterable[str]) -> dict[str, Any]:
    level, checks = layer["level"], layer["checks"]
    return {
        "name": layer["name"],
        "means": MEANS.get(layer["name"], ""),
        "level": level,
        "said": "not assessed" if level is None else f"level {level} of {TOP}",
        "steps": [_step(n, level) for n in range(TOP + 1)],
        "weakest": layer["name"] in weakest,
        "next": [_blocking(check) for check in _next(layer)],
        "counts": _counts(checks),
        "checks": [_check(check) for check in checks],
    }


def _step(n: int, level: int | None) -> dict[str, Any]:
    return {"n": n, "state": "unknown" if level is None else "ahead" if n > level else "here" if n == level else "past"}


def _next(layer: Content) -> list[Content]:
    """The checks that keep a layer from its next level; of one that was not assessed the first of them says why."""
    wanted = (layer["level"] or 0) + 1
    found = [c for c in layer["checks"] if c["level"] == wanted and c["state"] != "pass"]
    return found if layer["level"] is not None else found[:1]


def _blocking(check: Content) -> dict[str, Any]:
    """One line: what a level asks for, and what was seen instead."""
    details = check["details"]
    such = f", such as {details[0]}" if len(details) > 1 else ""
    return {**{key: check[key] for key in ("level", "title", "state")}, "said": f"{check['said']}{such}"}


def _check(check: Content) -> dict[str, Any]:
    details = list(check["details"])
    return {**check, "details": [] if details == [check["said"]] else details, "cut": len(details) >= SHOWN}


# --- policy ---


def _by_rule(findings: Iterable[Content]) -> list[dict[str, Any]]:
    """Findings by the rule that they are about, in their order."""
    found = sorted(findings, key=lambda f: str(f["rule"]))
    groups = ((rule, list(group)) for rule, group in groupby(found, key=lambda f: f["rule"]))
    return [{"rule": r, "findings": g, "names": list(dict.fromkeys(f["name"] for f in g))} for r, g in groups]


# --- what is known ---


def _known(coverage: Content) -> list[dict[str, Any]]:
    total = coverage["components"]
    return [{"name": words, "n": coverage[name], "share": coverage[name] / total if total else 0}
            for name, words in KNOWN.items()]  # fmt: skip


def _gaps(gaps: Iterable[Content]) -> list[dict[str, Any]]:
    """What the SBOM lacks, by field, with whose it is."""
    found = sorted(gaps, key=lambda gap: str(gap["field"]))
    groups = groupby(found, key=lambda gap: gap["field"])
    return [{"field": _FIELDS.get(field, field), "of": [g["component"] or "the SBOM itself" for g in group]}
            for field, group in groups]  # fmt: skip


# --- many cells ---


def _overview(contents: Sequence[Content]) -> dict[str, Any]:
    """Cells by environment, and what they have in common."""
    broken = sum(not c["passed"] for c in contents)
    groups = groupby(sorted(contents, key=_environment), key=_environment)
    return {
        "cells": len(contents),
        "broken": broken,
        "layers": [_range(layer["name"], contents) for layer in (contents[0]["levels"] if contents else ())],
        "environments": [{"name": name, "cells": [_row(c) for c in group]} for name, group in groups],
        "barriers": _barriers(contents),
        "rules": _rules(contents),
        "dates": sorted({c["date"] for c in contents}),
        "programs": sorted({c["program"] for c in contents}),
        "top": TOP,
    }  # fmt: skip


def _range(name: str, contents: Sequence[Content]) -> dict[str, Any]:
    """From which level to which a layer is, and of how many cells it is the weakest link."""
    found = [layer["level"] for c in contents for layer in c["levels"] if layer["name"] == name]
    known = sorted(level for level in found if level is not None)
    weakest = sum(name in c["weakest"] for c in contents)
    ends = list(dict.fromkeys((known[0], known[-1]))) if known else []
    said = f"weakest link in {weakest}" if weakest else "never the weakest link"
    return {"name": name, "range": " to ".join(map(str, ends)), "said": f"of {TOP}; {said}"}


def _environment(content: Content) -> str:
    return str(content["cell"]).partition("/")[0]


def _row(content: Content) -> dict[str, Any]:
    cell = str(content["cell"])
    states = Counter(f["level"] for f in content["findings"] if f["state"] == "breach")
    levels = [{"name": layer["name"], "level": layer["level"], "weakest": layer["name"] in content["weakest"]}
              for layer in content["levels"]]  # fmt: skip
    return {"name": cell.partition("/")[2] or cell, "href": f"./{quote(cell)}/audit/audit.html", "levels": levels,
            "passed": content["passed"], "broken": states["error"], "warnings": states["warning"],
            "phase": content["phase"], "notes": len(content["notes"])}  # fmt: skip


def _barriers(contents: Sequence[Content]) -> list[dict[str, Any]]:
    """What keeps a layer from its next level, the most frequent first; layers that nobody assessed are left out."""
    found = Counter(key for content in contents for key in _barriers_of(content))
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    names = ("layer", "level", "title", "state")
    return [{**dict(zip(names, key, strict=True)), "cells": n, "share": n / len(contents)} for key, n in ranked]


def _barriers_of(content: Content) -> Iterator[tuple[str, int, str, str]]:
    for layer in content["levels"]:
        if layer["level"] is not None:
            yield from ((layer["name"], c["level"], c["title"], c["state"]) for c in _next(layer))


def _rules(contents: Sequence[Content]) -> list[dict[str, Any]]:
    """Rules that are broken: how seriously, by which packages, in how many cells."""
    packages: dict[tuple[str, str], Counter[str]] = {}
    cells: Counter[tuple[str, str]] = Counter()
    for content in contents:
        pairs = {((f["level"], f["rule"]), f["name"]) for f in content["findings"] if f["state"] == "breach"}
        cells.update({key for key, _name in pairs})
        for key, name in sorted(pairs):
            packages.setdefault(key, Counter())[name] += 1
    return [{"level": level, "rule": rule, "cells": cells[level, rule],
             "packages": [name for name, _n in sorted(names.items(), key=lambda pair: (-pair[1], pair[0]))]}
            for (level, rule), names in sorted(packages.items())]  # fmt: skip

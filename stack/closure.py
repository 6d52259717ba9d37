"""Ring 4. What apt and pip print about a closure -> parts of a lock. Pure; the commands are run by the edge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from stack.catalogue import Catalogue
from stack.errors import Faults, bad_input
from stack.lock import CONTROL, OsPackage, WheelFile
from stack.plan import Plan

# apt writes what would end a field as %3a: an epoch's colon, an underscore
_FILE = re.compile(r"^'[^']*' (?P<name>[^_\s]+)_(?P<version>[^_\s]+)_(?P<architecture>[^_.\s]+)\.deb ", re.MULTILINE)


def requested(plan: Plan) -> tuple[str, ...]:
    """What apt is asked for: the base of the image and the packages of every component the OS supplies."""
    packages = {p for c in plan.choices if c.provider == "os" for p in c.packages}
    base = plan.base
    if base is None:
        return tuple(sorted(packages))
    return (*base.selections, *sorted({*base.packages, *packages}))


def tools(plan: Plan) -> tuple[str, ...]:
    """Packages of the build root beyond the image's: build tools, and what building against a component needs."""
    found = {p for tool in plan.target.os.tools.values() for p in tool.packages}
    return tuple(sorted(found | {p for choice in plan.choices for p in choice.development}))


def archive_components(plan: Plan) -> tuple[str, ...]:
    """Archive components needed beyond the usual, for a vendor's libraries for example."""
    return tuple(sorted({a for c in plan.choices for a in c.archive_components}))


def installed(uris: str) -> tuple[tuple[str, str, str], ...]:
    """(name, version, architecture) of every package that `apt-get --print-uris install` would fetch."""
    found = {(m["name"], unquote(m["version"]), m["architecture"]) for m in _FILE.finditer(uris)}
    return tuple(sorted(found))


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Paragraphs of a Debian control file; continuation lines are joined by newlines."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        fields: dict[str, str] = {}
        last = ""
        for line in paragraph.splitlines():
            if line[:1] in (" ", "\t"):
                fields[last] += "\n" + line.strip()
            else:
                last, _, value = line.partition(":")
                fields[last] = value.strip()
        if fields:
            yield fields


def packages(show: str, wanted: Iterable[tuple[str, str, str]]) -> tuple[OsPackage, ...]:
    """Exactly the wanted packages out of `apt-cache show`; raises when the index lacks one or its SHA-256."""
    known = {(f["Package"], f["Version"], f["Architecture"]): f for f in stanzas(show) if "SHA256" in f}
    faults = Faults()
    made = []
    for name, version, architecture in wanted:
        found = known.get((name, version, architecture))
        if found is None:
            faults.add(f"the package index has no SHA-256 for {name} {version} ({architecture})")
        else:
            try:
                made.append(_package(found))
            except (KeyError, ValueError):
                faults.add(f"what the package index says of {name} {version} is not understood")
    faults.raise_if_any()
    return tuple(sorted(made, key=lambda p: (p.name, p.architecture)))


def _package(fields: Mapping[str, str]) -> OsPackage:
    source = fields.get("Source", fields["Package"])
    if "(" not in source:
        source = f"{source} ({fields['Version']})"
    control = {k: fields[k].replace("\n", " ") for k in CONTROL if k in fields}
    return OsPackage(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        filename=fields["Filename"].rpartition("/")[2],
        size=int(fields["Size"]),
        sha256=fields["SHA256"],
        source=source,
        control=control,
    )


def projects(plan: Plan) -> tuple[str, ...]:
    """What pip is asked for: requirement strings of the components that wheels supply."""
    chosen = [c for c in plan.choices if c.provider == "wheel"]
    return tuple(sorted(f"{c.project}=={c.version}" if c.version else str(c.project) for c in chosen))


def wheels(report: str, plan: Plan, catalogue: Catalogue) -> tuple[WheelFile, ...]:
    """Wheels of pip's installation report, without those of components that another provider supplies."""
    others = {c.component for c in plan.choices if c.provider != "wheel"}
    offered = {n: r.providers.wheel for n, r in catalogue.recipes.items()}
    supplied = {_plain(w.project) for n, w in offered.items() if w and n in others}
    try:
        items = json.loads(report)["install"]
        made = [_wheel(item) for item in items]
    except (ValueError, KeyError, TypeError) as error:
        raise bad_input(f"pip's report is not understood: {error!r}") from None
    return tuple(sorted((w for w in made if _plain(w.project) not in supplied), key=lambda w: w.project))


def _wheel(item: Mapping[str, dict[str, dict[str, dict[str, str]]]]) -> WheelFile:
    info, meta = item["download_info"], item["metadata"]
    filename = str(info["url"]).rpartition("/")[2].partition("#")[0].replace("%2B", "+")
    return WheelFile(
        project=str(meta["name"]),
        version=str(meta["version"]),
        filename=filename,
        sha256=info["archive_info"]["hashes"]["sha256"],
    )


def _plain(project: str) -> str:
    """A project's normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()

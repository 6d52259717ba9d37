"""Ring 4. Whether an SBOM says all that BSI TR-03183-2 v2.1.0 and CISA's minimum elements of 2026 ask for.

The documents themselves are asked, as a reader of them would. Fields of a deployable are asked of a build SBOM alone,
and of what runs: what only builds is listed, and is not delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Data = Mapping[str, Any]
DOCUMENT = ""
"""Stands where a gap is the document's own and no component's."""


@dataclass(frozen=True)
class Field:
    """One demand: whose it is, and where its answer stands in both formats. `built`: of a build SBOM alone."""

    id: str
    rule: str
    title: str
    cyclonedx: str
    spdx: str
    built: bool = False


FIELDS: tuple[Field, ...] = (
    Field("author", "BSI, CISA", "creator of the SBOM, with e-mail or URL; no tool",
          "`metadata.manufacturer`, `metadata.authors`", "`CreationInfo.createdBy` and its `externalIdentifier`"),
    Field("timestamp", "BSI, CISA", "time of the SBOM", "`metadata.timestamp`", "`CreationInfo.created`"),
    Field("tool", "CISA", "tool and its version", "`metadata.tools`", "`CreationInfo.createdUsing`"),
    Field("context", "CISA", "generation context", "`metadata.lifecycles[].phase`", "`software_sbomType`"),
    Field("sbom-version", "CISA", "version of the SBOM", "`version`, `serialNumber`",
          "`SpdxDocument.spdxId`, `comment`"),
    Field("name", "BSI, CISA", "name", "`name`", "`name`"),
    Field("version", "BSI, CISA", "version", "`version`", "`software_packageVersion`"),
    Field("creator", "BSI, CISA", "who makes it, with e-mail or URL",
          "`manufacturer`", "`originatedBy` and its `externalIdentifier`"),
    Field("identifier", "BSI, CISA", "unique identifier", "`purl`; `bom-ref` of the whole", "`software_packageUrl`"),
    Field("licence", "BSI, CISA", "licence, as SPDX expression with `LicenseRef-` where needed",
          "`licenses[].expression`, `acknowledgement: concluded`", "`hasConcludedLicense`"),
    Field("dependencies", "BSI, CISA", "what it depends on", "`dependencies[]`", "`dependsOn`"),
    Field("completeness", "BSI", "whether that is all", "`compositions[].aggregate`", "`completeness` of `dependsOn`"),
    Field("filename", "BSI", "name of the file that is delivered", "`bsi:component:filename`",
          "`name` of the `software_File` at `hasDistributionArtifact`", True),
    Field("hash", "BSI, CISA", "SHA-512 of that file, with the algorithm's name",
          "`externalReferences[type=distribution].hashes`", "`verifiedUsing` of that file", True),
    Field("executable", "BSI", "whether it is executable", "`bsi:component:executable`",
          "`software_additionalPurpose`: `executable`", True),
    Field("archive", "BSI", "whether it is an archive", "`bsi:component:archive`",
          "`software_additionalPurpose`: `archive`", True),
    Field("structured", "BSI", "whether it keeps its structure", "`bsi:component:structured`",
          "`software_primaryPurpose`: `container`, else `firmware`", True),
)  # fmt: skip
"""Every demand, in the order of the table in `docs/reference/sbom.md`."""
_FILE = ("filename", "executable", "archive", "structured")
_OF_DOCUMENT = ("author", "timestamp", "tool", "context", "sbom-version")


@dataclass(frozen=True)
class Gap:
    """A demand that a component (by its name, version and reference), or the document, does not meet."""

    field: str
    component: str


def table() -> str:
    """The demands as a table in Markdown."""
    head = ("| demand | of | CycloneDX 1.6 | SPDX 3.0.1 |", "|---|---|---|---|")
    rows = (f"| {f.title}{' (build SBOM)' if f.built else ''} | {f.rule} | {f.cyclonedx} | {f.spdx} |" for f in FIELDS)
    return "\n".join((*head, *rows)) + "\n"


def gaps(document: Data) -> tuple[Gap, ...]:
    """Everything that is missing in a CycloneDX or an SPDX document."""
    ask = _Cyclonedx(document) if "bomFormat" in document else _Spdx(document)
    found = [Gap(field, DOCUMENT) for field in _OF_DOCUMENT if not ask.said[field]()]
    for name, component in ask.components():
        asked = (f.id for f in FIELDS if f.id not in _OF_DOCUMENT and (ask.built or not f.built))
        found += [Gap(field, name) for field in asked if not ask.has[field](component)]
    return tuple(found)


class _Cyclonedx:
    """Answers from a CycloneDX document."""

    def __init__(self, document: Data) -> None:
        self.document, self.metadata = document, document.get("metadata", {})
        self.built = any(c.get("phase") == "build" for c in self.metadata.get("lifecycles", ()))
        dependencies = document.get("dependencies", ())
        self.known = {d["ref"] for d in dependencies if "dependsOn" in d}
        self.stated = {ref for c in document.get("compositions", ()) for ref in c.get("dependencies", ())}
        self.said: Mapping[str, Callable[[], Any]] = {
            "author": lambda: _contact(self.metadata.get("manufacturer", {})),
            "timestamp": lambda: self.metadata.get("timestamp"),
            "tool": lambda: [t for t in self.metadata.get("tools", {}).get("components", ()) if t.get("version")],
            "context": lambda: self.metadata.get("lifecycles"),
            "sbom-version": lambda: document.get("version") and document.get("serialNumber"),
        }
        self.has: Mapping[str, Callable[[Data], Any]] = {
            "name": lambda c: c.get("name"),
            "version": lambda c: c.get("version"),
            "creator": lambda c: _contact(c.get("manufacturer", {})),
            "identifier": lambda c: c.get("purl") or c.get("bom-ref"),
            "licence": lambda c: [x for x in c.get("licenses", ()) if _valid(x.get("expression", ""))],
            "dependencies": lambda c: c.get("bom-ref") in self.known,
            "completeness": lambda c: c.get("bom-ref") in self.stated,
            "hash": _delivered_hash,
            **{
                name: _property(f"bsi:component:{name}") for name in ("filename", "executable", "archive", "structured")
            },
        }

    def components(self) -> Iterable[tuple[str, Data]]:
        """What is delivered: the whole, and all that is not excluded."""
        found = (c for c in self.document.get("components", ()) if c.get("scope") != "excluded")
        whole = self.metadata.get("component")
        for component in (*([whole] if whole else ()), *found):
            yield f"{component.get('name')} {component.get('version')}", component


def _contact(entity: Data) -> bool:
    return bool(entity.get("url") or [c for c in entity.get("contact", ()) if c.get("email")])


def _valid(expression: str) -> bool:
    return bool(expression) and "NOASSERTION" not in expression


def _delivered_hash(component: Data) -> bool:
    references = (r for r in component.get("externalReferences", ()) if r.get("type") == "distribution")
    return any(h.get("alg") == "SHA-512" and h.get("content") for r in references for h in r.get("hashes", ()))


def _property(name: str) -> Callable[[Data], bool]:
    return lambda component: any(p.get("name") == name and p.get("value") for p in component.get("properties", ()))


class _Spdx:
    """Answers from an SPDX 3 document."""

    def __init__(self, document: Data) -> None:
        graph = document.get("@graph", ())
        self.elements = {e["spdxId"]: e for e in graph if "spdxId" in e}
        creation: Data = next((e for e in graph if e.get("type") == "CreationInfo"), {})
        whole: Data = next((e for e in graph if e.get("type") == "SpdxDocument"), {})
        self.sbom: Data = next((e for e in graph if e.get("type") == "software_Sbom"), {})
        self.built = "build" in self.sbom.get("software_sbomType", ())
        self.relations: dict[tuple[str, str], list[Data]] = {}
        for element in graph:
            if "relationshipType" in element:
                self.relations.setdefault((element["from"], element["relationshipType"]), []).append(element)
        self.said: Mapping[str, Callable[[], Any]] = {
            "author": lambda: self._agents(creation.get("createdBy", ())),
            "timestamp": lambda: creation.get("created"),
            "tool": lambda: [t for t in creation.get("createdUsing", ()) if " " in self._name(t)],
            "context": lambda: self.sbom.get("software_sbomType"),
            "sbom-version": lambda: whole.get("spdxId") and whole.get("comment"),
        }
        self.has: Mapping[str, Callable[[Data], Any]] = {
            "name": lambda c: c.get("name"),
            "version": lambda c: c.get("software_packageVersion"),
            "creator": lambda c: self._agents(c.get("originatedBy", ())),
            "identifier": lambda c: c.get("software_packageUrl") or c["spdxId"] in self.sbom.get("rootElement", ()),
            "licence": self._licence,
            "dependencies": lambda c: self._related(c, "dependsOn"),
            "completeness": lambda c: all(r.get("completeness") for r in self._related(c, "dependsOn")),
            "filename": lambda c: [f for f in self._files(c) if f.get("name")],
            "hash": lambda c: [h for f in self._files(c) for h in f["verifiedUsing"] if h["algorithm"] == "sha512"],
            # What a file is not has no word of its own: the purposes are listed, and that list is whole.
            "executable": self._files,
            "archive": self._files,
            "structured": lambda c: [f for f in self._files(c) if f.get("software_primaryPurpose")],
        }

    def components(self) -> Iterable[tuple[str, Data]]:
        """What is delivered: the packages that do not only build."""
        for element in self.elements.values():
            if element["type"] == "software_Package" and "scope: build" not in element.get("comment", "").split("; "):
                yield f"{element.get('name')} {element.get('software_packageVersion')}", element

    def _name(self, spdx_id: str) -> str:
        return str(self.elements.get(spdx_id, {}).get("name", ""))

    def _agents(self, ids: Iterable[str]) -> list[Data]:
        return [a for i in ids if (a := self.elements.get(i, {})).get("externalIdentifier")]

    def _related(self, component: Data, kind: str) -> list[Data]:
        return self.relations.get((component["spdxId"], kind), [])

    def _licence(self, component: Data) -> bool:
        found = [self.elements[i] for r in self._related(component, "hasConcludedLicense") for i in r["to"]]
        return any(_valid(e.get("simplelicensing_licenseExpression", "")) for e in found)

    def _files(self, component: Data) -> list[Data]:
        return [self.elements[i] for r in self._related(component, "hasDistributionArtifact") for i in r["to"]]

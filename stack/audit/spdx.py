"""Ring 4. An inventory as SPDX 3.0.1 JSON-LD. Source of the classes: https://spdx.github.io/spdx-spec/v3.0.1/."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stack.artifact import digest
from stack.audit.document import TOOL, About, identity
from stack.audit.inventory import Deployable, Inventory, Item

Data = dict[str, Any]
MEDIA_TYPE = "application/spdx+json"
_CREATION = "_:creationinfo"
_DATA_LICENCE = "CC0-1.0"


def render(inventory: Inventory, about: About) -> Data:
    """The document."""
    ids = _Ids(f"urn:uuid:{identity(inventory, about)}")
    content = sorted(_content(inventory, about, ids), key=lambda element: str(element["spdxId"]))
    members = [element["spdxId"] for element in content]
    sbom = {
        **_element("software_Sbom", ids.of("sbom"), inventory.lock.cell),
        "software_sbomType": [about.phase],
        "rootElement": [ids.of("whole")],
        "element": members,
    }
    document = {
        **_element("SpdxDocument", ids.of("document"), f"{inventory.lock.cell} {inventory.digest[:12]}"),
        "dataLicense": ids.of("licence", _DATA_LICENCE),
        "comment": "SBOM version 1",
        "profileConformance": ["core", "software", "simpleLicensing"],
        "rootElement": [sbom["spdxId"]],
        "element": [*members, sbom["spdxId"]],
    }
    return {
        "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
        "@graph": [_creation(about, ids), document, sbom, *content],
    }


class _Ids:
    """Identifiers of the elements of one document."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def of(self, what: str, name: str = "") -> str:
        """Of one element: the same name, the same identifier."""
        return f"{self.namespace}#{what}" + (f"-{digest(name)[:20]}" if name else "")


def _element(kind: str, spdx_id: str, name: str = "") -> Data:
    return {"type": kind, "spdxId": spdx_id, "creationInfo": _CREATION} | ({"name": name} if name else {})


def _creation(about: About, ids: _Ids) -> Data:
    return {
        "type": "CreationInfo",
        "@id": _CREATION,
        "specVersion": "3.0.1",
        "created": about.time,
        "createdBy": [ids.of("author")],
        "createdUsing": [ids.of("tool")],
    }


def _content(inventory: Inventory, about: About, ids: _Ids) -> Iterator[Data]:
    """Everything but the document and the SBOM themselves."""
    yield _author(about, ids)
    yield _element("Tool", ids.of("tool"), f"{TOOL} {about.version}")
    licences = {_DATA_LICENCE, inventory.licence, *(item.licence for item in inventory.items)}
    yield from (_licence(expression, ids) for expression in sorted(filter(None, licences)))
    yield from _whole(inventory, about, ids)
    makers = {item.facts.homepage for item in inventory.items if item.facts and item.facts.homepage}
    yield from (_agent("Organization", ids.of("maker", url), url, url) for url in sorted(makers))
    for item in inventory.items:
        yield from _item(item, about, ids)


def _author(about: About, ids: _Ids) -> Data:
    """SPDX demands someone; where nobody is stated, that is what stands there."""
    if about.author is None:
        return _element("Agent", ids.of("author"), "not stated")
    return _agent("Agent", ids.of("author"), about.author.name, about.author.contact)


def _agent(kind: str, spdx_id: str, name: str, contact: str) -> Data:
    how = "urlScheme" if "://" in contact else "email"
    identifier = {"type": "ExternalIdentifier", "externalIdentifierType": how, "identifier": contact}
    return {**_element(kind, spdx_id, name), "externalIdentifier": [identifier]}


def _licence(expression: str, ids: _Ids) -> Data:
    made = _element("simplelicensing_LicenseExpression", ids.of("licence", expression))
    return {**made, "simplelicensing_licenseExpression": expression}


def _whole(inventory: Inventory, about: About, ids: _Ids) -> Iterator[Data]:
    lock, whole = inventory.lock, ids.of("whole")
    yield {
        **_element("software_Package", whole, lock.cell),
        "software_packageVersion": inventory.digest[:12],
        "software_primaryPurpose": "container",
        **({"originatedBy": [ids.of("author")]} if about.author else {}),
    }
    # Every item is listed, so nothing that the whole holds is missing.
    yield _relation("contains", whole, [ids.of("package", item.ref) for item in inventory.items], ids, closed=True)
    yield _relation("dependsOn", whole, [ids.of("package", ref) for ref in inventory.roots], ids, closed=True)
    yield from _described(whole, inventory.licence, about.image, ids)


def _item(item: Item, about: About, ids: _Ids) -> Iterator[Data]:
    package = ids.of("package", item.ref)
    made = {
        **_element("software_Package", package, item.name),
        "software_packageVersion": item.version,
        "software_packageUrl": item.purl,
        "software_primaryPurpose": "operatingSystem" if item.kind == "base" else "library",
    }
    if item.facts and item.facts.homepage:
        made |= {"software_homePage": item.facts.homepage, "originatedBy": [ids.of("maker", item.facts.homepage)]}
    elif item.kind == "base" and about.author:
        made["originatedBy"] = [ids.of("author")]
    if item.hashes:
        made["verifiedUsing"] = [_hash(alg.lower().replace("-", ""), value) for alg, value in item.hashes.items()]
    if comment := _comment(item):
        made["comment"] = comment
    yield made
    running = [ids.of("package", ref) for ref in item.depends if ref not in item.build_only]
    building = [ids.of("package", ref) for ref in item.depends if ref in item.build_only]
    yield _relation("dependsOn", package, running, ids, closed=item.closed)
    if building:
        yield _relation("dependsOn", package, building, ids, closed=item.closed, scope="build")
    yield from _described(package, item.licence, about.deployed.get(item.ref), ids)


def _comment(item: Item) -> str:
    known = {"external": item.external, **item.properties, "scope": item.scope}
    return "; ".join(f"{name}: {value}" for name, value in sorted(known.items()) if value)


def _described(package: str, licence: str | None, file: Deployable | None, ids: _Ids) -> Iterator[Data]:
    if licence:
        yield _relation("hasConcludedLicense", package, [ids.of("licence", licence)], ids, closed=True)
    if file:
        made = _file(package, file, ids)
        yield made
        yield _relation("hasDistributionArtifact", package, [made["spdxId"]], ids, closed=True)


def _file(package: str, file: Deployable, ids: _Ids) -> Data:
    """Purposes as BSI TR-03183-2 reads them: `executable`, `archive`, and `container` for what keeps its structure."""
    purposes = ["executable"] * file.executable + ["archive"] * file.archive
    return {
        **_element("software_File", ids.of("file", package), file.filename),
        "software_primaryPurpose": "container" if file.structured else "firmware",
        **({"software_additionalPurpose": purposes} if purposes else {}),
        "verifiedUsing": [_hash("sha256", file.sha256), _hash("sha512", file.sha512)],
    }


def _hash(algorithm: str, value: str) -> Data:
    return {"type": "Hash", "algorithm": algorithm, "hashValue": value}


def _relation(kind: str, source: str, to: Iterable[str], ids: _Ids, *, closed: bool, scope: str = "") -> Data:
    """With nothing to point at the relation goes to the individual that says so."""
    targets = sorted(to)
    nothing = "https://spdx.org/rdf/3.0.1/terms/Core/NoneElement"
    made = {
        **_element("LifecycleScopedRelationship" if scope else "Relationship", ids.of(kind, f"{source} {scope}")),
        "relationshipType": kind,
        "from": source,
        "to": targets or [nothing if closed else nothing.replace("None", "NoAssertion")],
        "completeness": "complete" if closed else "noAssertion",
    }
    return made | ({"scope": scope} if scope else {})

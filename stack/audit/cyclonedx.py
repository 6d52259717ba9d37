"""Ring 4. An inventory as CycloneDX 1.6 JSON. Source of the fields: https://cyclonedx.org/docs/1.6/json/, and for the
properties under `bsi:` https://github.com/BSI-Bund/tr-03183-cyclonedx-property-taxonomy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stack.audit.document import TOOL, About, identity
from stack.audit.inventory import Deployable, Inventory, Item

Data = dict[str, Any]
MEDIA_TYPE = "application/vnd.cyclonedx+json"
_TYPES = {"base": "operating-system"}
_PHASES = {"design": "design", "build": "build"}


def render(inventory: Inventory, about: About) -> Data:
    """The document."""
    lock = inventory.lock
    whole = f"{lock.cell}@{inventory.digest[:12]}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{identity(inventory, about)}",
        "version": 1,
        "metadata": _metadata(inventory, about, whole),
        "components": [_component(item, about) for item in inventory.items],
        "dependencies": [
            {"ref": whole, "dependsOn": sorted(inventory.roots)},
            *({"ref": item.ref, "dependsOn": list(item.depends)} for item in inventory.items),
        ],
        "compositions": list(_compositions(inventory, whole)),
    }


def _metadata(inventory: Inventory, about: About, whole: str) -> Data:
    made: Data = {
        "timestamp": about.time,
        "lifecycles": [{"phase": _PHASES[about.phase]}],
        "tools": {"components": [{"type": "application", "name": TOOL, "version": about.version}]},
        "component": _whole(inventory, about, whole),
    }
    if about.author:
        made["manufacturer"] = made["component"]["manufacturer"] = _entity(about)
        if about.author.is_mail:
            made["authors"] = [{"name": about.author.name, "email": about.author.contact}]
        else:
            made["authors"] = [{"name": about.author.name}]
    return made


def _entity(about: About) -> Data:
    assert about.author  # noqa: S101 - asked for only then
    name, contact = about.author.name, about.author.contact
    return {"name": name, "contact": [{"email": contact}]} if about.author.is_mail else {"name": name, "url": [contact]}


def _whole(inventory: Inventory, about: About, ref: str) -> Data:
    lock, image = inventory.lock, about.image
    made: Data = {
        "type": "container",
        "bom-ref": ref,
        "name": lock.cell,
        "version": inventory.digest[:12],
        "properties": [
            {"name": "sovstack:environment", "value": lock.environment},
            {"name": "sovstack:lock", "value": inventory.digest},
            {"name": "sovstack:profile", "value": lock.profile},
            {"name": "sovstack:target", "value": lock.target},
            *(_file(image) if image else ()),
        ],
    }
    if inventory.licence:
        made["licenses"] = _licences(inventory.licence)
    if image:
        made["externalReferences"] = [_distribution(image)]
    return made


def _component(item: Item, about: About) -> Data:
    deployed = about.deployed.get(item.ref)
    made: Data = {
        "type": _TYPES.get(item.kind, "library"),
        "bom-ref": item.ref,
        "name": item.name,
        "version": item.version,
        "purl": item.purl,
        "scope": "required" if item.scope == "run" else "excluded",
        "properties": [
            {"name": "sovstack:kind", "value": item.kind},
            {"name": "sovstack:scope", "value": item.scope},
            *({"name": f"sovstack:{k}", "value": v} for k, v in sorted(item.properties.items()) if v),
            *([{"name": "sovstack:external", "value": item.external}] if item.external else ()),
            *(_file(deployed) if deployed else ()),
        ],
    }
    if item.facts and item.facts.homepage:
        made["manufacturer"] = {"url": [item.facts.homepage]}
    elif item.kind == "base" and about.author:
        made["manufacturer"] = _entity(about)
    if item.hashes:
        made["hashes"] = [{"alg": alg, "content": content} for alg, content in sorted(item.hashes.items())]
    if item.licence:
        made["licenses"] = _licences(item.licence)
    references = list(_references(item, deployed))
    return made | ({"externalReferences": references} if references else {})


def _licences(expression: str) -> list[Data]:
    return [{"expression": expression, "acknowledgement": "concluded"}]


def _references(item: Item, deployed: Deployable | None) -> Iterator[Data]:
    if item.facts and item.facts.homepage:
        yield {"type": "website", "url": item.facts.homepage}
    if deployed:
        yield _distribution(deployed)


def _distribution(file: Deployable) -> Data:
    """Where it was had differs from mirror to mirror, so its name stands for that; its digests are what counts."""
    hashes = [{"alg": "SHA-256", "content": file.sha256}, {"alg": "SHA-512", "content": file.sha512}]
    return {"type": "distribution", "url": f"urn:sha256:{file.sha256}", "hashes": hashes}


def _file(file: Deployable) -> list[Data]:
    said = {
        "archive": "archive" if file.archive else "no archive",
        "executable": "executable" if file.executable else "non-executable",
        "filename": file.filename,
        "structured": "structured" if file.structured else "unstructured",
    }
    return [{"name": f"bsi:component:{name}", "value": value} for name, value in said.items()]


def _compositions(inventory: Inventory, whole: str) -> Iterator[Data]:
    """Of which parts all dependencies are listed, and of which that is not known."""
    closed = [item.ref for item in inventory.items if item.closed]
    rest = [item.ref for item in inventory.items if not item.closed]
    yield {"aggregate": "complete", "assemblies": [whole], "dependencies": [whole, *closed]}
    if rest:
        yield {"aggregate": "unknown", "dependencies": rest}

"""Ring 4. Package URLs, by which everybody calls a package the same: https://github.com/package-url/purl-spec."""

from __future__ import annotations

from stack.catalogue import Os
from stack.graph import Node
from stack.lock import OsPackage, WheelFile


def purl_of(kind: str, namespace: str, name: str, version: str, **qualifiers: str) -> str:
    """A package URL, escaped as its parts need it."""
    from packageurl import PackageURL

    return PackageURL(kind, namespace, name, version, {k: v for k, v in qualifiers.items() if v}).to_string()


def deb_purl(package: OsPackage, system: Os) -> str:
    """Package URL of a distribution's package."""
    release = system.release
    distro = f"{release.id}-{release.version}"
    return purl_of("deb", release.id, package.name, package.version, arch=package.architecture, distro=distro)


def spack_purl(node: Node) -> str:
    """Package URL of a Spack node, in the form of the draft of the type."""
    return purl_of("spack", node.namespace, node.name, node.version, daghash=node.hash)


def wheel_purl(wheel: WheelFile) -> str:
    """Package URL of a wheel."""
    return purl_of("pypi", "", wheel.project, wheel.version, file_name=wheel.filename)

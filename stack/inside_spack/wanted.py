"""List every file that building the active environment's lock fetches: URLs, SHA-256, its place in a source mirror.

The list is what Spack itself would fetch: the stages of each package (its archive, its resources, patches by URL).
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import spack
import spack.environment
import spack.fetch_strategy as fetching
import spack.stage


def main(path: str) -> None:
    """Write the list to the file that the JSON file names."""
    wanted = json.loads(Path(path).read_text(encoding="utf-8"))
    if spack.spack_version != wanted["version"]:
        sys.exit(f"this is Spack {spack.spack_version}, and {wanted['version']} is needed")
    environment = spack.environment.active_environment()
    specs = [s for s in environment.all_specs() if not s.external]
    # Packages ask while they are read which machine this is: some have another archive for each family.
    families = sorted({s.target.family.name for s in specs})
    platform.machine = lambda: families[0]
    packages = [told(s) for s in sorted(specs, key=lambda s: (s.name, s.dag_hash()))]
    made = {"schema": 1, "spack": spack.spack_version, "packages": packages}
    Path(wanted["output"]).write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def told(spec: Any) -> dict[str, Any]:
    """One package and its files; a bundle has no code, and none."""
    package = spec.package
    licences = [text for when, text in type(package).licenses.items() if spec.satisfies(when)]
    return {
        "name": spec.name,
        "version": str(spec.version),
        "hash": spec.dag_hash(),
        "build_system": str(spec.variants["build_system"].value) if "build_system" in spec.variants else "",
        "licence": " AND ".join(licences),
        "files": list(files(package)) if package.has_code else [],
    }


def files(package: Any) -> Iterator[dict[str, Any]]:
    """What the stages of a package fetch. A patch of the package repository itself is not fetched, and has no stage."""
    for number, stage in enumerate(package.stage):
        fetcher = stage.default_fetcher
        if isinstance(fetcher, fetching.BundleFetchStrategy):
            continue
        kind = "resource" if isinstance(stage, spack.stage.ResourceStage) else "patch" if number else "archive"
        label = stage.resource.name if kind == "resource" else package.name
        place = stage.mirror_layout.path if stage.mirror_layout else ""
        yield {"kind": kind, "label": label, "path": place, **origin(fetcher)}


def origin(fetcher: Any) -> dict[str, Any]:
    """Where it comes from: URLs with a digest, or a version control system with a commit and no digest at all."""
    if isinstance(fetcher, fetching.URLFetchStrategy):
        return {"method": "url", "urls": list(fetcher.candidate_urls), "digest": fetcher.digest or ""}
    state = {name: str(getattr(fetcher, name, None) or "") for name in ("commit", "tag", "branch", "revision")}
    # What the checkout holds beyond the commit decides whether an archive of the commit could stand in for it.
    modules = bool(getattr(fetcher, "submodules", False))
    method = type(fetcher).url_attr
    return {"method": method, "urls": [str(fetcher.url)], "digest": "", "submodules": modules, **state}


main(sys.argv[-1])

"""The Python package index that the user's pip is set to: which files it has by SHA-256, and fetching them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stack.artifact import Command, canonical_json
from stack.host import files
from stack.host.fetch_url import Refused
from stack.host.run import Sink, run
from stack.origins import Candidate, Link, in_pages, projects
from stack.sources import Archives, Source

_SCRIPT = Path(__file__).with_name("pip_files.py")
_ENV = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def command(wish: Path, purpose: str) -> Command:
    """The call of pip's own code."""
    return Command((sys.executable, "-P", str(_SCRIPT), str(wish)), purpose, env=_ENV)  # -P: our `pip` is not theirs


def find(sources: Sequence[Source], archive: str, archives: Archives, work: Path, sink: Sink) -> dict[str, Candidate]:
    """Place in the mirror -> where the index has the file; raises `Refused` when the index does not answer."""
    asked = {s.path: projects(s, archives.archives[archive]) for s in sources}
    names = sorted({p for found in asked.values() for p in found})
    if not names:
        return {}
    sink(f"asking the package index for {len(names)} projects")
    told = _ask({"projects": names}, work, sink, "read the package index")["links"]
    links = {name: _links(told[name]["links"]) for name in names}
    faults = [told[name]["fault"] for name in names if told[name]["fault"]]
    if faults and not any(links.values()):
        raise Refused("unreachable", _short(faults[0]))
    found = {s.path: in_pages(s, [x for p in asked[s.path] for x in links[p]], archive, archives) for s in sources}
    return {path: candidate for path, candidate in found.items() if candidate}


def fetch(wanted: Mapping[Path, Candidate], work: Path, sink: Sink) -> dict[Path, str]:
    """Fetch into these paths; what could not be had -> why."""
    wish = {"files": {str(target): c.where for target, c in wanted.items()}}
    told = _ask(wish, work, sink, "fetch from the package index")["files"]
    return {target: _short(told[str(target)]) for target in wanted if told[str(target)]}


def _links(told: Sequence[Mapping[str, Any]]) -> list[Link]:
    """The files that a page names; one that is written in another way than we can read is none for us."""
    found = []
    for it in told:
        with contextlib.suppress(ValidationError):
            found.append(Link.model_validate({**it, "sha256": str(it.get("sha256") or "").lower()}))
    return found


def _ask(wish: Mapping[str, object], work: Path, sink: Sink, purpose: str) -> dict[str, Any]:
    question, answer = work / "pip-wish.json", work / "pip-answer.json"
    files.write_text(question, canonical_json({**wish, "output": str(answer)}))
    answer.unlink(missing_ok=True)
    result = run(command(question, purpose), lambda line: sink(line) if line.startswith("fetching ") else None,
                 check=False)  # fmt: skip
    try:
        made: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = result.tail.strip().splitlines()[-1:] or ["pip said nothing"]
        raise Refused("unreachable", _short(last[0])) from None
    finally:
        question.unlink(missing_ok=True)
        answer.unlink(missing_ok=True)
    return made


def _short(text: str) -> str:
    return " ".join(text.split())[:200]

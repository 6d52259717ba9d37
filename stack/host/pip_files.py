"""What pip's index has of a project, and files of it, by pip's own session: the user's index, proxy and certificates.

Run by path in a process of its own, since pip is no library: `python pip_files.py JSON`. `pip download` cannot stand
in: it runs the build of every source archive that it fetches.
"""

from __future__ import annotations

import json
import sys
from optparse import Values
from pathlib import Path
from typing import Any

from pip._internal.commands.download import DownloadCommand
from pip._internal.models.format_control import FormatControl
from pip._internal.network.utils import HEADERS, raise_for_status, response_chunks


class Files(DownloadCommand):
    """`pip download`, which finds and fetches and does nothing more."""

    def run(self, options: Values, args: list[str]) -> int:
        """Read the wish, write the answer."""
        wish = json.loads(Path(args[0]).read_text(encoding="utf-8"))
        options.format_control = FormatControl(set(), set())  # a wish for wheels is about what is installed
        session = self.get_default_session(options)
        finder = self._build_package_finder(options, session, ignore_requires_python=True)
        made = {
            "links": {project: _links(finder, session, project) for project in wish.get("projects", ())},
            "files": {target: _fetch(session, url, target) for target, url in wish.get("files", {}).items()},
        }
        Path(wish["output"]).write_text(json.dumps(made), encoding="utf-8")
        return 0


def _links(finder: Any, session: Any, project: str) -> dict[str, Any]:
    found = [c.link for c in finder.find_all_candidates(project)]
    links = [
        {
            "url": link.url_without_fragment,
            "filename": link.filename,
            "sha256": (link.hash or "") if link.hash_name == "sha256" else "",
        }
        for link in found
    ]
    return {"links": links, "fault": "" if links else _fault(finder, session, project)}


def _fault(finder: Any, session: Any, project: str) -> str:
    """Why nothing was found, where that is no answer of the index; pip's finder passes over it in silence."""
    for index in finder.index_urls:
        try:
            session.get(f"{index.rstrip('/')}/{project}/", stream=True).close()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _fetch(session: Any, url: str, target: str) -> str:
    print(f"fetching {url.rpartition('/')[2]}", flush=True)  # noqa: T201 - progress
    try:
        answer = session.get(url, headers=HEADERS, stream=True)
        raise_for_status(answer)
        with Path(target).open("wb") as out:
            for chunk in response_chunks(answer):
                out.write(chunk)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(Files("download", "").main(["--retries", "1", "--no-color", sys.argv[-1]]))

"""Files by URL, with the proxies and certificates of the environment; a host that does not answer is asked once."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from stack.independence import State
from stack.sources import split

TIMEOUT = 15.0  # seconds without a byte
SCHEMES = ("https://", "http://", "ftp://", "file://")
_NETWORK = (http.client.HTTPException, OSError, ValueError)


class Refused(Exception):  # noqa: N818 - an answer, and the caller goes on
    """An archive did not give a file: it lacks it, cannot be reached, or has another one of that name."""

    def __init__(self, state: State, said: str) -> None:
        self.state: State = state
        self.said = said
        super().__init__(said)


@dataclass
class Web:
    """What is remembered between the files of one run. `stop` ends every transfer."""

    timeout: float = TIMEOUT
    stop: threading.Event = field(default_factory=threading.Event)
    silent: dict[str, str] = field(default_factory=dict)  # host -> why

    def fetch(self, url: str, target: Path) -> None:
        """Write what a URL gives to a path; raises `Refused`."""
        if not url.startswith(SCHEMES):
            raise Refused("lacks", "is no URL that can be fetched")
        host = split(url).netloc.rpartition("@")[2].lower()
        if host in self.silent:
            raise Refused("unreachable", self.silent[host])
        try:
            answer = self._open(url)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused("lacks" if error.code in (401, 403, 404, 410) else "unreachable", str(error)) from None
        except _NETWORK as error:
            raise self._refusal(host, error) from None
        with answer, target.open("wb") as out:
            self._copy(answer, out, host)

    def _open(self, url: str) -> IO[bytes]:
        request = urllib.request.Request(url, headers={"User-Agent": "sovstack"})  # noqa: S310 - see SCHEMES
        opened: IO[bytes] = urllib.request.urlopen(request, timeout=self.timeout)  # noqa: S310
        return opened

    def _copy(self, answer: IO[bytes], out: IO[bytes], host: str) -> None:
        """An error of the network is an answer; one of the disk is the caller's to tell."""
        while not self.stop.is_set():
            try:
                block = answer.read(1 << 18)
            except _NETWORK as error:
                raise self._refusal(host, error) from None
            if not block:
                return
            out.write(block)
        raise Refused("unreachable", "stopped")

    def _refusal(self, host: str, error: Exception) -> Refused:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            return Refused("lacks", "no such file")
        said = f"{host or 'the folder'}: {getattr(reason, 'strerror', None) or reason}"
        if host:
            self.silent[host] = said
        return Refused("unreachable", said)

"""Files by URL, with the proxies and certificates of the environment; a host that does not answer is asked once."""

from __future__ import annotations

import http.client
import string
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from stack.independence import State
from stack.sources import split

TIMEOUT = 15.0  # seconds without a byte
WEB = ("https://", "http://", "ftp://")
SCHEMES = (*WEB, "file://")
REDIRECTS = 10  # in turn
_NETWORK = (http.client.HTTPException, OSError, ValueError)


class Refused(Exception):  # noqa: N818 - an answer, and the caller goes on
    """An archive did not give a file: it lacks it, cannot be reached, or has another one of that name."""

    def __init__(self, state: State, said: str) -> None:
        self.state: State = state
        self.said = said
        super().__init__(said)


def _opener() -> urllib.request.OpenerDirector:
    """What `urlopen` uses, but for redirects: `Web` follows them, since it has to know which host failed."""
    library, made = urllib.request, urllib.request.OpenerDirector()
    made.add_handler(library.ProxyHandler())
    for transfer in (library.HTTPHandler, library.HTTPSHandler, library.FTPHandler, library.FileHandler):
        made.add_handler(transfer())
    made.add_handler(library.HTTPErrorProcessor())
    made.add_handler(library.HTTPDefaultErrorHandler())
    return made


@dataclass
class Web:
    """What is remembered between the files of one run. `stop` ends every transfer."""

    timeout: float = TIMEOUT
    stop: threading.Event = field(default_factory=threading.Event)
    silent: dict[str, str] = field(default_factory=dict)  # host -> why
    opener: urllib.request.OpenerDirector = field(default_factory=_opener)

    def fetch(self, url: str, target: Path) -> None:
        """Write what a URL gives to a path; raises `Refused`."""
        if not url.startswith(SCHEMES):
            raise Refused("lacks", "is no URL that can be fetched")
        for _turn in range(REDIRECTS + 1):
            host = split(url).netloc.rpartition("@")[2].lower()
            if host in self.silent:
                raise Refused("unreachable", self.silent[host])
            try:
                answer = self._open(url)
            except urllib.error.HTTPError as error:
                with error:
                    url = _further(url, error)
            except _NETWORK as error:
                raise self._refusal(host, error) from None
            else:
                with answer, target.open("wb") as out:
                    self._copy(answer, out, host)
                return
        raise Refused("unreachable", f"more than {REDIRECTS} redirects")

    def _open(self, url: str) -> IO[bytes]:
        request = urllib.request.Request(url, headers={"User-Agent": "sovstack"})  # noqa: S310 - see SCHEMES
        opened: IO[bytes] = self.opener.open(request, timeout=self.timeout)
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
        """Only a host that cannot be reached is silent: a wrong URL, or a lacking file, is no fault of its others."""
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            return Refused("lacks", "no such file")
        if isinstance(error, http.client.InvalidURL | UnicodeError) or type(error) is ValueError:
            return Refused("lacks", "is no URL that can be fetched")  # the error's words may hold a password
        said = f"{host or 'the folder'}: {getattr(reason, 'strerror', None) or reason}"
        if host and isinstance(reason, OSError):
            self.silent[host] = said
        return Refused("unreachable", said)


def _further(url: str, error: urllib.error.HTTPError) -> str:
    """Where an answer that is no file leads; raises `Refused` where it leads nowhere."""
    place = error.headers.get("Location") if error.code in (301, 302, 303, 307, 308) else None
    if place is None:
        raise Refused("lacks" if error.code in (401, 403, 404, 410) else "unreachable", str(error)) from None
    try:  # some servers write spaces and letters as they are
        made = urllib.parse.urljoin(url, urllib.parse.quote(place, safe=string.punctuation, encoding="iso-8859-1"))
    except ValueError:
        made = ""
    if not made.startswith(WEB):
        raise Refused("unreachable", "leads to what is no URL that can be fetched") from None
    return made

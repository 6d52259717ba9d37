"""Files by URL, from a real server on this machine."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from stack.host.fetch_url import Refused, Web


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own addresses are not asked of a proxy."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL under which a server gives it out."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Counting(Web):
    """Knows how often it asked."""

    opened = 0

    def _open(self, url: str) -> IO[bytes]:
        self.opened += 1
        return super()._open(url)


def refused(web: Web, url: str, target: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        web.fetch(url, target)
    return caught.value


def test_the_bytes_arrive(served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "a.tar").write_bytes(b"x" * 3_000_000)
    Web().fetch(f"{served[1]}/a.tar", tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == b"x" * 3_000_000


def test_a_file_that_is_not_there_is_lacking_and_the_host_is_asked_again(
    served: tuple[Path, str], tmp_path: Path
) -> None:
    web = Web()
    assert refused(web, f"{served[1]}/b.tar", tmp_path / "it").state == "lacks"
    assert refused(web, (tmp_path / "none").as_uri(), tmp_path / "it").state == "lacks"
    (served[0] / "b.tar").write_bytes(b"x")
    web.fetch(f"{served[1]}/b.tar", tmp_path / "it")


def test_a_host_that_is_not_there_is_asked_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        port = taken.getsockname()[1]
        web, begun = Counting(), time.monotonic()
        first = refused(web, f"http://127.0.0.1:{port}/a", tmp_path / "it")
        assert first.state == "unreachable"
        assert first.said == f"127.0.0.1:{port}: Connection refused"
        assert refused(web, f"http://127.0.0.1:{port}/b", tmp_path / "it").said == first.said
        assert web.opened == 1
        assert refused(web, "http://127.0.0.1:9/other", tmp_path / "it").state == "unreachable"
        assert web.opened == 2  # another port is another server
        assert time.monotonic() - begun < 5


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        refusal = refused(Web(timeout=0.2), f"http://127.0.0.1:{server.getsockname()[1]}/a", tmp_path / "it")
    assert refusal.state == "unreachable"
    assert "timed out" in refusal.said


@pytest.mark.parametrize("url", ["ext::sh -c true", "/etc/passwd", "gopher://a/b", ""])
def test_only_plain_schemes_are_fetched(url: str, tmp_path: Path) -> None:
    assert refused(Web(), url, tmp_path / "it").state == "lacks"
    assert not (tmp_path / "it").exists()


def test_a_full_disk_is_not_the_archives_fault(served: tuple[Path, str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this machine has no /dev/full")
    (served[0] / "a.tar").write_bytes(b"x" * 3_000_000)
    with pytest.raises(OSError, match="No space left"):
        Web().fetch(f"{served[1]}/a.tar", Path("/dev/full"))


def test_a_transfer_can_be_stopped(served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "a.tar").write_bytes(b"x")
    web = Web()
    web.stop.set()
    assert refused(web, f"{served[1]}/a.tar", tmp_path / "it").said == "stopped"

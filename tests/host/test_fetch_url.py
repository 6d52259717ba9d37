"""Files by URL, from a real server on this machine."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from stack.host.fetch_url import Refused, Web


class Quiet(http.server.SimpleHTTPRequestHandler):
    """`/to?URL` leads there."""

    def do_GET(self) -> None:
        """A redirect, or a file."""
        if not self.path.startswith("/to?"):
            return super().do_GET()
        self.send_response(302)
        self.send_header("Location", self.path[len("/to?") :])
        return self.end_headers()

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
        web = Counting()
        first = refused(web, f"http://127.0.0.1:{port}/a", tmp_path / "it")
        assert first.state == "unreachable"
        assert first.said == f"127.0.0.1:{port}: Connection refused"
        assert refused(web, f"http://127.0.0.1:{port}/b", tmp_path / "it").said == first.said
        assert web.opened == 1
        assert refused(web, "http://127.0.0.1:9/other", tmp_path / "it").state == "unreachable"
        assert web.opened == 2  # another port is another server


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


@pytest.mark.parametrize("path", ["/a b", "/a\x7f"])
def test_a_wrong_url_is_not_the_hosts_fault(path: str, served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "good").write_bytes(b"x")
    web = Web()
    refusal = refused(web, served[1] + path, tmp_path / "it")
    assert (refusal.state, refusal.said) == ("lacks", "is no URL that can be fetched")
    web.fetch(f"{served[1]}/good", tmp_path / "it")
    assert web.silent == {}


def test_a_password_in_a_url_is_not_said(tmp_path: Path) -> None:
    web = Web()
    assert "secret" not in refused(web, "http://me:secret@127.0.0.1/a", tmp_path / "it").said
    assert web.silent == {}


def test_a_redirect_is_followed(served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "a b").write_bytes(b"x")
    Web().fetch(f"{served[1]}/to?/to?{served[1]}/a%20b", tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == b"x"


def test_a_redirect_to_a_dead_host_silences_that_host_alone(served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "good").write_bytes(b"x")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        dead = f"127.0.0.1:{taken.getsockname()[1]}"
        web = Counting()
        for _again in range(2):
            refusal = refused(web, f"{served[1]}/to?http://{dead}/a", tmp_path / "it")
            assert (refusal.state, refusal.said) == ("unreachable", f"{dead}: Connection refused")
        assert web.opened == 3  # the dead one once
        assert list(web.silent) == [dead]
        web.fetch(f"{served[1]}/good", tmp_path / "it")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file:///etc/passwd", "leads to what is no URL that can be fetched"),
        ("gopher://a/b", "leads to what is no URL that can be fetched"),
        ("http://[", "leads to what is no URL that can be fetched"),
        ("/none", "HTTP Error 404: File not found"),
    ],
)
def test_a_redirect_leads_nowhere_else(place: str, said: str, served: tuple[Path, str], tmp_path: Path) -> None:
    refusal = refused(Web(), f"{served[1]}/to?{place}", tmp_path / "it")
    assert refusal.said == said
    assert not (tmp_path / "it").exists()


def test_redirects_without_an_end_are_given_up(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loop(self: Quiet) -> None:
        self.send_response(302)
        self.send_header("Location", "/again")
        self.end_headers()

    monkeypatch.setattr(Quiet, "do_GET", loop)
    web = Counting()
    assert refused(web, f"{served[1]}/a", tmp_path / "it").said == "more than 10 redirects"
    assert web.opened == 11 and web.silent == {}

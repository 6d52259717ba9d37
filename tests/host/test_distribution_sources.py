"""A distribution's sources: on a small signed archive, by real apt without a network."""

from __future__ import annotations

import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from stack.catalogue import Catalogue, Keyring
from stack.errors import StackError
from stack.host import apt, distribution_sources
from stack.host.distribution_sources import SourceIndex
from stack.host.fetch_url import Refused
from stack.origins import Candidate
from stack.sources import Archive
from tests.host.mirror import FOREVER, gpg, key

__all__ = ["key"]


def quiet(line: str) -> None:
    """A sink that forgets."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Sources:
    """A source archive in a folder, signed."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.keyring = Keyring(path=str(home / "public.gpg"), package="test-keyring")

    def write(self, files: dict[str, bytes]) -> None:
        rows = []
        for name, data in files.items():
            pool = self.folder / "pool" / name
            pool.parent.mkdir(parents=True, exist_ok=True)
            pool.write_bytes(data)
            rows.append(f"Package: {name[0]}\nDirectory: pool\nChecksums-Sha256:\n {digest(data)} {len(data)} {name}\n")
        dist = self.folder / "dists/here"
        (dist / "main/source").mkdir(parents=True, exist_ok=True)
        index = "\n".join(rows).encode()
        (dist / "main/source/Sources").write_bytes(index)
        head = "Origin: Test\nSuite: here\nCodename: here\nArchitectures: amd64\nComponents: main\n"
        dates = f"Date: Sat, 01 Jan 2022 00:00:00 UTC\nValid-Until: {FOREVER}\n"
        (dist / "Release").write_text(f"{head}{dates}SHA256:\n {digest(index)} {len(index)} main/source/Sources\n")
        (dist / "InRelease").unlink(missing_ok=True)
        gpg(self.home, "--clearsign", "--output", str(dist / "InRelease"), str(dist / "Release"))

    def open(self, cache: Path) -> SourceIndex:
        source = apt.Source("test", f"copy:{self.folder}", ("here",), ("main",))
        return distribution_sources.index_of("test", source, self.keyring, "amd64", cache)


@pytest.fixture
def archive(key: Path, tmp_path: Path) -> Sources:
    (tmp_path / "archive").mkdir()
    made = Sources(tmp_path / "archive", key)
    made.write({"a_1.orig.tar.gz": b"one", "b_1.orig.tar.gz": b"two"})
    return made


def test_what_the_signed_index_has_is_found_and_fetched(archive: Sources, tmp_path: Path) -> None:
    index = archive.open(tmp_path / "cache")
    found = distribution_sources.look(index, {digest(b"one"), digest(b"three")}, quiet)
    assert list(found) == [digest(b"one")]
    assert found[digest(b"one")].where == f"copy:{archive.folder}/pool/a_1.orig.tar.gz"
    assert index.fetch({tmp_path / "it": found[digest(b"one")]}, quiet) == {}
    assert (tmp_path / "it").read_bytes() == b"one"


def test_one_that_is_gone_keeps_no_other_from_coming(archive: Sources, tmp_path: Path) -> None:
    index = archive.open(tmp_path / "cache")
    found = distribution_sources.look(index, {digest(b"one"), digest(b"two")}, quiet)
    (archive.folder / "pool/a_1.orig.tar.gz").unlink()
    lost = index.fetch({tmp_path / "x": found[digest(b"one")], tmp_path / "y": found[digest(b"two")]}, quiet)
    assert list(lost) == [tmp_path / "x"]
    assert "a_1.orig.tar.gz" in lost[tmp_path / "x"]
    assert (tmp_path / "y").read_bytes() == b"two"


def test_an_index_that_nobody_signed_is_refused(archive: Sources, tmp_path: Path) -> None:
    signed = (archive.folder / "dists/here/InRelease").read_text()
    (archive.folder / "dists/here/InRelease").write_text(signed.replace("Origin: Test", "Origin: Else"))
    with pytest.raises(Refused, match="is not signed by a key of") as caught:
        distribution_sources.look(archive.open(tmp_path / "cache"), {digest(b"one")}, quiet)
    assert caught.value.state == "unreachable"


def test_an_index_that_was_changed_is_refused(archive: Sources, tmp_path: Path) -> None:
    path = archive.folder / "dists/here/main/source/Sources"
    path.write_bytes(path.read_bytes().replace(b"pool", b"evil"))
    with pytest.raises(Refused):
        distribution_sources.look(archive.open(tmp_path / "cache"), {digest(b"one")}, quiet)


def test_the_profiles_mirror_needs_no_apt(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = Archive(kind="distribution", os="debian-13", archive="debian", suites=("trixie",), components=("main",))
    system = catalogue.systems["debian-13"]
    monkeypatch.setattr(apt, "host_targets", lambda: ())
    with pytest.raises(StackError, match=r"names no mirror of debian \(add `mirrors"):
        distribution_sources.open_index("debian", rule, system, {}, tmp_path)
    if not Path(system.keys.path).is_file():
        pytest.skip(f"needs {system.keys.path}: apt-get install {system.keys.package}")
    index = distribution_sources.open_index("debian", rule, system, {"debian": "http://m.example/debian/"}, tmp_path)
    text = (index.folder / "sources/sovstack.sources").read_text()
    assert text.startswith("Types: deb-src\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\n")


def test_a_transfer_that_breaks_off_is_no_other_file(
    archive: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """apt leaves what it got at the file's own place."""

    class Breaking(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"four" if self.path == "/broken" else b"nine byte")
            self.wfile.flush()
            self.connection.close()

        def log_message(self, *words: object) -> None:
            pass

    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    index = archive.open(tmp_path / "cache")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            base = f"http://127.0.0.1:{server.server_port}"
            asked = {
                tmp_path / name: Candidate("test", "distribution", "test", f"{base}/{name}", size=9)
                for name in ("broken", "whole")
            }
            lost = index.fetch(asked, quiet)
        finally:
            server.shutdown()
            thread.join()
    assert list(lost) == [tmp_path / "broken"]
    assert not (tmp_path / "broken").exists()
    assert (tmp_path / "whole").read_bytes() == b"nine byte"

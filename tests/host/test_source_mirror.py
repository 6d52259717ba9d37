"""Filling a source mirror: from a real server, another mirror, real git; and what goes wrong on the way."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import independence, sources
from stack.errors import StackError
from stack.host import source_mirror, source_places
from stack.host.library import Library
from stack.host.source_mirror import Mode
from stack.host.source_places import Places
from stack.independence import HERE, Row
from stack.sources import Archives, Wanted
from tests.host.test_fetch_url import no_proxy, served
from tests.host.test_git_archive import forged, repository

__all__ = ["no_proxy", "repository", "served"]
GOOD = b"the source of a"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def archives(library: Library) -> Archives:
    return source_places.archives(library)


def quiet(line: str) -> None:
    """A sink that forgets."""


def place(content: bytes, extension: str = ".tar.gz") -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"_source-cache/archive/{digest[:2]}/{digest}{extension}"


def wanted(*files: tuple[bytes, tuple[str, ...]]) -> Wanted:
    packages = [
        {
            "name": f"p{n}", "version": "1", "hash": "h", "build_system": "makefile", "licence": "MIT",
            "files": [{"kind": "archive", "label": "p", "path": place(content), "method": "url", "urls": list(urls),
                       "digest": hashlib.sha256(content).hexdigest()}],
        }
        for n, (content, urls) in enumerate(files)
    ]  # fmt: skip
    return sources.parse(json.dumps({"schema": 1, "spack": "1", "packages": packages}), "x")


def site(archives: Archives, *order: str, **more: object) -> Places:
    return Places(archives, order or ("mirror", "upstream", "git"), **more)  # type: ignore[arg-type]


def fill(
    what: Wanted, where: Places, folder: Path, sink: Callable[[str], None] = quiet, mode: Mode = "fill"
) -> tuple[Row, ...]:
    return source_mirror.fill(what, where, folder, sink, mode=mode)


def test_files_arrive_at_their_place_and_are_fetched_once(
    served: tuple[Path, str], tmp_path: Path, archives: Archives
) -> None:
    contents = [b"%d" % n for n in range(12)]
    for n, content in enumerate(contents):
        (served[0] / f"{n}.tgz").write_bytes(content)
    what = wanted(*((c, (f"{served[1]}/{n}.tgz",)) for n, c in enumerate(contents)))
    table = fill(what, site(archives), tmp_path / "m")
    assert [r.had for r in table] == ["upstream"] * 12
    assert {(tmp_path / "m" / place(c)).read_bytes() for c in contents} == set(contents)
    for path in served[0].iterdir():
        path.unlink()
    told: list[str] = []
    assert [r.had for r in fill(what, site(archives), tmp_path / "m", told.append)] == [HERE] * 12
    assert told == ["12 of 12 sources are there"]
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [".lock", "_source-cache"]


def test_a_wrong_hash_is_refused_told_and_the_next_archive_asked(
    served: tuple[Path, str], tmp_path: Path, archives: Archives
) -> None:
    (served[0] / "a.tgz").write_bytes(b"something else")
    other = tmp_path / "other" / place(GOOD)
    other.parent.mkdir(parents=True)
    other.write_bytes(GOOD)
    told: list[str] = []
    what = wanted((GOOD, (f"{served[1]}/a.tgz",)))
    places = site(archives, "upstream", "mirror", mirrors=((tmp_path / "other").as_uri(),))
    (row,) = fill(what, places, tmp_path / "m", told.append)
    assert row.had == "mirror"
    assert row.holders == ("a folder",)
    found, right = (hashlib.sha256(b).hexdigest() for b in (b"something else", GOOD))
    message = f"refused: p0@1 from upstream: SHA-256 {found} and not {right}, from {served[1]}/a.tgz"
    assert message in told
    assert [f.what for f in independence.findings([row], what, archives)] == ["one-archive", "wrong-hash"]
    assert other.read_bytes() == GOOD


def test_the_order_decides_who_is_asked_first(served: tuple[Path, str], tmp_path: Path, archives: Archives) -> None:
    (served[0] / "a.tgz").write_bytes(GOOD)
    other = served[0] / place(GOOD)
    other.parent.mkdir(parents=True)
    other.write_bytes(GOOD)
    what = wanted((GOOD, (f"{served[1]}/a.tgz",)))
    first = fill(what, site(archives, "upstream", "mirror", mirrors=(served[1],)), tmp_path / "m1")
    second = fill(what, site(archives, "mirror", "upstream", mirrors=(served[1],)), tmp_path / "m2")
    assert [r.had for r in (*first, *second)] == ["upstream", "mirror"]


def test_hosts_that_are_not_there_are_told_once(tmp_path: Path, archives: Archives) -> None:
    what = wanted(*((b"%d" % n, (f"{NOWHERE}/{n}.tgz",)) for n in range(40)))
    told: list[str] = []
    table = fill(what, site(archives), tmp_path / "m", told.append)
    assert told.count("cannot be reached: 127.0.0.1:9") == 1
    assert {r.had for r in table} == {""}
    found = independence.findings(table, what, archives)
    assert "p0@1: upstream: 127.0.0.1:9: Connection refused" in {f"{f.source}: {f.text}" for f in found}


def test_a_tags_archive_is_made_again(tmp_path: Path, repository: Path, archives: Archives) -> None:
    content = forged(repository)
    what = wanted((content, ("https://github.com/owner/thing/archive/v1.0.tar.gz",)))
    places = site(archives, "git", repositories={"owner/thing": str(repository)})
    (row,) = fill(what, places, tmp_path / "m")
    assert row.had == "git"
    assert gzip.decompress((tmp_path / "m" / place(content)).read_bytes())


def test_a_damaged_file_is_set_aside_and_fetched_again(
    served: tuple[Path, str], tmp_path: Path, archives: Archives
) -> None:
    (served[0] / "a.tgz").write_bytes(GOOD)
    damaged = tmp_path / "m" / place(GOOD)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half")
    told: list[str] = []
    (row,) = fill(wanted((GOOD, (f"{served[1]}/a.tgz",))), site(archives), tmp_path / "m", told.append)
    assert row.had == "upstream"
    assert damaged.read_bytes() == GOOD
    aside = tmp_path / "m/.refused" / hashlib.sha256(b"half").hexdigest()
    assert aside.read_bytes() == b"half"
    assert f"it is now {aside}" in told[0]


def test_what_a_killed_run_left_is_taken_over_or_removed(tmp_path: Path, archives: Archives) -> None:
    incoming = tmp_path / "m/.incoming"
    incoming.mkdir(parents=True)
    (incoming / place(GOOD).rpartition("/")[2]).write_bytes(GOOD)
    (incoming / place(b"b").rpartition("/")[2]).write_bytes(b"only a part of b")
    table = fill(wanted((GOOD, ()), (b"b", ())), site(archives, "upstream"), tmp_path / "m")
    assert [r.had for r in table] == [HERE, ""]
    assert (tmp_path / "m" / place(GOOD)).read_bytes() == GOOD
    assert not (tmp_path / "m" / place(b"b")).exists()
    assert not incoming.exists()


SLOW = """
import http.server, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        if self.path == "/slow.tgz":
            self.wfile.write(b"x" * 400000); self.wfile.flush(); time.sleep(30)
        self.wfile.write(b"the source of a")
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
print(server.server_port, flush=True)
server.serve_forever()
"""
FILL = """
import sys, time
from pathlib import Path
from stack import sources
from stack.host import source_mirror, source_places
from stack.host.library import Library, shipped
site = source_places.Places(source_places.archives(Library((shipped(),))), ("upstream",))
wanted = sources.parse(Path(sys.argv[1]).read_text(), "x")
source_mirror.fill(wanted, site, Path(sys.argv[2]), lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_loses_nothing_that_was_whole(sign: signal.Signals, tmp_path: Path, archives: Archives) -> None:
    environment = {k: v for k, v in os.environ.items() if k.lower() != "http_proxy"}
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = server.stdout.readline().strip()
        urls = [f"http://127.0.0.1:{port}/{name}.tgz" for name in ("fast", "slow")]
        what = wanted((GOOD, (urls[0],)), (b"x" * 400000 + GOOD, (urls[1],)))
        (tmp_path / "wanted.json").write_text(what.model_dump_json(by_alias=True))
        argv = [sys.executable, "-c", FILL, str(tmp_path / "wanted.json"), str(tmp_path / "m")]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as run:
            assert run.stdout
            assert any("p0@1 from upstream" in line for line in run.stdout)
            server_end = time.monotonic() + 10
            while not list((tmp_path / "m/.incoming").iterdir()) and time.monotonic() < server_end:
                time.sleep(0.02)
            run.send_signal(sign)
            time.sleep(0.2)
            server.terminate()  # a polite end waits for the transfer that is under way
            assert run.wait(20) != 0
    table = fill(what, site(archives, "upstream"), tmp_path / "m")
    assert [r.had for r in table] == [HERE, ""]
    assert sorted(p.name for p in (tmp_path / "m").rglob("*") if p.is_file()) == [".lock", Path(place(GOOD)).name]


def test_a_survey_asks_everybody_and_a_look_nobody(
    served: tuple[Path, str], tmp_path: Path, repository: Path, archives: Archives
) -> None:
    content = forged(repository)
    (served[0] / "owner/thing/archive").mkdir(parents=True)
    other = served[0] / place(content)
    other.parent.mkdir(parents=True)
    other.write_bytes(content)
    what = wanted((content, ("https://github.com/owner/thing/archive/v1.0.tar.gz",)))
    places = site(
        archives, "mirror", "git", "upstream", mirrors=(served[1],), repositories={"owner/thing": str(repository)}
    )
    (row,) = fill(what, places, tmp_path / "m", mode="look")
    assert (row.holders, row.proven, row.had) == (("github",), (), "")
    assert not (tmp_path / "m/_source-cache").exists()
    (row,) = fill(what, site(archives, "mirror", "git", mirrors=(served[1],),
                             repositories={"owner/thing": str(repository)}), tmp_path / "m")  # fmt: skip
    assert row.proven == ("127.0.0.1",)
    survey = site(archives, "mirror", "git", mirrors=(served[1],), repositories={"owner/thing": str(repository)})
    (row,) = fill(what, survey, tmp_path / "m", mode="survey")
    assert (row.proven, row.had) == (("127.0.0.1", "a folder"), HERE)
    assert [p.name for p in (tmp_path / "m").rglob("*") if p.is_file() and p.name != ".lock"] == [
        Path(place(content)).name
    ]


def test_an_archive_that_cannot_be_asked_is_passed_over(
    served: tuple[Path, str], tmp_path: Path, archives: Archives
) -> None:
    (served[0] / "a.tgz").write_bytes(GOOD)
    told: list[str] = []
    places = site(archives, "debian", "upstream", faults={"debian": "apt names no mirror"})
    (row,) = fill(wanted((GOOD, (f"{served[1]}/a.tgz",))), places, tmp_path / "m", told.append)
    assert told[0] == "debian cannot be asked: apt names no mirror"
    assert row.had == "upstream"


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, archives: Archives) -> None:
    (tmp_path / "m").write_text("a file")
    with pytest.raises(StackError, match="m: "):
        fill(wanted((GOOD, ())), site(archives), tmp_path / "m")


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling"])
def test_what_is_no_file_is_set_aside_and_told(archives: Archives, tmp_path: Path, kind: str) -> None:
    what, mirror = wanted((GOOD, (f"{NOWHERE}/a.tgz",))), tmp_path / "m"
    path = mirror / place(GOOD)
    path.parent.mkdir(parents=True)
    if kind == "folder":
        (path / "mine").mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    (mirror / ".incoming").symlink_to(tmp_path)
    told: list[str] = []
    source_mirror.fill(what, site(archives), mirror, quiet, note=told.append)
    aside = f"{mirror}/.refused/{hashlib.sha256(GOOD).hexdigest()}.no-file"
    assert told == [f"set aside: {place(GOOD)} is no file; it is now {aside}"]
    assert not os.path.lexists(path) and os.path.lexists(aside)
    assert tmp_path.is_dir() and not (mirror / ".incoming").exists()

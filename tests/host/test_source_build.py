"""A real build from source, small: one program that prints where it was installed, in a build root of Debian's."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack import source
from stack.errors import ExitCode, StackError
from stack.host import cache_signing, inspecting_cache, source_build, source_job
from stack.host.run import run
from stack.host.source_job import SourceJob
from stack.host.spack import Spack
from stack.plan import Plan
from tests.host import building, tiny
from tests.host.building import EPOCH

# One job for the module: on another worker its root and tree would be made a second time.
pytestmark = pytest.mark.xdist_group("source_build")

PREFIX = "/opt/sovstack/greetings"
WORDS = """f'-DPREFIX="{prefix}"', "greeting.c", "-o", join_path(prefix.bin, "greeting")"""
INSTALL = f'Executable("/usr/bin/gcc")({WORDS})'


@pytest.fixture(scope="module")
def job(real_spack: Spack, laptop: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceJob]:
    """One program that prints where it was installed."""
    base = tmp_path_factory.mktemp("source")
    with building.job("greetings", {"greeting": INSTALL}, real_spack, laptop, base, jobs=2) as made:
        yield made


def _inside(job: SourceJob, *argv: str) -> str:
    return run(source_job.room(job).command(argv, "try what was built")).stdout.strip()


def _greeting(job: SourceJob) -> str:
    """What the program says. A path inside one is moved by putting slashes before it: a shorter one must fill it."""
    return re.sub("/+", "/", _inside(job, f"{job.prefix}/view/bin/greeting"))


def test_a_lock_is_built_offline_cached_unpacked_and_packed(job: SourceJob) -> None:
    built = source_build.make(job, print)
    assert list(built.seconds) == ["greeting@1.0"]
    assert _greeting(job).startswith(f"hello from {PREFIX}/software/greeting-1.0-")
    with tarfile.open(built.tar) as tar:
        found = {m.name: m for m in tar}
    assert found["opt/sovstack/greetings/view/bin/greeting"].isreg()  # no link, whose long target could be misread
    assert found["opt/sovstack/greetings/modules/Core/greetings.lua"].isreg()
    assert {(m.uid, m.gid, m.mtime) for m in found.values()} == {(0, 0, EPOCH)}
    assert not [name for name in found if ".spack-db" in name or "install_environment" in name]
    assert source_build.make(job, print) == built  # nothing is done twice


def test_a_fresh_tree_is_filled_from_the_cache_alone_wherever_it_is(job: SourceJob, tmp_path: Path) -> None:
    source_build.make(job, print)
    away = f"/srv/{'far/' * 8}away"
    other = dataclasses.replace(job, prefix=away, mirror=tmp_path)  # an empty mirror: nothing can be compiled
    source_build.unpack(other, print)
    assert _greeting(other).startswith(f"hello from {away}/software/greeting-1.0-")


def test_the_network_is_not_there_and_the_root_is_not_written(job: SourceJob) -> None:
    source_build.make(job, print)
    routes = _inside(job, "cat", "/proc/net/route", "/proc/net/dev")
    assert [line.partition(":")[0].strip() for line in routes.splitlines() if ":" in line] == ["lo"]
    for path in ("/usr/new", f"{source.SHARED}/new"):  # nor is the build cache that others use
        assert "Read-only" in _inside(job, "sh", "-c", f"touch {path} 2>&1 || :")


def test_a_source_that_is_not_there_or_not_the_right_one_is_named(job: SourceJob, tmp_path: Path) -> None:
    bare = dataclasses.replace(job, cache=tmp_path / "cache", mirror=tmp_path / "mirror")
    for former in ("tree", "spack/sources"):
        shutil.rmtree(job.folder / former, ignore_errors=True)
    (tmp_path / "mirror").mkdir()
    with pytest.raises(StackError, match=r"greeting@1\.0: the mirror does not have its source"):
        source_build.install(bare, print)
    for path in (job.mirror).rglob("*.tar.gz"):
        wrong = bare.mirror / path.relative_to(job.mirror)
        wrong.parent.mkdir(parents=True)
        wrong.write_bytes(b"something else")
    with pytest.raises(StackError, match="is something else"):
        source_build.install(bare, print)
    shutil.rmtree(bare.mirror)
    shutil.copytree(job.mirror, bare.mirror)
    assert list(source_build.install(bare, print)) == ["greeting@1.0"]


def test_what_is_built_is_signed_and_what_was_changed_in_the_cache_is_not_used(job: SourceJob, tmp_path: Path) -> None:
    key, cache = tiny.key(tmp_path), tmp_path / "caches" / job.root_key[:16]
    signed = dataclasses.replace(job, cache=cache, signer=key, trusted=(key.public,))
    source_build.discard(job, job.folder / "tree")
    assert list(source_build.install(signed, print)) == ["greeting@1.0"]
    source_build.push(signed, print)
    found = inspecting_cache.inspect(cache, [key.public])
    assert found.exit_code == ExitCode.OK, found.findings
    assert {"v3/layout.json", "v3/manifests/index/index.manifest.json"} <= {p for p, _ in cache_signing.walk(cache)}
    source_build.discard(job, job.folder / "tree")
    assert list(source_build.install(signed, print)) == ["greeting@1.0"]  # from the cache
    assert "fetching from build cache" in job.log.read_text().rpartition("no binary available")[2]
    tar = max((cache / "blobs").rglob("[0-9a-f]" * 64), key=lambda p: p.stat().st_size)
    tar.write_bytes(tar.read_bytes()[:-1] + b"?")
    with pytest.raises(StackError, match=r"greeting-1\.0 is not what was signed"):
        source_build.install(signed, print)


def test_a_killed_build_leaves_no_process(job: SourceJob) -> None:
    source_build.make(job, print)
    mark = f"sleep-{os.getpid()}"
    argv = source_job.room(job).command(("sh", "-c", f"sleep 300; : {mark}"), "wait").argv
    code = "import sys; from stack.artifact import Command; from stack.host.run import run"
    code += "; run(Command(tuple(sys.argv[1:]), 'wait'))"
    child = subprocess.Popen([sys.executable, "-c", code, *argv])
    _until(lambda: len(_running(mark)) > 1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    _until(lambda: not _running(mark))


def test_a_package_is_told_of_once_though_every_node_finds_it_done() -> None:
    lines = (
        "[ ] 3xkfmw2 blis@2.0 build (11s)", "job 3: running on n1", "[+] 3xkfmw2 blis@2.0 /opt/blis (2m40s)",
        "[+] 3xkfmw2 blis@2.0 /opt/blis (0s)", "==> Installing", "[+] a5kfmw2 zlib@1.3 /opt/zlib (3s)",
    )  # fmt: skip
    told: list[str] = []
    tell = source_build._telling(told.append, 2)
    for line in lines:
        tell(line)
    assert told == ["blis@2.0: build", "job 3: running on n1", "blis@2.0 in 160 s (1 of 2)", "zlib@1.3 in 3 s (2 of 2)"]


def _until(true: Callable[[], bool]) -> None:
    for _ in range(100):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within ten seconds")


def _running(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mark in text and path.parent.name != str(os.getpid()):
            found.append(text)
    return found

"""The main job on a small environment with the real tools: built, killed, resumed, damaged, checked, made to fail."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.command import ROOT, SITE, argv, environment, sovstack

pytestmark = [pytest.mark.image, pytest.mark.xdist_group("up")]
CELL = ("laptop", "small", "--root", SITE)


@dataclass(frozen=True)
class Built:
    """A finished `up` and where it wrote."""

    build: Path
    output: str
    record: dict[str, object]

    @property
    def cell(self) -> Path:
        return next((self.build / "small/laptop").iterdir())


def record(build: Path) -> dict[str, object]:
    found = json.loads(next((build / "small/laptop").glob("*/image.json")).read_text())
    assert isinstance(found, dict)
    return found


def as_built(record: dict[str, object]) -> dict[str, object]:
    """Without what is in the file only since it was sealed: a verdict has its own date."""
    return {k: v for k, v in record.items() if k != "sealed"}


@pytest.fixture(scope="module")
def built(able: None, tmp_path_factory: pytest.TempPathFactory) -> Built:
    build = tmp_path_factory.mktemp("built")
    done = sovstack("up", *CELL, "--build-dir", build)
    assert done.returncode == 0, done.stderr + done.stdout
    return Built(build, done.stderr + done.stdout, record(build))


def test_up_ends_with_a_verdict_a_report_and_how_to_use_it(built: Built) -> None:
    assert "0 failed" in built.output
    assert "module use" in built.output
    report = json.loads((built.build / "report.json").read_text())
    assert report["result"] == "pass"
    assert (built.build / "report.html").stat().st_size > 10_000
    checks = {c["name"]: c for c in report["checks"]}
    assert {"Gemm", "Versions"} <= set(checks)
    assert any(m["bound"] is not None and m["value"] <= m["bound"] for m in checks["Gemm"]["metrics"])


def test_the_lock_and_the_plan_are_inside_the_image(built: Built) -> None:
    apptainer = next(line for line in (built.cell / "bin/python3").read_text().splitlines() if "apptainer" in line)
    assert apptainer
    done = subprocess.run(
        [built.cell / "bin/python3", "-c", "print(open('/opt/sovstack/stack.lock.json').read(), end='')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (built.cell / "stack.lock.json").read_text()


def test_a_second_up_reuses_everything_and_shows_the_date(built: Built) -> None:
    done = sovstack("up", *CELL, "--build-dir", built.build)
    assert done.returncode == 0
    assert re.search(r"image.*reused|reused.*image", done.stderr)
    verdict = json.loads((built.cell / "verdict.json").read_text())
    assert f"checked on {verdict['date']}" in done.stdout
    assert record(built.build) == built.record


def test_two_builds_of_one_lock_are_equal_to_the_bit(built: Built, tmp_path: Path) -> None:
    other = tmp_path / "an other folder"
    cell = other / built.cell.relative_to(built.build)
    cell.mkdir(parents=True)
    shutil.copy(built.cell / "stack.lock.json", cell)
    done = sovstack("build", *CELL, "--build-dir", other, "--locked")
    assert done.returncode == 0, done.stderr
    assert as_built(record(other)) == as_built(built.record)
    # With the same verdict the evidence is the same, and so is the whole file.
    shutil.copy(built.cell / "verdict.json", cell)
    assert sovstack("build", *CELL, "--build-dir", other, "--locked").returncode == 0
    assert record(other) == built.record
    assert (cell / "small.sif").read_bytes() == (built.cell / "small.sif").read_bytes()


def test_up_with_a_key_signs_the_image_and_says_whose_file_it_is(built: Built, tmp_path: Path) -> None:
    build, key = tmp_path / "build", tmp_path / "site.pem"
    shutil.copytree(built.build, build)
    assert "signed   by nobody" in built.output
    made = json.loads(sovstack("key", "new", "--out", key, "--json").stdout)
    done = sovstack("up", *CELL, "--build-dir", build, "--key", key)
    assert done.returncode == 0, done.stderr
    sif = next(build.glob("small/laptop/*/small.sif"))
    digest = hashlib.sha256(sif.read_bytes()).hexdigest()
    assert f"digest   sha256:{digest}" in done.stdout
    assert f"signed   by {made['id']}" in done.stdout
    shown = json.loads((build / "report.json").read_text())["image"]
    assert (shown["file_sha256"], shown["signed_by"]) == (digest, made["id"])
    assert shown["sha256"] == built.record["sha256"] == json.loads((sif.parent / "verdict.json").read_text())["image"]
    seen = sovstack("inspect", sif, "--key", made["public"])
    assert (seen.returncode, "everything checks" in seen.stdout) == (0, True), seen.stdout
    assert as_built(record(build)) == as_built(built.record)


def test_the_image_knows_nothing_of_the_machine_that_built_it(built: Built) -> None:
    script = "import pathlib; print(*[pathlib.Path('/etc', n).read_text() for n in ('hostname', 'apt/sources.list')])"
    done = subprocess.run([built.cell / "bin/python3", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("localhost\n")
    assert str(built.build) not in done.stdout


def test_a_damaged_image_is_not_taken_for_whole(built: Built, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(built.build, build)
    sif = next(build.glob("small/laptop/*/small.sif"))
    with sif.open("r+b") as handle:
        handle.seek(1 << 20)
        handle.write(b"flipped")
    done = sovstack("verify", *CELL, "--build-dir", build)
    assert done.returncode == 2
    assert "there is no image" in done.stderr
    assert sovstack("build", *CELL, "--build-dir", build, "--locked").returncode == 0
    assert record(build) == built.record
    assert sif.read_bytes() == (built.cell / "small.sif").read_bytes()


def processes_below(folder: Path) -> list[str]:
    """Command lines of processes that still name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in text and int(path.parent.name) != os.getpid():
                found.append(text)
    return found


@contextlib.contextmanager
def started(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(argv(*words), env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        yield child


def read_until(child: subprocess.Popen[str], sign: str) -> str:
    """Everything up to the line that holds the sign; the end of the output when it never comes."""
    assert child.stderr is not None
    seen = ""
    for line in child.stderr:
        seen += line
        if sign in line:
            break
    return seen


KILLS = (
    ("tools", 0), ("lock", 0), ("render", 0), ("root file system", 0), ("root file system", 8), ("squashfs", 0),
    ("image", 0), ("checks", 0), ("seal", 0),
)  # fmt: skip


def test_an_up_killed_again_and_again_resumes(built: Built, tmp_path: Path) -> None:
    build = tmp_path / "build"
    for stage, later in KILLS:
        with started("up", *CELL, "--build-dir", build) as child:
            seen = read_until(child, f"==> {stage}")
            assert f"==> {stage}" in seen, f"resumed after the last kill, it did not come to {stage}: {seen}"
            time.sleep(later)
            child.kill()
            child.wait()
        assert not list(build.glob("small/laptop/*/small.sif")) or stage in ("checks", "seal")
        assert not (build / "report.json").exists()
    done = sovstack("up", *CELL, "--build-dir", build)
    assert done.returncode == 0, done.stderr
    assert as_built(record(build)) == as_built(built.record)
    assert not [p for p in build.rglob("*") if ".partial-" in p.name]
    assert not processes_below(build)


def test_an_interrupted_up_ends_what_it_started(able: None, tmp_path: Path) -> None:
    build = tmp_path / "build"
    with started("up", *CELL, "--build-dir", build) as child:
        read_until(child, "root file system")
        time.sleep(8)
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        assert "goes on where this one stopped" in child.stderr.read()
    assert child.returncode == 130
    assert not processes_below(build)


def test_two_at_once_wait_for_each_other_or_say_so(built: Built) -> None:
    words = ("up", *CELL, "--build-dir", built.build, "--fresh")
    with started(*words) as first:
        read_until(first, "checks")
        refused = sovstack(*words, "--no-wait")
        assert refused.returncode == 3
        assert f"in use by process {first.pid}" in refused.stderr
        with started("up", *CELL, "--build-dir", built.build) as second:
            assert f"waiting for process {first.pid}" in read_until(second, "waiting")
            assert first.stderr is not None
            first.stderr.read()
            assert second.stderr is not None
            second.stderr.read()
    assert (first.returncode, second.returncode) == (0, 0)


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, 24 MiB large or as large as the test says."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = f"size={getattr(request, 'param', '24m')}"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small file system cannot be mounted here ({made.stderr.strip()}); run the tests as root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_too_small_is_told_before_the_work(able: None, small_disk: Path) -> None:
    done = sovstack("up", *CELL, "--build-dir", small_disk / "build")
    assert done.returncode == 3
    assert "free" in done.stderr
    assert not list(small_disk.rglob("*.sif"))


def test_a_disk_that_fills_up_leaves_no_half_image(built: Built, small_disk: Path) -> None:
    """The image's last step, on a disk that has no room for its output."""
    from stack.host import files

    target = small_disk / "small.sif"
    from stack.errors import StackError

    with pytest.raises(StackError, match="the disk is full"), files.beside(target) as partial:
        shutil.copyfile(built.cell / "small.sif", partial)
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("small_disk", ["4600m"], indirect=True)
def test_a_disk_that_fills_up_in_the_middle_of_a_build_is_told_and_the_build_resumes(
    built: Built, small_disk: Path
) -> None:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if free < 8 << 30:
        pytest.skip("filling a file system in memory needs 8 GiB free; run the tests where there are")
    build, filler = small_disk / "build", small_disk / "filler"
    with started("up", *CELL, "--build-dir", build) as child:
        seen = read_until(child, "root file system")
        assert seen.splitlines()[-1] == "==> root file system"
        time.sleep(6)
        with contextlib.suppress(OSError), filler.open("wb") as handle:
            while True:
                handle.write(bytes(1 << 20))
        assert child.stderr is not None
        rest = child.stderr.read()
    assert child.returncode == 3
    assert "disk is full" in rest
    assert "Traceback" not in rest
    assert not list(build.glob("small/laptop/*/small.sif"))
    filler.unlink()
    done = sovstack("up", *CELL, "--build-dir", build)
    assert done.returncode == 0, done.stderr
    assert as_built(record(build)) == as_built(built.record)


def test_locked_names_the_packages_that_the_mirror_no_longer_has(built: Built, tmp_path: Path) -> None:
    build = tmp_path / "build"
    cell = build / built.cell.relative_to(built.build)
    cell.mkdir(parents=True)
    lock = json.loads((built.cell / "stack.lock.json").read_text())
    gone = next(p for p in lock["os"]["packages"] if p["name"] == "python3-numpy")
    gone |= {"version": "1:1.0.0-1", "sha256": "f" * 64}
    (cell / "stack.lock.json").write_text(json.dumps(lock))
    done = sovstack("up", *CELL, "--build-dir", build, "--locked")
    assert done.returncode == 1
    assert "python3-numpy 1:1.0.0-1" in done.stderr
    assert not list(build.rglob("*.sif"))
    again = sovstack("lock", *CELL, "--upgrade", "--build-dir", build)
    assert again.returncode == 0
    assert "python3-numpy 1:1.0.0-1 [ffffffff] -> " in again.stdout


def test_up_locks_again_and_prints_the_difference(built: Built, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(built.build, build)
    path = next(build.glob("small/laptop/*/stack.lock.json"))
    lock = json.loads(path.read_text())
    numpy = next(p for p in lock["os"]["packages"] if p["name"] == "python3-numpy")
    now, numpy["version"] = numpy["version"], "1:1.0.0-1"
    path.write_text(json.dumps(lock))
    done = sovstack("up", *CELL, "--build-dir", build)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"~ python3-numpy 1:1\.0\.0-1 \[\w+\] -> {re.escape(now)} \[\w+\]", done.stderr)
    assert any(
        "python3-numpy" in change for change in json.loads((build / "report.json").read_text())["lock"]["changes"]
    )
    assert path.read_bytes() == (built.cell / "stack.lock.json").read_bytes()


class Words(HTMLParser):
    """The text of a page's body, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self._off = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._off += tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._off -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._off and data.strip():
            self.text.append(data.strip())


def test_a_wrong_blas_fails_up_and_stands_first_in_the_report(built: Built, tmp_path: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("no C compiler here to make a wrong BLAS with; apt-get install gcc")
    library = tmp_path / "wrong_blas.so"
    source = ROOT / "tests/reframe_tests/wrong_blas.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    build = tmp_path / "build"
    shutil.copytree(built.build, build)
    done = sovstack("up", *CELL, "--build-dir", build, "--preload", library)
    assert done.returncode == 1
    assert done.stdout.startswith("FAILED Blas")
    assert "FAILED Gemm" in done.stdout
    report = json.loads((build / "report.json").read_text())
    assert report["result"] == "fail"
    assert [f["name"] for f in report["failures"]] == ["Blas", "Gemm", "Lapack"]
    page = Words()
    page.feed((build / "report.html").read_text())
    words = " ".join(page.text)
    assert words.index("Blas") < words.index("Gemm") < words.index("Versions")
    # What was seen with the wrong library is not kept as the image's own verdict.
    after = sovstack("up", *CELL, "--build-dir", build)
    assert after.returncode == 0


def test_without_a_network_up_says_so_once(able: None, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("the network cannot be taken away here (unshare -n); run the tests as root")
    done = subprocess.run(
        ["unshare", "-n", *argv("up", *CELL, "--build-dir", tmp_path)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "network" in errors[0] or "mirror" in errors[0]


def test_without_a_network_a_locked_and_cached_build_still_works(built: Built, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("the network cannot be taken away here (unshare -n); run the tests as root")
    cell = tmp_path / built.cell.relative_to(built.build)
    cell.mkdir(parents=True)
    shutil.copy(built.cell / "stack.lock.json", cell)
    words = ["unshare", "-n", *argv("build", *CELL, "--build-dir", tmp_path, "--locked")]
    done = subprocess.run(words, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert as_built(record(tmp_path)) == as_built(built.record)


def test_dry_run_prints_the_commands_and_does_nothing(built: Built) -> None:
    before = sorted((p.name, p.stat().st_mtime_ns) for p in built.cell.iterdir())
    done = sovstack("up", *CELL, "--build-dir", built.build, "--dry-run")
    assert done.returncode == 0
    assert [word for word in ("apt-get", "mmdebstrap", "mksquashfs", "sif add") if word not in done.stdout] == []
    assert sorted((p.name, p.stat().st_mtime_ns) for p in built.cell.iterdir()) == before


def test_the_cuda_image_is_locked_by_one_line_of_the_profile(tmp_path: Path) -> None:
    if not os.environ.get("SOVSTACK_TEST_CUDA"):
        pytest.skip("pip reads 3 GB of wheels to resolve them; SOVSTACK_TEST_CUDA=1 make test runs it")
    done = sovstack("lock", "gpu", "ai-hpc", "--root", SITE, "--build-dir", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    lock = json.loads(Path(json.loads(done.stdout)["lock"]).read_text())
    projects = {f["project"] for f in lock["wheels"]["files"]}
    assert "torch" in projects
    assert any(p.startswith("nvidia-cudnn") for p in projects)
    assert "python3-torch" not in {p["name"] for p in lock["os"]["packages"]}
    assert lock["target"].endswith("-sm90")


def test_a_wheel_joins_the_lock_where_no_package_fits(able: None, tmp_path: Path) -> None:
    done = sovstack("lock", "mpich", "ai-hpc", "--root", SITE, "--build-dir", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    lock = json.loads(Path(json.loads(done.stdout)["lock"]).read_text())
    assert {"mpi4py", "torch"} <= {f["project"] for f in lock["wheels"]["files"]}
    assert not [p["name"] for p in lock["os"]["packages"] if "openmpi" in p["name"]]
    assert all(re.fullmatch("[0-9a-f]{64}", f["sha256"]) for f in lock["wheels"]["files"])
    assert sys.version_info >= (3, 11)

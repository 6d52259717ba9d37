"""The verbs about keys and signatures, as a user types them."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from stack.artifact import canonical_json
from stack.errors import ExitCode
from stack.host import cells, deployed, files
from stack.host.cells import Cell
from stack.host.library import Library, shipped
from tests.command import SITE, sovstack
from tests.host import caching, tiny
from tests.test_lock import make


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any key; the folder of this program's settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/sovstack"


def refused(done: subprocess.CompletedProcess[str], code: ExitCode, *said: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for part in said:
        assert part in done.stderr


def test_a_new_key_says_what_to_publish_and_is_shown_again(user: Path) -> None:
    done = sovstack("key", "new")
    assert done.returncode == 0, done.stderr
    private, public = user / "keys/site.pem", user / "keys/site.pub"
    assert f"{public}: publish this" in done.stdout
    assert "PRIVATE" not in done.stdout
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    shown = [json.loads(sovstack("key", "show", *words, "--json").stdout) for words in ((), (private,), (public,))]
    assert shown[0] == shown[1] == shown[2]
    assert shown[0]["id"] in done.stdout
    assert shown[0]["pem"] == public.read_text()
    assert "PRIVATE" not in sovstack("key", "show", private).stdout
    refused(sovstack("key", "new"), ExitCode.BAD_INPUT, "there is a file already", "never written over")


def test_a_key_elsewhere(user: Path, tmp_path: Path) -> None:
    data = json.loads(sovstack("key", "new", "--out", tmp_path / "a b/ci.pem", "--json").stdout)
    assert data["private"] == str(tmp_path / "a b/ci.pem")
    assert data["public"] == str(tmp_path / "a b/ci.pub")
    assert data["kind"] == "Ed25519"
    assert not user.exists()
    refused(sovstack("key", "show"), ExitCode.BAD_INPUT, "site.pem", "sovstack key new")


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(sovstack("key", "new", "--out", tmp_path / "file/a.pem"), ExitCode.HOST, "file/a.pem")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such file"), (b"hello", "not a SIF file"), (b"", "not a SIF")]
)
def test_what_is_no_image_is_bad_input(content: bytes | None, said: str, user: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.sif"
    if content is not None:
        path.write_bytes(content)
    refused(sovstack("inspect", path), ExitCode.BAD_INPUT, said, str(path))


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A cell that was built: its lock, and a small image."""
    library = Library((SITE, shipped()))
    made = cells.open_cell(library, "laptop", "small", None, tmp_path / "build")
    lock = make(made.plan)
    files.write_text(made.lock_path, lock.text())
    image = tiny.make(made.folder, lock, "small")
    # As a build notes it; without that, the SBOMs need every package file.
    note = {"image": image.sha256, "deployed": {}}
    files.write_text(made.folder / deployed.NOTE, canonical_json(note))
    return made


def sign(cell: Cell, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return sovstack("sign", "laptop", "small", "--root", SITE, "--build-dir", cell.build_dir, *words)


@pytest.mark.image
def test_signed_here_and_inspected_there(user: Path, cell: Cell, tmp_path: Path) -> None:
    path = cell.folder / "small.sif"
    done = sovstack("inspect", path)
    assert done.returncode == ExitCode.CHECK_FAILED
    assert "not signed" in done.stdout
    refused(sign(cell), ExitCode.BAD_INPUT, "there is no key", "sovstack key new")
    key = json.loads(sovstack("key", "new", "--json").stdout)
    data = json.loads(sign(cell, "--json").stdout)
    assert (data["key"], data["sha256"]) == (key["id"], files.sha256(path))
    assert data["statement"] == f"{path}.dsse.json"
    again = sign(cell)
    assert again.returncode == 0
    assert "reused" in again.stderr
    assert sovstack("inspect", path).returncode == 0  # the site's own key is trusted
    stranger = sovstack("inspect", path, XDG_CONFIG_HOME=str(tmp_path / "nobody"))
    assert stranger.returncode == ExitCode.CHECK_FAILED
    assert "not trusted here" in stranger.stdout
    there = sovstack("inspect", path, "--key", key["public"], "--json", XDG_CONFIG_HOME=str(tmp_path / "nobody"))
    found = json.loads(there.stdout)
    assert (there.returncode, found["ok"]) == (0, True)
    assert found["sha256"] == data["sha256"]


@pytest.mark.image
def test_another_key_by_option_and_by_variable(user: Path, cell: Cell, tmp_path: Path) -> None:
    one, two = (json.loads(sovstack("key", "new", "--out", tmp_path / f"{n}.pem", "--json").stdout) for n in "ab")
    assert json.loads(sign(cell, "--json", "--key", one["private"]).stdout)["key"] == one["id"]
    words = ("sign", "laptop", "small", "--root", SITE, "--build-dir", cell.build_dir, "--json")
    done = sovstack(*words, SOVSTACK_KEY=two["private"])
    assert json.loads(done.stdout)["key"] == two["id"]
    assert sovstack("inspect", cell.folder / "small.sif", "--key", one["public"]).returncode == 1
    assert (
        sovstack("inspect", cell.folder / "small.sif", "--key", one["public"], "--key", two["public"]).returncode == 0
    )
    refused(sign(cell, "--key", one["public"]), ExitCode.BAD_INPUT, "a public key, and a private one signs")
    dry = sign(cell, "--key", one["private"], "--dry-run")
    assert dry.returncode == 0
    assert f"sign --key {one['private']}" in dry.stdout
    assert sovstack("inspect", cell.folder / "small.sif", "--key", two["public"]).returncode == 0


@pytest.mark.image
def test_what_is_in_it_is_written_out(user: Path, cell: Cell, tmp_path: Path) -> None:
    sovstack("key", "new")
    sign(cell)
    done = sovstack("inspect", cell.folder / "small.sif", "--extract", tmp_path / "out")
    assert done.returncode == 0
    assert (tmp_path / "out/stack.lock.json").read_text() == cell.lock_path.read_text()
    assert f"written: {tmp_path / 'out/provenance.dsse.json'}" in done.stdout
    assert json.loads((tmp_path / "out/sbom.cdx.json").read_text())["bomFormat"] == "CycloneDX"
    assert "SPDX" in done.stdout


@pytest.mark.image
def test_a_cut_off_image_is_bad_input(user: Path, cell: Cell) -> None:
    path = cell.folder / "small.sif"
    path.write_bytes(path.read_bytes()[:-1])
    refused(sovstack("inspect", path), ExitCode.BAD_INPUT, "it is cut off: object 4")
    path.write_bytes(path.read_bytes()[:5000])
    refused(sovstack("inspect", path), ExitCode.BAD_INPUT, "cut off inside its header")


def test_no_image_to_sign(user: Path, tmp_path: Path) -> None:
    sovstack("key", "new")
    done = sovstack("sign", "laptop", "small", "--root", SITE, "--build-dir", tmp_path)
    refused(done, ExitCode.BAD_INPUT, "there is no image of small/laptop", "sovstack build laptop small")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A build cache that nobody signed."""
    path = tmp_path / "my caches" / caching.ROOT
    caching.push(path, "blis", "zlib")
    caching.index(path)
    return path


def test_a_build_cache_is_signed_and_inspected(user: Path, cache: Path, tmp_path: Path) -> None:
    done = sovstack("inspect", cache)
    assert done.returncode == ExitCode.CHECK_FAILED
    assert f"sovstack key vouch '{cache}'" in done.stdout
    refused(sovstack("key", "vouch", cache), ExitCode.BAD_INPUT, "there is no key", "sovstack key new")
    key = json.loads(sovstack("key", "new", "--json").stdout)
    data = json.loads(sovstack("key", "vouch", cache, "--json").stdout)
    assert (data["key"], data["files"]) == (key["id"], 2 + 4 + 3)
    done = sovstack("inspect", cache)
    assert (done.returncode, "everything checks" in done.stdout) == (0, True)
    found = json.loads(sovstack("inspect", cache, "--json").stdout)
    assert (found["ok"], found["files"], found["about"]["build cache"]["packages"]) == (True, 9, 2)
    stranger = sovstack("inspect", cache, XDG_CONFIG_HOME=str(tmp_path / "nobody"))
    assert stranger.returncode == ExitCode.CHECK_FAILED
    assert "no key that is trusted here" in stranger.stdout
    path = cache / caching.manifest_path("blis")
    path.write_text(path.read_text().replace("3", "4", 1))
    changed = sovstack("inspect", cache)
    assert changed.returncode == ExitCode.CHECK_FAILED
    assert f"CHANGED   {caching.manifest_path('blis')}: is not the file that was signed" in changed.stdout
    refused(sovstack("key", "vouch", cache), ExitCode.CHECK_FAILED, str(path), "is not the file that was signed")


def test_folders_that_are_no_build_cache(user: Path, cache: Path) -> None:
    sovstack("key", "new")
    for words in (("inspect", cache.parent), ("key", "vouch", cache.parent)):
        refused(sovstack(*words), ExitCode.BAD_INPUT, str(cache.parent), "no build cache", "is one")
    refused(sovstack("inspect", cache, "--extract", cache), ExitCode.BAD_INPUT, "--extract is for an image")
    refused(sovstack("inspect", cache, "--statement", "none"), ExitCode.BAD_INPUT, "no such file", "--statement names")

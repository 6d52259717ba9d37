"""Archives of tags, made from a small repository by real git and gzip."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from stack.host import git_archive
from stack.host.fetch_url import Refused
from stack.host.run import Result
from stack.origins import Candidate

ISOLATED = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "PATH": "/usr/bin:/bin"}
DATED = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2024-01-01T00:00:00+0000")


def git(folder: Path, *words: str) -> bytes:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    environment = {**ISOLATED, **DATED}
    return subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True, env=environment).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, the first of them tagged."""
    if not shutil.which("git") or not shutil.which("gzip"):
        pytest.skip("needs git and gzip: apt-get install git gzip")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "a.c").write_text("int a;\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "tag", "-a", "v1.0", "-m", "v1.0")
    (folder / "b.c").write_text("int b;\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "two")
    return folder


def candidate(repository: Path, ref: str = "v1.0") -> Candidate:
    return Candidate("git", "git", "a folder", str(repository), ref, "thing-1.0")


def forged(repository: Path) -> bytes:
    """What a forge hands out for the tag: git's archive through gzip."""
    tar = git(repository, "archive", "--format=tar", "--prefix=thing-1.0/", "v1.0")
    return subprocess.run(["gzip", "-n"], input=tar, check=True, capture_output=True).stdout


def test_it_is_the_forges_file_bit_by_bit(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text("[tar]\n\tumask = 077\n[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))  # a user's settings change nothing
    git_archive.make(candidate(repository), tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == forged(repository)
    with tarfile.open(tmp_path / "it") as tar:
        assert tar.getnames() == ["thing-1.0", "thing-1.0/a.c"]
    assert not list(tmp_path.glob("git-*"))


def test_a_commit_can_be_named(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD").decode().strip()
    git_archive.make(candidate(repository, commit), tmp_path / "it")
    assert b"int b;" in gzip.decompress((tmp_path / "it").read_bytes())


def test_a_tag_that_is_not_there_is_lacking(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        git_archive.make(candidate(repository, "v9"), tmp_path / "it")
    assert caught.value.state == "lacks"
    assert not list(tmp_path.glob("git-*"))


def test_a_repository_that_is_not_there_cannot_be_reached(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        git_archive.make(candidate(tmp_path / "none"), tmp_path / "it")
    assert caught.value.state == "unreachable"


def test_the_commands_show_no_password(tmp_path: Path) -> None:
    made = git_archive.commands(Candidate("git", "git", "x", "https://me:secret@x.example/a", "v1", "a-1"), tmp_path)
    assert "secret" not in "".join(c.purpose for c in made)


def test_in_a_hook_the_callers_repository_is_left_alone(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    git(mine, "init", "--quiet")
    before = sorted(str(p) for p in mine.rglob("*"))
    monkeypatch.setenv("GIT_DIR", str(mine / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(mine / ".git/index"))
    git_archive.make(candidate(repository), tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == forged(repository)
    assert sorted(str(p) for p in mine.rglob("*")) == before


def test_nobodys_attributes_or_settings_change_the_archive(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "id").write_text("$Format:%H$\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "three")
    git(repository, "tag", "-f", "v1.0")
    settings = tmp_path / "xdg/git"
    settings.mkdir(parents=True)
    (settings / "attributes").write_text("a.c export-ignore\nid export-subst\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name, value in {
        "COUNT": "1",
        "KEY_0": "tar.umask",
        "VALUE_0": "077",
        "PARAMETERS": "'tar.umask'='077'",
    }.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    git_archive.make(candidate(repository), tmp_path / "it")
    assert (tmp_path / "it").read_bytes() == forged(repository)
    made = git_archive.commands(candidate(repository), tmp_path)
    assert all(c.env["GIT_ATTR_NOSYSTEM"] == "1" for c in made if "archive" in c.argv)


def test_what_git_says_shows_no_password(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = Candidate("git", "git", "x", "https://me:secret@x.example/a", "v1", "a-1")
    monkeypatch.setattr(git_archive, "run", lambda *_words, **_more: Result(1, "", f"fatal: no access to '{it.where}'"))
    with pytest.raises(Refused, match=r"no access to 'https://x\.example/a'"):
        git_archive.make(it, tmp_path / "it")

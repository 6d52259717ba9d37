"""Finding the locks that a command line names: files, folders, cells, revisions of a git repository."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from stack.errors import ExitCode, StackError
from stack.host import differing
from stack.host.library import Library
from stack.lock import Lock
from tests.locked import deb, lock, os_lock

CELL = "some/site/tux1-x86_64_v3"


def debian(*names: str) -> Lock:
    """A lock for a distribution that the catalogue knows."""
    return lock(os=os_lock(*map(deb, names), system="debian-13"))


def put(folder: Path, made: Lock) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / differing.LOCK
    path.write_text(made.text(), encoding="utf-8")
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(place: Path, library: Library) -> Library:
    """A site's own documents before the shipped ones."""
    return Library((place / "site", *library.roots))


@pytest.fixture
def repository(place: Path) -> Path:
    """A git repository with a lock in its first commit, and another in its folder."""
    home = place / "repository"
    put(home / "environments/locks" / CELL, debian("bash"))
    (home / "other.json").write_text("{}", encoding="utf-8")
    settings = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), (*settings, "commit", "-q", "-m", "one"), ("tag", "v1")):
        subprocess.run(["git", *words], cwd=home, check=True, capture_output=True)
    put(home / "environments/locks" / CELL, debian("bash", "tar"))
    return home


def packages(found: Lock) -> list[str]:
    return [p.name for p in found.os.packages]


def refused(library: Library, word: str, build: Path = Path("build")) -> str:
    with pytest.raises(StackError) as caught:
        differing.side(library, word, build)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    return str(caught.value)


def test_a_file_and_the_folder_that_holds_it(place: Path, own: Library) -> None:
    path = put(place / "x", debian("bash"))
    assert differing.read(own, "x", Path("build")) == (str(path.relative_to(place)), debian("bash"))
    assert differing.read(own, str(path), Path("build"))[0] == "x/stack.lock.json"
    assert [i.name for i in differing.side(own, "x", Path("build")).inventory.items if i.kind == "debian"] == ["bash"]


def test_a_cell_is_what_was_built_here_then_what_was_released(place: Path, own: Library) -> None:
    put(place / "site/environments/locks" / CELL, debian("bash"))
    assert packages(differing.read(own, CELL, Path("build"))[1]) == ["bash"]
    put(place / "build" / CELL, debian("tar"))
    assert packages(differing.read(own, CELL, Path("build"))[1]) == ["tar"]
    assert packages(differing.read(own, CELL, Path("elsewhere"))[1]) == ["bash"]


def test_a_path_with_a_colon_is_a_path(place: Path, own: Library) -> None:
    put(place / "a:b", debian("bash"))
    assert packages(differing.read(own, "a:b", Path("build"))[1]) == ["bash"]


@pytest.mark.parametrize("path", [f"environments/locks/{CELL}/stack.lock.json", f"environments/locks/{CELL}", CELL])
def test_a_revision_and_a_file_a_folder_or_a_cell(
    repository: Path, own: Library, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    where, found = differing.read(own, f"v1:{path}", Path("build"))
    assert where == f"v1:environments/locks/{CELL}/stack.lock.json"
    assert found == debian("bash")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nothing:x", "git: invalid object name 'nothing'."),
        ("v1:x", "git: path 'x' does not exist in 'v1'"),
        ("v1:environments", "environments is a folder there, without a stack.lock.json"),
        ("v1:", "that is no revision and path"),
        (":x", "that is no revision and path"),
        ("-p:x", "that is no revision and path"),
        ("--output=x:y", "that is no revision and path"),
        ("v1:other.json", "v1:other.json: environment: Field required"),
    ],
)
def test_what_git_does_not_have(
    repository: Path, own: Library, word: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    assert message in refused(own, word)
    assert "delete" not in refused(own, word)
    assert sorted(p.name for p in repository.iterdir()) == [".git", "environments", "other.json"]


def test_no_repository_and_no_git(place: Path, own: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(place))
    assert "v1:x: git: not a git repository" in refused(own, "v1:x")
    monkeypatch.setattr(differing, "which", lambda name: None)
    with pytest.raises(StackError, match="git is not installed") as caught:
        differing.read(own, "v1:x", Path("build"))
    assert caught.value.exit_code == ExitCode.HOST


def test_too_much_in_git(repository: Path, own: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr(differing, "MAX_BYTES", 1)
    assert "v1:other.json: larger than" in refused(own, "v1:other.json")


def test_words_that_name_nothing(place: Path, own: Library) -> None:
    put(place / "build" / CELL, debian("bash"))
    assert f"did you mean {CELL!r}" in refused(own, CELL.replace("v3", "v4"))
    assert "environment/profile/target" in refused(own, "nothing-like-it")
    assert "there is no such lock" in refused(own, "")
    assert "there is no such lock" in refused(own, "../some/site")
    (place / "empty").mkdir()
    assert "empty/stack.lock.json: cannot be read" in refused(own, "empty")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ('{"schema": 1, ', "lock.json:1:"),
        ('{"schema": 2}', "lock of schema 2; this program reads 1 (use a newer sovstack)"),
        ("[]", "lock.json: lock:"),
    ],
)
def test_a_damaged_or_newer_lock_names_the_file_and_is_not_to_be_deleted(
    place: Path, own: Library, text: str, message: str
) -> None:
    (place / "lock.json").write_text(text, encoding="utf-8")
    found = refused(own, "lock.json")
    assert found.startswith("lock.json")
    assert message in found
    assert "delete" not in found


def test_a_truncated_lock(place: Path, own: Library) -> None:
    path = put(place, debian("bash"))
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    assert "stack.lock.json:" in refused(own, str(path))


def test_a_distribution_that_nobody_knows(place: Path, own: Library) -> None:
    data = json.loads(debian().text())
    data["os"]["system"] = "debian-31"
    (place / "lock.json").write_text(json.dumps(data), encoding="utf-8")
    found = refused(own, "lock.json")
    assert found.startswith(
        "lock.json: a lock for debian-31, which this program does not know (did you mean 'debian-13'"
    )

"""apt with a state of its own: on a small signed archive (real apt, no network) and on the machine's own mirror."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack import closure
from stack.catalogue import Archive, Keyring, Os
from stack.errors import ExitCode, StackError
from stack.host import apt
from stack.host.apt_output import Gone
from stack.host.packages import place
from tests.conftest import RECORDED
from tests.host.mirror import Mirror, Wanted, key, mirror

__all__ = ["key", "mirror"]
ROOT = Path(__file__).parents[2]


def quiet(line: str) -> None:
    """A sink that forgets."""


@pytest.fixture
def system(catalogue: object) -> Os:
    return catalogue.systems["debian-13"]  # type: ignore[attr-defined,no-any-return]


def refused(call: object, *words: object) -> StackError:
    with pytest.raises(StackError) as caught:
        call(*words)  # type: ignore[operator]
    return caught.value


# --- mirrors ------------------------------------------------------------------------------------------------------


def rows() -> tuple[tuple[str, str, str, str], ...]:
    return tuple(apt.parse_targets((RECORDED / "apt/indextargets.txt").read_text()))


def test_a_cdrom_is_no_mirror() -> None:
    assert all(url.startswith("http") for url, *_ in rows())
    assert len(rows()) == 5


def test_the_hosts_mirror_of_each_archive(system: Os) -> None:
    assert apt.choose(system.archives["debian"], rows()) == "http://mirror.example/debian"
    assert apt.choose(system.archives["debian-security"], rows()) == "http://mirror.example/debian-security"


def test_another_vendors_archive_of_the_same_suite_name_is_not_taken(system: Os) -> None:
    others = [row for row in rows() if "browser" in row[0]]
    assert others
    assert apt.choose(system.archives["debian"], others) is None


def test_without_known_origins_the_url_with_most_suites_wins(system: Os) -> None:
    known: Archive = system.archives["debian"]
    blank = [("http://b.example", "stable", "main", ""), *((*row[:3], "") for row in rows() if "bookworm" in row[1])]
    assert (
        apt.choose(known, [*blank, ("http://mirror.example/debian", "stable", "main", "")])
        == "http://mirror.example/debian"
    )


def test_the_profiles_mirrors_come_first_and_need_no_apt(system: Os, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "which", lambda name: None)
    wanted = {"debian": "http://a.example/debian/", "debian-security": "http://a.example/security"}
    assert apt.mirrors(system, wanted) == {
        "debian": "http://a.example/debian",
        "debian-security": "http://a.example/security",
    }


def test_no_mirror_of_the_base_archive_names_the_profiles_line(system: Os, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "host_targets", lambda: ())
    error = refused(apt.mirrors, system, {})
    assert error.exit_code == ExitCode.HOST
    assert "mirrors: {debian: URL}" in str(error)


def test_an_optional_archive_is_left_out_and_that_is_said(system: Os, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "host_targets", lambda: ())
    told: list[str] = []
    assert apt.mirrors(system, {"debian": "http://a.example/debian"}, told.append) == {
        "debian": "http://a.example/debian"
    }
    assert "debian-security" in told[0]


def test_extra_components_are_read_too(system: Os) -> None:
    made = apt.sources(system, {"debian": "http://a.example"}, ("contrib", "main"))
    assert made == (apt.Source("debian", "http://a.example", ("trixie", "trixie-updates"), ("main", "contrib")),)


def test_a_mirror_that_would_write_other_fields_is_refused(system: Os, tmp_path: Path) -> None:
    evil = apt.Source("debian", "http://a.example\nTrusted: yes", ("trixie",), ("main",))
    assert refused(apt.open_apt, "amd64", (evil,), Keyring(path="/", package="aa"), tmp_path).exit_code == ExitCode.HOST
    keyring = Keyring(path=str(ROOT / "pyproject.toml"), package="aa")
    assert refused(apt.open_apt, "amd64", (evil,), keyring, tmp_path).exit_code == ExitCode.BAD_INPUT


# --- a signed archive of our own ----------------------------------------------------------------------------------


def test_update_says_whether_the_index_changed(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("one")
    mirror.sign()
    private = mirror.open(tmp_path / "cache")
    assert private.update(quiet) is True
    assert private.update(quiet) is False
    mirror.add("two")
    mirror.sign()
    assert private.update(quiet) is True
    assert "Package: two" in private.show(["two"])


def test_a_password_in_a_mirrors_url_is_nobody_elses_to_read(mirror: Mirror, tmp_path: Path) -> None:
    private = mirror.open(tmp_path / "cache")
    assert private.folder.stat().st_mode & 0o077 == 0


def test_the_closure_does_not_see_what_the_host_has_installed(mirror: Mirror, tmp_path: Path) -> None:
    for name, depends in (("base-files", ""), ("dash", ""), ("app", "dash (>= 1)"), ("other", "")):
        mirror.add(name, "99", depends, essential=name == "base-files")
    mirror.sign()
    private = mirror.open(tmp_path / "cache")
    private.update(quiet)
    found = closure.installed(private.closure(["?essential", "app"]))
    assert found == (("app", "99", "all"), ("base-files", "99", "all"), ("dash", "99", "all"))
    assert [p.name for p in closure.packages(private.show(["app=99", "nosuch=1"]), [("app", "99", "all")])] == ["app"]


def opened(mirror: Mirror, cache: Path) -> apt.PrivateApt:
    mirror.sign()
    private = mirror.open(cache)
    private.update(quiet)
    return private


def test_files_are_fetched_once_and_found_by_their_hash(mirror: Mirror, tmp_path: Path) -> None:
    wanted = [mirror.add("one", "1:2.0-1"), mirror.add("two")]
    private = opened(mirror, tmp_path)
    told: list[str] = []
    got = private.download_files(wanted, tmp_path, told.append)
    assert sorted(got) == sorted(p.sha256 for p in wanted)
    assert [line.split()[1] for line in told] == ["1/2", "2/2"]
    assert all(path == place(tmp_path / "archives/sha256", sha) and path.is_file() for sha, path in got.items())
    shutil.rmtree(mirror.folder)  # nothing is asked of the mirror again
    assert private.download_files(wanted, tmp_path, told.append) == got
    assert len(told) == 2


def test_a_damaged_file_in_the_cache_is_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    wanted = [mirror.add("one")]
    private = opened(mirror, tmp_path)
    (path,) = private.download_files(wanted, tmp_path, quiet).values()
    path.write_bytes(path.read_bytes()[:-1])
    (again,) = private.download_files(wanted, tmp_path, quiet).values()
    assert again.read_bytes() == mirror.deb(wanted[0]).read_bytes()


def test_what_a_killed_run_had_fetched_is_taken_over(mirror: Mirror, tmp_path: Path) -> None:
    item = mirror.add("one")
    private = opened(mirror, tmp_path)
    incoming = tmp_path / "archives/incoming"
    incoming.mkdir(parents=True)
    shutil.copy(mirror.deb(item), incoming / "one.deb")
    (incoming / "half.deb").write_bytes(b"half")
    shutil.rmtree(mirror.folder)
    assert list(private.download_files([item], tmp_path, quiet)) == [item.sha256]
    assert not incoming.exists()


def test_every_package_that_the_mirror_lacks_is_named(mirror: Mirror, tmp_path: Path) -> None:
    here = mirror.add("here", "2")
    gone = [Wanted("here", "1", "1" * 64), Wanted("nowhere", "3", "3" * 64)]
    with pytest.raises(Gone) as caught:
        opened(mirror, tmp_path).download_files([here, *gone], tmp_path, quiet)
    assert caught.value.packages == ("here 1", "nowhere 3")
    assert caught.value.exit_code == ExitCode.CHECK_FAILED


def test_the_same_version_with_other_bytes_is_not_the_locked_file(mirror: Mirror, tmp_path: Path) -> None:
    item = mirror.add("one")
    other = Wanted("one", "1.0", "0" * 64)
    with pytest.raises(Gone, match="another SHA-256"):
        opened(mirror, tmp_path).download_files([other], tmp_path, quiet)
    assert not place(tmp_path / "archives/sha256", item.sha256).exists()


def test_a_file_that_is_not_what_the_signed_index_says_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    item = mirror.add("one")
    private = opened(mirror, tmp_path)
    data = bytearray(mirror.deb(item).read_bytes())
    data[-1] ^= 1
    mirror.deb(item).write_bytes(data)
    error = refused(private.download_files, [item], tmp_path, quiet)
    assert error.exit_code == ExitCode.HOST
    assert "Hash Sum mismatch" in str(error)


def test_an_index_signed_by_a_stranger_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("one")
    mirror.sign()
    release = mirror.folder / "dists/here/InRelease"
    release.write_text(release.read_text().replace("Origin: Test", "Origin: Tesd"))
    error = refused(mirror.open(tmp_path).update, quiet)
    assert error.exit_code == ExitCode.HOST
    assert "test-keyring" in str(error)


def test_an_old_index_is_refused_and_taken_only_for_tools(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("one")
    mirror.sign("Sun, 02 Jan 2022 00:00:00 UTC")
    private = mirror.open(tmp_path, may_lag=False)
    with (private.folder / "apt.conf").open("a") as conf:  # whatever this machine's own settings say
        conf.write('Acquire::Check-Valid-Until "true";\nAcquire::Check-Date "true";\n')
    assert "expired" in str(refused(private.update, quiet))
    told: list[str] = []
    assert apt.PrivateApt(private.folder, private.keyring, may_lag=True).update(told.append)
    assert any("past its date" in line for line in told)


def test_a_missing_keyring_names_its_package(mirror: Mirror, tmp_path: Path) -> None:
    absent = Keyring(path="/nonexistent/keys.gpg", package="test-keyring")
    error = refused(apt.open_apt, "amd64", (mirror.source,), absent, tmp_path)
    assert error.exit_code == ExitCode.HOST
    assert "apt-get install test-keyring" in str(error)


# --- the edges ----------------------------------------------------------------------------------------------------


def elsewhere(prefix: list[str], code: str, **env: str) -> str:
    """What code prints in another environment; a StackError prints its exit code and text."""
    whole = f"from stack.errors import StackError\ntry:\n    {code}\nexcept StackError as e: print(int(e.exit_code), e)"
    settings = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **env}
    argv = [*prefix, sys.executable, "-c", whole]
    done = subprocess.run(argv, check=False, env=settings, capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    return done.stdout


def test_without_apt_there_is_one_message(tmp_path: Path) -> None:
    code = "from stack.host import apt; from stack.host.needs import tool_system; apt.mirrors(tool_system(), {})"
    told = elsewhere([], code, PATH=str(tmp_path))
    assert told.startswith("3 apt-get is not installed")
    assert told.count("\n") == 1


def test_without_a_network_there_is_one_message(tmp_path: Path) -> None:
    probe = ["unshare", "-rn", "true"]
    if not shutil.which("apt-get") or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("needs apt and user namespaces (unshare -rn true)")
    imports = "from pathlib import Path; from stack.host import apt; from stack.catalogue import Keyring"
    keyring = f"Keyring(path={str(ROOT / 'pyproject.toml')!r}, package='aa')"
    source = "apt.Source('a', 'http://mirror.invalid', ('here',), ('main',))"
    opening = f"apt.open_apt('amd64', ({source},), {keyring}, Path({str(tmp_path)!r}))"
    told = elsewhere(["unshare", "-rn"], f"{imports}; {opening}.update(print)")
    assert told.startswith("3 could not read the package index: http://mirror.invalid cannot be reached")
    assert "--locked" in told


@pytest.mark.image
def test_the_machines_own_mirror(system: Os, tmp_path: Path) -> None:
    if not shutil.which("apt-get"):
        pytest.skip("needs apt and a package mirror")
    url = apt.mirrors(system, {})["debian"]
    source = apt.Source("debian", url, (system.codename or "",), ("main",))
    for architecture in ("amd64", "riscv64"):
        private = apt.open_apt(architecture, (source,), system.keys, tmp_path)
        assert private.update(quiet)
        found = closure.installed(private.closure(["hostname"]))
        assert {"hostname", "libc6"} <= {name for name, _, _ in found}
        assert {a for _, _, a in found} <= {architecture, "all"}
    packages = closure.packages(private.show([f"{n}={v}" for n, v, _ in found]), found)
    small = [p for p in packages if p.name == "hostname"]
    assert list(private.download_files(small, tmp_path, quiet)) == [small[0].sha256]

"""A small package archive of our own, signed with a key made for the test, in a folder that apt reads by `file:`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.catalogue import Keyring
from stack.host.apt import PrivateApt, Source, open_apt

NEEDS = ("apt-get", "dpkg-deb", "gpg", "gpgv")
FOREVER = "Fri, 31 Dec 2099 00:00:00 UTC"


@dataclass(frozen=True)
class Wanted:
    """A locked package file, as far as fetching looks at it."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Mirror:
    """The archive's folder and the file of its public key."""

    folder: Path
    home: Path
    keyring: Keyring

    def add(self, name: str, version: str = "1.0", depends: str = "", *, essential: bool = False) -> Wanted:
        """Build a package, put it into the pool, and state it in the index at the next `sign`."""
        tree = self.folder / "trees" / f"{name}_{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        extra = (f"Depends: {depends}\n" if depends else "") + ("Essential: yes\n" if essential else "")
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b>\nDescription: test\n{extra}"
        )
        (tree / "DEBIAN/control").write_text(control)
        deb = self.folder / "pool" / f"{name}_{version}_all.deb"
        deb.parent.mkdir(exist_ok=True)
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, deb], check=True, capture_output=True)
        return Wanted(name, version, hashlib.sha256(deb.read_bytes()).hexdigest())

    def deb(self, item: Wanted) -> Path:
        """Where the pool has it."""
        return self.folder / "pool" / f"{item.name}_{item.version}_all.deb"

    def sign(self, valid_until: str = FOREVER) -> None:
        """Write the index of everything in the pool, and its signed release file."""
        dist = self.folder / "dists/here"
        (dist / "main/binary-amd64").mkdir(parents=True, exist_ok=True)
        index = "\n".join(map(self._stanza, sorted((self.folder / "pool").glob("*.deb")))).encode()
        (dist / "main/binary-amd64/Packages").write_bytes(index)
        row = f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-amd64/Packages\n"
        head = "Origin: Test\nSuite: here\nCodename: here\nArchitectures: amd64\nComponents: main\n"
        dates = f"Date: Sat, 01 Jan 2022 00:00:00 UTC\nValid-Until: {valid_until}\n"
        (dist / "Release").write_text(f"{head}{dates}SHA256:\n{row}")
        (dist / "InRelease").unlink(missing_ok=True)
        gpg(self.home, "--clearsign", "--output", str(dist / "InRelease"), str(dist / "Release"))

    def _stanza(self, deb: Path) -> str:
        control = subprocess.run(["dpkg-deb", "--field", deb], check=True, capture_output=True, text=True).stdout
        data = deb.read_bytes()
        return f"{control}Filename: pool/{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"

    def open(self, cache: Path, *, may_lag: bool = False) -> PrivateApt:
        """Our apt on this mirror."""
        return open_apt("amd64", (self.source,), self.keyring, cache, may_lag=may_lag)

    @property
    def source(self) -> Source:
        """As apt reads it."""
        return Source("test", f"copy:{self.folder}", ("here",), ("main",))


def gpg(home: Path, *words: str) -> None:
    """Run gpg with a home of its own and no questions."""
    base = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*base, *words], check=True, capture_output=True)


@pytest.fixture(scope="session")
def key() -> object:
    """A gpg home with one key; short-lived, and its agent is ended."""
    lacking = [name for name in NEEDS if not shutil.which(name)]
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}: apt-get install gpg dpkg")
    home = Path(tempfile.mkdtemp(prefix="key"))  # its socket's path has to be short
    home.chmod(0o700)
    gpg(home, "--quick-generate-key", "test <test@example>", "ed25519", "sign", "never")
    gpg(home, "--output", str(home / "public.gpg"), "--export")
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)  # the agent removes its sockets at the same time


@pytest.fixture
def mirror(key: Path, tmp_path: Path) -> Mirror:
    """An empty archive."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    return Mirror(folder, key, Keyring(path=str(key / "public.gpg"), package="test-keyring"))

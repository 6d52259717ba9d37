"""Machines other than one's own: an ordinary user, a container, another CPU family, folders with odd names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.host import doctor
from tests.command import ROOT, SITE, argv, environment, sovstack

SMALL = ("laptop", "small", "--root", SITE)
USER = 64321  # of a user that exists only in the tests' own mount namespace
Done = subprocess.CompletedProcess[str]
# Binds the files named in pairs before `--`, then runs the rest as the user.
BIND = f"""
while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 99; shift 2; done
shift
exec setpriv --reuid {USER} --regid {USER} --clear-groups "$@"
"""


class Ordinary:
    """A user with a home and a range of ids, in a mount namespace of each command's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir()
        os.chown(self.home, USER, USER)
        passwd = Path("/etc/passwd").read_text() + f"builder:x:{USER}:{USER}::{self.home}:/bin/sh\n"
        self.binds = {"/etc/passwd": self.file("passwd", passwd)}
        for name in ("subuid", "subgid"):
            self.binds[f"/etc/{name}"] = self.file(name, "builder:300000:65536\n")
        self.binds["/dev/fuse"] = self.fuse(0o666)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def fuse(self, mode: int) -> Path:
        path = self.folder / f"fuse-{mode:o}"
        if not path.exists():
            os.mknod(path, 0o020000 | mode, os.makedev(10, 229))
            path.chmod(mode)
        return path

    def without(self, program: str) -> str:
        """A PATH that lacks one program."""
        folder = self.folder / f"no-{program}"
        folder.mkdir()
        for path in [*Path("/usr/bin").iterdir(), *Path("/usr/sbin").iterdir()]:
            if path.name != program and not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
        return str(folder)

    def run(self, *words: str | Path, binds: dict[str, Path] | None = None, path: str = "/usr/bin:/bin") -> Done:
        pairs = [str(w) for place, file in {**self.binds, **(binds or {})}.items() for w in (file, place)]
        own = dict.fromkeys(("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), "")
        env = {**environment(HOME=str(self.home), PATH=path), **own}
        before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", BIND, "sh", *pairs, "--"]
        command = [*before, "env", f"PATH={path}", *argv(*words)]
        env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            command, cwd=self.home, env=env, capture_output=True, text=True, timeout=1500, check=False
        )


@pytest.fixture
def ordinary() -> Iterator[Ordinary]:
    if os.geteuid() != 0:
        pytest.skip("only root can play another user; run the tests as root")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # pytest's own is closed to others
        folder = Path(name)
        folder.chmod(0o755)
        made = Ordinary(folder)
        able = made.run("--version")
        if able.returncode:
            last = (able.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"an ordinary user cannot run this Python and checkout ({last}); put both outside /root")
        yield made


def one_error(done: Done) -> str:
    """The only message of a run that the machine cannot do."""
    assert done.returncode == 3, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "==> lock" not in done.stderr
    return errors[0]


def no_ids(user: Ordinary) -> Done:
    empty = user.file("empty", "")
    return user.run("up", *SMALL, binds={"/etc/subuid": empty, "/etc/subgid": empty})


def closed_fuse(user: Ordinary) -> Done:
    return user.run("up", *SMALL, binds={"/dev/fuse": user.fuse(0o600)})


def no_program(name: str) -> Callable[[Ordinary], Done]:
    return lambda user: user.run("up", *SMALL, path=user.without(name))


@pytest.mark.parametrize(
    ("lacking", "remedy"),
    [
        (no_ids, "usermod --add-subuids"),
        (closed_fuse, "chmod 666 /dev/fuse"),
        (no_program("newuidmap"), "apt-get install --no-install-recommends uidmap"),
        (no_program("mmdebstrap"), "apt-get install --no-install-recommends mmdebstrap"),
    ],
    ids=["no ids", "closed fuse", "no newuidmap", "no mmdebstrap"],
)
def test_an_ordinary_user_is_told_what_is_lacking(
    ordinary: Ordinary, lacking: Callable[[Ordinary], Done], remedy: str
) -> None:
    assert remedy in one_error(lacking(ordinary))


@pytest.mark.image
def test_an_ordinary_user_builds_what_root_builds(ordinary: Ordinary, tmp_path: Path) -> None:
    stops = [f"{f.what}: {f.remedy or f.detail}" for f in doctor.examine() if f.stops]
    if stops:
        pytest.skip(f"this machine cannot build an image: {'; '.join(stops)}; mend that and run `make test`")
    assert sovstack("build", *SMALL, "--build-dir", tmp_path).returncode == 0
    lock = next(tmp_path.glob("small/laptop/*/stack.lock.json"))
    cell = ordinary.home / "build" / lock.parent.relative_to(tmp_path)
    cell.mkdir(parents=True)
    shutil.copy(lock, cell)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", ordinary.home], check=True)
    # What a killed build may leave: a folder of another id of the range.
    left = cell / "work/tmp/left/by"
    left.mkdir(parents=True)
    (left / "another").touch()
    subprocess.run(["chown", "-R", f"{USER}:{USER}", cell / "work"], check=True)
    subprocess.run(["chown", "-R", "300005:300005", left], check=True)
    done = ordinary.run("up", *SMALL, "--locked")
    assert done.returncode == 0, done.stderr
    theirs, ours = (json.loads((folder / "image.json").read_text()) for folder in (cell, lock.parent))
    evidence = [made.pop("sealed")["objects"] for made in (theirs, ours)]
    assert theirs == ours
    assert {n: d for n, d in evidence[0].items() if not n.startswith("verdict.")} == evidence[1]  # `up` has checked it


def test_root_over_one_id_is_told_before_the_work(tmp_path: Path) -> None:
    """Such is root in a container that was given no range of ids."""
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not allowed here; allow them and run `make test`")
    if any(f.state == "missing" for f in doctor.examine()):
        pytest.skip("a program that a build needs is missing here; see `sovstack doctor`")
    words = ["unshare", "-Ur", *argv("up", *SMALL, "--build-dir", tmp_path)]
    done = subprocess.run(words, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert "/etc/subuid" in one_error(done) or "user namespaces" in one_error(done)


def test_a_build_folder_that_the_checks_cannot_use_is_refused_before_the_work(tmp_path: Path) -> None:
    done = sovstack("up", *SMALL, "--build-dir", tmp_path / "my build")
    assert done.returncode == 2
    assert "--build-dir" in done.stderr
    assert "==>" not in done.stderr
    assert not list(tmp_path.rglob("stack.lock.json"))


@pytest.mark.parametrize("verb", ["up", "build"])
@pytest.mark.parametrize("cpu", ["neoverse_v2", "riscv64", "x86_64_v3"])
def test_another_family_without_an_emulator_is_refused_at_once(tmp_path: Path, verb: str, cpu: str) -> None:
    import archspec.cpu

    here = str(archspec.cpu.host().family)
    family = str(archspec.cpu.TARGETS[cpu].family)
    if family == here:
        pytest.skip(f"this machine is {here} itself")
    profile = tmp_path / "profiles/other.yaml"
    profile.parent.mkdir()
    partitions = f"partitions:\n  default:\n    cpu: {{microarchitecture: {cpu}}}\n"
    profile.write_text(f"schema: 1\nname: other\ndescription: Another machine\n{partitions}")
    _unregistered(family)
    words = ("--root", tmp_path, "--build-dir", tmp_path / "build")
    done = sovstack(verb, "other", "ai-hpc", *words, PATH=str(tmp_path))
    assert f"programs of {family} cannot be run on {here}: there is no static qemu-{family} on PATH" in one_error(done)
    assert "qemu-user-static" in done.stderr
    assert not list((tmp_path / "build").rglob("*.json"))


@pytest.mark.parametrize("word", ["arm64", "riscv64", "amd64"])
def test_the_same_of_an_architecture_that_was_asked_for(tmp_path: Path, word: str) -> None:
    from stack.host import emulating

    family = {"arm64": "aarch64", "amd64": "x86_64"}.get(word, word)
    if family == emulating.here():
        pytest.skip(f"this machine is {family} itself")
    _unregistered(family)
    done = sovstack("up", "laptop", "--arch", word, "--build-dir", tmp_path, PATH=str(tmp_path))
    assert f"programs of {family} cannot be run" in one_error(done)
    told = sovstack("doctor", "laptop", "--arch", word, "--json", PATH=str(tmp_path))
    row = next(r for r in json.loads(told.stdout) if r["what"] == f"programs of {family}")
    assert (told.returncode, row["state"]) == (3, "unusable")
    assert "qemu-user-static" in row["remedy"]


def _unregistered(family: str) -> None:
    from stack.host import emulating
    from stack.host.library import Library, roots

    emulator = Library(roots(None)).catalogue.hardware.families[family].emulator
    if emulator and emulating.registered(emulator):
        pytest.skip(f"this machine runs programs of {family} by an entry of its own")


def test_a_package_linked_with_another_mpi_is_not_taken() -> None:
    """PyTorch of the distribution brings Open MPI: loaded first, mpi4py would take that under MPICH's launcher."""
    done = sovstack("plan", "mpich", "ai-hpc", "--root", SITE, "--json")
    assert done.returncode == 0, done.stderr
    chosen = {c["component"]: c for c in json.loads(done.stdout)["components"]}
    assert chosen["pytorch"]["provider"] != "os"
    assert any("openmpi" in r["why"] for r in chosen["pytorch"]["rejected"])

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stack import build, closure, sif
from stack.build import Parts, Tools
from stack.host import apptainer as host_apptainer
from stack.host.run import run
from stack.lock import Lock
from stack.plan import Plan
from tests.conftest import RECORDED
from tests.test_lock import make

TOOLS = Tools(
    "/usr/bin/mmdebstrap", "/usr/bin/mksquashfs", "/opt/bin/apptainer", {"APPTAINER_USERNS": "1"}, ("unshare",)
)
PARTS = Parts("/w/definition", "/w/lock", "/w/inspection", "/c/rootfs.squashfs")
EPOCH = 1767225600


@pytest.fixture
def lock(laptop: Plan) -> Lock:
    return make(laptop)


def test_the_index_holds_exactly_the_locked_files(lock: Lock) -> None:
    found = list(closure.stanzas(build.packages_index(lock.os.packages)))
    assert [(f["Package"], f["Version"], f["SHA256"]) for f in found] == [
        (p.name, p.version, p.sha256) for p in lock.os.packages
    ]


def test_a_real_stanza_keeps_what_apt_needs() -> None:
    rows = closure.installed((RECORDED / "closure/uris.txt").read_text())
    packages = closure.packages((RECORDED / "closure/show.txt").read_text(), rows)
    text = build.packages_index(packages)
    libc = next(f for f in closure.stanzas(text) if f["Package"] == "libc6")
    assert (libc["Depends"], libc["Multi-Arch"]) == ("libgcc-s1", "same")
    assert libc["Filename"] == f"./{libc['SHA256']}.deb"


def test_the_root_file_system_is_made_of_the_locked_versions_alone(lock: Lock, laptop: Plan) -> None:
    command = build.rootfs(lock, laptop.container, TOOLS, EPOCH, "/b/my work", "/b/out.tar")
    include = next(word for word in command.argv if word.startswith("--include="))
    assert "python3-numpy=1:2.2.4+ds-1" in include
    assert command.argv[0] == "unshare"
    assert command.argv[-1] == "deb [trusted=yes] copy:/b/my%20work/repo ./"
    assert command.env["SOURCE_DATE_EPOCH"] == str(EPOCH)
    assert not [word for word in command.argv if "://" in word]


def test_an_emulated_build_is_the_same_image(lock: Lock, laptop: Plan) -> None:
    plain = build.rootfs(lock, laptop.container, TOOLS, EPOCH, "/b/w", "/b/out.tar")
    emulated = build.rootfs(lock, laptop.container, replace(TOOLS, emulated=True), EPOCH, "/b/w", "/b/out.tar")
    assert set(emulated.argv) - set(plain.argv) == {"--skip=check/qemu"}  # it decides nothing of what is made


def test_the_sif_holds_definition_lock_description_and_file_system(lock: Lock) -> None:
    commands = build.sif(lock, TOOLS, PARTS, "/c/out.sif")
    assert commands[0].argv == ("/opt/bin/apptainer", "sif", "new", "/c/out.sif")
    assert [c.argv[4] for c in commands[1:]] == ["1", "6", "6", "4"]
    assert all(c.env == {"APPTAINER_USERNS": "1"} for c in commands)


def test_evidence_goes_into_the_group_that_is_signed_each_as_what_it_is() -> None:
    paths = {"verdict.json": "/w/v", "sbom.spdx.json": "/w/s", "sbom.cdx.json": "/w/c", "provenance.dsse.json": "/w/p"}
    commands = build.evidence(TOOLS, paths, "/c/out.sif")
    kinds = {c.argv[c.argv.index("--filename") + 1]: c.argv[4] for c in commands}
    assert kinds == {"provenance.dsse.json": "6", "sbom.cdx.json": "9", "sbom.spdx.json": "9", "verdict.json": "6"}
    assert [c.argv[-1] for c in commands] == ["/w/p", "/w/c", "/w/s", "/w/v"]  # by name, whatever the mapping's order
    assert all(c.argv[c.argv.index("--groupid") + 1] == "1" for c in commands)
    formats = [c.argv[c.argv.index("--sbomformat") + 1] for c in commands if "--sbomformat" in c.argv]
    assert formats == ["cyclonedx-json", "spdx-json"]


def test_signing_and_checking_name_a_file_with_the_key() -> None:
    assert build.sign(TOOLS, "/k/site.pem", "/c/out.sif").argv[1:] == ("sign", "--key", "/k/site.pem", "/c/out.sif")
    checking = build.check_signature(TOOLS, "/k/site.pub", "/c/out.sif").argv
    assert checking[1:] == ("verify", "--all", "--key", "/k/site.pub", "/c/out.sif")


def test_the_key_sees_every_input(lock: Lock, laptop: Plan) -> None:
    container = laptop.container
    keys = {
        build.key(lock, container, "o", EPOCH),
        build.key(lock.model_copy(update={"profile": "other"}), container, "o", EPOCH),
        build.key(lock, container.model_copy(update={"compression_level": 9}), "o", EPOCH),
        build.key(lock, container, "p", EPOCH),
        build.key(lock, container, "o", EPOCH + 1),
    }
    assert len(keys) == 5


def test_the_base_files_cover_what_the_host_would_leak(laptop: Plan) -> None:
    names = {path for path, _file in build.base_files(laptop.container)}
    assert names >= {"etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/apt/sources.list"}


@pytest.mark.image
def test_a_real_sif_becomes_the_same_bytes_twice(lock: Lock, apptainer: str, tmp_path: Path) -> None:
    tools = replace(TOOLS, apptainer=apptainer, apptainer_env=host_apptainer.environment())
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_text("x")
    squash = tmp_path / "s"
    program = host_apptainer.tool("mksquashfs")
    assert program
    subprocess.run([program, tmp_path / "root", squash, "-quiet", "-all-root"], check=True, capture_output=True)
    copies = [str(shutil.copy(tmp_path / "root/file", tmp_path / n)) for n in ("d", "l", "i")]
    parts = Parts(copies[0], copies[1], copies[2], str(squash))
    heads = []
    for name in ("a.sif", "b.sif"):
        for command in build.sif(lock, tools, parts, str(tmp_path / name)):
            run(command)
        heads.append((tmp_path / name).read_bytes()[: sif.HEAD_BYTES])
    assert heads[0] != heads[1]
    steady = [sif.steady(head, EPOCH, "identity") for head in heads]
    assert steady[0] == steady[1]
    assert steady[0] != sif.steady(heads[0], EPOCH, "another")
    (tmp_path / "a.sif").write_bytes(steady[0] + (tmp_path / "a.sif").read_bytes()[len(steady[0]) :])
    listing = subprocess.run([apptainer, "sif", "list", tmp_path / "a.sif"], capture_output=True, text=True, check=True)
    kinds = [line.split("|")[-1].strip() for line in listing.stdout.splitlines() if line[:1].isdigit()]
    assert [kind.partition(" ")[0] for kind in kinds] == ["Def.FILE", "JSON.Generic", "JSON.Generic", "FS"]

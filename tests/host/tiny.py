"""A real image of a few kilobytes, put together by the real tools, and evidence for it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from stack import build, sif, statements
from stack import card as cards
from stack.artifact import canonical_json
from stack.build import Parts, Tools
from stack.host import apptainer, files, image, keys
from stack.host.image import Image
from stack.host.keys import PrivateKey
from stack.host.run import run
from stack.host.sealing import Evidence
from stack.lock import Lock
from stack.verdict import Check, Metric, Verdict

EPOCH = 1767225600
NAME = "tiny"
SBOM = canonical_json(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": [{"type": "library", "name": "a"}],
        "compositions": [{"aggregate": "complete"}],
    }
).encode()


def tools() -> Tools:
    """Apptainer and mksquashfs of this machine, or the test is skipped."""
    found, squash = apptainer.find(), apptainer.tool("mksquashfs")
    if found is None or squash is None:
        pytest.skip("Apptainer or mksquashfs is not installed: see `sovstack doctor`, then `make test`")
    return Tools("", squash, str(found), apptainer.environment())


def make(folder: Path, lock: Lock, name: str = NAME, program: bytes = b"") -> Image:
    """An image with a file system of one file, and a program if there is one, as `image.make_sif` makes one."""
    with_tools, work = tools(), folder / "parts"
    (work / "root").mkdir(parents=True)
    (work / "root/file").write_text("content\n")
    if program:
        for name_of in ("bin", "dev", "etc", "proc", "sys", "tmp", "var"):
            (work / "root" / name_of).mkdir()
        (work / "root/program").write_bytes(program)
        (work / "root/program").chmod(0o755)
    for part, text in {"definition": "bootstrap: x\n", "lock": lock.text(), "inspection": "{}\n"}.items():
        (work / part).write_text(text)
    squash = work / "squashfs"
    argv = [with_tools.mksquashfs, str(work / "root"), str(squash), "-quiet", "-all-root", "-all-time", str(EPOCH)]
    subprocess.run([*argv, "-mkfs-time", str(EPOCH)], check=True, capture_output=True)
    path = folder / f"{name}.sif"
    parts = Parts(str(work / "definition"), str(work / "lock"), str(work / "inspection"), str(squash))
    for command in build.sif(lock, with_tools, parts, str(path)):
        run(command)
    data = path.read_bytes()
    path.write_bytes(sif.steady(data[: sif.HEAD_BYTES], EPOCH, "tiny") + data[sif.HEAD_BYTES :])
    digest = files.sha256(squash)
    made = Image(path, "5" * 64, files.sha256(path), digest, path.stat().st_size, lock.digest, {"apptainer": "1"})
    image.write_record(made)
    return made


def key(folder: Path, name: str = "site") -> PrivateKey:
    """A key pair of its own."""
    return keys.new(folder / f"keys/{name}.pem")


def verdict(made: Image, bound: float = 1) -> Verdict:
    """A verdict on the image with a number of 0.5; a bound below that makes it fail."""
    check = Check(name="Gemm", title="products", result="pass", metrics=(Metric(name="e", value=0.5, bound=bound),))
    return Verdict(
        schema=1, cell="e/p/t", image=made.sha256, lock=made.lock, suite="6" * 64, date="2026-01-02T03:04:05Z",
        reframe="4", host="here", checks=(check, Check(name="Gpu", title="gpu", result="skip")),
    )  # fmt: skip


def evidence(made: Image, lock: Lock, said: Verdict | None = None) -> Evidence:
    """What a cell would put into the image."""
    found = said or verdict(made)
    text = canonical_json(found.model_dump(mode="json", by_alias=True)).encode()
    card = cards.text(cards.make(found, lock)).encode()
    built = statements.Built(lock, made.path.name, made.sha256, made.squashfs, made.key, EPOCH, "0.1", made.tools)
    return Evidence(
        {"verdict.json": text, "card.json": card, "sbom.cdx.json": SBOM},
        {
            "provenance": statements.provenance(built),
            "verdict": statements.checks_result(
                made.path.name, found, hashlib.sha256(text).hexdigest(), hashlib.sha256(card).hexdigest()
            ),
        },
    )

"""`sovstack inspect`: everything that can be checked of an image's file, with no network and no build folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stack import build, inspection, sif
from stack.errors import ExitCode, Position, StackError, bad_input, host_lacks
from stack.host import apptainer, files, sealing, sif_file, signing, tooling
from stack.host.keys import PublicKey
from stack.host.run import run
from stack.inspection import Finding, Inspection, Json, Row, at
from stack.sif import Object
from stack.statements import CARD, LOCK, PROVENANCE, RELEASE, VERDICT

_LIMIT = 256 << 20  # of a document in an image
_SIGN = "where it was built, `sovstack key new`, then `sovstack sign PROFILE ENVIRONMENT`"


def inspect(path: Path, trusted: Sequence[PublicKey], statement: Path | None = None) -> Inspection:
    """Read and check an image; raises where it is no whole SIF, or where Apptainer is needed and missing."""
    looked = _Look(path, tuple(trusted), sif_file.objects(path))
    sha256, sha512 = sif_file.digests(path)
    findings = [
        *_embedded(looked),
        detached(path, looked.trusted, statement, (sha256, sha512)),
        *_envelopes(looked),
        *_sboms(looked),
        *_agreement(looked),
    ]
    definition = next((o for o in looked.objects if o.kind == sif.DEFINITION), None)
    if definition and (said := inspection.labels(looked.content(definition))):
        looked.about["definition"] = said
    rows = tuple(Row(o.id, o.name, o.type, o.group, o.size, looked.sha256[o.id]) for o in looked.objects)
    return Inspection(str(path), path.stat().st_size, sha256, sha512, rows, tuple(findings), looked.about)


def extract(path: Path, folder: Path) -> tuple[Path, ...]:
    """Write every object into a folder under its own name, or with its number where another has that name, or it is no
    name for a file. Nothing that is there is overwritten."""
    items = sif_file.objects(path)
    names = [o.file_name if o.name else f"{o.type.replace(' ', '-')}-{o.id}" for o in items]
    once = [n if names.count(n) == 1 else f"{o.id}-{n}" for o, n in zip(items, names, strict=True)]
    targets = tuple(folder / name for name in once)
    there = [target for target in targets if os.path.lexists(target)]
    if there or len(set(targets)) < len(targets):
        raise bad_input("there is such a file already", Position(str((there or targets)[0])), "name an empty folder")
    for item, target in zip(items, targets, strict=True):
        with files.beside(target) as partial, partial.open("wb") as handle:
            for block in sif_file.blocks(path, item.offset, item.size):
                handle.write(block)
    return targets


@dataclass
class _Look:
    """One image while it is looked at; `about` fills with what its documents say."""

    path: Path
    trusted: tuple[PublicKey, ...]
    objects: tuple[Object, ...]
    about: dict[str, Json] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> Mapping[int, str]:
        """Of every object, by its number."""
        return {o.id: sif_file.sha256(self.path, o) for o in self.objects}

    def named(self, name: str) -> Object | None:
        """The object of that name."""
        return next((o for o in self.objects if o.name == name), None)

    def digest(self, name: str) -> str | None:
        """SHA-256 of the object of that name."""
        item = self.named(name)
        return self.sha256[item.id] if item else None

    def content(self, item: Object) -> bytes:
        """An object's bytes."""
        return sif_file.content(self.path, item, _LIMIT)

    def statement(self, name: str) -> Json | None:
        """A statement of the image, signed or not; its signature is another finding."""
        signed, plain = self.named(f"{name}{sealing.SIGNED}"), self.named(f"{name}{sealing.UNSIGNED}")
        try:
            if signed:
                return signing.unchecked(self.content(signed), signed.name)
        except StackError:
            return None
        found = inspection.parsed(self.content(plain)) if plain else None
        return found if isinstance(found, dict) and at(found, "predicate") else None


def _embedded(look: _Look) -> Iterator[Finding]:
    what = "embedded signature"
    signatures = [o for o in look.objects if o.kind == sif.SIGNATURE]
    if not signatures:
        yield Finding(what, "fails", "there is none: the image is not signed, and nobody answers for it", _SIGN)
        return
    signers = sorted({signer for o in signatures for signer in _signers(look.content(o))})
    mine = [key for key in look.trusted if key.fingerprint in signers]
    if not mine:
        names = ", ".join(s[:80] for s in signers) or "a key of a kind that is not checked here"
        yield Finding(what, "fails", f"signed by {names}, which is not trusted here", signing.UNTRUSTED)
        return
    found = apptainer.find()
    if found is None:
        raise host_lacks("Apptainer is not installed here, which checks the embedded signature", tooling.APPTAINER)
    tools = build.Tools("", "", str(found), apptainer.environment())
    for key in mine:
        done = run(build.check_signature(tools, str(key.path.resolve()), str(look.path.resolve())), check=False)
        if done.returncode == 0:
            covered = len(look.objects) - len(signatures)
            yield Finding(what, "ok", f"all {covered} objects, by {_told(key)}")
            return
    reason = done.tail.strip().splitlines()[-1:] or ["no reason given"]
    yield Finding(what, "changed", f"not one of these bytes by {_told(mine[0])}: {reason[0]}", "do not use this file")


def _signers(signature: bytes) -> list[str]:
    rows = at(inspection.parsed(signature), "signatures")
    return [str(at(row, "keyid")) for row in rows] if isinstance(rows, list) else []


def _told(key: PublicKey) -> str:
    return f"{key.id} ({key.path})"


def detached(
    image: Path, trusted: Sequence[PublicKey], named: Path | None = None, digests: tuple[str, str] | None = None
) -> Finding:
    """Whether the signed statement, beside the image or named, is one of this very file: of every byte of it."""
    what, path = "statement of the file", named or sealing.statement_path(image)
    if not path.is_file():
        if named:
            raise bad_input("no such file", Position(str(named)), f"--statement names a {sealing.SIGNED} file")
        detail = "there is none beside it, so nothing says that this is the file that was sealed"
        return Finding(what, "fails", detail, "--statement FILE names one that is elsewhere")
    try:
        opened = signing.verify(_read(path), trusted, str(path))
    except StackError as error:
        return _refused(what, error)
    said = at(opened.statement, "subject", 0, "digest")
    if at(opened.statement, "predicateType") != RELEASE:
        return Finding(what, "fails", f"{path} is a statement about something else")
    if (at(said, "sha256"), at(said, "sha512")) != (digests or sif_file.digests(image)):
        detail = f"it is of another file, with the SHA-256 {at(said, 'sha256')}"
        return Finding(what, "changed", detail, "do not use this file, or find its own statement")
    return Finding(what, "ok", f"SHA-256 and SHA-512 are those that {_told(opened.key)} signed")


def _read(path: Path) -> bytes:
    return files.read_text(path, signing.LIMIT, "a statement is a .dsse.json file").encode()


def _refused(what: str, error: StackError) -> Finding:
    fault = error.faults[0]
    if error.exit_code == ExitCode.BAD_INPUT:
        return Finding(what, "unusable", fault.what, fault.remedy)
    unknown = fault.remedy == signing.UNTRUSTED
    return Finding(what, "fails" if unknown else "changed", fault.what, fault.remedy)


def _envelopes(look: _Look) -> Iterator[Finding]:
    """Every signed statement in the image, and those that nobody signed."""
    for item in look.objects:
        if item.name.endswith(sealing.SIGNED):
            try:
                opened = signing.verify(look.content(item), look.trusted, item.name)
                yield Finding(item.name, "ok", f"signed by {_told(opened.key)}")
            except StackError as error:
                yield _refused(item.name, error)
        elif item.name.endswith(sealing.UNSIGNED):
            yield Finding(item.name, "fails", "a statement that nobody signed", _SIGN)


def _sboms(look: _Look) -> Iterator[Finding]:
    for item in look.objects:
        if item.kind != sif.SBOM:
            continue
        name = item.name or item.file_name
        data = look.content(item)
        facts = inspection.sbom(data)
        if facts is None:
            yield Finding(name, "unusable", "neither CycloneDX nor SPDX 3 as JSON: a foreign or cut-off SBOM")
            continue
        look.about[name] = facts
        lock = inspection.sbom_lock(data)
        if lock is not None:
            yield _same(f"lock of {name}", lock, look.digest(LOCK))


def _agreement(look: _Look) -> Iterator[Finding]:
    """Whether the parts say the same of each other."""
    if look.named(LOCK) is None:
        yield Finding("lock", "fails", "there is none: not an image that sovstack built")
    said = look.statement("provenance")
    facts: Mapping[str, Any] = inspection.provenance(said) if said else {}
    checked = look.named(VERDICT)
    verdict = inspection.verdict(look.content(checked)) if checked else None
    listed = any(item.kind == sif.SBOM for item in look.objects)
    there = {"SBOM": listed, "provenance": bool(said), "verdict of the checks": checked is not None,
             "identity card": look.named(CARD) is not None}  # fmt: skip
    if absent := [what for what, found in there.items() if not found]:
        look.about["not in it"] = {"evidence": ", ".join(absent)}
    if said or verdict or there["identity card"]:
        built = sif_file.base_sha256(look.path)
        yield from _card(look, built)
    if said and at(said, "predicateType") != PROVENANCE:
        yield Finding("provenance", "changed", "the statement is of another kind")
    if said:
        look.about["provenance"] = {k: v for k, v in facts.items() if k not in ("lock", "base", "squashfs")}
        yield _same("lock of the provenance", facts["lock"], look.digest(LOCK))
        yield _same("file system of the provenance", facts["squashfs"], look.digest("rootfs"))
        yield _same("image of the provenance", facts["base"], built)
    if checked and verdict is None:
        yield Finding(VERDICT, "unusable", "not a verdict, or a cut-off one")
    if verdict:
        look.about[VERDICT] = inspection.verdict_summary(verdict)
        yield _same("image of the verdict", verdict.image, built)
        yield _same("lock of the verdict", verdict.lock, look.digest(LOCK))
        if stated := look.statement("verdict"):
            yield _same("statement of the verdict", inspection.verdict_digest(stated), look.digest(VERDICT))
            yield _same("result in that statement", *inspection.results(stated, verdict))
            if named := inspection.verdict_digest(stated, CARD):
                yield _same("identity card of that statement", named, look.digest(CARD))
        passed = "the checks of the image passed" if verdict.passed else "a check of the image failed, or none ran"
        yield Finding("verdict", "ok" if verdict.passed else "fails", passed)


def _card(look: _Look, built: str) -> Iterator[Finding]:
    """The numerical identity card, which says of which image and lock it is."""
    item = look.named(CARD)
    if item is None:
        return
    found = inspection.card(look.content(item))
    if found is None:
        yield Finding(CARD, "unusable", "not an identity card, or a cut-off or newer one")
        return
    look.about[CARD] = inspection.card_summary(found)
    yield _same("image of the identity card", found.image, built)
    yield _same("lock of the identity card", found.lock, look.digest(LOCK))


def _same(what: str, said: Any, found: str | None) -> Finding:
    if said == found and found is not None:
        return Finding(what, "ok", found)
    return Finding(what, "changed", f"{said} is said, and {found or 'nothing'} is here")

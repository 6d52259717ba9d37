"""Evidence put into an image, one signature over all of it, and a signed statement of the finished file beside it.

The image is made anew of what was built: evidence goes behind it, so that it can be taken away and put again, and
without it the very bytes are left that the build gave. Equal evidence and an Ed25519 key give equal bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stack import build, sif, statements
from stack.artifact import canonical_json, digest
from stack.build import Tools
from stack.errors import ExitCode, Fault, StackError
from stack.host import files, image, sif_file, signing
from stack.host.image import Image, Sealed
from stack.host.keys import PrivateKey
from stack.host.run import Sink, run

SIGNED, UNSIGNED = ".dsse.json", ".statement.json"


@dataclass(frozen=True)
class Evidence:
    """What is put into an image: `objects` as they are, by name; `statements` signed, as NAME.dsse.json.

    Without a key a statement goes in as NAME.statement.json, and nobody answers for it.
    """

    objects: Mapping[str, bytes] = field(default_factory=dict)
    statements: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over all of it, before anything is signed."""
        objects = {name: hashlib.sha256(data).hexdigest() for name, data in self.objects.items()}
        return digest([objects, self.statements])

    def contents(self, key: PrivateKey | None) -> Mapping[str, bytes]:
        """Bytes of every object by its name, statements signed."""
        if key is None:
            said = {f"{name}{UNSIGNED}": canonical_json(said).encode() for name, said in self.statements.items()}
        else:
            said = {f"{name}{SIGNED}": signing.sign(said, key) for name, said in self.statements.items()}
        return {**self.objects, **said}


def statement_path(image: Path) -> Path:
    """Where the signed statement of a finished image is."""
    return image.with_name(f"{image.name}{SIGNED}")


def current(made: Image, evidence: Evidence, key: PrivateKey | None) -> bool:
    """Whether this very evidence is in the image, signed with this key, with its statement beside it."""
    sealed, beside = made.sealed, statement_path(made.path)
    if sealed is None or (sealed.content, sealed.key) != (evidence.digest, key.id if key else ""):
        return False
    return (files.sha256(beside) if beside.is_file() else "") == sealed.statement


def seal(
    made: Image,
    evidence: Evidence,
    key: PrivateKey | None,
    tools: Tools,
    epoch: int,
    sink: Sink,
    log: Path | None = None,
) -> Image:
    """The image with evidence in it, signed where there is a key. Call while holding the folder's lock."""
    contents, beside = evidence.contents(key), statement_path(made.path)
    with files.beside(made.path) as partial:
        _restore(made, partial)
        with tempfile.TemporaryDirectory(prefix=".evidence.partial-", dir=made.path.parent) as work:
            paths = {name: Path(work, name) for name in contents}
            for name, path in paths.items():
                path.write_bytes(contents[name])
            for command in build.evidence(tools, {n: str(p) for n, p in paths.items()}, str(partial)):
                run(command, sink, log=log)
        _steady(partial, epoch)
        if key is not None:
            run(build.sign(tools, str(key.path.resolve()), str(partial)), sink, log=log)
            _steady(partial, epoch)  # the signature has a time too, which it does not cover
        partial.chmod(0o755)
        sealed = _sealed(partial, evidence, key)
        said = _release(made, sealed, key)
        beside.unlink(missing_ok=True)  # it is of the file that is replaced now
    if said:
        files.write_text(beside, said.decode())
    sealed = replace(sealed, statement=hashlib.sha256(said).hexdigest() if said else "")
    finished = replace(made, sealed=sealed)
    image.write_record(finished)
    return finished


def _restore(made: Image, output: Path) -> None:
    """Write the image as it was built, before any evidence; raises where its bytes are others."""
    state = hashlib.sha256()
    with output.open("wb") as handle:
        for block in sif_file.base(made.path):
            state.update(block)
            handle.write(block)
    if state.hexdigest() != made.sha256:
        what = f"{made.path} without its evidence has the SHA-256 {state.hexdigest()}, and {made.sha256} was built"
        raise StackError([Fault(what, None, "build it again")], ExitCode.CHECK_FAILED)


def _steady(path: Path, epoch: int) -> None:
    head = sif_file.head(path)
    with path.open("r+b") as handle:
        handle.write(sif.steady(head, epoch))


def _sealed(path: Path, evidence: Evidence, key: PrivateKey | None) -> Sealed:
    objects = {o.name or o.type: sif_file.sha256(path, o) for o in sif_file.objects(path)}
    sha256, sha512 = sif_file.digests(path)
    return Sealed(sha256, sha512, path.stat().st_size, key.id if key else "", evidence.digest, "", objects)


def _release(made: Image, sealed: Sealed, key: PrivateKey | None) -> bytes:
    """The signed statement of the finished file; empty without a key."""
    if key is None:
        return b""
    said = statements.release(
        made.path.name, sealed.sha256, sealed.sha512, size=sealed.size, lock=made.lock, base=made.sha256,
        key=key.id, objects=sealed.objects,
    )  # fmt: skip
    return signing.sign(said, key)

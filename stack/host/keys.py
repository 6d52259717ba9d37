"""Keys that sign and that are trusted: PEM files. Made whole or not at all, and never over another key.

What is accepted is what both `cryptography` and Apptainer take, so that one key makes every signature of an image.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from stack.errors import Position, StackError, bad_input
from stack.host import files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

LIMIT = 64 << 10
SHORTEST_RSA = 3072
NEW = "sovstack key new"
_LABEL = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,60})-----")
_PRIVATE = ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")  # Apptainer reads no others
_PUBLIC = ("PUBLIC KEY",)


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with. `id`: SHA-256 of its SubjectPublicKeyInfo in DER, in hex.

    `fingerprint`: what Apptainer calls it in a signature, and OpenSSH anywhere.
    """

    id: str
    kind: str
    fingerprint: str
    pem: str
    path: Path

    def loaded(self) -> PublicKeyTypes:
        """The key itself."""
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        return load_pem_public_key(self.pem.encode())


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs, and its public half."""

    public: PublicKey
    path: Path
    secret: PrivateKeyTypes

    @property
    def id(self) -> str:
        """The id of its public half."""
        return self.public.id


def folder() -> Path:
    """Where this user's keys are: `keys/` has the site's own, `trusted/` the public keys of others."""
    return files.user_folder("XDG_CONFIG_HOME", ".config")


def site() -> Path:
    """The site's own private key."""
    return folder() / "keys/site.pem"


def public_path(private: Path) -> Path:
    """Where the public half of a new key is put."""
    return private.with_suffix(".pub")


def new(path: Path) -> PrivateKey:
    """Make an Ed25519 pair: the private key readable by its owner alone, the public one beside it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if path.suffix == ".pub" or not path.name:
        raise bad_input(f"{path} would be the name of the public half", remedy="name the private key, site.pem say")
    secret = Ed25519PrivateKey.generate()
    public = _public(secret.public_key(), public_path(path))
    private = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with files.disk_errors(path):
        if missing := not path.parent.exists():
            path.parent.mkdir(parents=True)
        if missing:
            path.parent.chmod(0o700)
        _put(public.path, public.pem.encode(), 0o644)
        try:
            _put(path, private, 0o600)
        except BaseException:
            public.path.unlink()
            raise
    return PrivateKey(public, path, secret)


def _put(path: Path, data: bytes, mode: int) -> None:
    """A whole new file with this mode from its first byte on; raises where something has the name."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.link(partial, path)  # unlike a rename, fails where there is a file
    except FileExistsError:
        remedy = "a key is never written over: name another with --out, or move this one away"
        raise bad_input("there is a file already", Position(str(path)), remedy) from None
    finally:
        partial.unlink(missing_ok=True)


def private(path: Path) -> PrivateKey:
    """The private key in a PEM file; raises with what to do about one that cannot be used."""
    text = _text(path)
    label = _label(text, path)
    if label in _PUBLIC or label == "CERTIFICATE":
        raise _wrong(path, "a public key, and a private one signs", f"name the private key; `{NEW}` makes a pair")
    if label not in _PRIVATE:
        convert = f"openssl pkcs8 -topk8 -nocrypt -in {quote(str(path))} -out NEW.pem"
        raise _wrong(path, f"a PEM file that begins with {label}, which Apptainer does not read", convert)
    with contextlib.suppress(OSError):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            remedy = f"chmod 600 {quote(str(path))}; where somebody may have read it, make a new one"
            raise _wrong(path, "a private key that others may read", remedy)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        secret = load_pem_private_key(text.encode(), None)
    except TypeError:
        raise _passphrase(path) from None
    except (ValueError, _unsupported()):
        raise _wrong(path, "damaged: no private key can be read from it", f"`{NEW}` makes one") from None
    return PrivateKey(_public(secret.public_key(), path), path, secret)


def public(path: Path) -> PublicKey:
    """The public key in a PEM file; raises for anything else."""
    text = _text(path)
    label = _label(text, path)
    if label.endswith("PRIVATE KEY"):
        raise _wrong(path, "a private key, and a public one is needed", f"keep it secret; name {public_path(path)}")
    if label not in _PUBLIC:
        raise _wrong(path, f"a PEM file that begins with {label}", "a public key begins with BEGIN PUBLIC KEY")
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return _public(load_pem_public_key(text.encode()), path)
    except (ValueError, _unsupported()):
        raise _wrong(path, "damaged: no public key can be read from it", "ask its owner for it again") from None


def either(path: Path) -> PublicKey:
    """The public key in a file, or of the private key in it."""
    return private(path).public if _label(_text(path), path).endswith("PRIVATE KEY") else public(path)


def chosen(path: Path | None) -> PrivateKey | None:
    """The key that was named, else the site's own, else None."""
    if path is not None:
        return private(path)
    return private(site()) if site().exists() else None


def needed(path: Path | None) -> PrivateKey:
    """The key that was named, else the site's own; raises where there is none."""
    found = chosen(path)
    if found is None:
        raise bad_input(
            f"there is no key: {site()} does not exist", remedy=f"`{NEW}` makes one, or name one with --key"
        )
    return found


def trusted(named: Iterable[Path] = ()) -> tuple[PublicKey, ...]:
    """The keys that were named; where none was, those in `trusted/`, and the site's own."""
    paths = tuple(named)
    if not paths:
        paths = tuple(sorted((folder() / "trusted").glob("*.pub")))
        paths += (public_path(site()),) if public_path(site()).exists() else ()
    return tuple({key.id: key for key in map(public, paths)}.values())


def _text(path: Path) -> str:
    return files.read_text(path, LIMIT, f"a key is a PEM file; `{NEW}` makes one")


def _label(text: str, path: Path) -> str:
    """What the first block of a PEM file is; raises for passphrases, which nobody is here to be asked for."""
    found = _LABEL.search(text)
    if found is None:
        raise _wrong(path, "not a PEM file", f"a key begins with -----BEGIN; `{NEW}` makes one")
    label = found[1]
    if "ENCRYPTED" in label or "Proc-Type: 4,ENCRYPTED" in text:
        raise _passphrase(path)
    if label == "OPENSSH PRIVATE KEY":
        raise _wrong(path, "a key in OpenSSH's own format", f"keys for logging in sign no images; `{NEW}` makes one")
    if label.startswith("PGP "):
        raise _wrong(path, "a PGP key", f"only plain PEM keys sign here; `{NEW}` makes one")
    return label


def _public(key: Any, path: Path) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    kind = _kind(key, path)
    form = PublicFormat.SubjectPublicKeyInfo
    der, pem = key.public_bytes(Encoding.DER, form), key.public_bytes(Encoding.PEM, form)
    blob = base64.b64decode(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    fingerprint = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return PublicKey(hashlib.sha256(der).hexdigest(), kind, f"SHA256:{fingerprint}", pem.decode(), path)


def _kind(key: Any, path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return f"ECDSA P-{key.curve.key_size}"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < SHORTEST_RSA:
            raise _wrong(path, f"an RSA key of {key.key_size} bits; {SHORTEST_RSA} is the least", f"`{NEW}` makes one")
        return f"RSA {key.key_size}"
    raise _wrong(path, "a key of another kind than Ed25519, ECDSA P-256 or P-384, and RSA", f"`{NEW}` makes one")


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


def _passphrase(path: Path) -> StackError:
    remedy = f"nobody can be asked here: openssl pkcs8 -topk8 -nocrypt -in {quote(str(path))} -out NEW.pem, or `{NEW}`"
    return _wrong(path, "a key with a passphrase", remedy)


def _wrong(path: Path, what: str, remedy: str) -> StackError:
    return bad_input(what, Position(str(path)), remedy)

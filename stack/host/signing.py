"""Statements in DSSE envelopes: signed with one key, and opened only where a trusted key signed them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stack.artifact import canonical_json
from stack.errors import ExitCode, Fault, Position, StackError, bad_input
from stack.host.keys import PrivateKey, PublicKey
from stack.inspection import parsed

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

PAYLOAD = "application/vnd.in-toto+json"
UNTRUSTED = "get the key from whoever signed it, and name it with --key PUB"
LIMIT = 64 << 20


@dataclass(frozen=True)
class Opened:
    """A statement, and the key that signed it."""

    statement: Mapping[str, Any]
    key: PublicKey


def sign(statement: Mapping[str, Any], key: PrivateKey) -> bytes:
    """The statement in an envelope. With an Ed25519 key, equal statements give equal bytes."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    envelope = Envelope(canonical_json(statement).encode(), PAYLOAD, {})
    envelope.sign(CryptoSigner(key.secret, _checker(key.public)))
    return canonical_json(envelope.to_dict()).encode()


def verify(data: bytes, trusted: Iterable[PublicKey], name: str) -> Opened:
    """The statement of an envelope that a trusted key signed; raises with what is wrong with any other."""
    from securesystemslib.exceptions import VerificationError

    envelope = _envelope(data, name)
    if envelope.payload_type != PAYLOAD:
        raise bad_input(f"an envelope of {envelope.payload_type[:80]!r}, and not of {PAYLOAD}", Position(name))
    known = {key.id: key for key in trusted}
    mine = [key for key in known.values() if key.id in envelope.signatures]
    if not mine:
        signers = ", ".join(sorted(k[:80] for k in envelope.signatures)) or "nobody"
        raise refused(f"signed by {signers}, and by no key that is trusted here", name, UNTRUSTED)
    try:
        accepted = envelope.verify([*map(_checker, mine)], 1)
    except VerificationError:
        raise refused("the signature is not one of its content: one of them was changed", name) from None
    return Opened(_statement(envelope.payload, name), known[next(iter(accepted))])


def unchecked(data: bytes, name: str) -> Mapping[str, Any]:
    """The statement of an envelope, whoever signed it: to show, and not to rely on."""
    return _statement(_envelope(data, name).payload, name)


def exact(data: bytes, name: str) -> bool:
    """Whether an envelope is written as `sign` writes it: base64 and JSON can say the same in other bytes."""
    return canonical_json(_envelope(data, name).to_dict()).encode() == data


def refused(what: str, name: str, remedy: str = "") -> StackError:
    """The answer is no (exit code 1)."""
    return StackError([Fault(what, Position(name), remedy)], ExitCode.CHECK_FAILED)


def _checker(key: PublicKey) -> SSlibKey:
    """The library's own form of a key, under our name of it."""
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    return SSlibKey.from_crypto(key.loaded(), keyid=key.id)


def _envelope(data: bytes, name: str) -> Envelope:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError

    try:
        found = Envelope.from_dict(json.loads(data))
        for word in (found.payload_type, *found.signatures):
            word.encode()  # the library takes any value for a text, and JSON has halves of characters
    except (FormatError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise bad_input("not a DSSE envelope, or a damaged one", Position(name)) from None
    return found


def _statement(payload: bytes, name: str) -> Mapping[str, Any]:
    found = parsed(payload)
    if not isinstance(found, dict) or not isinstance(found.get("predicate"), dict):
        raise bad_input("an envelope without an in-toto statement", Position(name))
    return found

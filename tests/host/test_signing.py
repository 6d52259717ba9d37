from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from stack.errors import ExitCode, StackError
from stack.host import keys, signing
from stack.host.keys import PrivateKey

SAID: dict[str, Any] = {"_type": "t", "predicateType": "p", "predicate": {"a": [1, "ü"]}, "subject": []}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return keys.new(tmp_path_factory.mktemp("k") / "a.pem")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return keys.new(tmp_path_factory.mktemp("k") / "b.pem")


def changed(data: bytes, **update: Any) -> bytes:
    return json.dumps({**json.loads(data), **update}).encode()


def refused(data: bytes, key: PrivateKey, code: ExitCode, said: str) -> None:
    with pytest.raises(StackError, match=said) as caught:
        signing.verify(data, [key.public], "x.dsse.json")
    assert caught.value.exit_code == code
    assert str(caught.value).startswith("x.dsse.json: ")


def test_what_was_signed_comes_back_with_who_signed_it(key: PrivateKey, stranger: PrivateKey) -> None:
    data = signing.sign(SAID, key)
    opened = signing.verify(data, [stranger.public, key.public], "x")
    assert (opened.statement, opened.key) == (SAID, key.public)
    assert signing.sign(SAID, key) == data  # Ed25519 is deterministic
    assert signing.unchecked(data, "x") == SAID


@pytest.mark.parametrize("make", [
    lambda: ec.generate_private_key(ec.SECP256R1()), lambda: ec.generate_private_key(ec.SECP384R1()),
    lambda: rsa.generate_private_key(65537, 3072),
], ids=["P-256", "P-384", "RSA"])  # fmt: skip
def test_the_other_kinds_of_keys_sign_too(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    path.write_bytes(make().private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    path.chmod(0o600)
    own = keys.private(path)
    assert signing.verify(signing.sign(SAID, own), [own.public], "x").statement == SAID


def test_openssl_agrees_with_the_signature(key: PrivateKey, tmp_path: Path) -> None:
    envelope = json.loads(signing.sign(SAID, key))
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    argv = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key.public.path), "-rawin", "-in",
            str(tmp_path / "pae"), "-sigfile", str(tmp_path / "sig")]  # fmt: skip
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("openssl is not installed (as root: apt-get install openssl)")
    assert done.returncode == 0, done.stderr
    assert envelope["signatures"][0]["keyid"] == key.id


def test_a_key_that_is_not_trusted_is_named(key: PrivateKey, stranger: PrivateKey) -> None:
    data = signing.sign(SAID, key)
    refused(data, stranger, ExitCode.CHECK_FAILED, f"signed by {key.id}, and by no key that is trusted")
    refused(changed(data, signatures=[]), key, ExitCode.CHECK_FAILED, "signed by nobody")


def test_a_forged_name_of_a_key_helps_nobody(key: PrivateKey, stranger: PrivateKey) -> None:
    data = json.loads(signing.sign(SAID, stranger))
    data["signatures"][0]["keyid"] = key.id
    refused(json.dumps(data).encode(), key, ExitCode.CHECK_FAILED, "the signature is not one of its content")


def test_a_changed_payload_is_found(key: PrivateKey) -> None:
    data = signing.sign(SAID, key)
    other = base64.b64encode(json.dumps({**SAID, "subject": [1]}).encode()).decode()
    refused(changed(data, payload=other), key, ExitCode.CHECK_FAILED, "the signature is not one of its content")


def test_every_changed_byte_of_content_or_signature_is_found(key: PrivateKey) -> None:
    data = signing.sign(SAID, key)
    for at in range(0, len(data)):
        other = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            opened = signing.verify(other, [key.public], "x")
        except StackError:
            continue
        assert opened.statement == SAID  # in white space, or in the padding of base 64: nothing that was signed


@pytest.mark.parametrize("data", [
    b"", b"{", b"[]", b"3", b"null", b"\xff", b"[" * 100_000, b"{}", b'{"payload": 3}',
    b'{"payload": "e30=", "payloadType": "x", "signatures": 3}',
    b'{"payload": "e30=", "payloadType": "x", "signatures": [3]}',
    b'{"payload": "e30=", "payloadType": "x", "signatures": [{"sig": "AA=="}]}',
    b'{"payload": "!", "payloadType": "x", "signatures": []}',
    b'{"payload": "e30=", "payloadType": ["x"], "signatures": []}',
    b'{"payload": "e30=", "payloadType": 5, "signatures": []}',
    b'{"payload": "e30=", "payloadType": null, "signatures": []}',
    b'{"payload": "e30=", "payloadType": {}, "signatures": []}',
    b'{"payload": "e30=", "payloadType": "\\ud800", "signatures": []}',
    b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": 5, "sig": "eA=="}]}',
    b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": null, "sig": ""}]}',
    b'{"payload": "", "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "", "keyid": "\\udfff"}]}',
])  # fmt: skip
def test_what_is_no_envelope_is_bad_input(data: bytes, key: PrivateKey) -> None:
    refused(data, key, ExitCode.BAD_INPUT, "not a DSSE envelope, or a damaged one|an envelope of")


def test_half_a_character_in_a_statement_is_bad_input(key: PrivateKey) -> None:
    """What it says is told, as JSON too, and nothing can write it."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    envelope = Envelope(b'{"predicate": {"x": "\\ud800"}}', signing.PAYLOAD, {})
    envelope.sign(CryptoSigner(key.secret, signing._checker(key.public)))
    refused(json.dumps(envelope.to_dict()).encode(), key, ExitCode.BAD_INPUT, "without an in-toto statement")


def test_an_envelope_of_something_else(key: PrivateKey) -> None:
    data = signing.sign(SAID, key)
    refused(changed(data, payloadType="text/plain"), key, ExitCode.BAD_INPUT, "an envelope of 'text/plain'")
    for said in ({}, {"predicate": 3}):
        refused(signing.sign(said, key), key, ExitCode.BAD_INPUT, "without an in-toto statement")

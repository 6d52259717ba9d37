from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from stack.errors import ExitCode, StackError
from stack.host import keys

PLAIN = form.NoEncryption()
SECRET = form.BestAvailableEncryption(b"word")
KINDS: dict[str, Any] = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "ECDSA P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ECDSA P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RSA 3072": lambda: rsa.generate_private_key(65537, 3072),
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/sovstack"


def pem(secret: Any, how: Any = form.PrivateFormat.PKCS8, encryption: Any = PLAIN) -> bytes:
    data = secret.private_bytes(form.Encoding.PEM, how, encryption)
    assert isinstance(data, bytes)
    return data


def public_pem(secret: Any) -> bytes:
    data = secret.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    assert isinstance(data, bytes)
    return data


def put(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "a key.pem"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def refused(path: Path, *said: str, public: bool = False) -> None:
    with pytest.raises(StackError) as caught:
        (keys.public if public else keys.private)(path)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    text = str(caught.value)
    assert text.startswith(f"{path}:")
    assert caught.value.faults[0].remedy
    for part in said:
        assert part in text


# --- made ---


def test_a_new_key_is_its_owners_alone_and_whole(config: Path) -> None:
    old = os.umask(0)
    try:
        made = keys.new(keys.site())
    finally:
        os.umask(old)
    assert made.path == config / "keys/site.pem"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in made.path.parent.iterdir()}
    assert modes == {"site.pem": 0o600, "site.pub": 0o644}
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert keys.private(made.path).id == keys.public(made.public.path).id == made.id


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    for first, name in ((tmp_path / "a.pem", "a.pem"), (tmp_path / "b.pub", "b.pub")):
        first.write_text("mine")
        with pytest.raises(StackError, match="there is a file already") as caught:
            keys.new(tmp_path / f"{first.stem}.pem")
        assert caught.value.exit_code == ExitCode.BAD_INPUT
        assert name in str(caught.value)
        assert first.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pem", "b.pub"]  # and no half of a pair is left


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError, match="there is a file already"):
        keys.new(tmp_path / "a.pem")
    assert not (tmp_path / "elsewhere").exists()


def test_the_private_key_has_not_the_public_ones_name(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="the name of the public half"):
        keys.new(tmp_path / "site.pub")


def test_openssl_reads_the_new_key(tmp_path: Path) -> None:
    made = keys.new(tmp_path / "a.pem")
    argv = ["openssl", "pkey", "-in", str(made.path), "-pubout", "-outform", "DER"]
    try:
        der = subprocess.run(argv, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("openssl is not installed (as root: apt-get install openssl)")
    assert made.id == hashlib.sha256(der).hexdigest()


# --- read ---


@pytest.mark.parametrize("kind", KINDS)
def test_the_kinds_of_keys_that_sign(kind: str, tmp_path: Path) -> None:
    secret = KINDS[kind]()
    path = put(tmp_path, pem(secret))
    found = keys.private(path)
    assert found.public.kind == kind
    ssh = secret.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).split()[1]
    digest = hashlib.sha256(base64.b64decode(ssh)).digest()
    assert found.public.fingerprint == "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    assert keys.either(path).id == found.id
    path.write_bytes(public_pem(secret))
    assert keys.public(path).id == keys.either(path).id == found.id


@pytest.mark.parametrize("kind", ["ECDSA P-256", "RSA 3072"])
def test_the_older_form_is_read_too(kind: str, tmp_path: Path) -> None:
    path = put(tmp_path, pem(KINDS[kind](), form.PrivateFormat.TraditionalOpenSSL))
    assert keys.private(path).public.kind == kind


@pytest.mark.parametrize(
    "data",
    [
        pem(KINDS["Ed25519"](), encryption=SECRET),
        pem(KINDS["ECDSA P-256"](), form.PrivateFormat.TraditionalOpenSSL, SECRET),
        b"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n",
        b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
    ],
    ids=["pkcs8", "traditional", "cosign", "sigstore"],
)
def test_a_passphrase_is_refused_with_what_takes_it_off(data: bytes, tmp_path: Path) -> None:
    refused(put(tmp_path, data), "a key with a passphrase", "-nocrypt -in '", "sovstack key new")


def told(value: bytes | str) -> str:
    """A name for a case. Keys are new in every process, and so would be the names that pytest makes of them."""
    return value if isinstance(value, str) else ""


OPENSSH = pem(KINDS["Ed25519"](), form.PrivateFormat.OpenSSH)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (OPENSSH, "OpenSSH's own format"),
        (public_pem(KINDS["Ed25519"]()), "a public key, and a private one signs"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "a public key, and a private one signs"),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "a PGP key"),
        (b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", "openssl pkcs8 -topk8"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged"),
        (pem(KINDS["Ed25519"]())[:60], "damaged"),
        (pem(rsa.generate_private_key(65537, 2048)), "an RSA key of 2048 bits; 3072 is the least"),
        (pem(ec.generate_private_key(ec.SECP521R1())), "of another kind"),
        (b"", "not a PEM file"),
        (b"hello", "not a PEM file"),
        (b"\xff\xfe", "not UTF-8"),
        pytest.param(b"x" * (keys.LIMIT + 1), "larger than 64 KiB", id="large"),
    ],
    ids=told,
)  # fmt: skip
def test_what_is_no_private_key_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    refused(put(tmp_path, data), said)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pem(KINDS["Ed25519"]()), "a private key, and a public one is needed"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "begins with CERTIFICATE"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "damaged"),
        (public_pem(rsa.generate_private_key(65537, 2048)), "3072 is the least"),
        (b"hello", "not a PEM file"),
    ],
    ids=told,
)  # fmt: skip
def test_what_is_no_public_key_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    refused(put(tmp_path, data), said, public=True)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_private_key_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = put(tmp_path, pem(KINDS["Ed25519"]()), mode)
    refused(path, "a private key that others may read", f"chmod 600 '{path}'")


def test_a_folder_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, "Is a directory")
    refused(tmp_path / "none", "No such file")


# --- chosen ---


def test_the_sites_own_key_is_the_default(config: Path, tmp_path: Path) -> None:
    assert keys.chosen(None) is None
    with pytest.raises(StackError, match="there is no key") as caught:
        keys.needed(None)
    assert "sovstack key new" in str(caught.value)
    site, other = keys.new(keys.site()), keys.new(tmp_path / "other.pem")
    found, named = keys.chosen(None), keys.chosen(other.path)
    assert found and named
    assert (found.id, named.id, keys.needed(other.path).id) == (site.id, other.id, other.id)


def test_trusted_are_the_named_else_the_usual(config: Path, tmp_path: Path) -> None:
    assert keys.trusted() == ()
    site, other = keys.new(keys.site()), keys.new(config / "trusted/other.pem")
    (config / "trusted/again.pub").write_bytes(other.public.path.read_bytes())
    assert {key.id for key in keys.trusted()} == {site.id, other.id}
    assert len(keys.trusted()) == 2
    assert [key.id for key in keys.trusted([other.public.path])] == [other.id]
    (config / "trusted/bad.pub").write_text("x")
    with pytest.raises(StackError, match=r"bad\.pub: not a PEM file"):
        keys.trusted()

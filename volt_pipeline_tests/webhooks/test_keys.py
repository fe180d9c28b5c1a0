"""Pinned key files: every usual form of a public key, and a sentence for what cannot serve."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from volt_pipeline.sandbox.signing import Signer
from volt_pipeline.webhooks.keys import KeyFileError, load_keys


def file(directory: Path, content: bytes, name: str = "key") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def test_every_usual_form_of_a_key(tmp_path: Path, signer: Signer) -> None:
    public, other = signer.rsa_key.public_key(), signer.ed25519_key.public_key()
    raw = base64.b64encode(other.public_bytes(Encoding.Raw, PublicFormat.Raw))
    forms = {
        "pkcs8": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "pkcs1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "openssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" volt@example\n",
    }
    found = {load_keys([file(tmp_path, content, name)]).rsa[0][0] for name, content in forms.items()}
    assert len(found) == 1
    others = {
        "pem": b"\n" + signer.public("ed25519") + b"\n",
        "openssh": other.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "standard webhooks": b"whpk_" + raw + b"\n",
    }
    marks = {load_keys([file(tmp_path, content, name)]).ed25519[0][0] for name, content in others.items()}
    assert len(marks) == 1
    assert found != marks


def test_two_of_a_kind_and_no_more(tmp_path: Path, signer: Signer, stranger: Signer) -> None:
    pairs = [each.public("rsa") for each in (signer, stranger)] + [
        each.public("ed25519") for each in (signer, stranger)
    ]
    files = [file(tmp_path, content, f"key {at}") for at, content in enumerate(pairs)]
    assert len(load_keys(files).fingerprints) == 4
    assert len(load_keys([*files, *files]).fingerprints) == 4
    third = file(tmp_path, Signer.create().public("ed25519"), "third")
    with pytest.raises(KeyFileError, match=r"^VOLT_WEBHOOK_PUBLIC_KEY_FILE names more than 2 keys of one kind"):
        load_keys([*files, third])


def test_what_cannot_serve_is_explained(tmp_path: Path, signer: Signer) -> None:
    small = rsa.generate_private_key(65537, 1024).public_key()
    curve = ec.generate_private_key(ec.SECP256R1())
    private = signer.rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    wrong = {
        "an RSA key of 1024 bits": small.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "neither an RSA nor an Ed25519": curve.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ),
        "holds a private key": private,
        "holds no public key": b"<html>Not found</html>",
        "no public key in PEM": b"",
        "no public key": b"whpk_bm8=",
    }
    for says, content in wrong.items():
        path = file(tmp_path, content)
        with pytest.raises(KeyFileError) as caught:
            load_keys([path])
        told = str(caught.value)
        assert told.startswith(f"VOLT_WEBHOOK_PUBLIC_KEY_FILE names {path}")
        assert says in told
        assert "PRIVATE" not in told


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"^VOLT_WEBHOOK_PUBLIC_KEY_FILE is not set.*id_rsa\.pub"):
        load_keys([])
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(KeyFileError, match=r"which cannot be read \("):
            load_keys([path])

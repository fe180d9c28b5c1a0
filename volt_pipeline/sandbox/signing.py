"""How this Volt signs its webhooks: with keys of its own, in both forms that Volt is known to use.

RSA (`X-Respond-Flow-Signature`, SHA-256, PKCS #1 v1.5, base64) and Ed25519 after Standard Webhooks. The keys are made
once and kept where asked, so that a receiver can pin the public halves.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

Scheme = Literal["rsa", "ed25519"]
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PUBLIC_FILES: dict[Scheme, str] = {"rsa": "webhook-rsa.pub.pem", "ed25519": "webhook-ed25519.pub.pem"}


@dataclass(frozen=True)
class Signer:
    """A key of each kind, and which of them signs."""

    rsa_key: rsa.RSAPrivateKey = field(repr=False)
    ed25519_key: ed25519.Ed25519PrivateKey = field(repr=False)
    scheme: Scheme = "rsa"
    directory: Path | None = None

    @property
    def public_file(self) -> Path:
        """Where the public half of the key that signs stands."""
        return (self.directory or Path()).absolute() / PUBLIC_FILES[self.scheme]

    @classmethod
    def create(cls, scheme: Scheme = "rsa") -> Signer:
        """Fresh keys, kept nowhere."""
        return cls(rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate(), scheme)

    @classmethod
    def kept_in(cls, directory: Path, scheme: str = "rsa") -> Signer:
        """The keys of this directory, made when it has none; their public halves stand there in PUBLIC_FILES.

        Raises ValueError for a scheme that there is not, or keys that are not the sandbox's.
        """
        if scheme not in get_args(Scheme):
            raise ValueError(f"there is no scheme {scheme!r} to sign webhooks; it is {' or '.join(PUBLIC_FILES)}")
        directory.mkdir(parents=True, exist_ok=True)
        private = [directory / name.replace(".pub.", ".key.") for name in PUBLIC_FILES.values()]
        if not all(file.exists() for file in private):
            fresh = cls.create()
            keys: tuple[PrivateKey, ...] = (fresh.rsa_key, fresh.ed25519_key)
            for file, key in zip(private, keys, strict=True):
                text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
                    opened.write(text)
        loaded = [load_pem_private_key(file.read_bytes(), None) for file in private]
        rsa_key, ed25519_key = loaded
        if not isinstance(rsa_key, rsa.RSAPrivateKey) or not isinstance(ed25519_key, ed25519.Ed25519PrivateKey):
            raise ValueError(f"{directory} holds other keys than the sandbox makes; name another directory")
        signer = cls(rsa_key, ed25519_key, "rsa" if scheme == "rsa" else "ed25519", directory)
        for kind, name in PUBLIC_FILES.items():
            (directory / name).write_bytes(signer.public(kind))
        return signer

    def public(self, scheme: Scheme | None = None) -> bytes:
        """The public half of the key that signs (or of the one named), in PEM."""
        key: PrivateKey = self.rsa_key if (scheme or self.scheme) == "rsa" else self.ed25519_key
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def headers(self, body: bytes, identity: str, at: datetime) -> dict[str, str]:
        """The headers that prove this body ours."""
        if self.scheme == "rsa":
            signature = self.rsa_key.sign(body, padding.PKCS1v15(), SHA256())
            return {"X-Respond-Flow-Signature": base64.b64encode(signature).decode()}
        seconds = str(int(at.timestamp()))
        signature = self.ed25519_key.sign(f"{identity}.{seconds}.".encode() + body)
        return {
            "webhook-id": identity,
            "webhook-timestamp": seconds,
            "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
        }

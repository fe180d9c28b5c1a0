"""The public keys that events are verified with, from pinned files: never fetched, so that no one can slip in another.

A file holds one key: PEM (PKCS#8 or PKCS#1), OpenSSH (`ssh-rsa …`, `ssh-ed25519 …`), or the Standard Webhooks form
`whpk_<base64>` of an Ed25519 key. Two of a kind may serve at once, while a key is rotated.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
    load_ssh_public_key,
)

from volt_pipeline.errors import ExplainedError

SETTING = "VOLT_WEBHOOK_PUBLIC_KEY_FILE"
LEAST_BITS = 2048
_MOST_OF_A_KIND = 2
_MOST_BYTES = 64 * 1024
_REMEDY = "Volt publishes its RSA key at https://callbacks.respondflow.com/id_rsa.pub: save it, and name that file"

PublicKey = RSAPublicKey | Ed25519PublicKey


class KeyFileError(ExplainedError):
    """There is no usable public key, so nothing could be verified; the message names the setting and the file."""


@dataclass(frozen=True)
class Keys:
    """The keys in force, each with its fingerprint."""

    rsa: Sequence[tuple[str, RSAPublicKey]] = field(default=(), repr=False)
    ed25519: Sequence[tuple[str, Ed25519PublicKey]] = field(default=(), repr=False)

    @property
    def fingerprints(self) -> list[str]:
        return [mark for mark, _ in (*self.rsa, *self.ed25519)]


def fingerprint(key: PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the key (its SubjectPublicKeyInfo)."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def load_keys(files: Sequence[Path]) -> Keys:
    """The keys of these files. Raises KeyFileError when there is none, or one that cannot serve."""
    if not files:
        raise KeyFileError(f"{SETTING} is not set, and without a key no event can be trusted. {_REMEDY}.")
    rsa: dict[str, RSAPublicKey] = {}
    ed25519: dict[str, Ed25519PublicKey] = {}
    for file in files:
        key = _load(file)
        if isinstance(key, RSAPublicKey):
            rsa[fingerprint(key)] = key
        else:
            ed25519[fingerprint(key)] = key
    if max(len(rsa), len(ed25519)) > _MOST_OF_A_KIND:
        raise KeyFileError(f"{SETTING} names more than {_MOST_OF_A_KIND} keys of one kind; take out the old ones.")
    return Keys(list(rsa.items()), list(ed25519.items()))


def _load(file: Path) -> PublicKey:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES).strip()
    except OSError as error:
        raise KeyFileError(f"{SETTING} names {file}, which cannot be read ({error.strerror}). {_REMEDY}.") from None
    if b"PRIVATE KEY" in text:
        raise KeyFileError(f"{SETTING} names {file}, which holds a private key: only the public one belongs there.")
    try:
        key = _parsed(text)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{SETTING} names {file}, which holds no public key in PEM. {_REMEDY}.") from None
    if isinstance(key, RSAPublicKey):
        if key.key_size < LEAST_BITS:
            raise KeyFileError(
                f"{SETTING} names {file}, an RSA key of {key.key_size} bits; below {LEAST_BITS} anyone may forge it."
            )
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise KeyFileError(f"{SETTING} names {file}, which is neither an RSA nor an Ed25519 key. {_REMEDY}.")


def _parsed(text: bytes) -> object:
    if text.startswith(b"whpk_"):
        try:
            return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(b"whpk_"), validate=True))
        except binascii.Error as error:
            raise ValueError from error
    if text.startswith(b"ssh-"):
        return load_ssh_public_key(text)
    return load_pem_public_key(text)

"""Whether the raw bytes of a request were signed by Volt: two schemes, pinned keys, nothing negotiated.

- RSA: header `X-Respond-Flow-Signature` over the body. Volt's text names neither hash nor padding nor encoding:
  SHA-256, PKCS #1 v1.5 and base64 unless a setting says otherwise; what a request asks for is never asked.
- Ed25519 (Standard Webhooks): `webhook-id`, `webhook-timestamp` and `webhook-signature: v1a,<base64>` (several,
  separated by spaces) over `id.timestamp.body`; an old or future timestamp is refused.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm

from volt_pipeline.event import SignedEvent
from volt_pipeline.webhooks.keys import Keys

RSA_HEADER = "x-respond-flow-signature"
ID_HEADER, TIME_HEADER, ED25519_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
SIGNATURE_HEADERS = (RSA_HEADER, ED25519_HEADER)

HASHES: Mapping[str, Callable[[], HashAlgorithm]] = {
    "sha256": SHA256,
    "sha384": SHA384,
    "sha512": SHA512,
    "sha1": SHA1,  # only where somebody set it, because Volt turned out to use it
}
PADDINGS: Mapping[str, Callable[[HashAlgorithm], AsymmetricPadding]] = {
    "pkcs1v15": lambda _digest: padding.PKCS1v15(),
    "pss": lambda digest: padding.PSS(padding.MGF1(digest), padding.PSS.AUTO),
}
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}", re.ASCII)  # no dot: it ends the id in what is signed
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_MOST_SIGNATURES = 8  # of one request: more are no rotation, but work that a stranger gives us


# Each reads one spelling of a signature only: another that means the same bytes would be a changed request let through.


def _hexadecimal(text: str) -> bytes:
    found = bytes.fromhex(text)
    if text not in (found.hex(), found.hex().upper()):
        raise ValueError("not plain hexadecimal")
    return found


def _base64(text: str) -> bytes:
    found = base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
    if base64.b64encode(found).decode() != text:
        raise ValueError("not canonical base64")
    return found


def _base64url(text: str) -> bytes:
    found = base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    spelled = base64.urlsafe_b64encode(found).decode()
    if text not in (spelled, spelled.rstrip("=")):
        raise ValueError("not canonical base64url")
    return found


ENCODINGS: Mapping[str, Callable[[str], bytes]] = {
    "base64": _base64,
    "base64url": _base64url,
    "hex": _hexadecimal,
}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Verifier:
    """Says which requests are Volt's. `hash_name`, `padding_name` and `encoding` are of the RSA scheme (settings.py);
    `tolerance` is how far a timestamp may lie from now, each way, in seconds."""

    keys: Keys
    hash_name: str = "sha256"
    padding_name: str = "pkcs1v15"
    encoding: str = "base64"
    tolerance: float = 300.0
    clock: Callable[[], datetime] = _now

    def verified(self, headers: Mapping[str, str], body: bytes) -> SignedEvent | None:
        """The event, if one of the keys signed exactly this; None otherwise, without saying why.

        `headers` are by lower-case name.
        """
        return self._by_ed25519(headers, body) or self._by_rsa(headers, body)

    def _by_rsa(self, headers: Mapping[str, str], body: bytes) -> SignedEvent | None:
        given = headers.get(RSA_HEADER)
        if not given or not self.keys.rsa:
            return None
        try:
            signature = ENCODINGS[self.encoding](given.strip())
        except ValueError:
            return None
        digest = HASHES[self.hash_name]()
        for mark, key in self.keys.rsa:
            try:
                key.verify(signature, body, PADDINGS[self.padding_name](digest), digest)
            except InvalidSignature:
                continue
            return SignedEvent(f"sha256:{sha256(body).hexdigest()}", "rsa", mark, None, body)
        return None

    def _by_ed25519(self, headers: Mapping[str, str], body: bytes) -> SignedEvent | None:
        given = headers.get(ED25519_HEADER)
        identity, seconds = headers.get(ID_HEADER, ""), headers.get(TIME_HEADER, "")
        if not given or not self.keys.ed25519 or not (_ID.fullmatch(identity) and _SECONDS.fullmatch(seconds)):
            return None
        if abs(self.clock().timestamp() - int(seconds)) > self.tolerance:
            return None
        signed = f"{identity}.{seconds}.".encode() + body
        for signature in _signatures(given):
            for mark, key in self.keys.ed25519:
                try:
                    key.verify(signature, signed)
                except InvalidSignature:
                    continue
                sent_at = datetime.fromtimestamp(int(seconds), UTC)
                return SignedEvent(f"id:{identity}", "ed25519", mark, sent_at, body)
        return None


def _signatures(header: str) -> list[bytes]:
    """The Ed25519 signatures of the header; others (`v1` is a shared secret's) are passed over."""
    found = []
    for part in header.split(" ")[:_MOST_SIGNATURES]:
        version, _, text = part.partition(",")
        if version == "v1a":
            try:
                found.append(_base64(text))
            except ValueError:
                continue
    return found

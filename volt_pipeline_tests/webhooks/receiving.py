"""What the tests of the receiver share: a server on a warehouse, requests to it, and a look at what it kept."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from volt_pipeline.sandbox.signing import Signer
from volt_pipeline.warehouse.webhook_events import EventShelf
from volt_pipeline.webhooks.keys import Keys, fingerprint
from volt_pipeline.webhooks.receiver import Receiver
from volt_pipeline.webhooks.server import running
from volt_pipeline.webhooks.signature import Verifier
from volt_pipeline_tests.warehouse.loading import ask

NEVER = 86_400.0  # seconds: a watch that does not disturb what a test counts


def keys_of(*signers: Signer) -> Keys:
    rsa_keys = [signer.rsa_key.public_key() for signer in signers]
    ed25519_keys = [signer.ed25519_key.public_key() for signer in signers]
    return Keys([(fingerprint(key), key) for key in rsa_keys], [(fingerprint(key), key) for key in ed25519_keys])


def body(**payload: Any) -> bytes:
    """An event's body."""
    return json.dumps({"payload": payload}).encode()


@dataclass
class Post:
    """A running receiver, and a sender who knows how to sign."""

    url: str
    warehouse: str
    signer: Signer
    receiver: Receiver
    shelf: EventShelf = field(repr=False)

    def request(
        self, content: Any = b"", headers: Mapping[str, str] | None = None, method: str = "POST", path: str = "/volt"
    ) -> tuple[int, bytes]:
        """The status and body of the answer to a request as it is."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        try:
            connection.request(method, path, content, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, content: bytes, identity: str = "msg_1", signer: Signer | None = None) -> int:
        """The status of the answer to a signed event."""
        headers = (signer or self.signer).headers(content, identity, datetime.now(UTC))
        status, answer = self.request(content, headers)
        assert answer == b""
        return status

    def kept(self, columns: str = "body, deliveries") -> list[tuple[Any, ...]]:
        return ask(self.warehouse, f"SELECT {columns} FROM volt_ops.webhook_events ORDER BY id")


@contextmanager
def receiving(warehouse: str, signer: Signer, keys: Keys | None = None, **settings: Any) -> Iterator[Post]:
    """A receiver on a warehouse; `settings` are the Receiver's. It watches and prunes only where a test says so."""
    shelf = EventShelf(warehouse)
    usual = {"watch_seconds": NEVER, "prune_seconds": NEVER}
    receiver = Receiver(Verifier(keys or keys_of(signer)), shelf, **{**usual, **settings})
    with running(receiver) as url:
        yield Post(url, warehouse, signer, receiver, shelf)

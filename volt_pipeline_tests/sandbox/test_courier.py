"""The sandbox's own webhooks: what it posts, how it signs, and what it does when nobody answers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from volt_pipeline.sandbox import courier
from volt_pipeline.sandbox.courier import delivering
from volt_pipeline.sandbox.entities import Refused
from volt_pipeline.sandbox.signing import PUBLIC_FILES, Signer
from volt_pipeline.sandbox.world import World


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer.create()


@pytest.fixture
def world() -> World:
    return World.create(seed=1, accounts=1, contacts=4, now=datetime.now(UTC))


class Destination:
    """A server that keeps what is posted to it, and answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(body)["payload"] for _, body in self.posted]


@contextmanager
def listening() -> Iterator[Destination]:
    found = Destination()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def test_what_happens_to_a_message_is_posted_and_signed(world: World, signer: Signer) -> None:
    world.settle(world.clock())
    me, ann = world.accounts[0], world.contacts[0]
    with listening() as destination, delivering(world, signer) as sending:
        world.hear(ann, "too early: nobody is registered")
        world.mutate("registerWebhook", {"url": destination.url})
        heard = world.hear(ann, "hello")
        sent = world.mutate("createMessage", {"from_": me.primary_phone, "to": ann.phone_number, "body": "hi"})
        world.settle(world.clock())
        sending.wait()
        told = [(each["event_type"], each.get("id")) for each in destination.payloads]
        assert told == [
            ("webhook.test", None),
            ("message.received", heard.id),
            ("message.sent", sent.id),
            ("message.finalized", sent.id),
        ]
        _, received, outgoing, final = destination.payloads
        assert (received["direction"], outgoing["direction"]) == ("inbound", "outbound")
        assert (received["from_number"], received["text"]) == (ann.phone_number, "hello")
        assert (outgoing["status"], final["status"]) == ("sending", sent.status)
        for headers, body in destination.posted:
            signature = base64.b64decode(headers["x-respond-flow-signature"])
            signer.rsa_key.public_key().verify(signature, body, PKCS1v15(), SHA256())
    assert (sending.delivered, sending.lost) == (3, 0)
    world.hear(ann, "too late: nobody delivers")


def test_the_standard_form(world: World, signer: Signer) -> None:
    standard = Signer(signer.rsa_key, signer.ed25519_key, "ed25519")
    with listening() as destination, delivering(world, standard) as sending:
        world.mutate("registerWebhook", {"url": destination.url})
        world.hear(world.contacts[0], "hello")
        sending.wait()
        for headers, body in destination.posted:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            signature = base64.b64decode(headers["webhook-signature"].removeprefix("v1a,"))
            signer.ed25519_key.public_key().verify(signature, signed)
            with pytest.raises(InvalidSignature):
                signer.ed25519_key.public_key().verify(signature, signed + b" ")


def test_a_url_that_does_not_answer_is_refused(world: World, signer: Signer) -> None:
    with listening() as destination, delivering(world, signer, signs_tests=False):
        destination.answers = [500]
        with pytest.raises(Refused):
            world.mutate("registerWebhook", {"url": destination.url})
        assert world.webhooks == []
        assert "x-respond-flow-signature" not in destination.posted[0][0]


def test_it_comes_again_a_few_times(world: World, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "_WAIT_SECONDS", 0)
    with listening() as destination, delivering(world, signer) as sending:
        world.mutate("registerWebhook", {"url": destination.url})
        destination.answers = [503, 503, 200, *[503] * courier.TRIES]
        world.hear(world.contacts[0], "twice refused")
        world.hear(world.contacts[0], "lost")
        sending.wait()
    assert (sending.delivered, sending.lost) == (1, 1)
    texts = [payload.get("text") for payload in destination.payloads]
    assert texts == [None, *["twice refused"] * 3, *["lost"] * courier.TRIES]


def test_keys_are_made_once(tmp_path: Path) -> None:
    first, second = Signer.kept_in(tmp_path / "keys"), Signer.kept_in(tmp_path / "keys", "ed25519")
    assert first.public("rsa") == second.public("rsa")
    assert first.public("ed25519") == second.public("ed25519") == second.public_file.read_bytes()
    for name in PUBLIC_FILES.values():
        load_pem_public_key((tmp_path / "keys" / name).read_bytes())
        assert (tmp_path / "keys" / name.replace(".pub.", ".key.")).stat().st_mode & 0o77 == 0
    with pytest.raises(ValueError, match="no scheme 'hmac'"):
        Signer.kept_in(tmp_path / "keys", "hmac")

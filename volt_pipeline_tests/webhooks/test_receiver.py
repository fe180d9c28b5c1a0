"""The receiver over HTTP, on a real Postgres: what it keeps, what it refuses, what it says while Postgres is away."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import psycopg
import pytest

from volt_pipeline.event import SignedEvent
from volt_pipeline.sandbox.signing import Signer
from volt_pipeline.warehouse import postgres
from volt_pipeline.warehouse.embedded import EmbeddedPostgres
from volt_pipeline.webhooks import server
from volt_pipeline.webhooks.intake import MOST_BYTES, Bucket, GroupCommit, NotKept
from volt_pipeline_tests.warehouse.loading import ask, end_connections
from volt_pipeline_tests.webhooks import test_signature
from volt_pipeline_tests.webhooks.receiving import Post, body, keys_of, receiving

TEXT = body(event_type="message.received", text="Grüße, 5' bricks", from_number="+19185559998")


def by(signer: Signer, scheme: str) -> Signer:
    return Signer(signer.rsa_key, signer.ed25519_key, "rsa" if scheme == "rsa" else "ed25519")


@pytest.mark.parametrize("scheme", ["rsa", "ed25519"])
def test_a_signed_event_is_kept_byte_by_byte_before_the_answer(post: Post, scheme: str) -> None:
    assert post.send(TEXT, signer=by(post.signer, scheme)) == 200
    assert post.kept("body, scheme, deliveries, processed_at") == [(TEXT, scheme, 1, None)]


def test_whatever_bytes_were_signed_are_kept(post: Post) -> None:
    odd = b'\x00\xff{"not": json'
    assert post.send(odd) == 200
    assert post.send(b"") == 200
    assert [kept for (kept,) in post.kept("body")] == [odd, b""]


def test_replays_and_duplicates_are_one_row(post: Post) -> None:
    standard = by(post.signer, "ed25519")
    for _ in range(3):
        assert post.send(TEXT) == 200
    assert post.send(TEXT, "msg_7", standard) == 200
    assert post.send(TEXT, "msg_7", standard) == 200
    assert post.send(TEXT, "msg_8", standard) == 200
    assert post.kept() == [(TEXT, 3), (TEXT, 2), (TEXT, 1)]


def test_duplicates_at_the_same_moment_are_one_row(post: Post) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: post.send(TEXT), range(64))) == {200}
    assert post.kept() == [(TEXT, 64)]


@pytest.mark.parametrize("headers", [{}, {"X-Respond-Flow-Signature": "bm8="}, {"webhook-signature": "v1a,bm8="}])
def test_a_stranger_learns_nothing(post: Post, headers: dict[str, str]) -> None:
    statements = post.shelf.statements
    assert post.request(TEXT, headers) == (401, b"")
    assert post.kept() == []
    assert post.shelf.statements == statements


def test_of_hundreds_of_changed_requests_none_is_kept(
    post: Post, signer: Signer, stranger: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_signature, "BODY", TEXT)
    monkeypatch.setattr(test_signature, "NOW", datetime.now(UTC))
    statements = post.shelf.statements
    for headers, content in islice(test_signature.mutations(signer, stranger, Random(6)), 400):
        assert post.request(content, headers) == (401, b""), headers
    assert post.kept() == []
    assert post.shelf.statements == statements
    assert post.send(TEXT) == 200


def test_a_forged_flood_is_no_work_for_postgres(server_url: str, warehouse_url: str, signer: Signer) -> None:
    """Counted by Postgres itself."""
    counted = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = %s"
    name = warehouse_url.rsplit("/", 1)[1]

    def settled() -> int:
        """The count, once backends have told all: they do when they go."""
        ask(server_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
        deadline = time.monotonic() + 30
        while ask(server_url, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name) != [(0,)]:
            assert time.monotonic() < deadline
        ((found,),) = ask(server_url, counted, name)
        return int(found)

    with receiving(warehouse_url, signer) as post:
        assert post.send(TEXT) == 200
        before, statements = settled(), post.shelf.statements
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: post.request(TEXT, {"X-Respond-Flow-Signature": "bm8="})[0], range(500))) == {
                401
            }
        assert settled() - before < 5  # a vacuum of its own may be at work; the requests were 500
        assert post.shelf.statements == statements
        assert post.send(TEXT) == 200  # on a new connection
        assert settled() > before


def test_a_body_beyond_the_cap_is_refused(post: Post) -> None:
    fits, too_large = b"x" * MOST_BYTES, b"x" * (MOST_BYTES + 1)
    assert post.send(fits) == 200
    headers = post.signer.headers(too_large, "", test_signature.NOW)
    assert post.request(too_large, headers)[0] == 413
    # and chunked, without a Content-Length
    assert post.request(iter([fits[:40_000], fits[40_000:]]), post.signer.headers(fits, "", test_signature.NOW)) == (
        200,
        b"",
    )
    assert (
        _status(post, headers, b"".join(_chunk(too_large[at : at + 8_192]) for at in range(0, MOST_BYTES + 1, 8_192)))
        == 413
    )
    assert len(post.kept()) == 1


def _chunk(part: bytes) -> bytes:
    return f"{len(part):x}\r\n".encode() + part + b"\r\n"


def _status(post: Post, headers: dict[str, str], sent: bytes, framing: str = "Transfer-Encoding: chunked") -> int:
    """The status of the answer to a body that never ends, on a bare socket."""
    with socket.create_connection(("127.0.0.1", urlsplit(post.url).port or 0), timeout=30) as bare:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        bare.sendall("\r\n".join(["POST /volt HTTP/1.1", "Host: x", framing, *lines, "", ""]).encode() + sent)
        answer = bare.recv(4096)
        return int(answer.split()[1])


def test_a_body_that_trickles_in_is_given_up(warehouse_url: str, signer: Signer) -> None:
    with receiving(warehouse_url, signer, body_seconds=0.2) as post:
        assert _status(post, {}, b"half", "Content-Length: 100") == 408
        assert _status(post, {}, _chunk(b"half")) == 408
        assert post.send(TEXT) == 200
        assert post.kept() == [(TEXT, 1)]


def test_a_length_that_is_none(post: Post) -> None:
    assert _status(post, {}, b"", "Content-Length: -5") in (400, 413)
    assert _status(post, {}, b"", "Content-Length: 99999999999999999999") == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods(post: Post, method: str) -> None:
    assert post.request(TEXT, method=method)[0] == 405


def test_other_paths_and_health(post: Post) -> None:
    statements = post.shelf.statements
    assert post.request(method="GET", path="/healthz") == (200, b"ok")
    assert post.request(method="GET", path="/")[0] == 404
    assert post.request(TEXT, path="/volt/more")[0] == 404
    assert post.shelf.statements == statements


def test_beyond_the_rate_nothing_is_looked_at(warehouse_url: str, signer: Signer) -> None:
    with receiving(warehouse_url, signer, rate=0.001) as post:
        post.receiver._bucket = Bucket(0.001, 3)
        assert [post.send(TEXT) for _ in range(5)] == [200, 200, 200, 429, 429]
        assert post.request(TEXT) == (429, b"")
        assert post.kept() == [(TEXT, 3)]


def test_the_bucket_fills_again() -> None:
    now = 100.0
    bucket = Bucket(10, 20, lambda: now)
    assert [bucket.take() for _ in range(21)] == [True] * 20 + [False]
    now += 0.5
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    now += 3600
    assert [bucket.take() for _ in range(21)] == [True] * 20 + [False]


def test_two_keys_serve_while_one_is_rotated(warehouse_url: str, signer: Signer, stranger: Signer) -> None:
    with receiving(warehouse_url, signer, keys_of(signer, stranger)) as post:
        assert post.send(TEXT, signer=stranger) == 200
        assert post.send(TEXT + b" ") == 200
        assert len({mark for (mark,) in post.kept("signed_by")}) == 2


def test_while_the_table_is_locked_senders_are_told_to_come_again(
    warehouse_url: str, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(warehouse_url, signer, patience=0.3) as post:
        with psycopg.connect(warehouse_url) as other:
            other.execute("LOCK TABLE volt_ops.webhook_events")
            assert post.send(TEXT) == 503
        assert post.send(TEXT) == 200
        ((kept, _),) = post.kept()
        assert kept == TEXT


def test_while_postgres_is_frozen_senders_are_told_to_come_again(warehouse_url: str, signer: Signer) -> None:
    with receiving(warehouse_url, signer, patience=0.3) as post:
        assert post.send(TEXT) == 200
        backend = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
        ((pid,),) = ask(warehouse_url, backend, "volt_webhooks")
        os.kill(pid, signal.SIGSTOP)
        try:
            assert [post.send(TEXT + b" "), post.send(TEXT + b"  ")] == [503, 503]
            assert post.request(TEXT) == (401, b"")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert post.send(TEXT) == 200


def test_a_connection_that_was_ended_is_made_anew(post: Post) -> None:
    assert post.send(TEXT) == 200
    assert end_connections(post.warehouse, "volt_webhooks") == 1
    assert post.send(TEXT + b" ") == 200
    assert post.kept() == [(TEXT, 1), (TEXT + b" ", 1)]


@pytest.fixture
def own_postgres(tmp_path: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(tmp_path / "home")


def test_a_restart_of_postgres_in_the_middle(
    own_postgres: EmbeddedPostgres, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    """What was answered 200 is there afterwards, what came while it was away was answered 503, and it recovers."""
    url = own_postgres.acquire()
    postgres.prepare(url)
    with receiving(url, signer, patience=2.0) as post:
        sent: dict[bytes, int] = {}

        def send(number: int) -> int:
            content = body(text=f"Number {number}", from_number="+19185559998")
            sent[content] = post.send(content)
            return sent[content]

        with ThreadPoolExecutor(4) as pool:
            stream = [pool.submit(send, number) for number in range(100)]
            own_postgres.release()  # the only user: it is stopped
            assert send(1_000) == 503
            for each in stream:
                each.result()
        assert set(sent.values()) <= {200, 503}
        assert own_postgres.acquire() == url
        assert send(1_001) == 200
        kept = {content for (content,) in post.kept("body")}
        assert {content for content, status in sent.items() if status == 200} <= kept
    own_postgres.release()
    said = caplog.text
    assert "takes no events" in said
    assert "takes events again" in said
    assert "Number" not in said
    assert "+1918" not in said


def test_the_logs_hold_nothing_of_an_event(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert post.send(TEXT) == 200
    signature = base64.b64encode(b"no").decode()
    assert post.request(TEXT, {"X-Respond-Flow-Signature": signature})[0] == 401
    for told in ("bricks", "+19185559998", signature, "/volt"):
        assert told not in caplog.text


async def test_what_waits_when_the_receiver_stops_is_not_taken_for_kept() -> None:
    started = asyncio.Event()

    async def never(_events: object) -> None:
        started.set()
        await asyncio.Event().wait()

    queue = GroupCommit(never, patience=60)
    writer = asyncio.create_task(queue.run())
    waiting = [asyncio.create_task(queue.add(SignedEvent(f"id:{n}", "rsa", "", None, b""))) for n in range(3)]
    await started.wait()
    writer.cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [NotKept] * 3


async def test_when_too_many_wait_more_are_turned_away() -> None:
    release = asyncio.Event()
    started = asyncio.Event()
    batches: list[int] = []

    async def slow(events: Sequence[SignedEvent]) -> None:
        batches.append(len(events))
        started.set()
        await release.wait()

    queue = GroupCommit(slow, most=10, room=15)
    writer = asyncio.create_task(queue.run())
    first = asyncio.create_task(queue.add(SignedEvent("id:first", "rsa", "", None, b"")))
    await started.wait()
    more = [asyncio.create_task(queue.add(SignedEvent(f"id:{n}", "rsa", "", None, b""))) for n in range(20)]
    await asyncio.sleep(0)
    release.set()
    results = await asyncio.gather(first, *more, return_exceptions=True)
    writer.cancel()
    assert [type(result) for result in results].count(NotKept) == 5
    assert batches == [1, 10, 5]


def test_a_connection_on_which_nothing_comes_is_closed(
    warehouse_url: str, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    with receiving(warehouse_url, signer) as post:
        address = ("127.0.0.1", urlsplit(post.url).port or 0)
        with socket.create_connection(address, timeout=30) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(address, timeout=30) as slow:
            slow.sendall(b"POST /volt HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            assert slow.recv(1) == b""
        with socket.create_connection(address, timeout=30) as kept_alive:
            kept_alive.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while part := kept_alive.recv(4096):
                answer += part
            assert answer.endswith(b"ok")
        assert post.send(TEXT) == 200


def test_a_head_without_end_is_refused(post: Post) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(post.url).port or 0), timeout=30) as bare:
        bare.sendall(b"POST /volt HTTP/1.1\r\nHost: x\r\nX-Long: ")
        with pytest.raises(ConnectionError):  # long before so much was sent
            bare.sendall(b"x" * 2**27)
    assert post.kept() == []

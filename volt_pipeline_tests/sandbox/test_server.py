"""The server around the world: its token, its refusals, its record, and its clean end."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query, print_schema

from volt_pipeline.sandbox.resolvers import schema
from volt_pipeline.sandbox.server import TOKEN, Recorded, Sandbox, running
from volt_pipeline.sandbox.world import World

from .conftest import ask, control, http, new_world

UNAUTHORIZED = {"errors": [{"message": "Unauthorized", "extensions": {"code": "UNAUTHENTICATED"}}]}


def post(sandbox: Sandbox, **asked: Any) -> tuple[int, Any]:
    return http(sandbox.url, json.dumps(asked).encode(), sandbox.token)


def test_the_token_looks_like_volts() -> None:
    header, claims, signature = TOKEN.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["typ"] == "JWT"
    assert decoded["exp"] > time.time() + 10 * 365 * 86400
    assert {"read:messages", "write:contacts"} <= set(decoded["permissions"])
    assert signature


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1]])
@pytest.mark.parametrize("path", ["/graphql", "/control/tick", "/control/move", "/control/settle"])
def test_without_the_token_nothing_opens(sandbox: Sandbox, token: str | None, path: str) -> None:
    url = sandbox.url.replace("/graphql", path)
    assert http(url, b'{"query": "{ webhooks { id } }"}', token) == (401, UNAUTHORIZED)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"{}", b'{"query": 1}', b'{"query": "{a}", "variables": []}']
)
def test_what_is_no_request_is_a_400(sandbox: Sandbox, body: bytes) -> None:
    if b"variables" in body:
        body = body.replace(b"[]", b"[1]")
    status, answer = http(sandbox.url, body, sandbox.token)
    assert status == 400
    assert answer["errors"]
    assert sandbox.requests == [Recorded(None, [], 400)]


@pytest.mark.parametrize(
    "query",
    [
        "{",
        "{ nothing }",
        "{ webhooks }",
        'query { contact(primaryPhone: "1") { id } }',
        "query a { webhooks { id } } query b { webhooks { id } }",
    ],
)
def test_invalid_documents_are_a_400_without_data(sandbox: Sandbox, query: str) -> None:
    status, answer = post(sandbox, query=query)
    assert status == 400
    assert answer["errors"]
    assert "data" not in answer


def test_variables_of_the_wrong_kind_are_errors(sandbox: Sandbox) -> None:
    query = "query q($id: ID!) { message(id: $id) { id } }"
    _, answer = post(sandbox, query=query, variables={})
    assert answer["errors"]
    assert answer.get("data") is None


def test_introspection_works(sandbox: Sandbox) -> None:
    answer = ask(sandbox, get_introspection_query())
    assert print_schema(build_client_schema(answer["data"])) == print_schema(schema())


def test_documents_with_too_many_root_fields_are_refused(world: World) -> None:
    with running(world, max_root_fields=2) as sandbox:
        assert ask(sandbox, "{ a: webhooks { id } b: webhooks { id } }")["data"] == {"a": [], "b": []}
        spread = "{ a: webhooks { id } ...F } fragment F on Query { b: webhooks { id } ... { c: webhooks { id } } }"
        answer = ask(sandbox, spread)
        assert answer == {"errors": [{"message": "Query is too complex", "extensions": {"code": "QUERY_TOO_COMPLEX"}}]}
        assert sandbox.requests[-1].root_fields == ["webhooks"] * 3


def test_requests_are_recorded(sandbox: Sandbox) -> None:
    ask(sandbox, "query both { a: webhooks { id } message(id: 1) { id } }")
    http(sandbox.url, b"{}", "wrong")
    assert sandbox.requests == [Recorded("both", ["webhooks", "message"], 200), Recorded(None, [], 401)]


def test_the_control_routes_move_the_world(sandbox: Sandbox, world: World) -> None:
    before = len(world.messages)
    assert control(sandbox, "move", share=0.01) == {"messages": 1}
    assert len(world.messages) == before + 1
    assert control(sandbox, "tick", times=3) == {"ticks": 3}
    assert control(sandbox, "settle") == {"pending": 0}
    assert not world.ledger.pending
    assert http(sandbox.url.replace("/graphql", "/healthz"), None, None) == (200, {"status": "ok"})
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("move", b'{"share": 0}'),
        ("move", b'{"share": "x"}'),
        ("tick", b'{"times": 0}'),
        ("tick", b"[]"),
        ("tick", b"{"),
    ],
)
def test_bad_control_requests_are_a_400(sandbox: Sandbox, route: str, body: bytes) -> None:
    status, _ = http(sandbox.url.replace("/graphql", f"/control/{route}"), body, sandbox.token)
    assert status == 400


def test_the_phones_are_listed_by_get(sandbox: Sandbox) -> None:
    found = http(sandbox.url.replace("/graphql", "/control/phones"), None, sandbox.token)
    assert found == (200, [account.primary_phone for account in sandbox.world.accounts])


def test_the_server_ticks_by_itself(world: World) -> None:
    before = len(world.messages)
    with running(world, tick_seconds=0.005):
        deadline = time.monotonic() + 20
        while len(world.messages) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_latency_is_waited(world: World) -> None:
    with running(world, latency_ms=120) as sandbox:
        began = time.monotonic()
        ask(sandbox, "{ webhooks { id } }")
        assert time.monotonic() - began >= 0.12


def test_text_that_is_no_valid_unicode_is_still_answered(sandbox: Sandbox, world: World) -> None:
    message = world.messages[0]
    message.body = "half an emoji \ud83d and a \x00"
    found = ask(sandbox, f'{{ message(id: "{message.id}") {{ body }} }}')["data"]["message"]
    assert found["body"] == message.body


def test_the_world_may_be_moved_from_another_thread(sandbox: Sandbox, world: World) -> None:
    for _ in range(20):
        world.tick(world.clock())
        control(sandbox, "tick", times=2)
    assert ask(sandbox, "{ webhooks { id } }")["data"] == {"webhooks": []}


def test_on_ready_is_told_the_url_once() -> None:
    told: list[str] = []
    with running(new_world(contacts=2), on_ready=told.append) as sandbox:
        assert told == [sandbox.url]


SCRIPT = """
from datetime import UTC, datetime
from volt_pipeline.sandbox.server import serve
from volt_pipeline.sandbox.world import World
world = World.create(accounts=1, contacts=2, now=datetime.now(UTC))
serve(world, on_ready=lambda url: print(url, flush=True), tick_seconds=1)
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert http(url.replace("/graphql", "/healthz"), None, None)[0] == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "ended\n", "")

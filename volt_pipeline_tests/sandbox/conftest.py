"""A small world, a running sandbox, and one way to ask it something."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.world import World

NOW = datetime(2025, 3, 4, 15, 30, tzinfo=UTC)
EXAMPLES = (Path(__file__).parent / "volt_examples.graphql").read_text(encoding="utf-8")


def new_world(**settings: Any) -> World:
    return World.create(**{"seed": 1, "accounts": 2, "contacts": 40, "now": NOW, **settings})


@pytest.fixture
def world() -> World:
    return new_world()


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    """One server for all tests: stopping one takes longer than most of them."""
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox, world: World) -> Sandbox:
    """The server with a fresh world, an empty record and no faults."""
    server.world = world
    server.requests.clear()
    server.faults = Faults()
    return server


def http(url: str, body: bytes | None, token: str | None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def ask(sandbox: Sandbox, query: str, operation: str | None = None, **variables: Any) -> Any:
    """The whole body of the answer to a document that the server took."""
    asked = {"query": query, "variables": variables, "operationName": operation}
    status, body = http(sandbox.url, json.dumps(asked).encode(), sandbox.token)
    assert status == 200, body
    return body


def example(sandbox: Sandbox, operation: str, **variables: Any) -> Any:
    """Run one of the API text's own examples and return what stands under the operation's name."""
    body = ask(sandbox, EXAMPLES, operation, **variables)
    assert "errors" not in body, body
    return body["data"][operation]


def control(sandbox: Sandbox, name: str, **asked: Any) -> Any:
    url = sandbox.url.replace("/graphql", f"/control/{name}")
    status, body = http(url, json.dumps(asked).encode(), sandbox.token)
    assert status == 200, body
    return body


def dump(world: World) -> dict[str, Any]:
    """Everything there is in a world, comparable: entities by their attributes, references by id."""
    ledger = world.ledger
    return {
        "accounts": [_flat(each) for each in ledger.accounts],
        "contacts": [_flat(each) for each in ledger.contacts],
        "lists": [(_flat(each), world.size(each)) for each in world.lists],
        "memberships": {each.id: [chosen.id for chosen in world.lists_of(each)] for each in ledger.contacts},
        "waves": [_flat(each) for each in ledger.waves.values()],
        "messages": [_flat(each) for each in ledger.messages.values()],
        "webhooks": [_flat(each) for each in ledger.webhooks.values()],
        "pending": list(ledger.pending),
        "scheduled": list(ledger.scheduled),
        "inboxes": {key: [_flat(entry[2]) for entry in inbox.entries] for key, inbox in ledger.inboxes.items()},
        "conversations": {key: [entry[:2] for entry in each] for key, each in ledger.conversations.items()},
        "counts": world.expected_counts(),
    }


def _flat(entity: Any) -> dict[str, Any]:
    return {field.name: _value(getattr(entity, field.name)) for field in fields(entity)}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(each) for each in value]
    if is_dataclass(value):
        return value.id if hasattr(value, "id") else _flat(value)
    return sorted(value) if isinstance(value, set) else value

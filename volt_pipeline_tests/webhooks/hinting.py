"""Events put where the receiver would put them, and re-readings of what they hint at."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from volt_pipeline.event import SignedEvent
from volt_pipeline.refresh import RefreshReport, refresh
from volt_pipeline.sandbox.courier import event_of
from volt_pipeline.sandbox.entities import Message
from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline.warehouse.webhook_events import EventShelf
from volt_pipeline_tests.syncing import client
from volt_pipeline_tests.warehouse.loading import ask

_RUNS = itertools.count(1)
_IDS = itertools.count(1)


async def arrive(url: str, *bodies: bytes, with_id: bool = True) -> None:
    """Events come in, verified: of the Standard Webhooks form, each with its id, or known by their bodies."""
    shelf = EventShelf(url)
    try:
        await shelf.keep([signed(body, with_id=with_id) for body in bodies])
    finally:
        await shelf.close()


def signed(body: bytes, *, with_id: bool = True) -> SignedEvent:
    if with_id:
        return SignedEvent(f"id:{next(_IDS):06}", "ed25519", "0123", datetime.now(UTC), body)
    return SignedEvent(f"sha256:{sha256(body).hexdigest()}", "rsa", "0123", None, body)


def told(kind: str, message: Message, **other: Any) -> bytes:
    """The body of a message's event, with other values in it."""
    payload = json.loads(event_of(kind, message).body)["payload"]
    return json.dumps({"payload": {**payload, **other}}).encode()


async def refreshed(sandbox: Sandbox, url: str, *phones: str, **options: Any) -> RefreshReport:
    """One round of re-readings, for all accounts when none is named; `sandbox.requests` then holds what it asked."""
    sandbox.requests.clear()
    chosen: Sequence[str] = phones or [account.primary_phone for account in sandbox.world.accounts]
    async with client(sandbox) as volt:
        return await refresh(volt, url, chosen, **{"run_id": f"webhooks-{next(_RUNS)}", **options})


def outcomes(url: str) -> list[tuple[Any, ...]]:
    """What became of each event: its outcome and the reason."""
    return ask(url, "SELECT outcome, reason FROM volt_ops.webhook_events ORDER BY id")


def make_due(url: str) -> None:
    """What waits for another try is due now."""
    ask(url, "UPDATE volt_ops.webhook_events SET due_at = now() WHERE processed_at IS NULL")


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that another task does."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  # what is looked at stands in a database
            await asyncio.sleep(0.02)

"""Registering, listing and deleting webhooks at Volt; one registration a URL, however often it is asked for.

Composes `api/`, `webhooks/` and `warehouse/`. `registerWebhook` makes Volt post a test request at once, so the receiver
must be up, and must know: a row in `volt_ops.webhook_registrations` tells it, and its notice is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import TransientError, VoltError
from volt_pipeline.errors import ExplainedError
from volt_pipeline.warehouse import webhook_events
from volt_pipeline.webhooks.addresses import AddressRefused, check, normalized

OPEN_SECONDS = 60.0  # for Volt's test request to come
NOTICE_SECONDS = 5.0  # for a receiver to take notice, which it does every second


class RegistrationFailed(ExplainedError):
    """A webhook was not registered or not deleted; the message says what is known and what to do."""


@dataclass(frozen=True)
class Webhook:
    """A webhook as Volt holds it."""

    id: str
    url: str
    created_at: str


@dataclass(frozen=True)
class Registered:
    """A URL's registration: whether it is new, and further ones of the same URL, which send every event again."""

    webhook: Webhook
    is_new: bool
    duplicates: Sequence[Webhook] = ()


async def list_webhooks(volt: VoltClient) -> list[Webhook]:
    """All webhooks of the organization, oldest first."""
    found = (await volt.query("webhooks", {})).value or []
    made = [_made(each) for each in found if isinstance(each, dict)]
    return sorted(made, key=lambda webhook: (webhook.created_at, webhook.id))


def _made(value: Any) -> Webhook:
    return Webhook(str(value.get("id")), str(value.get("url") or ""), str(value.get("createdAt") or ""))


async def register(
    volt: VoltClient,
    warehouse_url: str,
    url: str,
    *,
    allow_private: bool = False,
    notice_seconds: float = NOTICE_SECONDS,
) -> Registered:
    """Have Volt post events to this URL, unless it does already.

    Raises AddressRefused for a URL that is not public https, RegistrationFailed when no receiver is up or Volt does
    not register it, VoltError.
    """
    address = await asyncio.to_thread(check, url, allow_private=allow_private)
    if held := _of(address, await list_webhooks(volt)):
        return Registered(held[0], False, held[1:])
    registration = webhook_events.open_registration(warehouse_url, address, OPEN_SECONDS)
    outcome = "refused"
    try:
        await _noticed(warehouse_url, registration, notice_seconds)
        failure: VoltError | None = None
        try:
            await volt.mutate("registerWebhook", {"url": address})
        except VoltError as error:
            failure = error
        held = _of(address, await list_webhooks(volt))
        if held:
            outcome = "registered"
            return Registered(held[0], True, held[1:])
        if isinstance(failure, TransientError) and failure.ambiguous and failure.because is None:
            outcome = "unknown"
        raise RegistrationFailed(
            f"Volt has not registered {address}{f' ({failure})' if failure else ''}. Its test request must reach the "
            "receiver there and be answered: try the URL with /healthz in place of /volt from outside."
        )
    finally:
        webhook_events.close_registration(warehouse_url, registration, outcome)


async def delete(volt: VoltClient, webhook_id: str) -> Webhook:
    """Have Volt forget a webhook. Raises RegistrationFailed when there is none of this id, VoltError."""
    found = {webhook.id: webhook for webhook in await list_webhooks(volt)}
    if webhook_id not in found:
        known = ", ".join(found) or "none"
        raise RegistrationFailed(f"Volt holds no webhook {webhook_id!r} (it holds: {known}).")
    await volt.mutate("deleteWebhook", {"id": webhook_id})
    if webhook_id in {webhook.id for webhook in await list_webhooks(volt)}:
        raise RegistrationFailed(
            f"Volt still holds webhook {webhook_id!r}, although it was asked to delete it: try again."
        )
    return found[webhook_id]


def _of(address: str, webhooks: Sequence[Webhook]) -> list[Webhook]:
    return [webhook for webhook in webhooks if _spelled(webhook.url) == address]


def _spelled(url: str) -> str:
    try:
        return normalized(url)
    except AddressRefused:  # what others registered need not please us
        return url


async def _noticed(warehouse_url: str, registration: int, seconds: float) -> None:
    """Wait until a receiver has taken notice, and a little longer for others beside it."""
    until = time.monotonic() + seconds
    while not await asyncio.to_thread(webhook_events.registration_noticed, warehouse_url, registration):
        if time.monotonic() >= until:
            raise RegistrationFailed(
                "No receiver is up on this warehouse, and Volt tests the URL at once: run `volt-pipeline webhooks "
                "serve` first, with the same WAREHOUSE_URL (or VOLT_HOME)."
            )
        await asyncio.sleep(0.1)
    await asyncio.sleep(min(seconds, 1.2))

"""A webhook event on its way: as it was signed, as it waits, and what became of it.

Data only: `webhooks/` receives and interprets events, `warehouse/` keeps them, and neither knows the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class SignedEvent:
    """A request whose signature held.

    `key` is the event's identity (event_key in volt_ops.webhook_events), `sent_at` its time under the signature,
    where the scheme has one; `body` is as received.
    """

    key: str
    scheme: str  # "rsa" | "ed25519"
    signed_by: str
    sent_at: datetime | None
    body: bytes = field(repr=False)


class WaitingEvent(NamedTuple):
    """An event that was taken up: how often by now, and when."""

    id: int
    body: bytes
    tries: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Hint:
    """What an event says that it is about; "" for what it does not say. Nothing of it is believed, it is looked up."""

    event_type: str = ""
    direction: str = ""
    message_id: str = ""
    from_number: str = field(default="", repr=False)
    to_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an event. `outcome` is "refreshed", "set_aside", or None: it is taken up again later."""

    event: WaitingEvent = field(repr=False)
    hint: Hint = Hint()
    account_id: str | None = None
    contact_phone: str | None = field(default=None, repr=False)
    outcome: str | None = None
    reason: str | None = None

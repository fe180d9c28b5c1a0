"""An intent: one row of `volt_ops.outbox`, as the rest of this room sees it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal

Kind = Literal["message", "scheduled_message", "wave"]
State = Literal["queued", "held", "attempting", "accepted", "rejected", "unknown", "needs_person", "cancelled"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be sent, and how far it has come. Phones of contacts and texts stay out of its repr.

    `snapshot` are the ids of the texts that stood in the conversation before the first attempt that no person has
    looked at since, None where there was none; `snapshot_top` is the newest of their times, by Volt's clock.
    """

    intent_id: int
    intent_key: str = field(repr=False)
    kind: Kind
    account_phone: str
    body: str = field(repr=False)
    expires_at: datetime
    to_phone: str | None = field(default=None, repr=False)
    contact_numbers: Sequence[str] = field(default=(), repr=False)
    list_names: Sequence[str] = ()
    wave_name: str | None = None
    media: Sequence[str] = field(default=(), repr=False)
    scheduled_at: datetime | None = None
    state: State = "queued"
    tries: int = 0
    attempted_at: datetime | None = None
    snapshot: frozenset[str] | None = field(default=None, repr=False)
    snapshot_top: datetime | None = None
    claimed_until: datetime | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """The phones that it names; those of a wave's lists are Volt's business."""
        return (self.to_phone,) if self.to_phone else tuple(dict.fromkeys(self.contact_numbers))

    @property
    def match_key(self) -> str:
        """What two texts with the same words share."""
        return sha256(f"{bool(self.media)}\n{normalised(self.body)}".encode()).hexdigest()

    @property
    def unique_name(self) -> str:
        """The wave's name with an ending of its own, so that a second draft of it is recognised."""
        return f"{self.wave_name} [{sha256(self.intent_key.encode()).hexdigest()[:8]}]"


def normalised(body: str) -> str:
    """A text as it is compared: one form of each letter, one space for each stretch of white space, none outside."""
    return " ".join(unicodedata.normalize("NFC", body).split())

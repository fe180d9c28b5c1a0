"""What became of an attempt without a clear answer: the conversation is read back, at ever longer intervals.

Exactly one text that can be it settles the matter. None, or several, after the last look is for a person to decide:
a text that Volt accepted may still come, and a second one cannot be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import RateLimited, TransientError, VoltError
from volt_pipeline.sending import conversation
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.ledger import Ledger

LOOKS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=15),
)
AGAIN = timedelta(minutes=1)  # after a look at which Volt did not answer: it does not count


def next_look(attempted_at: datetime, now: datetime) -> datetime | None:
    """When to look next; None when this was the last look."""
    return next((attempted_at + after for after in LOOKS if attempted_at + after > now), None)


@dataclass
class Reconciler:
    """Looks for one unknown intent at a time; two at once do no harm."""

    volt: VoltClient
    ledger: Ledger

    async def look(self, intent: Intent, now: datetime) -> None:
        """One look. Raises what the ledger raises, and the VoltError of a Volt that cannot be asked."""
        due = next_look(intent.attempted_at or now, now)
        if intent.kind == "scheduled_message":
            await self.ledger.not_found(intent, "Volt lists no scheduled messages, so it cannot be read back", None)
            return
        try:
            found = await self._found(intent)
        except VoltError as error:
            if error.whole or isinstance(error, RateLimited | TransientError):
                await self.ledger.not_found(intent, "", now + AGAIN)
                raise
            # Of this conversation alone: the others are looked at, and in the end a person looks at this one.
            await self.ledger.not_found(intent, f"it cannot be read back: {error.message}", due)
            return
        if len(found) == 1 and await self.ledger.found(intent, found[0]):
            return
        await self.ledger.not_found(intent, "" if due else _words(intent, len(found)), due)

    async def _found(self, intent: Intent) -> list[str]:
        if intent.kind == "wave":  # Volt shows a wave by its id only, which the lost answer held
            return await self.ledger.wave_named(intent.unique_name)
        if intent.to_phone is None:
            return []
        texts = await conversation.read(self.volt, intent.account_phone, intent.to_phone, intent.snapshot)
        likely = conversation.likely(intent, texts)
        return await self.ledger.unclaimed(likely) if likely else []


def _words(intent: Intent, found: int) -> str:
    if intent.kind == "wave":
        what = f"{found} waves of its name are" if found else "no wave of its name is"
        where = f"look in Volt for one whose name ends in {intent.unique_name[-10:]}"
        return f"{what} in the warehouse, and Volt lists none: {where}"
    if found:
        return f"{found} texts in the conversation can be it, at the last look"
    return "no text in the conversation can be it, at the last look"

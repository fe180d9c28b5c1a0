"""What sending asks of the one who keeps the outbox; `send_record.py` implements it on the warehouse."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from volt_pipeline.api.inputs import NewWaveStatus
from volt_pipeline.sending.conversation import Text
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.outcomes import Outcome
from volt_pipeline.sending.permission import Facts, Verdict


class Ledger(Protocol):
    """The outbox, as one sender sees it. Every method commits before it returns."""

    async def claim(self, now: datetime) -> Intent | None:
        """Take the next due intent for this sender alone, as queued; None when none is due."""

    async def facts(self, intent: Intent) -> Facts:
        """What the warehouse knows of its account and recipients now; Volt's own word is not in it."""

    async def settle(self, intent: Intent, verdict: Verdict) -> None:
        """Hold or reject a claimed intent, and let it go."""

    async def release(self, intent: Intent, reason: str, due_at: datetime | None) -> None:
        """Let a claimed intent go, still queued."""

    async def begin(
        self, intent: Intent, texts: Sequence[Text], status: NewWaveStatus, now: datetime, per_recipient: int
    ) -> Verdict:
        """Commit the attempt, if the last checks allow it: kill switch, suppressions, caps, other texts in doubt.

        Nothing may be sent unless this gives PERMITTED. A wave is about to become what `status` says.
        """

    async def end(self, intent: Intent, outcome: Outcome) -> None:
        """Put on record what became of an attempt."""

    async def suspect(self, intent: Intent, reason: str) -> None:
        """A queued intent that may have been sent after all: a person has to look."""

    async def unclaimed(self, ids: Collection[str]) -> list[str]:
        """Those message ids that no intent has claimed."""

    async def found(self, intent: Intent, object_id: str) -> bool:
        """Note that an unknown intent is this message or wave; False when another intent was faster."""

    async def wave_named(self, name: str) -> list[str]:
        """The ids of waves with this name that syncs have come upon."""

    async def not_found(self, intent: Intent, reason: str, due_at: datetime | None) -> None:
        """Look again at `due_at`; without one it is a person's."""

"""What sending leaves in the warehouse: the ledger of `sending/`, kept in `volt_ops.outbox`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from volt_pipeline.api.inputs import NewWaveStatus
from volt_pipeline.extract.rows import escape
from volt_pipeline.sending.attempt import KILLED
from volt_pipeline.sending.consent import KEYWORDS, SUPPRESSED, Said, Standing
from volt_pipeline.sending.conversation import Text, top
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.outcomes import Outcome
from volt_pipeline.sending.permission import LATER, Facts, Verdict, WaveFacts
from volt_pipeline.sending.reconcile import LOOKS
from volt_pipeline.sending.transitions import Evidence, follows
from volt_pipeline.warehouse.outbox import DAY, Barred, Outbox, snapshot_text

SOON = timedelta(minutes=1)
_STATES = {Evidence.HELD: "held", Evidence.FORBIDDEN: "rejected"}


def intent_of(row: Mapping[str, Any]) -> Intent:
    """An intent from its row."""
    values = {name: row[name] for name in Intent.__slots__ if name in row}
    snapshot = row.get("snapshot")
    return Intent(**{**values, "snapshot": None if snapshot is None else frozenset(snapshot)})


@dataclass
class SendRecord:
    """The ledger of one sender (`sending.ledger.Ledger`). `moved` counts states reached, over all senders of a run."""

    outbox: Outbox
    accounts: Collection[str]
    moved: Counter[tuple[str, str]]
    keywords: Mapping[str, str] = field(default_factory=dict)

    async def claim(self, now: datetime) -> Intent | None:
        row = await self.outbox.claim(now)
        return intent_of(row) if row else None

    async def facts(self, intent: Intent) -> Facts:
        phones = intent.recipients
        people = await self.outbox.people(intent.account_phone, phones)
        self.keywords = self.keywords or await self.outbox.keywords() or KEYWORDS
        consent = people.consent or {}
        standings = {
            phone: Standing(
                can_text=consent[phone][0] if phone in consent else None,
                consent="opt_out" if phone in consent and consent[phone][1] else None,
                suppressed=phone in people.suppressed,
                said=[Said(body, at) for whose, body, at in people.said if whose == phone],
            )
            for phone in phones
        }
        wave = WaveFacts()
        if intent.kind == "wave":
            asked = (people.account_id, intent.account_phone, intent.intent_key, intent.list_names)
            approved, opted_out = await self.outbox.wave(*asked)
            wave = WaveFacts(approved_size=approved, opted_out=opted_out)
        known = people.consent is not None
        return Facts(
            self.accounts, people.own_numbers, known, standings, people.account_zone, dict(self.keywords), wave
        )

    async def settle(self, intent: Intent, verdict: Verdict) -> None:
        state = follows("queued", verdict.evidence)
        if await self.outbox.settle(intent.intent_id, state, escape(verdict.reason), verdict.due_at):
            self._count(state, verdict.reason)

    async def release(self, intent: Intent, reason: str, due_at: datetime | None) -> None:
        if await self.outbox.settle(intent.intent_id, "queued", escape(reason), due_at) and reason:
            self._count("queued", "not tried")

    async def begin(
        self, intent: Intent, texts: Sequence[Text], status: NewWaveStatus, now: datetime, per_recipient: int
    ) -> Verdict:
        message = intent.kind == "message"
        values = {
            "intent_id": intent.intent_id,
            "account_phone": intent.account_phone,
            "match_key": intent.match_key if message else None,
            "snapshot": snapshot_text({escape(each.id) for each in texts if each.id}) if message else None,
            "snapshot_top": top(texts) if message else None,
            "wave_status": str(status) if intent.kind == "wave" else None,
        }
        barred = await self.outbox.begin(values, intent.recipients, now, per_recipient)
        return Verdict(Evidence.PERMITTED) if barred is None else _verdict(barred, now)

    async def end(self, intent: Intent, outcome: Outcome) -> None:
        state = follows("attempting", outcome.evidence)
        due_at = outcome.due_at
        if outcome.evidence is Evidence.DOUBT and intent.attempted_at is not None:
            due_at = intent.attempted_at + LOOKS[0]
        message = intent.kind == "message"
        ended = await self.outbox.end(
            intent.intent_id,
            state,
            reason=escape(outcome.reason) or None,
            due_at=due_at,
            proof=outcome.proof,
            message_id=escape(outcome.object_id) if message and outcome.object_id else None,
            wave_id=escape(outcome.object_id) if not message and outcome.object_id else None,
        )
        self._count(state if ended else "unknown", outcome.reason)

    async def suspect(self, intent: Intent, reason: str) -> None:
        if await self.outbox.settle(intent.intent_id, "needs_person", reason, None):
            self._count("needs_person", reason)

    async def unclaimed(self, ids: Collection[str]) -> list[str]:
        return await self.outbox.unclaimed([escape(each) for each in ids]) if ids else []

    async def found(self, intent: Intent, object_id: str) -> bool:
        message = intent.kind == "message"
        won = await self.outbox.found(
            intent.intent_id,
            "found in the conversation" if message else "found by its name",
            message_id=object_id if message else None,
            wave_id=None if message else object_id,
        )
        if won:
            self._count("accepted", "found")
        return won

    async def wave_named(self, name: str) -> list[str]:
        return await self.outbox.waves_named(escape(name))

    async def not_found(self, intent: Intent, reason: str, due_at: datetime | None) -> None:
        state = follows("unknown", Evidence.NOT_FOUND if due_at else Evidence.GIVEN_UP)
        await self.outbox.not_found(intent.intent_id, state, escape(reason) or None, due_at)
        if due_at is None:
            self._count(state, reason)

    def _count(self, state: str, reason: str) -> None:
        self.moved[state, reason.partition(":")[0]] += 1


def _verdict(barred: Barred, now: datetime) -> Verdict:
    """Why an attempt may not begin, in the words of the checks."""
    match barred.kind:
        case "suppressed":
            return Verdict(Evidence.FORBIDDEN, SUPPRESSED)
        case "full":
            due = (barred.since or now) + DAY
            return Verdict(Evidence.HELD, "cap: the recipient has had as many texts in 24 hours as may be", due)
        case "in_doubt":
            words = "another text in the same words to the same person is in doubt"
            return Verdict(Evidence.HELD, words, now + SOON)
        case "switched_off":
            return Verdict(Evidence.HELD, KILLED, now)
    return Verdict(Evidence.HELD, "it was taken from this sender", now + LATER)

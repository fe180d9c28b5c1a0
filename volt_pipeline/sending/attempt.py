"""One attempt: ask Volt fresh, let every check speak, commit the attempt, send once, put on record what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import NotFound, RateLimited, TransientError, VoltError
from volt_pipeline.api.inputs import MessageSchedulingJob, NewWaveStatus, WaveSchedulingJob, WaveType
from volt_pipeline.sending import conversation
from volt_pipeline.sending.consent import Said, Standing
from volt_pipeline.sending.conversation import Text
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.ledger import Ledger
from volt_pipeline.sending.outcomes import Outcome, backoff, of_error, of_reply
from volt_pipeline.sending.permission import Facts, Limits, judge
from volt_pipeline.sending.transitions import Evidence

MOST_DOUBTS = 5  # in a row: then Volt is in trouble, and every further text would be in doubt too
KILLED = "kill switch"
LEASE = timedelta(minutes=5)  # how long an attempt belongs to its sender; the outbox counts the same
MARGIN = timedelta(seconds=60)  # of a lease: longer than one exchange


@dataclass
class Run:
    """What the senders of one run share. `stopped` says why it ended early; `full` that its cap is reached."""

    limits: Limits
    now: Callable[[], datetime]
    attempts: int = 0
    full: bool = False
    stopped: str = ""
    _doubts: int = 0

    @property
    def over(self) -> bool:
        return self.full or bool(self.stopped)

    def reserve(self) -> bool:
        """One of the attempts that this run may make."""
        self.full = self.full or self.attempts >= self.limits.per_run
        if self.over:
            return False
        self.attempts += 1
        return True

    def stop(self, why: str) -> None:
        self.stopped = self.stopped or why

    def learn(self, outcome: Outcome) -> None:
        """What one outcome means for those that come after it."""
        self._doubts = self._doubts + 1 if outcome.evidence is Evidence.DOUBT else 0
        if outcome.stop:
            self.stop(outcome.stop)
        elif self._doubts >= MOST_DOUBTS:
            self.stop(f"{MOST_DOUBTS} texts in a row got no clear answer from Volt ({outcome.reason})")


@dataclass
class Sender:
    """Works the outbox off, one intent at a time; several senders may, in one process or many."""

    volt: VoltClient
    ledger: Ledger
    run: Run
    tell: Callable[[int, int], None] = lambda _done, _known: None  # how many attempts were made, of how many (0)

    async def work(self) -> None:
        """Take intents until none is due or the run is over. Raises what the ledger raises."""
        while not self.run.over and (intent := await self.ledger.claim(self.run.now())):
            await self._take(intent)

    async def _take(self, intent: Intent) -> None:
        facts = await self.ledger.facts(intent)
        verdict = judge(intent, facts, self.run.now(), fresh=False)
        if verdict.evidence is not Evidence.PERMITTED:
            await self.ledger.settle(intent, verdict)
            return
        try:
            facts, texts = await self._ask(intent, facts)
        except VoltError as error:
            await self._unasked(intent, error)
            return
        verdict = judge(intent, facts, self.run.now())
        if verdict.evidence is not Evidence.PERMITTED:
            await self.ledger.settle(intent, verdict)
            return
        if intent.snapshot is not None and await self.ledger.unclaimed(conversation.likely(intent, texts)):
            await self.ledger.suspect(
                intent, "a text like it has come, although Volt's answer to the last attempt proved to have no effect"
            )
            return
        await self._attempt(intent, facts, texts)

    async def _unasked(self, intent: Intent, error: VoltError) -> None:
        """Nothing is sent on stale knowledge."""
        due = self.run.now() + max(backoff(intent.tries), timedelta(seconds=error.retry_after or 0))
        await self.ledger.release(intent, f"not tried, Volt could not be asked first: {error.message}", due)
        if error.whole or isinstance(error, RateLimited | TransientError):
            self.run.stop(str(error))

    async def _attempt(self, intent: Intent, facts: Facts, texts: Sequence[Text]) -> None:
        if not self.run.reserve():
            await self.ledger.release(intent, "", None)
            return
        status = NewWaveStatus.DRAFT if facts.wave.approved_size is None else NewWaveStatus.SCHEDULED
        began = self.run.now()
        verdict = await self.ledger.begin(intent, texts, status, began, self.run.limits.per_recipient)
        if verdict.evidence is not Evidence.PERMITTED:
            self.run.attempts -= 1
            if verdict.reason == KILLED:
                self.run.stop("the kill switch is engaged (volt-pipeline send kill-switch off)")
            await self.ledger.settle(intent, verdict)
            return
        intent = replace(intent, state="attempting", tries=intent.tries + 1, attempted_at=began)
        outcome = await self._send(intent, status)
        self.run.learn(outcome)
        await self.ledger.end(intent, outcome)
        self.tell(self.run.attempts, 0)

    async def _send(self, intent: Intent, status: NewWaveStatus) -> Outcome:
        lapses = (intent.attempted_at or self.run.now()) + LEASE - MARGIN

        def unless() -> str:
            return "its lease is nearly over" if self.run.now() >= lapses else ""

        operation, variables = mutation(intent, status)
        try:
            return of_reply(intent, await self.volt.mutate(operation, variables, unless=unless))
        except VoltError as error:
            return of_error(intent, error, self.run.now())

    # --- what Volt says now -----------------------------------------------------------------------------------

    async def _ask(self, intent: Intent, facts: Facts) -> tuple[Facts, list[Text]]:
        """The facts with Volt's fresh word, and of a message the newest texts of its conversation."""
        if intent.kind == "wave":
            asked = [{"primaryPhone": intent.account_phone, "listName": name} for name in intent.list_names]
            sizes = [_size(reply) for reply in await self.volt.query_each("list", asked)]
            wave = replace(facts.wave, sizes=dict(zip(intent.list_names, sizes, strict=True)))
            return replace(facts, wave=wave), []
        phones = intent.recipients
        contacts = await self.volt.query_each(
            "contact", [{"primaryPhone": intent.account_phone, "phoneNumber": phone} for phone in phones]
        )
        standings: dict[str, Standing] = {}
        texts: list[Text] = []
        for phone, reply in zip(phones, contacts, strict=True):
            texts = await conversation.read(self.volt, intent.account_phone, phone, intent.snapshot)
            said = [Said(each.body, each.at) for each in texts if conversation.same_phone(each.sender, phone)]
            standings[phone] = _standing(facts.standings.get(phone, Standing()), reply, said)
        return replace(facts, standings=standings), texts


def mutation(intent: Intent, status: NewWaveStatus = NewWaveStatus.DRAFT) -> tuple[str, dict[str, Any]]:
    """The mutation of an intent, and its variables."""
    media = tuple(intent.media) or None
    if intent.kind == "message":
        variables: dict[str, Any] = {"to": intent.to_phone, "from": intent.account_phone, "body": intent.body}
        return "createMessage", {**variables, "media": list(media)} if media else variables
    if intent.scheduled_at is None:
        raise ValueError("the outbox holds no scheduled text without its time")
    if intent.kind == "scheduled_message":
        message = MessageSchedulingJob(intent.scheduled_at, intent.body, intent.recipients, media)
        return "scheduleMessage", message.variables(intent.account_phone)
    wave = WaveSchedulingJob(intent.unique_name, intent.scheduled_at, intent.body, tuple(intent.list_names), media)
    return "scheduleWave", wave.variables(WaveType.ACCOUNT, status, intent.account_phone)


def _standing(known: Standing, reply: Reply, said: Sequence[Said]) -> Standing:
    """What the warehouse knew, with Volt's fresh word beside it."""
    value = reply.value
    blocked = value.get("blocked") if isinstance(value, Mapping) else None
    nobody = value is None and (reply.error is None or isinstance(reply.error, NotFound))
    readable = isinstance(blocked, bool) or nobody
    return replace(
        known, blocked=blocked if isinstance(blocked, bool) else None, readable=readable, said=[*known.said, *said]
    )


def _size(reply: Reply) -> int | None:
    size = reply.value.get("size") if isinstance(reply.value, Mapping) else None
    return size if isinstance(size, int) and not isinstance(size, bool) else None

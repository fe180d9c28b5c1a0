"""The course of a push: whether it goes on, what was decided about each row, and that each ends on record once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic

from volt_pipeline.activate.attempts import Attempt
from volt_pipeline.activate.doubt import unread
from volt_pipeline.activate.ledger import Ledger
from volt_pipeline.activate.rows import Export, Facts, Outcome, Row, Target, Wish, Write
from volt_pipeline.api.client import Reply


@dataclass
class Course(Generic[Wish]):
    """What the writers of one push share. `stopped` tells why nothing more is written; "" while it goes on."""

    kind: Export[Wish]
    facts: Facts
    ledger: Ledger
    stopped: str = ""
    _broken: set[Target] = field(default_factory=set)  # what builds on these cannot be written
    _claims: set[int] = field(default_factory=set)  # approvals that this push has taken

    def stop(self, reason: str) -> None:
        """Write nothing more. The first reason is the one that is told."""
        self.stopped = self.stopped or reason

    def heed(self, attempts: Iterable[Attempt]) -> bool:
        """Stop at an alarming attempt; gives whether there is one. Waits for nothing, so that no writer slips past."""
        alarming = [attempt for attempt in attempts if attempt.alarming]
        for attempt in alarming[:1]:
            self.stop(f"a row of {attempt.account_phone}: {attempt.reason}")
        return bool(alarming)

    async def settle_idle(self, rows: Sequence[Row[Wish]]) -> None:
        """Put rows on record that need nothing of Volt: refused, repeated, or not due yet."""
        outcomes: dict[str, Outcome] = {"refused": "refused", "unchanged": "unchanged", "waits": "failed"}
        await self.record(
            [
                Attempt.idle(self.kind.name, row, outcomes[row.settled], row.reason, waited=row.settled == "waits")
                for row in rows
            ]
        )

    async def settle(self, decided: Iterable[Write[Wish] | Attempt]) -> list[Write[Wish]]:
        """Put on record which rows need no write; give the writes of the others, their approvals taken."""
        writes: list[Write[Wish]] = []
        idle: list[Attempt] = []
        for made in decided:
            if isinstance(made, Write) and not await self._claimed(made):
                made = self.decided(made.row, Reply(made.before, made.read_at))
            writes.append(made) if isinstance(made, Write) else idle.append(made)
        await self.record(idle)
        return writes

    def decided(self, row: Row[Wish], reply: Reply) -> Write[Wish] | Attempt:
        """What to do about a row, given what Volt holds of it now."""
        name = self.kind.name
        if (why := unread(reply)) is not None:
            return Attempt.idle(name, row, "failed", f"not written, since it could not be read: {why}")
        if row.wish is None:
            return Attempt.idle(name, row, "refused", row.reason)
        if self.kind.needs(row.wish) in self._broken:
            return Attempt.idle(name, row, "failed", "not written, since its source list was not")
        decision = self.kind.decide(row.wish, reply.value, self.facts)
        write = Write(row, reply.value, reply.asked_at, decision)
        if decision.variables is not None:
            return write
        outcome: Outcome = "refused" if decision.action == "refused" else "unchanged"
        return Attempt.of(name, write, outcome, decision.reason)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Put attempts on record."""
        self._broken.update(each.target for each in attempts if each.outcome not in ("sent", "unchanged"))
        if attempts:
            await self.ledger.record(attempts)

    async def leave(self, rows: Sequence[Row[Wish]]) -> None:
        """Put rows on record that nothing was tried for, because the push has stopped."""
        reason = "not tried: the push stopped before it"
        await self.record([Attempt.idle(self.kind.name, row, "failed", reason, waited=True) for row in rows])

    async def drop(self, writes: Sequence[Write[Wish]]) -> None:
        """Leave writes that were not sent, and give back their approvals."""
        await self.release(writes)
        await self.leave([write.row for write in writes])

    async def release(self, writes: Iterable[Write[Wish]]) -> None:
        """Give back the approvals of contacts that were certainly not written."""
        for write in writes:
            approval = write.decision.approval
            if approval is not None and approval.id in self._claims:
                self._claims.remove(approval.id)
                await self.ledger.release(approval)

    async def _claimed(self, write: Write[Wish]) -> bool:
        """Whether the write may go: what it un-blocks needs an approval that nobody else has used meanwhile."""
        approval = write.decision.approval
        if approval is None or approval.id in self._claims:
            return True
        if await self.ledger.claim(approval):
            self._claims.add(approval.id)
            return True
        kept = {target: each for target, each in self.facts.approvals.items() if each.id != approval.id}
        self.facts = replace(self.facts, approvals=kept)
        return False

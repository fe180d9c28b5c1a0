"""The push itself: read rows fresh, decide, write once, compare each answer with what was meant.

Rows go in documents of many aliases, some documents at once; until Volt has answered one write as it was meant, each
goes alone. Nothing is ever sent again blindly: what has no clear answer is read back, and only what Volt's own error
proves to be undone, and a fresh reading shows undone, is decided and sent anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic

from volt_pipeline.activate.doubt import Doubt, Verdict, afterwards, doubt_of, unread
from volt_pipeline.activate.ledger import Ledger
from volt_pipeline.activate.planning import WRITERS
from volt_pipeline.activate.rows import Attempt, Export, Facts, Outcome, Row, Target, Wish, Write
from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import AuthError, TooComplex, VoltError


@dataclass
class Push(Generic[Wish]):
    """One push of rows. `most_writes` is what it may write; `stopped` tells why it ended early."""

    volt: VoltClient
    kind: Export[Wish]
    facts: Facts
    ledger: Ledger
    most_writes: int
    stopped: str = ""
    written: int = 0
    _proven: bool = False
    _size: int = 0
    _waiting: deque[Sequence[Row[Wish]]] = field(default_factory=deque)
    _broken: set[Target] = field(default_factory=set)
    _first: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while a first write is tried
    _claims: set[int] = field(default_factory=set)  # approvals that this run has taken

    async def run(self, rows: Sequence[Row[Wish]]) -> None:
        """Push the rows; each ends as exactly one attempt on record. Raises only what the ledger raises."""
        self._size = self.kind.batch
        due = [row for row in rows if not row.settled]
        await self._settle_idle([row for row in rows if row.settled])
        self._waiting.extend(due[start : start + self._size] for start in range(0, len(due), self._size))
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS if self.kind.batch > 1 else 1):  # lists build on each other: one by one
                group.create_task(self._work())
        for part in self._waiting:
            await self._leave(part)

    async def _work(self) -> None:
        while self._waiting and not self.stopped:
            await self._push(self._waiting.popleft())

    async def _settle_idle(self, rows: Sequence[Row[Wish]]) -> None:
        """Rows that need nothing of Volt: refused, repeated, or not due yet."""
        outcomes: dict[str, Outcome] = {"refused": "refused", "unchanged": "unchanged", "waits": "failed"}
        self._broken.update(row.target for row in rows if row.settled != "unchanged")
        await self.ledger.record(
            [self._idle(row, outcomes[row.settled], row.reason, waited=row.settled == "waits") for row in rows]
        )

    def _idle(self, row: Row[Wish], outcome: Outcome, reason: str, *, waited: bool = False) -> Attempt:
        tries = row.tries + (outcome == "failed" and not waited)
        action = "unchanged" if outcome == "unchanged" else "refused"
        where = (self.kind.name, row.position, row.account_phone, row.key, row.digest)
        return Attempt(*where, action, outcome, reason, tries, waited)  # type: ignore[arg-type]

    async def _leave(self, rows: Sequence[Row[Wish]]) -> None:
        reason = "not tried: the push stopped before it"
        await self.ledger.record([self._idle(row, "failed", reason, waited=True) for row in rows])

    async def _push(self, rows: Sequence[Row[Wish]]) -> None:
        """Read some rows, put on record what needs no write, and write the rest."""
        replies = await self._fresh(rows)
        if replies and not self._proven and any(map(self._wants_write, rows, replies)):
            at_once = not self._first.locked()
            async with self._first:
                if not (self._proven or self.stopped):
                    replies = replies if at_once else await self._fresh(rows)
                    await self._write(await self._settled(zip(rows, replies, strict=False)))
                    return
            replies = await self._fresh(rows)
        await self._write(await self._settled(zip(rows, replies, strict=False)))

    async def _fresh(self, rows: Sequence[Row[Wish]]) -> list[Reply]:
        """What Volt holds of the rows now; nothing, and the rows left alone, when the push has to stop."""
        try:
            replies = [] if self.stopped else await self._read(rows)
        except VoltError as error:
            self.stopped, replies = self.stopped or f"the {self.kind.name} cannot be read: {error}", []
        if not replies:
            await self._leave(rows)
        return replies

    def _wants_write(self, row: Row[Wish], reply: Reply) -> bool:
        return isinstance(self._decided(row, reply), Write)

    async def _settled(self, read: Iterable[tuple[Row[Wish], Reply]]) -> list[Write[Wish]]:
        """Put on record which rows need no write; give the writes of the others."""
        writes: list[Write[Wish]] = []
        idle: list[Attempt] = []
        for row, reply in read:
            made = self._decided(row, reply)
            if isinstance(made, Write) and not await self._claimed(made):
                made = self._decided(row, reply)
            writes.append(made) if isinstance(made, Write) else idle.append(made)
        await self._record(idle)
        return writes

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

    async def _read(self, rows: Sequence[Row[Wish]]) -> list[Reply]:
        return await self.volt.query_each(self.kind.query, [self.kind.asked(row.wish) for row in rows if row.wish])

    def _decided(self, row: Row[Wish], reply: Reply) -> Write[Wish] | Attempt:
        if (why := unread(reply)) is not None:
            return self._idle(row, "failed", f"not written, since it could not be read: {why}")
        if row.wish is None:
            return self._idle(row, "refused", row.reason)
        if self.kind.needs(row.wish) in self._broken:
            return self._idle(row, "failed", "not written, since its source list was not")
        decision = self.kind.decide(row.wish, reply.value, self.facts)
        write = Write(row, reply.value, reply.asked_at, decision)
        if decision.variables is not None:
            return write
        return self._became(write, "refused" if decision.action == "refused" else "unchanged", decision.reason)

    def _became(
        self, write: Write[Wish], outcome: Outcome, reason: str, after: Any = None, asked_at: datetime | None = None
    ) -> Attempt:
        row, decision = write.row, write.decision
        tries = row.tries + 1 if outcome in ("failed", "unknown") else 0
        where = (self.kind.name, row.position, row.account_phone, row.key, row.digest)
        values = (write.before, decision.variables, after, write.read_at if after is None else asked_at)
        return Attempt(*where, decision.action, outcome, reason, tries, False, *values)

    async def _write(self, writes: list[Write[Wish]]) -> None:
        if not self.stopped and self.written + len(writes) > self.most_writes:
            self.stopped = f"it has written {self.written:,} rows, and may not write more than {self.most_writes:,}"
        while writes and not self.stopped:
            size = self._size if self._proven else 1
            document, writes = writes[:size], writes[size:]
            self.written += len(document)
            await self._send(document)
        await self._send_unless_stopped(writes)

    async def _release(self, write: Write[Wish]) -> None:
        approval = write.decision.approval
        if approval is not None and approval.id in self._claims:
            self._claims.remove(approval.id)
            await self.ledger.release(approval)

    async def _send(self, writes: Sequence[Write[Wish]]) -> None:
        """Send one document, once, and put on record what became of each of its rows."""
        together = False
        try:
            replies = await self.volt.mutate_each(self.kind.mutation, [write.variables for write in writes])
        except VoltError as error:
            if isinstance(error, TooComplex) and len(writes) > 1:
                half = (len(writes) + 1) // 2  # a refused document has done nothing
                self._size = min(self._size, half)
                await self._send_unless_stopped(writes[:half])
                await self._send_unless_stopped(writes[half:])
                return
            replies = [Reply(None, write.read_at, error) for write in writes]
            together = len(writes) > 1
        known, doubtful = [], []
        for write, reply in zip(writes, replies, strict=True):
            doubt = doubt_of(reply.error, together=together)
            if reply.error is not None and doubt is not None:
                doubtful.append((write, reply.error, doubt))
            else:
                known.append((write, await self._answered(write, reply)))
        await self._record(await self._looked_at(known))
        if doubtful:
            await self._learn(doubtful)

    async def _answered(self, write: Write[Wish], reply: Reply) -> Attempt:
        """The attempt, where Volt said what it did, or proved that it did nothing."""
        if reply.error is not None:
            if reply.error.whole and isinstance(reply.error, AuthError):
                self.stopped = self.stopped or str(reply.error)
            await self._release(write)
            return self._became(write, "failed", str(reply.error))
        if wrong := self.kind.differences(write.variables, reply.value):
            reason = f"Volt's answer differs from what was meant: {', '.join(wrong)}"
            return self._became(write, "failed", reason, reply.value, reply.asked_at)
        self._proven = True
        return self._became(write, "sent", write.decision.reason, reply.value, reply.asked_at)

    async def _looked_at(self, known: Sequence[tuple[Write[Wish], Attempt]]) -> list[Attempt]:
        """The attempts of a document; after a wrong answer the run stops, and a reading shows what really happened."""
        alarming = [attempt for _, attempt in known if attempt.alarming]
        if not alarming:
            return [attempt for _, attempt in known]
        self.stopped = self.stopped or f"a row of {alarming[0].account_phone}: {alarming[0].reason}"
        readings = await self._read_back([write for write, _ in known])
        return [
            afterwards(self.kind, write, attempt, reading)
            for (write, attempt), reading in zip(known, readings, strict=True)
        ]

    async def _read_back(self, writes: Sequence[Write[Wish]]) -> list[Reply]:
        try:
            return await self._read([write.row for write in writes])
        except VoltError as error:
            return [Reply(None, write.read_at, error) for write in writes]

    async def _record(self, attempts: Sequence[Attempt]) -> None:
        self._broken.update(
            (each.account_phone, each.row_key) for each in attempts if each.outcome not in ("sent", "unchanged")
        )
        if attempts:
            await self.ledger.record(attempts)

    async def _learn(self, doubtful: Sequence[tuple[Write[Wish], VoltError, Doubt]]) -> None:
        """Read back what may or may not have been written; what is certainly undone is decided and sent anew."""
        readings = await self._read_back([write for write, _, _ in doubtful])
        found: list[Attempt] = []
        again: list[tuple[Row[Wish], Reply]] = []
        for (write, error, doubt), reading in zip(doubtful, readings, strict=True):
            verdict = Verdict.of(self.kind, write, error, doubt, reading)
            if verdict.undone and not self.stopped:
                again.append((write.row, reading))
                continue
            if verdict.outcome == "failed" and verdict.after is None:
                await self._release(write)
            found.append(self._became(write, verdict.outcome, verdict.reason, verdict.after, reading.asked_at))
        if alarming := [each for each in found if each.alarming]:
            self.stopped = self.stopped or f"a row of {alarming[0].account_phone}: {alarming[0].reason}"
        await self._record(found)
        writes = await self._settled(again)
        nobody_blamed = all(doubt == "beside" for _, _, doubt in doubtful)
        size = (len(writes) + 1) // 2 if nobody_blamed else len(writes)
        for start in range(0, len(writes), max(size, 1)):
            await self._send_unless_stopped(writes[start : start + size])

    async def _send_unless_stopped(self, writes: Sequence[Write[Wish]]) -> None:
        if writes and not self.stopped:
            await self._send(writes)
            return
        for write in writes:
            await self._release(write)
        await self._leave([write.row for write in writes])

"""Documents of writes: each is sent once, each answer compared with what was meant, each doubt read back.

A wrong answer stops the push before anybody waits for anything, and a document that waits for its turn asks once more
just before it leaves: after the answer is seen nothing new is sent. What left before it cannot be called back: up to
`WRITERS` - 1 other documents may still land. Their answers are judged and put on record like any other.

Until Volt has answered one write of a sort (create, update) as it was meant, those of that sort go alone: a create has
no fields to lose and proves nothing about an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

from volt_pipeline.activate.attempts import Attempt
from volt_pipeline.activate.course import Course
from volt_pipeline.activate.doubt import Doubt, Verdict, afterwards, doubt_of
from volt_pipeline.activate.rows import Action, Row, Wish, Write
from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import AuthError, TooComplex, VoltError, Withdrawn

Doubtful = tuple[Write[Wish], VoltError, Doubt]


@dataclass
class Writer(Generic[Wish]):
    """Writes rows of one push, `most_writes` in all; `size` rows a document, fewer once Volt bears no more."""

    volt: VoltClient
    course: Course[Wish]
    most_writes: int
    size: int
    written: int = 0
    _proven: set[Action] = field(default_factory=set)

    def is_proven(self, write: Write[Wish]) -> bool:
        """Whether Volt has answered a write of this sort as it was meant."""
        return write.decision.action in self._proven

    async def read(self, rows: Sequence[Row[Wish]]) -> list[Reply]:
        """What Volt holds of the rows now. Raises VoltError when it says nothing about any of them."""
        kind = self.course.kind
        return await self.volt.query_each(kind.query, [kind.asked(row.wish) for row in rows if row.wish])

    async def write(self, writes: Sequence[Write[Wish]]) -> None:
        """Send the writes, and put on record what became of each; those left when the push stops wait."""
        if self.written + len(writes) > self.most_writes:
            self.course.stop(f"it has written {self.written:,} rows, and may not write more than {self.most_writes:,}")
        while writes and not self.course.stopped:
            document, writes = self._document(writes)
            self.written += len(document)
            await self._send(document)
        await self.course.drop(writes)

    def _document(self, writes: Sequence[Write[Wish]]) -> tuple[Sequence[Write[Wish]], Sequence[Write[Wish]]]:
        """The next document, and what is left: a write whose sort is not proven, alone, before all others."""
        for at, write in enumerate(writes):
            if not self.is_proven(write):
                return [write], [*writes[:at], *writes[at + 1 :]]
        return writes[: self.size], writes[self.size :]

    async def _send(self, writes: Sequence[Write[Wish]]) -> None:
        """Send one document, once, unless the push has stopped."""
        if barred := await self.course.ledger.barred():
            self.course.stop(barred)
        variables = [write.variables for write in writes]
        together = False
        try:
            replies = await self.volt.mutate_each(
                self.course.kind.mutation, variables, unless=lambda: self.course.stopped
            )
        except Withdrawn:
            await self.course.drop(writes)
            return
        except VoltError as error:
            together = len(writes) > 1
            if isinstance(error, TooComplex) and together:  # a refused document has done nothing
                self.size = min(self.size, (len(writes) + 1) // 2)
                await self._send_halves(writes)
                return
            replies = [Reply(None, write.read_at, error) for write in writes]
        await self._hear(writes, replies, together=together)

    async def _send_halves(self, writes: Sequence[Write[Wish]]) -> None:
        half = (len(writes) + 1) // 2
        for part in (writes[:half], writes[half:]):
            if part:
                await self._send(part)

    async def _hear(self, writes: Sequence[Write[Wish]], replies: Sequence[Reply], *, together: bool) -> None:
        """Put on record what the replies say of their writes; find out about those that they leave open.

        `together`: the replies' error is that of the whole document.
        """
        known: list[tuple[Write[Wish], Attempt]] = []
        doubtful: list[Doubtful[Wish]] = []
        for write, reply in zip(writes, replies, strict=True):
            doubt = doubt_of(reply.error, together=together)
            if reply.error is not None and doubt is not None:
                doubtful.append((write, reply.error, doubt))
            else:
                known.append((write, self._answered(write, reply)))
        attempts = [attempt for _, attempt in known]
        if self.course.heed(attempts):
            attempts = await self._looked_at(known)
        await self.course.release(write for write, attempt in known if attempt.after is None)
        await self.course.record(attempts)
        if doubtful:
            await self._learn(doubtful)

    def _answered(self, write: Write[Wish], reply: Reply) -> Attempt:
        """The attempt, where Volt said what it did, or proved that it did nothing."""
        kind = self.course.kind
        if reply.error is not None:
            if reply.error.whole and isinstance(reply.error, AuthError):
                self.course.stop(str(reply.error))
            return Attempt.of(kind.name, write, "failed", str(reply.error))
        if wrong := kind.differences(write.variables, reply.value):
            reason = f"Volt's answer differs from what was meant: {', '.join(wrong)}"
            return Attempt.of(kind.name, write, "failed", reason, reply.value, reply.asked_at)
        self._proven.add(write.decision.action)
        return Attempt.of(kind.name, write, "sent", write.decision.reason, reply.value, reply.asked_at)

    async def _looked_at(self, known: Sequence[tuple[Write[Wish], Attempt]]) -> list[Attempt]:
        """The attempts of a document with a wrong answer, beside what a reading shows to have really happened."""
        readings = await self._read_back([write for write, _ in known])
        return [
            afterwards(self.course.kind, write, attempt, reading)
            for (write, attempt), reading in zip(known, readings, strict=True)
        ]

    async def _read_back(self, writes: Sequence[Write[Wish]]) -> list[Reply]:
        try:
            return await self.read([write.row for write in writes])
        except VoltError as error:
            return [Reply(None, write.read_at, error) for write in writes]

    async def _learn(self, doubtful: Sequence[Doubtful[Wish]]) -> None:
        """Read back what may or may not have been written; what is certainly undone is decided and sent anew."""
        readings = await self._read_back([write for write, _, _ in doubtful])
        kind = self.course.kind
        found: list[Attempt] = []
        untouched: list[Write[Wish]] = []
        again: list[Write[Wish] | Attempt] = []
        for (write, error, doubt), reading in zip(doubtful, readings, strict=True):
            verdict = Verdict.of(kind, write, error, doubt, reading)
            if verdict.undone:
                again.append(self.course.decided(write.row, reading))
                continue
            if verdict.outcome == "failed" and verdict.after is None:
                untouched.append(write)
            ended = (verdict.outcome, verdict.reason, verdict.after, reading.asked_at)
            found.append(Attempt.of(kind.name, write, *ended))
        self.course.heed(found)
        await self.course.release(untouched)
        await self.course.record(found)
        writes = await self.course.settle(again)
        nobody_blamed = all(doubt == "beside" for _, _, doubt in doubtful)
        if writes:
            await (self._send_halves(writes) if nobody_blamed else self._send(writes))

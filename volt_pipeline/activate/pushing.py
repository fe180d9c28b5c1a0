"""The push itself: read rows fresh, decide, write once, compare each answer with what was meant.

Rows go in documents of many aliases, some documents at once (`writing.py`); what they share is its course
(`course.py`). Nothing is ever sent again blindly: what has no clear answer is read back, and only what Volt's own
error proves to be undone, and a fresh reading shows undone, is decided and sent anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

from volt_pipeline.activate.attempts import Attempt
from volt_pipeline.activate.course import Course
from volt_pipeline.activate.ledger import Ledger
from volt_pipeline.activate.planning import WRITERS
from volt_pipeline.activate.rows import Export, Facts, Row, Wish, Write
from volt_pipeline.activate.writing import Writer
from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import VoltError


@dataclass
class Push(Generic[Wish]):
    """One push of rows."""

    course: Course[Wish]
    writer: Writer[Wish]
    _waiting: deque[Sequence[Row[Wish]]] = field(default_factory=deque)
    _proving: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while the first write of a sort is tried

    @classmethod
    def of(cls, volt: VoltClient, kind: Export[Wish], facts: Facts, ledger: Ledger, most_writes: int) -> Push[Wish]:
        """A push that may write so many rows."""
        course = Course(kind, facts, ledger)
        return cls(course, Writer(volt, course, most_writes, kind.batch))

    @property
    def stopped(self) -> str:
        """Why it ended early; "" when it did not."""
        return self.course.stopped

    async def run(self, rows: Sequence[Row[Wish]]) -> None:
        """Push the rows; each ends as exactly one attempt on record. Raises only what the ledger raises."""
        batch = self.course.kind.batch
        due = [row for row in rows if not row.settled]
        await self.course.settle_idle([row for row in rows if row.settled])
        self._waiting.extend(due[start : start + batch] for start in range(0, len(due), batch))
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS if batch > 1 else 1):  # lists build on each other: one by one
                group.create_task(self._work())
        for part in self._waiting:
            await self.course.leave(part)

    async def _work(self) -> None:
        while self._waiting and not self.stopped:
            await self._push(self._waiting.popleft())

    async def _push(self, rows: Sequence[Row[Wish]]) -> None:
        """Read some rows and write what differs. Of writers with an unproven sort of write one goes first, alone."""
        made = await self._fresh(rows)
        while any(isinstance(each, Write) and not self.writer.is_proven(each) for each in made):
            behind = self._proving.locked()
            async with self._proving:
                if not behind:
                    await self._write(made)
                    return
            made = await self._fresh(rows)  # the other one took its time, so what was read is old
        await self._write(made)

    async def _fresh(self, rows: Sequence[Row[Wish]]) -> list[Write[Wish] | Attempt]:
        """What is to be done about the rows, given what Volt holds now; nothing, when the push has to stop."""
        try:
            if not self.stopped:
                return list(map(self.course.decided, rows, await self.writer.read(rows)))
        except VoltError as error:
            self.course.stop(f"the {self.course.kind.name} cannot be read: {error}")
        await self.course.leave(rows)
        return []

    async def _write(self, made: Sequence[Write[Wish] | Attempt]) -> None:
        await self.writer.write(await self.course.settle(made))

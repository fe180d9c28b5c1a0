"""One query for many items: documents with many aliases, and what to do when one item spoils a document.

Volt's `conversation` and `list` are non-null at the root, so one failing alias nulls the whole answer. Then:

- errors that name the culprits by path settle those; the rest is asked again without them;
- where nobody is named, the document is halved until the culprit stands alone;
- a document that is refused as too complex, or whose answer is too large, is asked in smaller ones, of a size that is
  learned for that operation (sizes.py);
- a document that times out or keeps failing while the API answers is halved: one item may be to blame.

What was answered is never asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from volt_pipeline.api.answers import Reply, Verdict
from volt_pipeline.api.documents import WHOLE, Document, aliased, spread
from volt_pipeline.api.errors import AuthError, ServerError, TooComplex, TransientError, VoltError
from volt_pipeline.api.pacing import Pacing, Patience
from volt_pipeline.api.sizes import Learned
from volt_pipeline.api.transport import Exchange

SILENCES = 16  # the most items in a row that may go unanswered before the run is told


@dataclass(slots=True)
class Call:
    """One document with its variables, and its last exchange with Volt."""

    document: Document
    variables: Mapping[str, Any] = field(repr=False)
    exchange: Exchange

    @property
    def asked_at(self) -> datetime:
        return self.exchange.asked_at

    def most_tries(self, error: VoltError) -> int:
        """How often a document may fail so before it is cheaper to halve it; 0: no limit of its own."""
        if len(self.document.keys) == 1:
            return 0
        if isinstance(error, ServerError):
            return 1
        if isinstance(error, TransientError) and error.ambiguous:
            return 1 if error.timed_out else 4
        return 0


class Batch:
    """One `query_each`: the items, their replies so far, and the documents under way."""

    def __init__(
        self,
        operation: str,
        items: Sequence[Mapping[str, Any]],
        *,
        learned: Learned,
        pacing: Pacing,
        patience: Callable[[], Patience],
        prepare: Callable[[Document, Mapping[str, Any]], Call],
        read: Callable[[Call, Patience], Awaitable[Verdict]],
        without: frozenset[str] = WHOLE,
    ) -> None:
        self._operation = operation
        self._without = without
        self._items = items
        self._learned = learned
        self._pacing = pacing
        self._patience = patience
        self._prepare = prepare
        self._read = read
        self._replies: dict[int, Reply] = {}
        self._silences = 0  # items that Volt would not answer, in a row
        self._tasks: asyncio.TaskGroup

    async def run(self) -> list[Reply]:
        """Every item's reply, in the items' order. Raises the VoltError that concerns the run, not an item."""
        failures: list[VoltError] = []
        try:
            async with asyncio.TaskGroup() as self._tasks:
                if 0 < len(self._items) <= self._learned.size(self._operation):
                    await self._ask(range(len(self._items)))  # nearly always: the answer is used while it is at hand
                else:
                    self._start(range(len(self._items)))
        except* VoltError as group:
            failures = _leaves(group)
        if failures:
            raise failures[0]
        replies = [self._replies[index] for index in range(len(self._items))]
        first = replies[0].error if len(replies) > 1 else None
        if first is not None and all(isinstance(reply.error, TransientError) for reply in replies):
            raise first  # when nobody is answered, it is not the items' fault
        return replies

    def _start(self, wanted: Sequence[int]) -> None:
        """Ask for items, in documents of the size that the operation bears."""
        size = self._learned.size(self._operation)
        for start in range(0, len(wanted), size):
            self._tasks.create_task(self._ask(wanted[start : start + size]))

    def _halve(self, wanted: Sequence[int]) -> None:
        for half in _halves(wanted):
            self._tasks.create_task(self._ask(half))

    async def _ask(self, wanted: Sequence[int], patience: Patience | None = None, delay: float = 0.0) -> None:
        async with self._pacing.slot():
            if delay:
                await self._pacing.clock.sleep(delay)
            if len(wanted) > self._learned.size(self._operation):  # learned while this waited for its slot
                self._start(wanted)
            else:
                await self._send(wanted, patience or self._patience())

    async def _send(self, wanted: Sequence[int], patience: Patience) -> None:
        variables = spread([self._items[index] for index in wanted])
        call = self._prepare(aliased(self._operation, len(wanted), self._without), variables)
        failure: VoltError | None = None
        verdict = Verdict()
        try:
            verdict = await self._read(call, patience)
        except VoltError as error:
            failure = error
        if failure is None:
            self._learned.fits(self._operation, len(wanted))
            self._settle(wanted, call, verdict, patience)
        elif len(wanted) == 1 or failure.whole:
            self._fail(wanted[0], call, failure)
        elif isinstance(failure, TransientError):
            # In this slot, one after the other: in an outage no document is spent on it but those under way.
            for half in _halves(wanted):
                await self._send(half, self._patience())
        elif isinstance(failure, TooComplex):
            self._learned.too_many(self._operation, len(wanted))
            self._start(wanted)
        else:
            self._halve(wanted)

    def _settle(self, wanted: Sequence[int], call: Call, verdict: Verdict, patience: Patience) -> None:
        """Note what was answered, and ask again for what was not."""
        index_of = dict(zip(call.document.keys, wanted, strict=True))
        if verdict.values:
            self._silences = 0
        if any(value is not None for value in verdict.values.values()):
            self._learned.works.add(self._operation)
        for key, value in verdict.values.items():
            self._replies[index_of[key]] = Reply(value, call.asked_at, partial=verdict.partial.get(key))
        again = [index_of[key] for key, error in verdict.failed.items() if error.retryable]
        errors = [error for error in verdict.failed.values() if error.retryable]
        delay = patience.wait(errors[0]) if errors else None
        for key, error in verdict.failed.items():
            if delay is None or not error.retryable:
                self._fail(index_of[key], call, error)
        if again and delay is not None:
            self._tasks.create_task(self._ask(again, patience, delay))
        self._start([index_of[key] for key in verdict.unknown])
        self._halve([index_of[key] for key in verdict.unclear])

    def _fail(self, index: int, call: Call, error: VoltError) -> None:
        """One item's error, unless it tells that the others cannot fare better: then it is raised."""
        if error.whole or (isinstance(error, AuthError) and self._operation not in self._learned.works):
            raise error
        if isinstance(error, TransientError):
            self._silences += 1
            if self._silences >= max(2, min(SILENCES, self._pacing.concurrency)):
                raise error  # so many items in a row went unanswered: it is not the items' fault
        self._replies[index] = Reply(None, call.asked_at, error)


def _halves(wanted: Sequence[int]) -> list[Sequence[int]]:
    middle = (len(wanted) + 1) // 2
    return [half for half in (wanted[:middle], wanted[middle:]) if half]


def _leaves(group: BaseExceptionGroup[VoltError]) -> list[VoltError]:
    found: list[VoltError] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found

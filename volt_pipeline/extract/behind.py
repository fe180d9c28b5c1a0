"""Writing behind the reading: while one batch of pages is written, the next pages gather in another.

Each page leads to the next by its cursor alone, so the chain of an inbox need not wait for the warehouse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from volt_pipeline.batch import Batch
from volt_pipeline.catalog import INBOX_ITEMS
from volt_pipeline.extract.reader import Store

Completed = set[tuple[str, str, str]]
Shown = Callable[[Sequence[str]], Awaitable[None]]  # is told the phones of conversations once they are stored

_MOST_ROWS = 2_000  # gather while a batch is written; then the reading waits
_PHONE = INBOX_ITEMS.column_names.index("contact_phone")


class Behind:
    """The pages of one inbox that are read and not yet written: add to `batch`, then `write`; at the end `settle`."""

    def __init__(self, store: Store, shown: Shown) -> None:
        self.batch = Batch()
        self._store = store
        self._shown = shown
        self._task: asyncio.Task[Completed] | None = None

    async def write(self) -> None:
        """Begin to write the batch, unless a former one is under way; wait for that only if much has gathered."""
        if self._task and (self._task.done() or self.batch.size >= _MOST_ROWS):
            await self._written()
        if self._task is None:
            self._task = asyncio.create_task(self._load(self._taken()))

    async def settle(self) -> Completed:
        """Write everything; gives the walks that are complete now."""
        await self._written()
        batch = self._taken()
        return await self._load(batch) if batch.size or batch.walks else set()

    async def abandon(self) -> None:
        """Something failed: nobody waits for what is under way."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _taken(self) -> Batch:
        batch, self.batch = self.batch, Batch()
        return batch

    async def _written(self) -> None:
        task, self._task = self._task, None
        if task:
            await task

    async def _load(self, batch: Batch) -> Completed:
        completed = await self._store.load(batch)
        if items := batch.rows.get(INBOX_ITEMS.name):
            await self._shown([row[_PHONE] for row in items.values()])
        return completed

"""The run's one writer: batches commit whole, with the state that says "we have them", under the run's leases.

They commit in the order in which they were given, and none after one that could not: it may rest on it. While one
transaction writes its rows, the next one's are sent to staging tables on another connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from volt_pipeline.batch import Batch
from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnreachable
from volt_pipeline.warehouse.lane import Lane
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.transaction import Counts, WalkKey, stage, write

T = TypeVar("T")

_TRIES = 8
_ROWS_A_TRANSACTION = 5_000


@dataclass(eq=False)
class _Given:
    """A batch that is not yet written, and what will be known then: the walks that its transaction completed."""

    batch: Batch
    outcome: asyncio.Future[set[WalkKey]]


@dataclass
class Loader:
    """The run's one writer: its connections, the leases that each transaction proves, and what it counted."""

    url: str
    run_id: str
    leases: Leases
    counts: dict[str, Counts] = field(default_factory=dict)
    _main: Lane = field(init=False)
    _beside: Lane = field(init=False)  # connects when there is so much that one transaction is staged beside another
    _given: list[_Given] = field(default_factory=list)  # in order
    _taken: int = 0  # so many of them, the first, are in a transaction
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _lost: int = 0  # how often, since something was written
    _failure: Exception | None = None
    _closing: bool = False

    def __post_init__(self) -> None:
        self._main, self._beside = Lane(self.url, self.leases), Lane(self.url)

    def of(self, stream: str) -> Counts:
        return self.counts.setdefault(stream, Counts())

    async def load(self, batch: Batch) -> set[WalkKey]:
        """Write a batch; give the keys of those of its walks that are complete now.

        What waits for a transaction is written as one. A batch that was given is written even when its caller is called
        off; that is heeded afterwards. Raises LeaseLost when another run has taken over (nothing is written then),
        WarehouseError otherwise; then nothing more is written, and whoever comes later meets the same error.
        """
        if self._failure:
            raise self._failure
        given = _Given(batch, asyncio.get_running_loop().create_future())
        self._given.append(given)
        self._news.set()
        return await _to_its_end(given.outcome) & set(batch.walks)

    async def fetch(self, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a named query."""

        async def once() -> list[tuple[Any, ...]]:
            async with self._main.transaction() as cursor:
                await cursor.execute(query(name), parameters)
                return await cursor.fetchall() if cursor.description else []

        for lost in range(1, _TRIES):
            try:
                return await _to_its_end(asyncio.create_task(once()))
            except WarehouseUnreachable:
                await _patience(lost)
        return await _to_its_end(asyncio.create_task(once()))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Loader]:
        """Connected, holding the leases, with a heartbeat that keeps them while Volt is slow."""
        try:
            async with self._main.transaction() as cursor:
                await self.leases.take(cursor)
            heartbeat, writer = asyncio.create_task(self._beat()), asyncio.create_task(self._write_all())
            try:
                yield self
            finally:
                heartbeat.cancel()
                self._closing = True
                self._news.set()
                try:
                    await _to_its_end(asyncio.gather(heartbeat, writer, return_exceptions=True))
                finally:
                    await self.fetch("release_leases", self.leases.held)
        finally:
            await self._main.close()
            await self._beside.close()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.leases.seconds / 4)
            with suppress(WarehouseError):  # whoever writes or reads tells of it; the lease may yet be kept
                await self.fetch("renew_leases", {**self.leases.held, "seconds": self.leases.seconds})

    async def _write_all(self) -> None:
        """Write what is given: the next transaction begins when the one before it has begun to write its rows."""
        last: asyncio.Task[None] | None = None
        lane = self._main
        try:
            while True:
                try:
                    if not await self._more(last):
                        return
                    idle = last is None or last.done()
                    lane = self._main if idle or lane is self._beside else self._beside
                    last = await self._begin(lane, last)
                except Exception as error:
                    await self._recover(error)
                    last = None
        finally:  # asyncio ends everything after a second Ctrl-C
            self._fail(WarehouseError("The run was ended before all was written; the next one goes on from there."))

    async def _more(self, last: asyncio.Task[None] | None) -> bool:
        """Wait for something to write: anything when nothing is being written, else what fills a transaction.

        False when the loader is closed and all is written. Raises what the last transaction failed with.
        """
        while True:
            self._news.clear()
            if last is not None and last.done():
                last.result()
            waiting = sum(given.batch.size for given in self._given[self._taken :])
            idle = len(self._given) > self._taken and (last is None or last.done())
            if idle or waiting >= _ROWS_A_TRANSACTION:
                return True
            if self._closing and not self._given:
                return False
            await self._news.wait()

    def _take(self) -> tuple[list[_Given], Batch]:
        """What the next transaction writes."""
        taken = self._given[self._taken : self._taken + 1]
        together = taken[0].batch
        for given in self._given[self._taken + 1 :]:
            if together.size >= _ROWS_A_TRANSACTION:
                break
            if together is taken[0].batch:  # which stays as it is: it may have to be written again
                together = Batch()
                together.merge(taken[0].batch)
            together.merge(given.batch)
            taken.append(given)
        self._taken += len(taken)
        return taken, together

    async def _begin(self, lane: Lane, before: asyncio.Task[None] | None) -> asyncio.Task[None]:
        """Begin the next transaction; give it once it writes its rows, or has failed."""
        taken, together = self._take()
        writing = asyncio.Event()

        def ended(task: asyncio.Task[None]) -> None:
            self._under_way.discard(task)
            if not task.cancelled():
                task.exception()  # seen by whoever comes next; asyncio need not tell of it
            writing.set()
            self._news.set()

        task = asyncio.create_task(self._transact(lane, taken, together, before, writing))
        self._under_way.add(task)
        task.add_done_callback(ended)
        await writing.wait()
        return task

    async def _transact(
        self,
        lane: Lane,
        taken: Sequence[_Given],
        together: Batch,
        before: asyncio.Task[None] | None,
        writing: asyncio.Event,
    ) -> None:
        async with lane.transaction() as cursor:
            await self.leases.prove(cursor)
            kept = await stage(cursor, together)
            if before is not None:
                await before  # what it fails with, this fails with
            writing.set()
            written, completed = await write(cursor, kept, self.run_id)
        self._lost = 0
        self._count(written)
        del self._given[: len(taken)]
        self._taken -= len(taken)
        for given in taken:
            given.outcome.set_result(completed)

    async def _recover(self, error: Exception) -> None:
        """When the server went away, begin again with all that is not written; else write nothing more."""
        if self._under_way:  # the one before may come to a good end all the same
            await asyncio.wait(self._under_way)
        self._taken = 0
        self._lost += 1
        if isinstance(error, WarehouseUnreachable) and self._lost < _TRIES:
            await _patience(self._lost)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        for given in self._given:
            given.outcome.set_exception(error)
        self._given.clear()

    def _count(self, written: Mapping[str, Counts]) -> None:
        for stream, counts in written.items():
            total = self.of(stream)
            total.read += counts.read
            total.inserted += counts.inserted
            total.updated += counts.updated
            total.rejected += counts.rejected
            total.withheld += counts.withheld


async def _patience(lost: int) -> None:
    await asyncio.sleep(min(0.1 * 2**lost, 5))


async def _to_its_end(future: asyncio.Future[T]) -> T:
    """The result; a cancellation is heeded only when there is one.

    A transaction cut off just as its COPY begins would leave the connection in mid-command (psycopg 3.3).
    """
    called_off: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            called_off = error
    if called_off:
        future.exception()  # nobody waits for it any more
        raise called_off
    return future.result()

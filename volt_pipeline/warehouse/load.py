"""The run's one writer: batches commit whole, with the state that says "we have them", under the run's leases.

A batch that met a lost connection is written again from its start, on a new one. What is being written when its caller
is called off goes to its end first: a command that is cut off just as its COPY begins would leave the connection in
mid-command (psycopg 3.3).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from volt_pipeline.batch import Batch
from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnreachable
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.postgres import connect
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.transaction import Counts, WalkKey, create_stages, write

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]

_RECONNECT_TRIES = 8
_ROWS_A_TRANSACTION = 5_000


@dataclass(eq=False)
class _Waiting:
    """A batch that waits for its turn."""

    batch: Batch
    done: bool = False
    error: Exception | None = None
    completed: set[WalkKey] = field(default_factory=set)


@dataclass
class Loader:
    """The run's one writer: a connection, the leases that it proves in each transaction, and what it counted."""

    url: str
    run_id: str
    leases: Leases
    counts: dict[str, Counts] = field(default_factory=dict)
    _connection: Connection | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _queue: deque[_Waiting] = field(default_factory=deque)

    def of(self, stream: str) -> Counts:
        return self.counts.setdefault(stream, Counts())

    async def load(self, batch: Batch) -> set[WalkKey]:
        """Write a batch; give the keys of those of its walks that are complete now.

        Batches that come while another is being written wait, and are then written as one.
        Raises LeaseLost when another run has taken over (nothing is written then), WarehouseError otherwise.
        """
        waiting = _Waiting(batch)
        self._queue.append(waiting)
        try:
            async with self._turn:
                while not (waiting.done or waiting.error):
                    await self._write_queued()
        finally:
            if waiting in self._queue:  # called off before its turn came
                self._queue.remove(waiting)
        if waiting.error:
            raise waiting.error
        return waiting.completed & set(batch.walks)

    async def _write_queued(self) -> None:
        taken = [self._queue.popleft()]
        together = taken[0].batch
        while self._queue and together.size < _ROWS_A_TRANSACTION:
            taken.append(self._queue.popleft())
            if len(taken) == 2:
                together = Batch()
                together.merge(taken[0].batch)
            together.merge(taken[-1].batch)

        async def once(connection: Connection) -> None:
            async with connection.transaction(), connection.cursor() as cursor:
                await self.leases.prove(cursor)
                written, completed = await write(cursor, together, self.run_id)
            self._count(written)
            for waiting in taken:
                waiting.done, waiting.completed = True, completed

        try:
            await self._persistently(once)
        except Exception as error:
            for waiting in taken:
                waiting.error = error
        except BaseException:
            if not taken[0].done:  # the caller is called off; the others write theirs themselves
                self._queue.extendleft(reversed(taken))
            raise

    async def fetch(self, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a named query."""
        async with self._turn:

            async def once(connection: Connection) -> list[tuple[Any, ...]]:
                async with connection.transaction(), connection.cursor() as cursor:
                    await cursor.execute(query(name), parameters)
                    return await cursor.fetchall() if cursor.description else []

            return await self._persistently(once)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Loader]:
        """Connected, holding the leases, with a heartbeat that keeps them while Volt is slow."""
        connection = await self._connected()
        try:
            async with connection.transaction(), connection.cursor() as cursor:
                await self.leases.take(cursor)
            heartbeat = asyncio.create_task(self._beat())
            try:
                yield self
            finally:
                heartbeat.cancel()
                await asyncio.gather(heartbeat, return_exceptions=True)
                await self.fetch("release_leases", self.leases.held)
        finally:
            if self._connection is not None:
                await self._connection.close()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.leases.seconds / 4)
            await self.fetch("renew_leases", {**self.leases.held, "seconds": self.leases.seconds})

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            connection = await connect(self.url)
            await connection.set_autocommit(True)
            async with connection.transaction(), connection.cursor() as cursor:
                await create_stages(cursor)
                if self.leases.epochs:
                    await cursor.execute(query("move_leases"), self.leases.held)
            self._connection = connection
        return self._connection

    async def _persistently(self, once: Callable[[Connection], Awaitable[T]]) -> T:
        """Run one transaction, again on a new connection when the server went away in the middle."""
        for attempt in range(_RECONNECT_TRIES):
            try:
                return await _to_its_end(self._attempt(once))
            except (psycopg.OperationalError, WarehouseUnreachable) as error:
                if attempt == _RECONNECT_TRIES - 1 or (self._connection and not self._connection.closed):
                    raise _described(error) from None
                await asyncio.sleep(min(0.2 * 2**attempt, 5))
            except psycopg.Error as error:
                raise _described(error) from None
        raise AssertionError("unreachable")

    async def _attempt(self, once: Callable[[Connection], Awaitable[T]]) -> T:
        return await once(await self._connected())

    def _count(self, written: Mapping[str, Counts]) -> None:
        for stream, counts in written.items():
            total = self.of(stream)
            total.read += counts.read
            total.inserted += counts.inserted
            total.updated += counts.updated
            total.rejected += counts.rejected
            total.withheld += counts.withheld


async def _to_its_end(transaction: Coroutine[Any, Any, T]) -> T:
    """The result of a transaction; a cancellation is heeded only when it has ended."""
    task = asyncio.create_task(transaction)
    called_off: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            called_off = error
    if called_off:
        task.exception()  # nobody waits for it any more
        raise called_off
    return task.result()


def _described(error: Exception) -> WarehouseError:
    """Postgres' own texts carry row values: only the SQLSTATE is told."""
    if isinstance(error, WarehouseError):
        return error
    state = getattr(error, "sqlstate", None)
    if state is None and isinstance(error, psycopg.OperationalError):
        return WarehouseUnreachable(
            "The warehouse went away in the middle of the run and did not come back. Run it again."
        )
    return WarehouseError(
        f"The warehouse refused a write (SQLSTATE {state}, {type(error).__name__}); nothing of it was kept."
    )

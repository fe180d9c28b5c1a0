"""Writing batches: rows, their history and the state that says "we have them", in ONE transaction under the leases.

Binary COPY into temporary staging tables, then history and upsert as `upsert.py` words them. A batch that met a lost
connection is written again from its start: everything in it may be repeated without harm.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from volt_pipeline import catalog
from volt_pipeline.batch import Batch, Reading, Reject, Walk
from volt_pipeline.catalog import Stream
from volt_pipeline.warehouse import upsert
from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnreachable
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.postgres import connect
from volt_pipeline.warehouse.queries import query

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]
Cursor = psycopg.AsyncCursor[Any]
WalkKey = tuple[str, str, str]

_RECONNECT_TRIES = 8
_ROWS_A_TRANSACTION = 5_000
_WALK_TYPES = {
    "stream": "text", "account_id": "text", "contact_phone": "text", "opened_at": "timestamptz", "cursor": "text",
    "pages": "int4", "item": "text", "open_top": "timestamptz", "total": "int8", "oldest": "timestamptz",
    "ordered": "bool", "unidentifiable": "int8", "reached_end": "bool", "below_top": "bool", "known_gap": "int8",
}  # fmt: skip
_STAGE_WALKS = "CREATE TEMP TABLE IF NOT EXISTS stage_walks ({}) ON COMMIT DELETE ROWS"
_STAGE_MEMBERSHIPS = (
    "CREATE TEMP TABLE IF NOT EXISTS stage_memberships (contact_id text, asked_at timestamptz, list_ids text[]) "
    "ON COMMIT DELETE ROWS"
)


@dataclass
class Counts:
    """What loading did to one table."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    rejected: int = 0

    @property
    def written(self) -> int:
        return self.inserted + self.updated

    @property
    def unchanged(self) -> int:
        return self.read - self.written


@dataclass
class _Waiting:
    """A batch that waits for its turn."""

    batch: Batch
    done: bool = False
    error: BaseException | None = None
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
        async with self._turn:
            if not (waiting.done or waiting.error):
                await self._write_queued()
        if waiting.error:
            raise waiting.error
        return waiting.completed & set(batch.walks)

    async def _write_queued(self) -> None:
        together = Batch()
        taken = []
        while self._queue and together.size < _ROWS_A_TRANSACTION:
            taken.append(self._queue.popleft())
            together.merge(taken[-1].batch)
        written: dict[str, Counts] = {}

        async def once(connection: Connection) -> set[WalkKey]:
            written.clear()
            async with connection.transaction(), connection.cursor() as cursor:
                await self.leases.prove(cursor)
                for stream in catalog.STREAMS:
                    if rows := together.rows.get(stream.name):
                        written[stream.name] = await self._write(cursor, stream, rows)
                await self._write_memberships(cursor, together)
                await self._write_findings(cursor, together)
                return await self._write_walks(cursor, list(together.walks.values()))

        try:
            completed = await self._persistently(once)
        except BaseException as error:
            for waiting in taken:
                waiting.error = error
            raise
        self._count(together, written)
        for waiting in taken:
            waiting.done, waiting.completed = True, completed

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
                for stream in catalog.STREAMS:
                    await cursor.execute(upsert.create_stage(stream))
                columns = ", ".join(f"{name} {kind}" for name, kind in _WALK_TYPES.items())
                await cursor.execute(_STAGE_WALKS.format(columns))
                await cursor.execute(_STAGE_MEMBERSHIPS)
                if self.leases.epochs:
                    await cursor.execute(query("move_leases"), self.leases.held)
            self._connection = connection
        return self._connection

    async def _persistently(self, once: Callable[[Connection], Awaitable[T]]) -> T:
        """Run one transaction, again on a new connection when the server went away in the middle."""
        for attempt in range(_RECONNECT_TRIES):
            try:
                return await once(await self._connected())
            except (psycopg.OperationalError, WarehouseUnreachable) as error:
                if attempt == _RECONNECT_TRIES - 1 or (self._connection and not self._connection.closed):
                    raise _described(error) from None
                await asyncio.sleep(min(0.2 * 2**attempt, 5))
            except psycopg.Error as error:
                raise _described(error) from None
        raise AssertionError("unreachable")

    async def _write(
        self,
        cursor: Cursor,
        stream: Stream,
        rows: Mapping[tuple[Any, ...], tuple[Any, ...]],
    ) -> Counts:
        await _copy(cursor, upsert.copy_stage(stream), upsert.wire_types(stream), (rows[key] for key in sorted(rows)))
        for history in catalog.HISTORIES:
            if history.of == stream.name:
                await cursor.execute(upsert.write_history(history), {"run_id": self.run_id})
        await cursor.execute(upsert.upsert(stream), {"run_id": self.run_id})
        inserted, updated = await cursor.fetchone() or (0, 0)
        return Counts(len(rows), inserted, updated)

    async def _write_memberships(self, cursor: Cursor, batch: Batch) -> None:
        if not batch.memberships:
            return
        rows = [(key, asked_at, sorted(lists)) for key, (asked_at, lists) in sorted(batch.memberships.items())]
        await _copy(
            cursor,
            "COPY stage_memberships (contact_id, asked_at, list_ids) FROM STDIN (FORMAT BINARY)",
            ("text", "timestamptz", "text[]"),
            rows,
        )
        for name in ("retire_contacts", "end_buried_memberships"):
            await cursor.execute(query(name), {"run_id": self.run_id})
        for name in ("close_memberships", "open_memberships", "stamp_contacts"):
            await cursor.execute(query(name), {"run_id": self.run_id})

    async def _write_findings(self, cursor: Cursor, batch: Batch) -> None:
        if found := [(d.kind, d.account_id, d.key, d.via) for d in batch.discoveries]:
            await cursor.execute(query("add_discoveries"), _arrays(("kinds", "account_ids", "keys", "vias"), found))
        if answers := [(r.kind, r.account_id, r.key, r.asked_at, r.found, r.object_id) for r in batch.readings]:
            parameters = _arrays(("kinds", "account_ids", "keys", "read_ats", "founds", "objects"), answers)
            await cursor.execute(query("save_readings"), parameters)
            await cursor.execute(query("save_discovery_readings"), parameters)
            await self._bury(cursor, [reading for reading in batch.readings if not reading.found])
        for stream, rows in batch.rows.items():
            keys = ["|".join(map(str, key)) for key in rows]
            await cursor.execute(query("resolve_rejects"), {"stream": stream, "keys": keys})
        if refused := [
            (r.stream, r.account_id, r.contact_phone, r.key, r.reason, r.raw, _digest(r)) for r in batch.rejects
        ]:
            names = ("streams", "account_ids", "phones", "keys", "reasons", "raws", "digests")
            await cursor.execute(query("add_rejects"), {**_arrays(names, refused), "run_id": self.run_id})

    async def _bury(self, cursor: Cursor, absent: Sequence[Reading]) -> None:
        """Mark as deleted what repeated look-ups did not find; nothing else deletes."""
        for kind in sorted({reading.kind for reading in absent}):
            keys = [reading.key for reading in absent if reading.kind == kind]
            await cursor.execute(query(f"bury_{kind}s"), {"keys": keys, "run_id": self.run_id})
        if any(reading.kind == "contact" for reading in absent):
            await cursor.execute(query("end_buried_memberships"), {"run_id": self.run_id})

    async def _write_walks(self, cursor: Cursor, walks: list[Walk]) -> set[WalkKey]:
        if not walks:
            return set()
        names = ", ".join(_WALK_TYPES)
        rows = (
            (*(getattr(walk, name) for name in list(_WALK_TYPES)[:-1]), walk.gap)
            for walk in sorted(walks, key=lambda walk: walk.key)
        )
        await _copy(
            cursor,
            f"COPY stage_walks ({names}) FROM STDIN (FORMAT BINARY)",
            tuple(_WALK_TYPES.values()),
            rows,
        )
        await cursor.execute(query("save_walks"))
        await cursor.execute(query("complete_walks"))
        completed = {(stream, account, phone) for stream, account, phone in await cursor.fetchall()}
        if any(stream == "inbox_items" for stream, _, _ in completed):
            await cursor.execute(query("resolve_walk_rejects"))
        return completed

    def _count(self, batch: Batch, written: Mapping[str, Counts]) -> None:
        for stream, counts in written.items():
            total = self.of(stream)
            total.read += counts.read
            total.inserted += counts.inserted
            total.updated += counts.updated
        for reject in batch.rejects:
            self.of(reject.stream).rejected += 1


async def _copy(cursor: Cursor, statement: Any, types: tuple[str, ...], rows: Iterable[Any]) -> None:
    async with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            await copy.write_row(row)


def _arrays(names: Sequence[str], records: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Records → one array parameter a column, for `unnest`."""
    return dict(zip(names, map(list, zip(*records, strict=True)), strict=True))


def _digest(reject: Reject) -> str:
    return "" if reject.key else hashlib.md5(reject.raw.encode(), usedforsecurity=False).hexdigest()


def _described(error: Exception) -> WarehouseError:
    """Postgres' own texts carry row values: only the SQLSTATE is told."""
    if isinstance(error, WarehouseError):
        return error
    state = getattr(error, "sqlstate", None)
    if state is None:
        return WarehouseUnreachable(
            "The warehouse went away in the middle of the run and did not come back. Run it again."
        )
    return WarehouseError(
        f"The warehouse refused a write (SQLSTATE {state}, {type(error).__name__}); nothing of it was kept."
    )

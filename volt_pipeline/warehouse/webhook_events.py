"""Webhook events in the warehouse: kept durably as they come in, taken up by re-readings, deleted in time.

`EventShelf` is the receiver's: one connection, short limits, so that a warehouse that is away or slow costs a sender a
503 and nothing more. `EventQueue` is the re-reading's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from volt_pipeline.event import Hint, Settled, SignedEvent, WaitingEvent
from volt_pipeline.warehouse.errors import WarehouseError
from volt_pipeline.warehouse.postgres import connect, conninfo, described, unreachable
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.withholding import read_forgotten

log = logging.getLogger(__name__)

Connection = psycopg.AsyncConnection[Any]
CONNECT_SECONDS = 3
STATEMENT_SECONDS = 4.0
_AT_ONCE = 5_000  # old events deleted in one statement


@dataclass
class EventShelf:
    """The receiver's one connection. `retention_days`: how long events are held. `statements` counts what it asked."""

    url: str
    retention_days: int = 30
    statements: int = 0
    _connection: Connection | None = field(default=None, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _away: bool = False

    async def keep(self, events: Sequence[SignedEvent]) -> None:
        """Commit events, durably; those that are held already are counted. Raises WarehouseError."""
        counted: dict[str, tuple[SignedEvent, int]] = {}
        for event in events:
            counted[event.key] = (event, counted[event.key][1] + 1 if event.key in counted else 1)
        kept = list(counted.values())
        await self._execute(
            "keep_events",
            {
                "keys": [event.key for event, _ in kept],
                "schemes": [event.scheme for event, _ in kept],
                "signers": [event.signed_by for event, _ in kept],
                "sent_ats": [event.sent_at for event, _ in kept],
                "bodies": [event.body for event, _ in kept],
                "deliveries": [count for _, count in kept],
            },
        )

    async def registering(self) -> bool:
        """Whether a registration of our own is open; it is told that a receiver is up."""
        return bool(await self._execute("notice_registrations", {}))

    async def prune(self) -> None:
        """Delete the events that were held long enough."""
        while await self._execute("prune_events", _old(self.retention_days)) == [(_AT_ONCE,)]:
            pass

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _execute(self, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """One statement, committed, within STATEMENT_SECONDS. Raises WarehouseError."""
        async with self._turn:
            try:
                async with asyncio.timeout(STATEMENT_SECONDS + CONNECT_SECONDS):
                    found = await self._persistently(name, parameters)
            except (psycopg.Error, OSError, TimeoutError) as error:
                await self._lose()
                if not self._away:
                    log.warning("The warehouse at %s takes no events (%s).", described(self.url), _kind(error))
                self._away = True
                raise WarehouseError("The warehouse takes no events.") from None
        if self._away:
            log.warning("The warehouse at %s takes events again.", described(self.url))
        self._away = False
        return found

    async def _persistently(self, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Once more on a new connection, where the old one turns out to be gone: all statements may be repeated."""
        try:
            return await self._once(name, parameters)
        except psycopg.OperationalError:
            if self._connection is None or not self._connection.closed:
                raise
        return await self._once(name, parameters)

    async def _once(self, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            limit = int(STATEMENT_SECONDS * 1000)
            self._connection = await psycopg.AsyncConnection.connect(
                conninfo(self.url),
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                options=f"-c TimeZone=UTC -c synchronous_commit=on -c statement_timeout={limit}",
                application_name="volt_webhooks",
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=2,
                tcp_user_timeout=10_000,
                prepare_threshold=1,
            )
        self.statements += 1
        cursor = await self._connection.execute(query(name), parameters)
        return await cursor.fetchall() if cursor.description else []

    async def _lose(self) -> None:
        """Let the connection go: the next statement begins on a new one."""
        lost, self._connection = self._connection, None
        if lost is not None:
            with suppress(psycopg.Error, OSError):
                await lost.close()


def _old(days: int) -> dict[str, int]:
    return {"days": days, "limit": _AT_ONCE}


def _kind(error: BaseException) -> str:
    """What may be told of it: Postgres' own words can hold what a row holds."""
    state = getattr(error, "sqlstate", None)
    return f"SQLSTATE {state}" if state else type(error).__name__


@dataclass
class EventQueue:
    """The events that wait, for a run that re-reads what they hint at."""

    connection: Connection
    run_id: str

    async def take(self, limit: int) -> list[WaitingEvent]:
        """Up to `limit` events that are due; they are not due again for a while."""
        rows = await self._execute("claim_events", {"run_id": self.run_id, "limit": limit})
        return sorted(WaitingEvent(*row) for row in rows)

    async def withhold(self, hints: Mapping[WaitingEvent, Hint]) -> set[WaitingEvent]:
        """Delete the events of people who were forgotten; gives them."""
        try:
            async with self.connection.transaction(), self.connection.cursor() as cursor:
                forgotten = await read_forgotten(cursor)
                theirs = {
                    event
                    for event, hint in hints.items()
                    if forgotten and (hint.from_number in forgotten or hint.to_number in forgotten)
                }
                if theirs:
                    await cursor.execute(query("drop_events"), {"ids": [event.id for event in theirs]})
                return theirs
        except psycopg.Error as error:
            raise _lost(error) from None

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Write down what became of them. One that came again meanwhile stays due."""
        parameters = {
            "ids": [each.event.id for each in settled],
            "taken_ats": [each.event.taken_at for each in settled],
            "event_types": [each.hint.event_type or None for each in settled],
            "directions": [each.hint.direction or None for each in settled],
            "message_ids": [each.hint.message_id or None for each in settled],
            "account_ids": [each.account_id for each in settled],
            "phones": [each.contact_phone for each in settled],
            "outcomes": [each.outcome for each in settled],
            "reasons": [each.reason for each in settled],
        }
        await self._execute("settle_events", parameters)

    async def prune(self, days: int) -> None:
        """Delete the events that were held for so many days."""
        while await self._execute("prune_events", _old(days)) == [(_AT_ONCE,)]:
            pass

    async def _execute(self, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        try:
            cursor = await self.connection.execute(query(name), parameters)
            return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise _lost(error) from None


def _lost(error: psycopg.Error) -> WarehouseError:
    return WarehouseError(
        f"The warehouse could not go on with volt_ops.webhook_events ({_kind(error)}). What was taken up is taken up "
        "again by a later run."
    )


@asynccontextmanager
async def event_queue(url: str, run_id: str) -> AsyncIterator[EventQueue]:
    """A queue on a connection of its own. Raises WarehouseUnreachable."""
    connection = await connect(url)
    await connection.set_autocommit(True)
    async with connection:
        yield EventQueue(connection, run_id)


def has_news(url: str, retention_days: int) -> bool:
    """Whether an event is due, or one has been held long enough. Raises WarehouseUnreachable."""
    ((due, old),) = _asked(url, "news", days=retention_days)
    return bool(due or old)


def event_figures(url: str) -> dict[str, int | float]:
    """The last 7 days in figures: events, deliveries, those that wait or were set aside, the median seconds from an
    event to its refreshed rows, changes found since, and the share of them that polling found first."""
    ((events, deliveries, waiting, aside, median),) = _asked(url, "event_figures")
    ((changes, share),) = _asked(url, "polling_share")
    figures = {
        "events in 7 days": events,
        "deliveries": deliveries,
        "waiting": waiting,
        "set aside in 7 days": aside,
        "changes in 7 days": changes,
        "median seconds to the refreshed row": None if median is None else round(float(median), 3),
        "share that polling found first": None if share is None else round(share, 4),
    }
    return {name: value for name, value in figures.items() if value is not None}


def open_registration(url: str, target: str, seconds: float) -> int:
    """Announce a registration: receivers answer an unsigned test request while it is open. Gives its id."""
    ((made,),) = _asked(url, "open_registration", target=target, seconds=seconds)
    return int(made)


def registration_noticed(url: str, registration: int) -> bool:
    """Whether a running receiver has taken notice of it."""
    ((noticed,),) = _asked(url, "registration_noticed", id=registration)
    return bool(noticed)


def close_registration(url: str, registration: int, outcome: str) -> None:
    """End it: "registered", "refused" or "unknown"."""
    _asked(url, "close_registration", id=registration, outcome=outcome)


def _asked(url: str, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    try:
        with psycopg.connect(conninfo(url), connect_timeout=10, options="-c TimeZone=UTC") as connection:
            cursor = connection.execute(query(name), parameters)
            return cursor.fetchall() if cursor.description else []
    except psycopg.OperationalError as error:
        raise unreachable(url, error) from None

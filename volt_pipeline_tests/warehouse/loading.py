"""What the tests of loading share: rows made by hand, loaders on a warehouse, and a look at what is held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from volt_pipeline.batch import Batch, Row
from volt_pipeline.catalog import CONTACTS, MESSAGES, Stream
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.load import Loader

PHONE = "+15555550001"
OTHER_PHONE = "+15555550002"


def at(minute: float) -> datetime:
    return datetime(2026, 3, 4, 12, tzinfo=UTC) + timedelta(minutes=minute)


def made(stream: Stream, asked_at: datetime, **values: Any) -> Row:
    """A row of a stream; what is not named is null."""
    assert values.keys() <= set(stream.column_names)
    return (*(values.get(name) for name in stream.column_names), asked_at)


def contact(asked_at: datetime, identity: str = "1", **values: Any) -> Row:
    return made(CONTACTS, asked_at, **{"id": identity, "account_id": "a", "name": "Wile E.", **values})


def message(asked_at: datetime, identity: str = "rf_1", **values: Any) -> Row:
    given = {"id": identity, "account_id": "a", "contact_phone": "+2", "status": "sending", "is_final": False}
    return made(MESSAGES, asked_at, **{**given, **values})


def batch(*rows: tuple[Stream, Row]) -> Batch:
    """A batch with these rows."""
    filled = Batch()
    for stream, row in rows:
        filled.add(stream, row)
    return filled


@asynccontextmanager
async def loading(url: str, run_id: str = "run-1", *phones: str) -> AsyncIterator[Loader]:
    """A loader that is open and holds its leases."""
    loader = Loader(url, run_id, Leases(phones or (PHONE,), run_id))
    async with loader.open():
        yield loader


def ask(url: str, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, asked beside the loader."""
    with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as connection:
        cursor = connection.execute(text.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


async def until_waiting(beside: psycopg.Connection, how_many: int) -> None:
    """Until so many wait for locks."""
    async with asyncio.timeout(20):
        while beside.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount < how_many:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def versions(url: str, schema: str = "volt") -> dict[str, list[tuple[str, str, str]]]:
    """Where each row of a schema stands and which transaction wrote it: equal twice means that nothing was written.

    Of the raw tables, too, which transaction locked it last, since that is written as well.
    """
    tables = [name for (name,) in ask(url, "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", schema)]
    row = f"ctid::text, xmin::text, {'xmax' if schema == 'volt' else 0}::text"
    return {table: ask(url, f"SELECT {row} FROM {schema}.{table} ORDER BY 1") for table in tables}


def end_connections(url: str, application: str = "volt_pipeline") -> int:
    """Kill the server processes behind an application's connections, as an administrator or a failover would."""
    found = ask(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = %s",
        application,
    )
    return len(found)

"""What is really written: nothing for an unchanged row, and for a changed one no more than must be.

Told by Postgres' own counts, since a row that is locked and left as it is looks the same to every query.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from volt_pipeline.batch import Batch
from volt_pipeline.catalog import CONTACTS, CONVERSATIONS, INBOX_ITEMS, MESSAGES
from volt_pipeline.warehouse import upsert
from volt_pipeline.warehouse.postgres import connect
from volt_pipeline.warehouse.transaction import _copy, create_stages, stage, write

from .loading import ask, at, batch, contact, loading, made, message, versions

Cursor = psycopg.AsyncCursor[Any]
WRITTEN = """
SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables
WHERE schemaname = 'volt' AND n_tup_ins + n_tup_upd + n_tup_del > 0
ORDER BY 1
"""


@asynccontextmanager
async def transaction(url: str) -> AsyncIterator[Cursor]:
    connection = await connect(url)
    async with connection, connection.cursor() as cursor:
        await create_stages(cursor)
        await connection.commit()
        yield cursor


async def fetched(cursor: Cursor, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    await cursor.execute(text.encode(), *parameters)
    return await cursor.fetchall()


def day(minute: float, **values: Any) -> Batch:
    """A hundred people with a text each; the values are the texts'."""
    rows: list[Any] = []
    for n in range(100):
        phone = f"+1555000{n:04}"
        moved = at(1) if not values else at(minute)
        item = {"account_id": "a", "contact_phone": phone, "last_message": "hi", "last_message_time": moved}
        total = 1 if not values else 2
        rows += [
            (CONTACTS, contact(at(minute), str(n), phone_number=phone, custom_fields='[{"key": "a"}]')),
            (INBOX_ITEMS, made(INBOX_ITEMS, at(minute), **item)),
            (CONVERSATIONS, made(CONVERSATIONS, at(minute), account_id="a", contact_phone=phone, messages_total=total)),
            (MESSAGES, message(at(minute), f"rf_{n}", contact_phone=phone, media="[]", **values)),
        ]
    return batch(*rows)


async def test_what_is_unchanged_is_neither_written_nor_locked(warehouse_url: str) -> None:
    async with transaction(warehouse_url) as cursor:
        await write(cursor, await stage(cursor, day(1)), "run-1")
        assert {table for table, *_ in await fetched(cursor, WRITTEN)} >= {"contacts", "inbox_items", "messages"}
    before = versions(warehouse_url)
    async with transaction(warehouse_url) as cursor:
        await write(cursor, await stage(cursor, day(2)), "run-2")
        assert await fetched(cursor, WRITTEN) == []
    assert versions(warehouse_url) == before
    async with transaction(warehouse_url) as cursor:
        for texts, records in (({}, 0), ({"status": "sent"}, 200)):  # at least: a row and an index entry each
            rows = day(3, **texts).rows[MESSAGES.name]
            await cursor.execute(upsert.empty_stage(MESSAGES))
            await _copy(cursor, upsert.copy_stage(MESSAGES), upsert.wire_types(MESSAGES), rows.values())
            plan = "EXPLAIN (ANALYZE, WAL, FORMAT JSON) " + upsert.update_changed(MESSAGES)
            (((found,),),) = await fetched(cursor, plan, {"run_id": "run-3"})
            assert found["Plan"]["WAL Records"] in (range(records, 100 * records) if records else (0,))


async def test_what_moves_daily_changes_in_its_place_and_no_index_with_it(warehouse_url: str) -> None:
    async with transaction(warehouse_url) as cursor:
        await write(cursor, await stage(cursor, day(1)), "run-1")
    async with transaction(warehouse_url) as cursor:
        await write(cursor, await stage(cursor, day(2, status="sent")), "run-2")
        found = {table: (updated, in_place) for table, _, updated, in_place in await fetched(cursor, WRITTEN)}
    assert found.pop("message_statuses") == (0, 0)
    assert found.keys() == {"inbox_items", "conversations", "messages"}
    for table in ("inbox_items", "conversations"):
        updated, in_place = found[table]
        assert updated == 100
        assert in_place >= 10  # those whose page had room; here each row of a full page changes at once


async def test_what_another_is_changing_is_waited_for_and_then_judged(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(batch((CONTACTS, contact(at(1), blocked=False))))
        with psycopg.connect(warehouse_url) as beside:
            # an older answer, on its way in, says something else than both the row and the newer answer
            beside.execute("UPDATE volt.contacts SET blocked = true, loaded_at = %s", [at(2)])
            writing = asyncio.create_task(loader.load(batch((CONTACTS, contact(at(3), blocked=False)))))
            while not beside.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall():
                assert not writing.done()
                await asyncio.sleep(0.01)
            beside.commit()
        await writing
    assert ask(warehouse_url, "SELECT blocked, loaded_at FROM volt.contacts") == [(False, at(3))]

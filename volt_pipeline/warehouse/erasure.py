"""Forgetting a person: what is held of a phone goes, in one transaction, and a keyed digest keeps it from coming back.

It runs under the leases of all accounts, so that no sync or push is at work meanwhile, and under a lock on
`volt_ops.forgotten`, for which the loads that need no lease wait (`withholding.py`). It cannot reach into Volt.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from volt_pipeline.errors import ExplainedError
from volt_pipeline.warehouse import marts
from volt_pipeline.warehouse.errors import LeaseHeld, WarehouseError, WarehouseUnfit
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.postgres import connect
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.traces import TRACES, Trace, built, mart_trace, mentions
from volt_pipeline.warehouse.withholding import Forgotten, digits

Cursor = psycopg.AsyncCursor[Any]


class NobodyFound(ExplainedError):
    """Nothing is held under a phone that was to be forgotten, or nobody was forgotten under it."""


class NotErasable(ExplainedError):
    """A phone that cannot be forgotten: it is one of our own."""


@dataclass(frozen=True)
class Person:
    """What somebody's rows are found by: ids, the conversations' ids in the marts, and the accounts that hold them."""

    contacts: list[str] = field(repr=False)
    messages: list[str] = field(repr=False)
    conversations: list[str] = field(repr=False)
    accounts: list[str]
    inboxes: list[str]


@dataclass(frozen=True)
class Erasure:
    """What an erasure did: rows a table that were deleted, or kept without the person.

    `known`: they had been forgotten before. `other_numbers`: the same contact was seen under another number as well.
    """

    deleted: Counter[str]
    blanked: Counter[str]
    known: bool
    other_numbers: bool


def shown(phone: str) -> str:
    """A phone as it may be printed: how it begins, and its last two digits."""
    return f"{phone[:2]}•••••{phone[-2:]}"


async def find(url: str, phone: str) -> Person:
    """What is held of a phone (E.164). Raises NotErasable, WarehouseError."""
    async with _transaction(url) as cursor:
        return await _find(cursor, phone)


async def forget(url: str, phone: str, *, ahead: bool = False) -> Erasure:
    """Erase what is held of a phone (E.164), and keep it from coming back; all of it or nothing.

    `ahead`: also where nothing is held. Raises NobodyFound, NotErasable, LeaseHeld when something is at work that may
    hold or write the person, WarehouseError.
    """
    async with _transaction(url) as cursor:
        leases = await _alone(cursor)
        person = await _find(cursor, phone)
        await _sends_nothing(cursor, phone)
        erasure = await _erase(cursor, phone, person)
        if not (erasure.deleted or erasure.blanked or erasure.known or ahead):
            raise NobodyFound(
                f"Nothing is held under {shown(phone)}, and nothing was done: check the number. To keep somebody out "
                "who was never here, forget them with --ahead."
            )
        await cursor.execute(query("release_leases"), leases.held)
    return erasure


async def remember(url: str, phone: str) -> None:
    """Take back that a phone was forgotten: the next sync may store what Volt holds then. Raises NobodyFound."""
    async with _transaction(url) as cursor:
        await cursor.execute(query("remember_person"), {"digest": await _digest(cursor, phone)})
        if not await cursor.fetchall():
            raise NobodyFound(f"Nobody was forgotten under {shown(phone)}; nothing was done.")


async def remains(url: str, phone: str) -> dict[str, int]:
    """Where the phone's digits still stand: rows by table and column, over all schemas that are ours."""
    found: dict[str, int] = {}
    async with _transaction(url) as cursor:
        for schema, table, columns in await _tables(cursor, "rpm"):
            conditions = mentions(columns)
            if not conditions:
                continue
            counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions.values())
            name = f'"{schema}"."{table}"'.replace("%", "%%")
            await cursor.execute(f"SELECT {counts} FROM {name}", {"digits": digits(phone)})
            counted = zip(conditions, await cursor.fetchone() or (), strict=True)
            found |= {f"{schema}.{table}.{column}": count for column, count in counted if count}
    return found


@asynccontextmanager
async def _transaction(url: str) -> AsyncIterator[Cursor]:
    """A transaction. Postgres' own texts carry row values: only the SQLSTATE is told."""
    connection = await connect(url)
    try:
        async with connection, connection.cursor() as cursor:
            yield cursor
    except psycopg.errors.InsufficientPrivilege:
        raise WarehouseUnfit(
            "The role in WAREHOUSE_URL does not own all that the pipeline and dbt have made, so nothing was "
            "changed. Use a login that is a member of volt_loader, or the one that made the tables."
        ) from None
    except psycopg.Error as error:
        raise WarehouseError(
            f"The warehouse refused ({type(error).__name__}, SQLSTATE {error.sqlstate}); nothing was changed."
        ) from None


async def _alone(cursor: Cursor) -> Leases:
    """Make sure that no sync, push or build of the marts is at work, nor begins before the transaction ends."""
    await cursor.execute(query("account_phones"))
    leases = Leases([phone for (phone,) in await cursor.fetchall()], f"forget-{uuid.uuid4().hex[:8]}", work="run")
    await leases.take(cursor)
    await cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [marts.LOCK])
    if await cursor.fetchone() != (True,):
        raise LeaseHeld("dbt is building the marts from what is held now. Wait for it to end; nothing was erased.")
    await cursor.execute("LOCK TABLE volt_ops.forgotten IN ACCESS EXCLUSIVE MODE")
    return leases


async def _find(cursor: Cursor, phone: str) -> Person:
    await cursor.execute(query("own_number"), {"digits": digits(phone)})
    if await cursor.fetchone() == (True,):
        raise NotErasable("That is one of our own numbers (volt.account_numbers): an account cannot be forgotten.")
    await cursor.execute(query("find_person"), {"digits": digits(phone)})
    return Person(*(await cursor.fetchone() or ([], [], [], [], [])))


async def _sends_nothing(cursor: Cursor, phone: str) -> None:
    await cursor.execute(query("sending_now"), {"digits": digits(phone)})
    if await cursor.fetchone() == (True,):
        raise LeaseHeld("A text to them is being sent at this moment. Try again in a minute; nothing was erased.")


async def _erase(cursor: Cursor, phone: str, person: Person) -> Erasure:
    digest = await _digest(cursor, phone)
    found = {"digits": digits(phone), "digest": digest, "blank": f"(forgotten {digest.hex()[:12]})", **vars(person)}
    await cursor.execute(query("other_numbers"), found)
    other_numbers = await cursor.fetchone() == (True,)
    deleted: Counter[str] = Counter()
    blanked: Counter[str] = Counter()
    for name, table in (("blank_plans", "volt_ops.push_plans"), ("leave_scheduled", "volt_ops.outbox")):
        async with _unguarded(cursor, table):
            await cursor.execute(query(name), found)
            blanked[table] += cursor.rowcount
    for trace in [*TRACES, *await _mart_traces(cursor)]:
        async with _unguarded(cursor, trace.table if trace.guarded else ""):
            await cursor.execute(_statement(trace), found)
            (blanked if trace.blank else deleted)[trace.table.replace('"', "")] += cursor.rowcount
    await cursor.execute(query("forget_in_counts"), found)
    await cursor.execute(query("bury_person"), found)
    known = await cursor.fetchone() is None
    await cursor.execute(query("bury_person_in_accounts"), found)
    return Erasure(+deleted, +blanked, known, other_numbers)


def _statement(trace: Trace) -> str:
    if trace.blank:
        return f"UPDATE {trace.table} SET {trace.blank} WHERE {trace.where}"
    return f"DELETE FROM {trace.table} WHERE {trace.where}"


@asynccontextmanager
async def _unguarded(cursor: Cursor, table: str) -> AsyncIterator[None]:
    """With the triggers off that keep people from changing a record; nobody else sees the table that way."""
    if table:
        await cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield
    if table:
        await cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def _mart_traces(cursor: Cursor) -> Iterable[Trace]:
    """The traces in what dbt builds: of every schema that is ours and holds neither raw tables nor state."""
    found = [
        mart_trace(schema, table, [name for name, kind in columns if kind[0] == "S"])
        for schema, table, columns in await _tables(cursor, "rp")
        if built(schema)
    ]
    return filter(None, found)


async def _tables(cursor: Cursor, kinds: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(schema, table, its columns with their types), by the kinds of pg_class."""
    await cursor.execute(query("erasable_tables"), {"kinds": list(kinds)})
    return [
        (schema, table, list(zip(names, types, strict=True))) for schema, table, names, types in await cursor.fetchall()
    ]


async def _digest(cursor: Cursor, phone: str) -> bytes:
    await cursor.execute(query("tombstone_key"))
    ((key,),) = await cursor.fetchall()
    return Forgotten(bytes(key), ()).digest(phone)

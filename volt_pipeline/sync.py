"""One sync of Volt into the warehouse: what is read, in which order, and what it came to.

Composes `api/`, `extract/` and `warehouse/`; knows no Dagster. All accounts are walked side by side: as the pages of an
inbox are stored, its due conversations join the queue that all workers share; what else is due follows at its end.
Then come the things that were found on the way (waves, lists) and the messages whose status may still change.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from volt_pipeline import catalog
from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import ContractError, ServerError, VoltError
from volt_pipeline.batch import Batch, Discovery, Reject
from volt_pipeline.extract.behind import Shown
from volt_pipeline.extract.conversations import feed, feed_shown, walk_conversations
from volt_pipeline.extract.frontier import Frontier
from volt_pipeline.extract.inbox import first_page, walk_inbox
from volt_pipeline.extract.lookups import read_lists, read_waves, read_webhooks, settle_messages, sweep_contacts
from volt_pipeline.extract.pages import PageError
from volt_pipeline.extract.reader import Account, Observer, Reader
from volt_pipeline.report import Coverage, SyncReport, on_record
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.load import Loader
from volt_pipeline.warehouse.store import WarehouseStore

TABLES = frozenset(catalog.QUERIES)
_ROOM = 2_000  # due conversations that wait before more are read from the warehouse


def silent(_stage: str, _done: int, _known: int) -> None:
    """Nobody watches."""


async def sync(
    volt: VoltClient,
    warehouse_url: str,
    phones: Sequence[str],
    *,
    run_id: str,
    tables: Collection[str] = TABLES,
    full: bool = False,
    workers: int = 16,
    observe: Observer = silent,
    measure: bool = True,
) -> SyncReport:
    """Bring `tables` up to date for the accounts with these primary phones; `measure` the coverage of all that is held.

    The warehouse must be prepared (`warehouse.postgres.prepare`). Raises UnknownAccount, VoltError,
    TokenSeesNothing, WarehouseError, some of them in groups (`first_cause`); what was committed before stands, and the
    next sync goes on from there. What could not be stored or read is in `volt_ops.rejects` and counted in the report.
    """
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:  # before anything is written
        tasks = [group.create_task(_arrive(volt, phone)) for phone in phones]
    loader = Loader(warehouse_url, run_id, Leases(phones, run_id))
    report = SyncReport(run_id, tuple(phones), tables=loader.counts)
    async with loader.open(), on_record(loader, volt, report, since=started):
        reader = Reader(volt, WarehouseStore(loader, full), observe, full)
        reader.numbers = dict(await loader.fetch("account_numbers", {}))
        arrivals = await _identified(loader, [task.result() for task in tasks])
        with _garbage_collected_seldom():
            await _read(reader, arrivals, tables, workers)
        if measure:
            report.coverage = {stream: Coverage(*rest) for stream, *rest in await loader.fetch("coverage", {})}
            ((report.oldest_contact_reading,),) = await loader.fetch("oldest_contact_reading", {})
    return report


async def introduce(volt: VoltClient, warehouse_url: str, phones: Sequence[str], *, run_id: str) -> None:
    """Learn which account each of our primary phones is, where that is not held: one request each, once for ever.

    A sync of one account needs it to know a text between two of ours for what it is. What Volt does not answer here is
    left to that account's own sync. Raises WarehouseError.
    """
    loader = Loader(warehouse_url, run_id, Leases((), run_id))
    async with loader.open():
        known = dict(await loader.fetch("account_numbers", {}))
        asked = (_arrive(volt, phone) for phone in sorted(set(phones) - known.keys()))
        met = await asyncio.gather(*asked, return_exceptions=True)
        accounts = [each[1] for each in met if not isinstance(each, BaseException) and each[1]]
        if accounts:
            await _introduce(Reader(volt, WarehouseStore(loader), silent), accounts)


@contextmanager
def _garbage_collected_seldom() -> Iterator[None]:
    """Decoded pages are a million small objects in no cycle: to look through them costs more than to make them."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


Arrival = tuple[Account, Reply | VoltError]  # an account, and its inbox's first page or why there is none


async def _arrive(volt: VoltClient, phone: str) -> tuple[str, Account | None, Reply | VoltError]:
    try:
        return phone, *await first_page(volt, phone)
    except (ContractError, ServerError) as error:  # about this query or this inbox: the rest can go on
        return phone, None, error


async def _identified(loader: Loader, met: Sequence[tuple[str, Account | None, Reply | VoltError]]) -> list[Arrival]:
    """Where the inbox query is refused, an account that is held already can still be read in other ways."""
    known = dict(await loader.fetch("accounts", {"phones": [phone for phone, _, _ in met]}))
    arrivals: list[Arrival] = []
    for phone, account, first in met:
        if account is None and phone not in known and isinstance(first, VoltError):
            raise first
        arrivals.append((account or Account(known[phone], phone), first))
    return arrivals


async def _read(reader: Reader, arrivals: Sequence[Arrival], tables: Collection[str], workers: int) -> None:
    """Read what feeds the tables. Conversations need the inbox: it tells which of them moved.

    What Volt's contract no longer gives stops only what needs it.
    """
    queries = {catalog.QUERIES[table] for table in tables}
    accounts = [account for account, _ in arrivals]
    await _introduce(reader, accounts)
    if queries & {"inbox", "conversation"}:
        await _walk(reader, arrivals, workers=workers if "conversation" in queries else 0)
    stages: list[tuple[str, str, Callable[[], Awaitable[None]]]] = [
        ("inbox", "contacts", lambda: sweep_contacts(reader, accounts)),
        ("conversation", "messages", lambda: settle_messages(reader, accounts)),
        ("wave", "waves", lambda: read_waves(reader, accounts)),
        ("list", "lists", lambda: read_lists(reader, accounts)),
        ("webhooks", "webhooks", lambda: read_webhooks(reader, accounts)),
    ]
    for query, table, stage in stages:
        if query in queries:
            try:
                await stage()
                await _record(reader, table, None)
            except ContractError as error:
                await _record(reader, table, error)


async def _record(reader: Reader, table: str, refusal: ContractError | None) -> None:
    """Volt's refusal of a whole query is one reject of its table; it is resolved when the query works again."""
    if refusal is not None:
        await reader.store.load(Batch(rejects=[Reject(table, "", "the query", str(refusal))]))
    else:
        await reader.store.resolve(table, "the query")


async def _introduce(reader: Reader, accounts: Sequence[Account]) -> None:
    """What is known from the start: our own phones, and that every account has a list of all its contacts."""
    batch = Batch()
    now = datetime.now(UTC)
    for account in accounts:
        reader.learn(batch, account.phone, account.id, "primary_phone", now)
        batch.discoveries.add(Discovery("list", account.id, "All", via="settings"))
    await reader.store.load(batch)


async def _walk(reader: Reader, arrivals: Sequence[Arrival], *, workers: int) -> None:
    """Walk the inboxes and, as they become known, their due conversations."""
    frontier = Frontier(_ROOM)
    for _ in arrivals:
        frontier.open()

    async def shown(account: Account, phones: Sequence[str]) -> None:
        if workers:
            await feed_shown(reader, account, frontier, phones)

    async def one(account: Account, first: Reply | VoltError) -> None:
        if isinstance(first, ContractError):
            await _record(reader, "inbox_items", first)
        elif isinstance(first, VoltError):
            await _set_aside(reader, account, first)
        else:
            await _walk_inbox(reader, account, first, partial(shown, account))
        if workers:
            await frontier.drained(account.id)  # so that what is due is only what is left
            await feed(reader, account, frontier)
        frontier.close()

    async with asyncio.TaskGroup() as group:
        for arrival in arrivals:
            group.create_task(one(*arrival))
        conversations = group.create_task(walk_conversations(reader, frontier, workers))
    if workers:
        await _record(reader, "conversations", conversations.result())


async def _walk_inbox(reader: Reader, account: Account, first: Reply, shown: Shown) -> None:
    try:
        await walk_inbox(reader, account, first, shown)
        await _record(reader, "inbox_items", None)
    except PageError as error:
        await _set_aside(reader, account, error)


async def _set_aside(reader: Reader, account: Account, error: Exception) -> None:
    """An inbox that cannot be read is a reject, until a walk of it is complete again; its account goes on."""
    reason = f"the inbox cannot be read to its end: {error}"
    await reader.store.load(Batch(rejects=[Reject("inbox_items", account.id, account.id, reason)]))


def first_cause(error: BaseException) -> BaseException:
    """The error that a group of tasks failed with: the first that is not a group itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

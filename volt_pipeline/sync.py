"""One sync of Volt into the warehouse: what is read, in which order, and what it came to.

Composes `api/`, `extract/` and `warehouse/`; knows no Dagster. All accounts are walked side by side: as soon as one
inbox is known, its due conversations join the queue that all workers share. Then come the things that were found on
the way (waves, lists) and the messages whose status may still change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from volt_pipeline import catalog
from volt_pipeline.api.client import VoltClient
from volt_pipeline.batch import Batch, Discovery, Reject
from volt_pipeline.extract.conversations import feed, walk_conversations
from volt_pipeline.extract.frontier import Frontier
from volt_pipeline.extract.inbox import first_page, walk_inbox
from volt_pipeline.extract.lookups import read_lists, read_waves, read_webhooks, settle_messages, sweep_contacts
from volt_pipeline.extract.pages import PageError
from volt_pipeline.extract.reader import Account, Observer, Reader
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.load import Counts, Loader
from volt_pipeline.warehouse.store import WarehouseStore

TABLES = frozenset(catalog.QUERIES)
_ROOM = 2_000  # due conversations that wait before more are read from the warehouse


@dataclass(frozen=True)
class Coverage:
    """What is held of one stream against Volt's own totals, over its `subjects` (inboxes, conversations, …)."""

    subjects: int
    held: int
    total: int
    with_gap: int
    rejected: int
    unidentifiable: int

    @property
    def share(self) -> float:
        """1.0 is complete."""
        return self.held / self.total if self.total else 1.0


@dataclass
class SyncReport:
    """What a sync did: rows a table, requests, seconds, and what it could not store or read."""

    run_id: str
    accounts: tuple[str, ...]
    tables: dict[str, Counts] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rejected(self) -> int:
        return sum(counts.rejected for counts in self.tables.values())

    @property
    def total_requests(self) -> int:
        return sum(self.requests.values())

    def as_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()


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
) -> SyncReport:
    """Bring `tables` up to date for the accounts with these primary phones.

    The warehouse must be prepared (`warehouse.postgres.prepare`). Raises UnknownAccount, VoltError, WarehouseError;
    what was committed before stands, and the next sync goes on from there. What could not be stored or read is in
    `volt_ops.rejects` and counted in the report.
    """
    started = time.monotonic()
    pages = await asyncio.gather(*(first_page(volt, phone) for phone in phones))  # before anything is written
    loader = Loader(warehouse_url, run_id, Leases(phones, run_id))
    report = SyncReport(run_id, tuple(phones), tables=loader.counts)
    async with loader.open():
        await loader.fetch("start_run", {"run_id": run_id, "kind": "sync"})
        outcome = "failed"
        try:
            reader = Reader(volt, WarehouseStore(loader, full), observe, full)
            reader.numbers = dict(await loader.fetch("account_numbers", {}))
            await _read(reader, pages, tables, workers)
            report.coverage = {stream: Coverage(*rest) for stream, *rest in await loader.fetch("coverage", {})}
            outcome = "rejected" if report.rejected else "succeeded"
        finally:
            report.requests = dict(volt.usage.by_operation)
            report.seconds = time.monotonic() - started
            await loader.fetch("finish_run", {"run_id": run_id, "outcome": outcome, "report": report.as_json()})
    return report


async def _read(reader: Reader, pages: Sequence[tuple[Account, Any]], tables: Collection[str], workers: int) -> None:
    """Read what feeds the tables. Conversations need the inbox: it tells which of them moved."""
    queries = {catalog.QUERIES[table] for table in tables}
    accounts = [account for account, _ in pages]
    await _introduce(reader, pages)
    if queries & {"inbox", "conversation"}:
        await _walk(reader, pages, workers=workers if "conversation" in queries else 0)
    if "inbox" in queries:
        await sweep_contacts(reader, accounts)
    if "conversation" in queries:
        await settle_messages(reader, accounts)
    if "wave" in queries:
        await read_waves(reader, accounts)
    if "list" in queries:
        await read_lists(reader, accounts)
    if "webhooks" in queries:
        await read_webhooks(reader)


async def _introduce(reader: Reader, pages: Sequence[tuple[Account, Any]]) -> None:
    """What is known from the start: our own phones, and that every account has a list of all its contacts."""
    batch = Batch()
    for account, reply in pages:
        reader.learn(batch, account.phone, account.id, "primary_phone", reply.asked_at)
        batch.discoveries.add(Discovery("list", account.id, "All", via="settings"))
    await reader.store.load(batch)


async def _walk(reader: Reader, pages: Sequence[tuple[Account, Any]], *, workers: int) -> None:
    """Walk the inboxes and, as they become known, their due conversations."""
    frontier = Frontier(_ROOM)
    for _ in pages:
        await frontier.open()

    async def one(account: Account, first: Any) -> None:
        try:
            await walk_inbox(reader, account, first)
        except PageError as error:
            reject = Reject("inbox_items", account.id, account.id, f"the inbox cannot be read to its end: {error}")
            await reader.store.load(Batch(rejects=[reject]))
        if workers:
            await feed(reader, account, frontier)
        await frontier.close()

    async with asyncio.TaskGroup() as group:
        for account, first in pages:
            group.create_task(one(account, first))
        group.create_task(walk_conversations(reader, frontier, workers))


def first_cause(error: BaseException) -> BaseException:
    """The error that a group of tasks failed with: the first that is not a group itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

"""One run of sending: what is in doubt is looked for, what is due is attempted once, and what came of it is told.

Beside `sync.py` and `push.py`; composes `api/`, `sending/` and `warehouse/`; knows no Dagster. Several runs at once,
in one process or on many machines, never attempt one intent twice.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import VoltError
from volt_pipeline.extract.reader import Observer
from volt_pipeline.send_record import SendRecord, intent_of
from volt_pipeline.sending.attempt import KILLED, Run, Sender
from volt_pipeline.sending.permission import Limits
from volt_pipeline.sending.reconcile import LOOKS, Reconciler
from volt_pipeline.sync import silent
from volt_pipeline.warehouse.outbox import Outbox
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline.warehouse.queries import query

SENDERS = 8  # that many intents are under way at once


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class SendReport:
    """What a run did: how often a state was reached, by its reason, and what stands open afterwards, by state.

    `stopped` tells why it ended early; of a run that was not `enabled`, nothing was sent.
    """

    run_id: str
    enabled: bool
    taken_over: int = 0
    looked: int = 0
    attempts: int = 0
    stopped: str = ""
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    standing: dict[str, int] = field(default_factory=dict)

    def reached(self, state: str) -> int:
        """How many intents came to this state."""
        return sum(count for (found, _), count in self.moved.items() if found == state)

    @property
    def troubles(self) -> list[str]:
        """What makes the run red, in sentences without their full stops."""
        found = [f"Sending stopped early: {self.stopped.rstrip('.')}"] if self.stopped else []
        if refused := sum(
            count for (state, why), count in self.moved.items() if state == "rejected" and why.startswith("refused")
        ):
            found.append(f"{refused:,} were refused by Volt")
        if doubt := self.standing.get("unknown", 0):
            found.append(f"{doubt:,} may or may not have been sent, and are being looked for")
        if waiting := self.standing.get("needs_person", 0):
            found.append(f"{waiting:,} need a person (volt-pipeline send list)")
        return found


async def send(
    volt: VoltClient,
    warehouse_url: str,
    phones: Sequence[str],
    *,
    run_id: str,
    enabled: bool,
    limits: Limits | None = None,
    senders: int = SENDERS,
    now: Callable[[], datetime] = _now,
    observe: Observer = silent,
) -> SendReport:
    """Work the outbox off, for the accounts with these primary phones.

    What is in doubt is looked for even while sending is not `enabled`; that only reads. A Volt that cannot be asked
    stops the run, which the report tells. Raises WarehouseError.
    """
    report = SendReport(run_id, enabled)
    run = Run(limits or Limits(), now)
    async with _records(warehouse_url, phones, report, senders) as records:
        outbox = records[0].outbox
        report.taken_over = await outbox.take_over(now(), LOOKS[0])
        try:
            await _look(volt, records[0], run, report)
            if enabled and not run.stopped:
                await _attempt(volt, records, run, observe)
        finally:
            report.attempts, report.stopped = run.attempts, run.stopped
            report.standing = standing(warehouse_url)
    return report


async def _look(volt: VoltClient, record: SendRecord, run: Run, report: SendReport) -> None:
    """Look for everything in doubt whose time has come; each look moves its time on, so this ends."""
    reconciler = Reconciler(volt, record)
    while not run.stopped and (rows := await record.outbox.due_looks(run.now())):
        for row in rows:
            try:
                await reconciler.look(intent_of(row), run.now())
            except VoltError as error:
                run.stop(str(error))
                return
            report.looked += 1


async def _attempt(volt: VoltClient, records: Sequence[SendRecord], run: Run, observe: Observer) -> None:
    outbox = records[0].outbox
    if await outbox.killed():
        run.stop("the kill switch is engaged (volt-pipeline send kill-switch off)")
    else:
        work = [Sender(volt, record, run, partial(observe, "outbox")).work() for record in records]
        # One sender that fails must not cut another off between a text and its record.
        ended = await asyncio.gather(*work, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, BaseException):
                raise failure
    if await outbox.killed():
        await outbox.hold_all(KILLED, run.now(), run.now())
    elif run.full:
        await outbox.hold_all("cap: this run has made as many attempts as it may", run.now(), run.now())


@asynccontextmanager
async def _records(
    url: str, phones: Sequence[str], report: SendReport, senders: int
) -> AsyncIterator[Sequence[SendRecord]]:
    """One record for each sender, on a connection of its own, under a name that no other sender has."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(max(senders, 1)):
            outbox = await stack.enter_async_context(Outbox.opened(url, uuid.uuid4().hex, report.run_id))
            found.append(SendRecord(outbox, frozenset(phones), report.moved))
        yield found


def standing(url: str) -> dict[str, int]:
    """How many intents are in which state; of what is over, only the last day."""
    with psycopg.connect(conninfo(url)) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(query("outbox_counts")).fetchall()
    return {state: count for state, count, *_ in rows}

"""Re-reading what webhook events hint at: many events, few targeted questions, and rows fresh within seconds.

Composes `webhooks/`, `extract/` and `warehouse/`; knows no Dagster. It takes no lease: the read stamps of the rows
order it beside a sync. An event's content is never written into schema `volt`; only what Volt's API answers is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import orjson

from volt_pipeline.api.client import VoltClient
from volt_pipeline.batch import Target
from volt_pipeline.event import Hint, Settled, WaitingEvent
from volt_pipeline.extract.reader import Account, Observer, Reader
from volt_pipeline.extract.targets import Kinded, read_targets
from volt_pipeline.report import Outcome, on_record
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.load import Loader
from volt_pipeline.warehouse.store import WarehouseStore
from volt_pipeline.warehouse.transaction import Counts
from volt_pipeline.warehouse.webhook_events import EventQueue, event_queue
from volt_pipeline.webhooks.aims import Aim, Known, Stray, aim
from volt_pipeline.webhooks.hints import Unreadable, read_hint

AT_ONCE = 500  # events that are coalesced
MOST_TRIES = 8  # then polling alone will find it
_PAUSE_SECONDS = 0.5


def silent(_stage: str, _done: int, _known: int) -> None:
    """Nobody watches."""


@dataclass
class RefreshReport:
    """What a run of re-readings did. `targets` counts what was asked for, `written` the rows that changed by it."""

    kind: ClassVar[str] = "webhook"
    run_id: str
    events: int = 0
    refreshed: int = 0
    set_aside: int = 0
    withheld: int = 0  # of people who were forgotten: deleted
    postponed: int = 0
    targets: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    tables: dict[str, Counts] = field(default_factory=dict, repr=False)
    requests: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def written(self) -> int:
        return sum(counts.written for counts in self.tables.values())

    @property
    def outcome(self) -> Outcome:
        return "rejected" if any(counts.rejected for counts in self.tables.values()) else "succeeded"

    def as_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()


async def refresh(
    volt: VoltClient,
    warehouse_url: str,
    phones: Sequence[str],
    *,
    run_id: str,
    retention_days: int = 30,
    linger: float = 0.0,
    longest: float = 300.0,
    observe: Observer = silent,
) -> RefreshReport:
    """Take up the events that wait and read again what they hint at, for the accounts with these primary phones.

    Stays until no event came for `linger` seconds, `longest` at most (seconds). A run that finds none leaves no record.
    Raises VoltError, WarehouseError; what was not done then is taken up again by a later run, later each time.
    """
    started = time.monotonic()
    loader = Loader(warehouse_url, run_id, Leases((), run_id))
    report = RefreshReport(run_id, tables=loader.counts)
    async with loader.open(), event_queue(warehouse_url, run_id) as queue:
        await queue.prune(retention_days)
        end = started + longest
        if taken := await _next(queue, linger, end):
            async with on_record(loader, volt, report, since=started):
                while taken:
                    await _Round(volt, loader, queue, phones, observe, report).take_up(taken)
                    taken = await _next(queue, linger, end) if time.monotonic() < end else []
    return report


async def _next(queue: EventQueue, linger: float, end: float) -> list[WaitingEvent]:
    """The next events that are due, as soon as there are some; none when none come for so long."""
    until = min(time.monotonic() + linger, end)
    while True:
        taken = await queue.take(AT_ONCE)
        if taken or time.monotonic() >= until:
            return taken
        await asyncio.sleep(_PAUSE_SECONDS)


@dataclass
class _Round:
    """The events that were taken up together."""

    volt: VoltClient
    loader: Loader
    queue: EventQueue
    phones: Sequence[str]
    observe: Observer
    report: RefreshReport

    async def take_up(self, taken: Sequence[WaitingEvent]) -> None:
        self.report.events += len(taken)
        settled: list[Settled] = []
        hints: dict[WaitingEvent, Hint] = {}
        for event in taken:
            try:
                hints[event] = read_hint(event.body)
            except Unreadable as error:
                settled.append(Settled(event, outcome="set_aside", reason=str(error)))
        for event in await self.queue.withhold(hints):
            del hints[event]
            self.report.withheld += 1
        known = await self._known(list(hints.values()))
        aims: dict[WaitingEvent, Aim] = {}
        for event, hint in hints.items():
            try:
                aims[event] = aim(hint, known)
            except Stray as error:
                settled.append(Settled(event, hint, outcome="set_aside", reason=str(error)))
        failed = await self._read(known, aims)
        settled += [_judged(event, hints[event], chosen, failed) for event, chosen in aims.items()]
        await self.queue.settle(settled)
        self._count(settled)

    async def _known(self, hints: Sequence[Hint]) -> Known:
        """What the warehouse knows of what these hints name."""
        accounts = {key: phone for phone, key in await self.loader.fetch("accounts", {"phones": list(self.phones)})}
        named = sorted({hint.message_id for hint in hints if hint.message_id})
        sides = sorted({side for hint in hints for side in (hint.from_number, hint.to_number) if side})
        holders: dict[str, list[str]] = {}
        of_ours = {"phones": sides, "account_ids": sorted(accounts)}
        for phone, account_id in await self.loader.fetch("accounts_of_contacts", of_ours):
            holders.setdefault(phone, []).append(account_id)
        return Known(
            accounts,
            dict(await self.loader.fetch("account_numbers", {})),
            {key: (account, phone) for key, account, phone in await self.loader.fetch("held_messages", {"ids": named})},
            holders,
        )

    async def _read(self, known: Known, aims: Mapping[WaitingEvent, Aim]) -> dict[Kinded, str]:
        targets = set[tuple[str, Target]]().union(*(chosen.targets for chosen in aims.values()))
        self.report.targets += len(targets)
        reader = Reader(self.volt, WarehouseStore(self.loader), self.observe, numbers=dict(known.numbers))
        accounts = {key: Account(key, phone) for key, phone in known.accounts.items()}
        return await read_targets(reader, accounts, targets)

    def _count(self, settled: Sequence[Settled]) -> None:
        for each in settled:
            if each.outcome is None:
                self.report.postponed += 1
            elif each.outcome == "refreshed":
                self.report.refreshed += 1
            else:
                self.report.set_aside += 1
            if each.reason:
                self.report.reasons[each.reason] = self.report.reasons.get(each.reason, 0) + 1


def _judged(event: WaitingEvent, hint: Hint, chosen: Aim, failed: Mapping[Kinded, str]) -> Settled:
    """What became of an event whose targets were read, or could not be."""
    first = chosen.message or (*chosen.conversations, *chosen.contacts)[0]
    reasons = sorted({failed[target] for target in chosen.targets if target in failed})
    if not reasons:
        return Settled(event, hint, first.account_id, first.contact_phone, "refreshed")
    outcome = "set_aside" if event.tries >= MOST_TRIES else None
    return Settled(event, hint, first.account_id, first.contact_phone, outcome, f"cannot be read: {'; '.join(reasons)}")

"""One push of an export to Volt: a plan of what stands in the warehouse, and what it came to, row by row.

The other direction of `sync.py`; composes `api/`, `activate/` and `warehouse/`; knows no Dagster.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from volt_pipeline.activate.contacts import CONTACTS
from volt_pipeline.activate.guard import Guard
from volt_pipeline.activate.lists import LISTS
from volt_pipeline.activate.planning import Plan, make_plan
from volt_pipeline.activate.pushing import Push
from volt_pipeline.activate.rows import Approval, Export, Facts, Failure, Row
from volt_pipeline.api.client import VoltClient
from volt_pipeline.errors import ExplainedError
from volt_pipeline.extract.reader import Observer, Reader
from volt_pipeline.extract.rows import escape, json_text
from volt_pipeline.push_record import Record
from volt_pipeline.report import PushReport, on_record
from volt_pipeline.sync import first_cause, silent
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.load import Loader
from volt_pipeline.warehouse.postgres import connect
from volt_pipeline.warehouse.pushes import (
    Background,
    PlanRefused,
    PushLedger,
    StoredPlan,
    find_plan,
    read_background,
    read_export,
    store_plan,
)
from volt_pipeline.warehouse.store import WarehouseStore

KINDS: Mapping[str, Export[Any]] = {"contacts": CONTACTS, "lists": LISTS}


@dataclass(frozen=True)
class Prepared:
    """An export with its plan, the rows in the order of their pushing, and what was known beside them."""

    kind: Export[Any]
    plan: Plan
    rows: Sequence[Row[Any]] = field(repr=False)
    facts: Facts = field(repr=False)
    known: int
    last_rows: int | None


def prepare(warehouse_url: str, phones: Sequence[str], export: str) -> Prepared:
    """The plan of an export ("contacts" or "lists") as published in `volt_exports`. Asks nothing of Volt.

    Raises WarehouseError.
    """
    kind = KINDS[export]
    frame = read_export(warehouse_url, export)
    background = read_background(warehouse_url, export)
    held = background.held[background.held["account_phone"].isin(list(phones))]
    facts = _facts(phones, background, held)
    plan, rows = make_plan(kind, frame, held, facts)
    return Prepared(kind, plan, rows, facts, len(held), background.last_rows)


def _facts(phones: Sequence[str], background: Background, held: pd.DataFrame) -> Facts:
    sizes = held.dropna(subset=["size"]) if "size" in held else held.head(0)
    return Facts(
        phones=frozenset(phones),
        now=datetime.now(UTC),
        own_numbers=background.own_numbers,
        forgotten=background.forgotten,
        field_types=background.field_types,
        approvals={(each.account_phone, each.phone_number): Approval(*each[2:]) for each in background.approvals},
        failures={
            (each.account_phone, each.row_key): Failure(*each[2:])  # type: ignore[arg-type]  # the outcomes are checked
            for each in background.failures
        },
        sizes={
            (phone, name): int(size)
            for phone, name, size in zip(
                sizes.get("account_phone", ()), sizes.get("row_key", ()), sizes.get("size", ()), strict=False
            )
        },
    )


def plan(warehouse_url: str, phones: Sequence[str], export: str, *, run_id: str) -> PushReport:
    """Plan a push and keep the plan in `volt_ops.push_plans`; the report has its id. Raises WarehouseError.

    It leaves no row in `volt_ops.runs`: nothing was pushed, and the plan itself tells of its run.
    """
    report = PushReport(export)
    _keep(warehouse_url, prepare(warehouse_url, phones, export), report, run_id)
    return report


def _keep(warehouse_url: str, prepared: Prepared, report: PushReport, run_id: str) -> None:
    made = prepared.plan
    report.plan_id, report.planned, report.counts = uuid.uuid4().hex[:12], len(made.rows), made.counts
    rows = json_text([row.as_json() for row in made.rows])
    store_plan(warehouse_url, report.plan_id, run_id, made.export, made.digest, rows, made.counts)


async def push(
    volt: VoltClient,
    warehouse_url: str,
    phones: Sequence[str],
    export: str,
    *,
    run_id: str,
    plan_id: str = "",
    exactly: bool = False,
    guard: Guard | None = None,
    observe: Observer = silent,
) -> PushReport:
    """Push `export` ("contacts" or "lists") as published in `volt_exports`; an empty one is nothing to do.

    Every row is read fresh, and has exactly one attempt in `volt_ops.pushes` in the end. With a `plan_id` the export
    must still be the one that was planned; `exactly` leaves out what was not to be written then, and tries rows
    that would have to wait. One push of an export at a time goes to an account, beside any sync.

    Raises WarehouseError (LeaseHeld: another push is at work), PlanRefused, PushAsks; what Volt does not answer is in
    the report.
    """
    report, started = PushReport(export), time.monotonic()
    leases = Leases([f"{export} of {phone}" for phone in phones], run_id, work="push")
    loader = Loader(warehouse_url, run_id, leases)
    async with loader.open(), on_record(loader, volt, report, since=started):
        with _explained(report):
            prepared = await asyncio.to_thread(prepare, warehouse_url, phones, export)  # the lease's heart beats on
            rows = _agreed(warehouse_url, prepared, report, run_id, plan_id=plan_id, exactly=exactly)
            most_writes = _permitted(guard or Guard(), prepared)
            async with _recording(loader, volt, prepared, report) as record:
                record.tell = lambda done: observe(export, done, len(rows))
                work = Push.of(volt, prepared.kind, prepared.facts, record, most_writes)
                await _carry_out(work, rows, record, report)
    return report


def _permitted(guard: Guard, prepared: Prepared) -> int:
    """How many rows the push may write. Raises PushAsks when it would be more, or the export shrank too much."""
    made = prepared.plan
    guard.check(
        made.export,
        writes=made.writes,
        known=prepared.known,
        rows=len(made.rows),
        last_rows=prepared.last_rows,
    )
    return guard.most_writes(prepared.known)


@contextmanager
def _explained(report: PushReport) -> Iterator[None]:
    """What ends the push before its end is told in its report, too."""
    try:
        yield
    except ExplainedError as error:
        report.stopped = report.stopped or str(error)
        raise


def _agreed(
    warehouse_url: str, prepared: Prepared, report: PushReport, run_id: str, *, plan_id: str, exactly: bool
) -> list[Row[Any]]:
    """The rows to push: of the plan that was made before, if it still stands, or of one made now."""
    if not plan_id:
        _keep(warehouse_url, prepared, report, run_id)
        return list(prepared.rows)
    report.plan_id, report.planned, report.counts = plan_id, len(prepared.rows), prepared.plan.counts
    stored = _stored(warehouse_url, prepared, plan_id)
    if not exactly:
        return list(prepared.rows)
    changing = {row["position"] for row in stored.rows if row["action"] in ("create", "update")}
    return [_as_planned(row, changing) for row in prepared.rows]


@asynccontextmanager
async def _recording(loader: Loader, volt: VoltClient, prepared: Prepared, report: PushReport) -> AsyncIterator[Record]:
    """The record of a push, its ledger on a connection of its own; the plan counts as carried out from now on."""
    reader = Reader(volt, WarehouseStore(loader), silent)
    reader.numbers = dict(await loader.fetch("account_numbers", {}))
    accounts = dict(await loader.fetch("accounts", {"phones": list(prepared.facts.phones)}))
    rows = {row.position: row for row in prepared.rows}
    async with await connect(loader.url) as connection:
        await connection.set_autocommit(True)
        ledger = PushLedger(connection, loader.run_id, report.plan_id, loader.leases)
        await ledger.begin()
        yield Record(ledger, reader, prepared.facts, accounts, rows, report.outcomes)


async def _carry_out(work: Push[Any], rows: Sequence[Row[Any]], record: Record, report: PushReport) -> None:
    try:
        await work.run(rows)
    except BaseExceptionGroup as group:
        raise first_cause(group) from None
    finally:
        await record.flush()
    report.stopped, report.odd_sizes = work.stopped, record.odd_sizes
    await record.ledger.end(escape(report.stopped), json_text(report.odd_sizes))


def _stored(warehouse_url: str, prepared: Prepared, plan_id: str) -> StoredPlan:
    """The plan that was made before, if it is still one of this export. Raises PlanRefused."""
    stored = find_plan(warehouse_url, plan_id)
    if stored.export != prepared.plan.export:
        raise PlanRefused(f"The plan {plan_id} is one of {stored.export}, not of {prepared.plan.export}.")
    if stored.digest != prepared.plan.digest:
        raise PlanRefused(
            f"volt_exports.export_{stored.export} has moved since the plan {plan_id} was made: make a new one with "
            "`volt-pipeline push --dry-run`. Nothing was written."
        )
    return stored


def _as_planned(row: Row[Any], changing: Collection[int]) -> Row[Any]:
    """The row as an exact plan has it: what it did not mean to write is left alone, what waits is tried."""
    if row.position in changing and row.settled == "waits":
        return replace(row, settled="", reason="")
    if row.position in changing or row.settled:
        return row
    return replace(row, settled="unchanged", reason="not among what the plan writes")

"""The warehouse's side of a push: the exports, what is held beside them, plans, approvals, the ledger of attempts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
import psycopg
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from volt_pipeline.errors import ExplainedError
from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnfit
from volt_pipeline.warehouse.leases import Leases
from volt_pipeline.warehouse.postgres import conninfo, engine, unreachable
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.withholding import Forgotten, forgotten_now


class PlanRefused(ExplainedError):
    """A stored plan cannot be carried out: it is unknown, was carried out already, or its export has moved."""


class PastFailure(NamedTuple):
    """The last try of a row that failed."""

    account_phone: str
    row_key: str
    digest: str
    tries: int
    at: datetime
    reason: str
    outcome: str


class OpenApproval(NamedTuple):
    """Somebody's word that a contact may be un-blocked."""

    account_phone: str
    phone_number: str
    id: int
    approved_by: str


@dataclass(frozen=True)
class Background:
    """What is known beside an export when its push is planned."""

    held: pd.DataFrame
    own_numbers: frozenset[str]
    field_types: Mapping[str, frozenset[str]]
    failures: Sequence[PastFailure]
    approvals: Sequence[OpenApproval]
    last_rows: int | None
    forgotten: Forgotten


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it stands in `volt_ops.push_plans`."""

    plan_id: str
    export: str
    digest: str
    rows: Sequence[Mapping[str, Any]] = field(repr=False)


def read_export(url: str, export: str) -> pd.DataFrame:
    """`volt_exports.export_<export>` as published last, in key order. Raises WarehouseUnfit when it was never built."""
    try:
        return _frame(url, f"SELECT * FROM volt_exports.export_{export} ORDER BY 1, 2")
    except pd.errors.DatabaseError as error:
        state = getattr(getattr(error.__cause__, "orig", None), "sqlstate", None)
        if state == psycopg.errors.UndefinedTable.sqlstate:
            raise WarehouseUnfit(
                f"There is no table volt_exports.export_{export} yet: run `volt-pipeline sync` once, which builds it."
            ) from None
        raise WarehouseError(f"volt_exports.export_{export} cannot be read (SQLSTATE {state}).") from None


def _frame(url: str, statement: str) -> pd.DataFrame:
    db = engine(url)
    try:
        return pd.read_sql_query(text(statement), db)
    except OperationalError as error:
        raise unreachable(url, error.orig or error) from None
    finally:
        db.dispose()


def read_background(url: str, export: str) -> Background:
    """What the warehouse holds that the plan of an export needs."""
    held = _frame(url, query(f"held_{export}"))
    with psycopg.connect(conninfo(url), autocommit=True, options="-c TimeZone=UTC") as connection:

        def rows(name: str, **parameters: Any) -> list[tuple[Any, ...]]:
            return connection.execute(query(name), parameters).fetchall()

        types: dict[str, frozenset[str]] = {}
        for name, kind in rows("push_field_types") if export == "lists" else ():
            types[name] = types.get(name, frozenset()) | {kind}
        return Background(
            held,
            frozenset(number for (number,) in rows("push_own_numbers")),
            types,
            [PastFailure(*row) for row in rows("push_failures", export=export)],
            [OpenApproval(*row) for row in rows("push_approvals")] if export == "contacts" else [],
            next((count for (count,) in rows("last_pushed_rows", export=export)), None),
            forgotten_now(connection),
        )


def store_plan(
    url: str, plan_id: str, run_id: str, export: str, digest: str, rows: str, counts: Mapping[str, int]
) -> None:
    """Keep a plan; `rows` is JSON text that Postgres can hold."""
    values = {"plan_id": plan_id, "run_id": run_id, "export": export, "digest": digest, "rows": rows}
    with psycopg.connect(conninfo(url)) as connection:
        count = sum(counts.values())
        connection.execute(query("store_plan"), {**values, "counts": json.dumps(counts), "row_count": count})


def find_plan(url: str, plan_id: str) -> StoredPlan:
    """The stored plan. Raises PlanRefused when there is none, or it was carried out already."""
    with psycopg.connect(conninfo(url)) as connection:
        found = connection.execute(query("find_plan"), {"plan_id": plan_id}).fetchone()
    if found is None:
        raise PlanRefused(f"There is no plan {plan_id!r}; `volt-pipeline push --dry-run` makes one and names it.")
    export, digest, rows, applied_by = found
    if applied_by is not None:
        raise PlanRefused(f"The plan {plan_id} was carried out already, by run {applied_by}; make a new one.")
    return StoredPlan(plan_id, export, digest, rows)


class PushVerdict(NamedTuple):
    """How the rows of a push ended, counted from the record. `balanced`: each planned row has exactly one outcome."""

    export: str
    planned: int
    sent: int
    unchanged: int
    refused: int
    failed: int
    unknown: int
    balanced: bool
    stopped: str
    odd_sizes: list[str]

    @property
    def troubles(self) -> list[str]:
        """What makes the push red, in sentences without their full stops."""
        found = [f"The push of {self.export} stopped early: {self.stopped.rstrip('.')}"] if self.stopped else []
        if lost := self.failed + self.unknown:
            found.append(f"{lost:,} of {self.planned:,} {self.export} were not pushed")
        if not self.balanced:
            found.append(f"The rows of {self.export} on record are not the {self.planned:,} that were planned")
        return [*found, *self.odd_sizes]


def push_verdicts(url: str, run_id: str | None = None) -> list[PushVerdict]:
    """The verdict on each export that a run pushed; without a run, on the last push of each."""
    with psycopg.connect(conninfo(url)) as connection:
        statement = query("push_verdicts")
        return [PushVerdict(*row) for row in connection.execute(statement, {"run_id": run_id}).fetchall()]


@dataclass
class PushLedger:
    """The record of one push of one plan, on a connection of its own; what it writes is committed at once."""

    connection: psycopg.AsyncConnection[Any]
    run_id: str
    plan_id: str
    leases: Leases

    async def begin(self) -> None:
        """Mark the plan as being carried out. Raises PlanRefused when another run was first."""
        if not await self._execute("begin_plan", plan_id=self.plan_id):
            raise PlanRefused(f"The plan {self.plan_id} was carried out already; make a new one.")

    async def end(self, stopped: str, odd_sizes: str) -> None:
        """Note how the push of the plan ended; `odd_sizes` is the JSON text of an array."""
        await self._execute("end_plan", plan_id=self.plan_id, stopped=stopped, odd_sizes=odd_sizes)

    async def record(self, attempts: str, sent_lists: Sequence[tuple[str, str]] = ()) -> None:
        """Put attempts (JSON text of an array) on record; lists that were sent are read again by the next sync."""
        await self._execute("record_pushes", plan_id=self.plan_id, attempts=attempts)
        if sent_lists:
            phones, names = zip(*sent_lists, strict=True)
            await self._execute("discover_pushed_lists", account_phones=list(phones), names=list(names))

    async def barred(self) -> str:
        """Why nothing more may be written: another push was given the lease of this one; "" while it is held."""
        if await self._execute("lost_leases", **self.leases.held):
            return "another push has taken over: this one was silent for too long"
        return ""

    async def claim(self, approval_id: int) -> bool:
        """Use an approval; False when it was used already."""
        return await self._execute("claim_approval", id=approval_id)

    async def release(self, approval_id: int) -> None:
        """Give an approval back that this run has claimed."""
        await self._execute("release_approval", id=approval_id)

    async def _execute(self, name: str, **parameters: Any) -> bool:
        try:
            cursor = await self.connection.execute(query(name), {**parameters, "run_id": self.run_id})
            return cursor.rowcount > 0
        except psycopg.Error as error:
            raise WarehouseError(
                f"The warehouse refused to record the push (SQLSTATE {error.sqlstate}, {type(error).__name__}). What "
                "Volt was told stands there; the next push reads everything fresh."
            ) from None

"""One push of an export to Volt: what stands in the warehouse, row by row, and what it came to.

The other direction of `sync.py`; composes `api/`, `activate/` and `warehouse/`; knows no Dagster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from volt_pipeline.activate import contacts, lists
from volt_pipeline.activate.rows import Attempt, Export
from volt_pipeline.activate.rows import push as push_rows
from volt_pipeline.api.client import VoltClient
from volt_pipeline.extract.reader import Observer
from volt_pipeline.extract.rows import escape, json_text
from volt_pipeline.sync import silent
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline.warehouse.pushes import read_export, record


@dataclass
class PushReport:
    """What a push did: rows by action and outcome, and the reason when it stopped before its end."""

    export: str
    planned: int
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    stopped: str = ""

    @property
    def clean(self) -> bool:
        """Every row is as the export wants it, or was rightly left alone."""
        return not self.stopped and not any(outcome in ("failed", "unknown") for _, outcome in self.outcomes)

    def count(self, outcome: str) -> int:
        return sum(count for (_, found), count in self.outcomes.items() if found == outcome)


async def push(
    volt: VoltClient,
    warehouse_url: str,
    phones: Sequence[str],
    export: str,
    *,
    run_id: str,
    dry_run: bool = False,
    observe: Observer = silent,
) -> PushReport:
    """Push `export` ("contacts" or "lists") as published in `volt_exports`; an empty one is nothing to do.

    A row that is incomplete or of an account that is not among `phones` is refused. Each attempt is in
    `volt_ops.pushes` before the next is made; a dry run writes neither to Volt nor there. Raises VoltError,
    WarehouseError.
    """
    frame = read_export(warehouse_url, export)
    kind: Export[Any] = contacts.CONTACTS if export == "contacts" else lists.LISTS
    wishes: list[Any] = contacts.wishes(frame) if export == "contacts" else lists.wishes(frame)
    report = PushReport(export, len(wishes))
    known = [wish for wish in wishes if wish.account_phone in phones and all(kind.target(wish))]
    with psycopg.connect(conninfo(warehouse_url), autocommit=True) as connection:

        def keep(attempt: Attempt) -> None:
            report.outcomes[attempt.action, attempt.outcome] += 1
            if not dry_run:
                said = {name: json_text(getattr(attempt, name)) for name in ("before", "sent", "after")}
                record(connection, run_id, {**asdict(attempt), "reason": escape(attempt.reason), **said})
            observe(export, sum(report.outcomes.values()), len(wishes))

        for wish in wishes:
            account_phone, key = kind.target(wish)
            if not (account_phone and key):
                incomplete = "its account_phone or its key is missing"
                keep(Attempt(export, account_phone or "", key or "", "refused", "refused", incomplete))
            elif account_phone not in phones:
                keep(Attempt(export, account_phone, key, "refused", "refused", "its account is not in VOLT_ACCOUNTS"))
        async for attempt in push_rows(volt, kind, known, dry_run=dry_run):
            keep(attempt)
            if attempt.alarming:
                report.stopped = f"a row of {attempt.account_phone}: {attempt.reason}"
    return report

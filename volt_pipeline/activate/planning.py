"""What a push would do, before it asks Volt anything: the export beside what the warehouse holds. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from volt_pipeline.activate.intake import records, take_in
from volt_pipeline.activate.ordering import ordered
from volt_pipeline.activate.rows import Action, Export, Facts, Row, Target, Wish, digest, masked

WRITERS = 4  # documents of writes under way at once: what the others have sent may still land when one has to stop
_SECONDS_A_REQUEST = 0.5


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """What is to be done about a row of the export, and why."""

    position: int
    account_phone: str
    row_key: str
    action: Action
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class Plan:
    """One export's plan. `digest` is that of the export it was made from: it tells whether the export has moved."""

    export: str
    digest: str
    rows: tuple[PlannedRow, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by action; every row has one."""
        found: Counter[str] = Counter(row.action for row in self.rows)
        return {action: found[action] for action in ("create", "update", "unchanged", "refused")}

    @property
    def writes(self) -> int:
        return self.counts["create"] + self.counts["update"]


def make_plan(
    kind: Export[Wish], frame: pd.DataFrame, held: pd.DataFrame, facts: Facts
) -> tuple[Plan, list[Row[Wish]]]:
    """The plan, and the rows in the order in which they are pushed.

    `held` has the columns account_phone, row_key and what `kind.held` reads: what Volt held when it was last read.
    """
    rows = ordered(kind, take_in(kind, frame, facts))
    current = held_by_target(kind, held)
    planned = [_planned(kind, row, current, facts) for row in rows]
    rows = [replace(row, planned=made.action) for row, made in zip(rows, planned, strict=True)]
    planned.sort(key=lambda row: row.position)
    return Plan(kind.name, export_digest(frame), tuple(planned)), rows


def held_by_target(kind: Export[Wish], held: pd.DataFrame) -> dict[Target, dict[str, Any]]:
    return {(record["account_phone"], record["row_key"]): kind.held(record) for record in records(held)}


def _planned(
    kind: Export[Wish], row: Row[Wish], current: Mapping[Target, Mapping[str, Any]], facts: Facts
) -> PlannedRow:
    if row.wish is None:
        action: Action = "unchanged" if row.settled == "unchanged" else "refused"
        return PlannedRow(row.position, row.account_phone, row.key, action, row.reason)
    decision = kind.decide(row.wish, current.get(row.target), facts)
    reason = "; ".join(filter(None, (decision.reason, row.reason)))
    return PlannedRow(row.position, row.account_phone, row.key, decision.action, reason)


def export_digest(frame: pd.DataFrame) -> str:
    """The fingerprint of an export's rows, in any order."""
    return digest(sorted(json.dumps(record, sort_keys=True, default=str) for record in records(frame)))


def estimated(counts: Mapping[str, int], batch: int) -> tuple[int, float]:
    """Requests and minutes that a push of so many rows takes, at half a second a request."""
    writes = counts["create"] + counts["update"]
    reads = math.ceil((writes + counts["unchanged"]) / batch)
    alone = (counts["create"] > 0) + (counts["update"] > 0)  # the first of each sort
    documents = alone + math.ceil((writes - alone) / batch)
    return reads + documents, (reads + documents) * _SECONDS_A_REQUEST / (WRITERS if batch > 1 else 1) / 60


def shown(rows: Sequence[Mapping[str, Any]], export: str, most: int) -> list[tuple[str, str, str, str]]:
    """The first rows of each action as they may be shown, up to `most` of each: contacts' phones are masked.

    What is right already is not shown.
    """
    first = [
        row
        for action in ("create", "update", "refused")
        for row in [row for row in rows if row["action"] == action][:most]
    ]
    return [
        (
            row["account_phone"],
            masked(row["row_key"]) if export == "contacts" else row["row_key"],
            row["action"],
            row["reason"],
        )
        for row in first
    ]

"""What a sync or push came to, in figures; `volt_ops.runs` keeps it, the UI and the command line show it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Literal, Protocol

import orjson

from volt_pipeline.api.client import VoltClient
from volt_pipeline.extract.rows import json_text
from volt_pipeline.warehouse.load import Loader
from volt_pipeline.warehouse.transaction import Counts

Outcome = Literal["succeeded", "rejected", "failed"]


class Report(Protocol):
    """What the record of a run needs of a sync's or a push's report."""

    kind: ClassVar[str]
    requests: dict[str, int]
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """How the work ended that came to its end."""

    def as_json(self) -> str:
        """The figures as a JSON object."""


@asynccontextmanager
async def on_record(loader: Loader, volt: VoltClient, report: Report, *, since: float) -> AsyncIterator[None]:
    """Keep a row of `volt_ops.runs` about the work within: running, and then how it ended, with its report.

    Work that is killed stays "running". `since` is when it began, of `time.monotonic`.
    """
    await loader.fetch("start_run", {"run_id": loader.run_id, "kind": report.kind})
    outcome: Outcome = "failed"
    try:
        yield
        outcome = report.outcome
    finally:
        report.requests = dict(volt.usage.by_operation)
        report.seconds = time.monotonic() - since
        ended = {"run_id": loader.run_id, "outcome": outcome, "report": report.as_json()}
        await loader.fetch("finish_run", ended)


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

    kind: ClassVar[str] = "sync"
    run_id: str
    accounts: tuple[str, ...]
    tables: dict[str, Counts] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    seconds: float = 0.0
    oldest_contact_reading: float | None = None  # seconds

    @property
    def rejected(self) -> int:
        return sum(counts.rejected for counts in self.tables.values())

    @property
    def outcome(self) -> Outcome:
        return "rejected" if self.rejected else "succeeded"

    @property
    def total_requests(self) -> int:
        return sum(self.requests.values())

    def as_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()


@dataclass
class PushReport:
    """What a push of one export did: rows by action and outcome, and the reason when it stopped before its end.

    Of a dry run, or a push that has nothing to do, there are no outcomes. `odd_sizes` are lists of a size that was
    not expected.
    """

    kind: ClassVar[str] = "push"
    export: str
    plan_id: str = ""
    planned: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    stopped: str = ""
    odd_sizes: Sequence[str] = ()
    requests: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Every row is as the export wants it, or was rightly left alone."""
        return not self.stopped and not any(outcome in ("failed", "unknown") for _, outcome in self.outcomes)

    @property
    def outcome(self) -> Outcome:
        if self.stopped:
            return "failed"
        return "succeeded" if self.clean and not self.odd_sizes else "rejected"

    def count(self, outcome: str) -> int:
        return sum(count for (_, found), count in self.outcomes.items() if found == outcome)

    def as_json(self) -> str:
        """One part of its run's report, under the export's name."""
        found: dict[str, dict[str, int]] = {}
        for (action, outcome), count in self.outcomes.items():
            found.setdefault(action, {})[outcome] = count
        values = {name: getattr(self, name) for name in ("outcome", "plan_id", "planned", "counts", "stopped")}
        values |= {"odd_sizes": list(self.odd_sizes), "requests": self.requests, "seconds": self.seconds}
        return json_text({self.export: {**values, "outcomes": found}})

"""What a sync came to, in figures; `volt_ops.runs` keeps it, the UI and the command line show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import orjson

from volt_pipeline.warehouse.transaction import Counts


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
    oldest_contact_reading: float | None = None  # seconds

    @property
    def rejected(self) -> int:
        return sum(counts.rejected for counts in self.tables.values())

    @property
    def total_requests(self) -> int:
        return sum(self.requests.values())

    def as_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()

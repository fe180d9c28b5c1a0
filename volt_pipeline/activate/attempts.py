"""What became of the rows of a push: each ends as one attempt, and a row of `volt_ops.pushes`. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from volt_pipeline.activate.rows import Action, Outcome, Row, Wish, Write


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one row. `before` is what Volt held, `after` what it answered.

    `unknown`: the write may or may not have happened; the next push reads the row fresh and finds out. `waited`:
    nothing was tried this time. `tries` counts the failures in a row, this one included.
    """

    export: str
    position: int
    account_phone: str
    row_key: str = field(repr=False)
    row_digest: str
    action: Action
    outcome: Outcome
    reason: str = ""
    tries: int = 0
    waited: bool = False
    before: Any = field(default=None, repr=False)
    sent: Any = field(default=None, repr=False)
    after: Any = field(default=None, repr=False)
    asked_at: datetime | None = None  # when `after` was asked of Volt; without it, when `before` was

    @classmethod
    def idle(cls, export: str, row: Row[Wish], outcome: Outcome, reason: str, *, waited: bool = False) -> Self:
        """Of a row that was not written, or of which nothing could be decided."""
        tries = row.tries + (outcome == "failed" and not waited)
        action: Action = "unchanged" if outcome == "unchanged" else row.planned
        return cls(export, row.position, row.account_phone, row.key, row.digest, action, outcome, reason, tries, waited)

    @classmethod
    def of(
        cls,
        export: str,
        write: Write[Wish],
        outcome: Outcome,
        reason: str,
        after: Any = None,
        asked_at: datetime | None = None,
    ) -> Self:
        """Of a row that was decided on a fresh reading: written, or left as it is."""
        row, decision = write.row, write.decision
        tries = row.tries + 1 if outcome in ("failed", "unknown") else 0
        where = (export, row.position, row.account_phone, row.key, row.digest)
        values = (write.before, decision.variables, after, write.read_at if after is None else asked_at)
        return cls(*where, decision.action, outcome, reason, tries, False, *values)

    @property
    def target(self) -> tuple[str, str]:
        return self.account_phone, self.row_key

    @property
    def alarming(self) -> bool:
        """Volt answered something else than was meant: nothing more may be written before someone has looked."""
        return self.outcome == "failed" and self.after is not None

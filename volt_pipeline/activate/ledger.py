"""What a push asks of the one who keeps its record; `push_record.py` implements it on the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from volt_pipeline.activate.attempts import Attempt
from volt_pipeline.activate.rows import Approval


class Ledger(Protocol):
    """Where attempts are put on record, and approvals are taken from."""

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Put attempts on record, for good, before the next document is sent."""

    async def barred(self) -> str:
        """Why this push may write nothing more, asked before each document; "" while it may."""

    async def claim(self, approval: Approval) -> bool:
        """Use an approval; False when somebody else has."""

    async def release(self, approval: Approval) -> None:
        """Give an approval back whose contact was certainly not written."""

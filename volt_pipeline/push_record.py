"""What a push leaves in the warehouse: each attempt in `volt_ops.pushes`, and what Volt answered in schema `volt`.

The answers are loaded as a sync would load them, under the same read stamps; no lease of an account is needed, since
they are targeted readings. They go in parts of some hundreds, so that loading does not slow the push down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from volt_pipeline.activate.attempts import Attempt
from volt_pipeline.activate.lists import ListWish, size_doubt
from volt_pipeline.activate.rows import Approval, Facts, Row
from volt_pipeline.batch import Batch, Discovery
from volt_pipeline.catalog import LISTS
from volt_pipeline.extract.inbox import take_contact
from volt_pipeline.extract.reader import Account, Reader, put
from volt_pipeline.extract.rows import escape, json_text
from volt_pipeline.warehouse.pushes import PushLedger

_ROWS_A_LOAD = 500
_UNRECORDED = {"asked_at"}


@dataclass
class Record:
    """The ledger of one push (`activate.pushing.Ledger`); `reader` is where the answers go."""

    ledger: PushLedger
    reader: Reader
    facts: Facts
    accounts: Mapping[str, str]  # primary phone → account id, as far as they are known
    rows: Mapping[int, Row[Any]]
    outcomes: Counter[tuple[str, str]]
    tell: Callable[[int], None] = lambda _done: None
    odd_sizes: list[str] = field(default_factory=list)
    _batch: Batch = field(default_factory=Batch)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Put attempts on record, and take up what Volt showed of their rows."""
        lists = [
            (each.account_phone, escape(each.row_key))
            for each in attempts
            if each.export == "lists" and each.outcome == "sent"
        ]
        await self.ledger.record(json_text([_as_json(each) for each in attempts]), lists)
        for attempt in attempts:
            self.outcomes[attempt.action, attempt.outcome] += 1
            self._take(attempt)
        self.tell(sum(self.outcomes.values()))
        if self._batch.size >= _ROWS_A_LOAD:
            await self.flush()

    async def barred(self) -> str:
        """Why nothing more may be written."""
        return await self.ledger.barred()

    async def claim(self, approval: Approval) -> bool:
        """Use an approval, for good unless it is released."""
        return await self.ledger.claim(approval.id)

    async def release(self, approval: Approval) -> None:
        """Give back an approval that came to nothing."""
        await self.ledger.release(approval.id)

    async def flush(self) -> None:
        """Load what is waiting."""
        batch, self._batch = self._batch, Batch()
        if batch.size:
            await self.reader.store.load(batch)

    def _take(self, attempt: Attempt) -> None:
        shown = attempt.before if attempt.after is None else attempt.after
        if not isinstance(shown, dict) or attempt.asked_at is None:
            return
        account_id = self.accounts.get(attempt.account_phone)
        if attempt.export == "contacts":
            if account_id:
                account = Account(account_id, attempt.account_phone)
                take_contact(self.reader, self._batch, account, shown, attempt.asked_at)
            return
        put(self._batch, LISTS, shown, attempt.asked_at, account_id=account_id)
        if account_id and isinstance(source := shown.get("querySourceListName"), str) and source:
            self._batch.discoveries.add(Discovery("list", account_id, escape(source), via="lists"))
        wish = self.rows[attempt.position].wish
        if isinstance(wish, ListWish) and attempt.outcome in ("sent", "unchanged"):
            doubt = size_doubt(wish, shown.get("size"), self.facts.sizes.get((wish.account_phone, wish.list_name)))
            if doubt:
                self.odd_sizes.append(f"the list {wish.list_name} of {wish.account_phone} has {doubt}")


def _as_json(attempt: Attempt) -> dict[str, Any]:
    """The attempt as it is recorded; of an unchanged row, not what Volt holds: it stands in schema volt."""
    values = {name: getattr(attempt, name) for name in attempt.__slots__ if name not in _UNRECORDED}
    return {**values, "before": None} if attempt.outcome == "unchanged" else values

"""What extraction asks of the warehouse: which inbox, conversations, waves, lists and messages to read next.

There is no cursor file: each answer is a query over what is held (`queries.sql`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from volt_pipeline.batch import Batch, Target, Walk
from volt_pipeline.warehouse.load import Loader

_DUE = {"wave": "due_waves", "list": "due_lists", "message": "due_messages", "contact": "due_contacts"}
_CANARIES = {kind: name.replace("due_", "canary_") for kind, name in _DUE.items()}


CONTACT_BUDGET = timedelta(hours=24)  # no contact's last reading is older than this, if syncs run


@dataclass
class WarehouseStore:
    """The run's view of the state; `full` makes everything due."""

    loader: Loader
    full: bool = False

    async def load(self, batch: Batch) -> set[tuple[str, str, str]]:
        """Commit a batch; give the keys of its walks that are complete."""
        return await self.loader.load(batch)

    async def resolve(self, table: str, key: str) -> None:
        """What was in quarantine under this key is well again."""
        await self.loader.fetch("resolve_rejects", {"stream": table, "keys": [key]})

    async def inbox_walk(self, account_id: str, account_phone: str) -> Walk:
        """A fresh inbox walk, bounded by the last complete one, whose rows held are its `total`."""
        walk = Walk("inbox_items", account_id, account_phone)
        for top, gap, unidentifiable, held, whole in await self.loader.fetch("inbox_walk", {"account_id": account_id}):
            walk.top, walk.gap, walk.unidentifiable, walk.total = top, gap, unidentifiable, held
            walk.whole = whole
        walk.whole = walk.whole or self.full
        return walk

    async def due_conversations(self, account_id: str, account_phone: str, after: str, limit: int) -> list[Walk]:
        """The next due conversations by contact phone, beyond `after`; a walk that was cut off goes on."""
        return await self._due_conversations(account_id, account_phone, after=after, limit=limit, phones=None)

    async def due_among(self, account_id: str, account_phone: str, phones: Sequence[str]) -> list[Walk]:
        """Those of the conversations with these phones that are due."""
        return await self._due_conversations(account_id, account_phone, after="", limit=len(phones), phones=phones)

    async def _due_conversations(
        self, account_id: str, account_phone: str, *, after: str, limit: int, phones: Sequence[str] | None
    ) -> list[Walk]:
        where = {"account_id": account_id, "after": after, "limit": limit, "phones": phones}
        parameters = {**where, "full": self.full, "run_id": self.loader.run_id}
        rows = await self.loader.fetch("due_conversations", parameters)
        return [self._walk(account_id, account_phone, *row) for row in rows]

    def _walk(
        self,
        account_id: str,
        account_phone: str,
        contact_phone: str,
        item: str,
        cursor: str | None,
        top: Any,
        gap: int,
        opened_at: Any,
        pages: int,
        total: int,
        open_top: Any,
        oldest: Any,
        ordered: bool,
        open_item: str,
        retry: bool,
    ) -> Walk:
        walk = Walk("messages", account_id, account_phone, contact_phone, item, top, gap, whole=retry or self.full)
        if cursor is not None and not self.full:
            walk.item, walk.opened_at, walk.cursor, walk.pages = open_item, opened_at, cursor, pages
            walk.total, walk.open_top, walk.oldest, walk.ordered = total, open_top, oldest, ordered
        return walk

    async def due(self, kind: str, account_ids: Sequence[str]) -> list[Target]:
        """The waves, lists, messages or contacts that are due for a look-up."""
        rows = await self.loader.fetch(
            _DUE[kind], {"account_ids": list(account_ids), "full": self.full, "budget": CONTACT_BUDGET}
        )
        return [Target(*row) for row in rows]

    async def held_webhooks(self) -> set[str]:
        """The ids of the webhooks that are held, but for those that were buried."""
        return {webhook_id for (webhook_id,) in await self.loader.fetch("held_webhooks", {})}

    async def canaries(self, kind: str, account_ids: Sequence[str], doubtful: Sequence[str]) -> list[Target]:
        """A few things of each account that Volt showed lately, but for the doubtful ones (by key)."""
        parameters = {"account_ids": list(account_ids), "doubtful": list(doubtful)}
        rows = await self.loader.fetch(_CANARIES[kind], parameters)
        return [Target(*row) for row in rows]

"""Conversations and inboxes: what stands where, in order."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import datetime

from .entities import InboxItem, Message

Conversation = list[tuple[datetime, str, Message]]


@dataclass(slots=True)
class Inbox:
    """An account's inbox: `entries` sorted oldest first, one item per contact."""

    entries: list[tuple[datetime, str, InboxItem]] = field(default_factory=list)
    item_of: dict[str, InboxItem] = field(default_factory=dict)

    def put(self, item: InboxItem) -> None:
        self.item_of[item.id] = item
        insort(self.entries, (item.last_message_time, item.id, item))

    def take(self, identity: str) -> InboxItem | None:
        item = self.item_of.pop(identity, None)
        if item is not None:
            del self.entries[bisect_left(self.entries, (item.last_message_time, item.id), key=lambda e: e[:2])]
        return item

"""Pages and cursors: what one answer holds, and how far it brings a walk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import ge
from typing import Any

from volt_pipeline.batch import Walk
from volt_pipeline.extract.shapes import Conversation

# No walk is longer than this many pages beyond one page an item: a loop that no cursor repeats ends here.
_SPARE_PAGES = 1_000
# A time further ahead than this is bad data: as the newest of a walk it would let every later one stop at once.
_AHEAD = timedelta(days=1)


class PageError(Exception):
    """A page that cannot be understood, or a cursor that leads nowhere."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of `inbox` or `conversation`; its items are plain objects or in a shape.

    `next_cursor` is None on the last page; `broken` says why there is none although there should be.
    """

    source: dict[str, Any]
    items: list[Any]
    total: int
    next_cursor: str | None
    asked_at: datetime
    broken: str = ""

    @classmethod
    def of(cls, value: Any, items: str, asked_at: datetime) -> Page:
        """Read an Inbox or Conversation object. Raises PageError when its shape is not the contract's."""
        if isinstance(value, Conversation):
            told = value.pageInfo
            return cls._of({}, value.messages, told.totalItems, told.hasNextPage, told.nextPage, asked_at)
        info = value.get("pageInfo") if isinstance(value, dict) else None
        rows = value.get(items) if isinstance(value, dict) else None
        if not isinstance(info, dict) or not isinstance(rows, list):
            raise PageError(f"it has no {items} or no pageInfo")
        total, cursor = info.get("totalItems"), info.get("nextPage")
        if type(total) is not int:
            raise PageError("pageInfo.totalItems is no number")
        return cls._of(value, rows, total, bool(info.get("hasNextPage")), cursor, asked_at)

    @classmethod
    def _of(
        cls, source: dict[str, Any], items: list[Any], total: int, goes_on: bool, cursor: Any, asked_at: datetime
    ) -> Page:
        if abs(total) >= 2**63:  # more than the warehouse can hold
            raise PageError("pageInfo.totalItems is no number of items")
        if not goes_on:
            return cls(source, items, total, None, asked_at)
        if not (isinstance(cursor, str) and cursor):
            return cls(source, items, total, None, asked_at, "it says that there is a next page, but not which")
        return cls(source, items, total, cursor, asked_at)


def advance(walk: Walk, page: Page, times: Sequence[datetime | None], seen: set[str]) -> None:
    """Bring a walk forward by a page whose items have these times.

    Sets `reached_end` on the last page and `below_top` when all that is newer than the last completed walk was read.
    Raises PageError when there is no way on: no cursor, one that was given before, or a walk beyond its page cap.
    """
    if page.broken:
        raise PageError(page.broken)
    walk.pages += 1
    if walk.stream == "inbox_items" or walk.pages == 1:
        walk.total = page.total
    told = believable(times, page.asked_at)
    known = [time for time in told if time is not None]
    way = known if walk.oldest is None else [walk.oldest, *known]
    walk.ordered = walk.ordered and len(known) == len(told) and all(map(ge, way, way[1:]))
    if known:
        walk.oldest = min(way)
        walk.open_top = max(known if walk.open_top is None else [walk.open_top, *known])
    walk.cursor = page.next_cursor
    walk.reached_end = page.next_cursor is None
    walk.below_top = not walk.whole and walk.ordered and _spans(walk, walk.top)
    if page.next_cursor is not None:
        mark = hashlib.blake2b(page.next_cursor.encode(errors="surrogatepass"), digest_size=12).hexdigest()
        if mark in seen:
            raise PageError("its cursors go round in a circle")
        seen.add(mark)
        if walk.pages > walk.total + _SPARE_PAGES:
            raise PageError(f"it has more than {walk.pages} pages for {walk.total} items")


def _spans(walk: Walk, top: datetime | None) -> bool:
    """Whether the walk began at what was the top, or above it, and is strictly below it now.

    A walk that begins elsewhere goes in another order, be it that a page of one item cannot show which.
    """
    if top is None or walk.oldest is None or walk.open_top is None:
        return False
    return walk.open_top >= top and walk.oldest < top


def believable(times: Sequence[datetime | None], asked_at: datetime) -> list[datetime | None]:
    """The times that a walk may go by: one in the far future says nothing of where its item stands."""
    return [time for time in times if time is None or time <= asked_at + _AHEAD]

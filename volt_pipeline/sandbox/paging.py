"""Pages that go back in time, behind opaque cursors.

A cursor names a place in the order (a time and an id), not a count of items, so a walk loses and repeats nothing
when newer items arrive while it is under way.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from .entities import bad_input

Item = TypeVar("Item")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True, frozen=True)
class PageInfo:
    total_items: int
    next_page: str | None
    has_next_page: bool


@dataclass(slots=True, frozen=True)
class Page(Generic[Item]):
    items: list[Item]
    page_info: PageInfo


def page(entries: Sequence[tuple[datetime, str, Item]], before: str | None, size: int) -> Page[Item]:
    """One page, newest first, of entries that are sorted oldest first."""
    end = len(entries) if before is None else bisect_left(entries, place_of(before), key=lambda entry: entry[:2])
    start = max(0, end - size)
    cursor = cursor_at(entries[start][0], entries[start][1]) if start else None
    items = [entry[2] for entry in reversed(entries[start:end])]
    return Page(items, PageInfo(len(entries), cursor, start > 0))


def micros(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def from_micros(value: int) -> datetime:
    return EPOCH + value * MICROSECOND


def stamp(time: datetime) -> str:
    """RFC 3339 with microseconds and Z, as in Volt's examples."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def cursor_at(time: datetime, identity: str) -> str:
    return base64.urlsafe_b64encode(f"{micros(time)}:{identity}".encode()).decode()


def place_of(cursor: str) -> tuple[datetime, str]:
    try:
        time, separator, identity = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
        if not separator or not identity:
            raise ValueError(cursor)
        return from_micros(int(time)), identity
    except (ValueError, OverflowError, binascii.Error):
        raise bad_input("Cursor is not valid") from None
